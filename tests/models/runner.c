// SPDX-License-Identifier: MIT
// The golden runner on a case made here: right values pass, a wrong one does not.
#include "core/json.h"
#include "folders.h"
#include "nn/plan.h"

enum { PIXELS = 16 * 16, LATENT = 4 * 4 * 4, PICTURE = 3 * PIXELS };

static const char manifest[] =
    "{\"case\": \"made\", \"models\": {\"m\": \"../tiny-taesd\"}, \"tolerance\": {\"fp32 "
    "engine\": {\"latent\": {\"rel_l2\": 1e-5}, \"recon\": {\"rel_l2\": 1e-5, \"max_abs\": "
    "1e-4}}}, \"files\": {\"a.safetensors\": {}}}";

static void run_part(const struct ph_module *m, int part, const char *in, float *from, int n,
                     const char *out, float *to, int k)
{
    const struct ph_module_size size = { .height = 16, .width = 16 };
    struct ph_plan_params params = { .precision = PH_PRECISION_F32 };
    struct ph_tensor source = { PH_F32, 1, { n }, from }, sink = { PH_F32, 1, { k }, to };
    struct ph_fault fault = { 0 };
    struct ph_plan *plan;
    struct ph_prog *p;
    CHECK_OK(ph_prog_create(&p));
    ph_module_record(p, m, part, &size, NULL);
    if (ph_plan_create(p, &params, &plan, &fault)) TEST_FAIL("%s", fault.message);
    CHECK_OK(ph_plan_write(plan, in, &source));
    CHECK_OK(ph_plan_run(plan));
    CHECK_OK(ph_plan_read(plan, out, &sink));
    ph_plan_destroy(&plan);
    ph_prog_free(&p);
}

// A case of a small autoencoder; `wrong` is added to one value of the decoded picture.
static const char *make_case(const char *name, float wrong)
{
    static uint8_t pixels[PICTURE];
    static float image[PICTURE], z[LATENT], latent[LATENT], recon[PICTURE];
    struct ph_module *m = module_random("tiny-taesd", 4);
    for (int i = 0; i < PICTURE; i++) {
        pixels[i] = (uint8_t) (i * 37);
        image[i % 3 * PIXELS + i / 3] = 2 * ((float) pixels[i] / 255) - 1;
    }
    for (int i = 0; i < LATENT; i++) z[i] = (float) (i % 7 - 3) / 2;
    run_part(m, 0, "image", image, PICTURE, "latent", latent, LATENT);
    run_part(m, 1, "latent", z, LATENT, "image", recon, PICTURE);
    recon[5] += wrong;
    ph_module_close(&m);
    const struct ph_named_tensor tensors[] = {
        { "in.image_u8", { PH_U8, 4, { 1, 16, 16, 3 }, pixels } },
        { "in.z", { PH_F32, 4, { 1, 4, 4, 4 }, z } },
        { "out.latent", { PH_F32, 4, { 1, 4, 4, 4 }, latent } },
        { "out.recon", { PH_F32, 4, { 1, 3, 16, 16 }, recon } },
    };
    char path[600];
    const char *folder = folder_new(name);
    file_write(folder, "manifest.json", manifest);
    snprintf(path, sizeof path, "%s/a.safetensors", folder);
    CHECK_OK(ph_weights_save(path, tensors, 4, 0, NULL));
    return folder;
}

// The runner's exit status, and what it printed.
static int golden(const char *options, const char *folder, char *text, size_t size)
{
    char command[900];
    snprintf(command, sizeof command, "'%s' %s '%s' 2>&1", getenv("PH_GOLDEN_PROGRAM"), options,
             folder);
    FILE *pipe = popen(command, "r");
    CHECK(pipe != NULL);
    text[fread(text, 1, size - 1, pipe)] = '\0';
    int status = pclose(pipe);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST(right_values_pass)
{
    char text[8192];
    const char *folder = make_case("right", 0);
    CHECK_INT(golden("", folder, text, sizeof text), ==, 0);
    CHECK_HAS(text, "out.latent");
    CHECK_HAS(text, "2 tensors compared, 0 beyond tolerance");
    CHECK_INT(golden("--quiet", folder_base, text, sizeof text), ==, 0); // found below
    CHECK_HAS(text, "1 cases run, 0 skipped");
}

TEST(a_wrong_value_fails_and_is_named)
{
    char text[8192];
    const char *folder = make_case("wrong", 0.01f);
    CHECK_INT(golden("--quiet", folder, text, sizeof text), ==, 1);
    CHECK_HAS(text, "out.recon");
    CHECK_HAS(text, "BEYOND");
    CHECK_HAS(text, "2 tensors compared, 1 beyond tolerance");
}

TEST(the_same_verdicts_as_json)
{
    char text[8192];
    struct ph_json_doc *doc;
    const char *folder = make_case("json", 0.01f);
    CHECK_INT(golden("--json", folder, text, sizeof text), ==, 1);
    CHECK_OK(ph_json_parse(&doc, text, strlen(text), 0, NULL));
    const struct ph_json *root = ph_json_root(doc);
    CHECK_INT(root->count, ==, 2);
    CHECK(ph_json_bool(ph_json_get(ph_json_at(root, 0), "ok"), false));
    CHECK(!ph_json_bool(ph_json_get(ph_json_at(root, 1), "ok"), true));
    CHECK_STR(ph_json_string(ph_json_get(ph_json_at(root, 1), "tensor"), ""), "out.recon");
    CHECK_NUM(ph_json_double(ph_json_get(ph_json_at(root, 1), "max_abs"), 0), >, 0.009);
    ph_json_free(&doc);
}

TEST(what_nothing_can_run_is_skipped)
{
    char text[8192];
    const char *folder = folder_new("unknown");
    CHECK_INT(golden("", folder, text, sizeof text), ==, 77);
    file_write(folder, "manifest.json", "{\"case\": \"x\", \"files\": {}}");
    CHECK_INT(golden("", folder, text, sizeof text), ==, 77);
    CHECK_HAS(text, "skipped");
    file_write(folder, "manifest.json", "{");
    CHECK_INT(golden("", folder, text, sizeof text), ==, 1);
}
