// SPDX-License-Identifier: MIT
// docs/write-a-model.md: what it quotes is in the source, and its example is compiled and run here as it
// stands there.
#include "core/json.h"
#include "folders.h"
#include "nn/plan.h"

enum { LATENT = 4 * 32 * 32, PICTURE = 3 * 256 * 256 };

static char *whole(const char *file)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/../../%s", getenv("PH_TEST_DATA"), file);
    FILE *f = fopen(path, "rb");
    if (!f) TEST_FAIL("no %s", path);
    char *text = calloc(1, 1 << 20);
    CHECK(text && fread(text, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

// The example's own variables are declared by it.
static ph_err example(struct ph_tensor latent, struct ph_tensor image, struct ph_fault *out)
{
    struct ph_fault fault = { 0 };
    ph_err ret;
#include "write_a_model.inc"
    ph_plan_destroy(&plan);
    ph_prog_free(&p);
    ph_module_close(&m);
fail:
    *out = fault;
    return ret;
}

TEST(the_example_of_write_a_model_decodes_a_latent)
{
    static float z[LATENT], rgb[PICTURE];
    char path[256];
    struct ph_fault fault;
    struct ph_module *m = module_random("taesd", 3);
    ph_module_close(&m);
    snprintf(path, sizeof path, "%s/models", folder_base);
    CHECK_INT(symlink(folder_base, path), ==, 0); // "models/taesd"
    CHECK_INT(chdir(folder_base), ==, 0);
    for (int i = 0; i < LATENT; i++) z[i] = (float) (i % 13 - 6) / 4;
    ph_err ret = example((struct ph_tensor){ PH_F32, 4, { 1, 4, 32, 32 }, z },
                         (struct ph_tensor){ PH_F32, 4, { 1, 3, 256, 256 }, rgb }, &fault);
    if (ret < 0) TEST_FAIL("%s", fault.message);
    float low = rgb[0], high = rgb[0];
    for (int i = 1; i < PICTURE; i++) {
        low = rgb[i] < low ? rgb[i] : low;
        high = rgb[i] > high ? rgb[i] : high;
    }
    CHECK_NUM(high - low, >, 0.01);
}

// Every line of its other blocks, but for "...".
TEST(what_write_a_model_quotes_is_in_the_source)
{
    char *doc = whole("docs/write-a-model.md"), *body = whole("src/models/taesd/taesd.c"),
         *header = whole("src/models/taesd/taesd.h"), *save = NULL;
    char *end = strstr(doc, "Running it:");
    CHECK(end != NULL);
    *end = '\0';
    bool code = false;
    int lines = 0;
    for (char *line = strtok_r(doc, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        line += strspn(line, " ");
        if (!strncmp(line, "```", 3)) {
            code = line[3] == 'c';
        } else if (code && *line && strcmp(line, "...") != 0) {
            if (!strstr(body, line) && !strstr(header, line)) TEST_FAIL("not there: %s", line);
            lines++;
        }
    }
    CHECK_INT(lines, >, 30);
    free(doc), free(body), free(header);
}
