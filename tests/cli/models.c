// SPDX-License-Identifier: MIT
// phosphene models: list, inspect and check of folders made here; pull from a hub made here.
#include "terminal.h"

#include "models/model.h"

// ------------------------------------------------------------------------------ folders
static void shell(const char *fmt, ...)
{
    char command[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    if (system(command)) TEST_FAIL("%s", command);
}

// A module of tests/data/models with random weights, below the case's folder.
static const char *make_module(const char *model, const char *where)
{
    struct ph_fault fault = { 0 };
    struct ph_module *m;
    const char *folder = temp_path(where), *data = getenv("PH_TEST_DATA");
    if (!data) TEST_FAIL("PH_TEST_DATA is not set: run by `meson test`");
    shell("mkdir -p %s && cp %s/models/%s/config.json %s/", folder, data, model, folder);
    if (ph_module_describe(folder, &m, &fault) < 0 ||
        ph_module_write_random(m, folder, PH_F16, 7, &fault) < 0)
        TEST_FAIL("%s", fault.message);
    ph_module_close(&m);
    return folder;
}

static const char *tiny_pipeline(void)
{
    static char path[1024];
    const char *root = getenv("PH_GOLDEN");
    snprintf(path, sizeof path, "%s/diffusion/models/pipe_sd15_tiny", root ? root : "");
    if (access(path, R_OK)) TEST_SKIP("no %s", path);
    return path;
}

static bool same_files(const char *a, const char *b)
{
    char command[1024];
    snprintf(command, sizeof command, "cmp -s %s %s", a, b);
    return system(command) == 0;
}

// ------------------------------------------------------------------------------ list
TEST(list_names_class_size_and_types_of_what_is_on_the_shelf)
{
    make_module("tiny-taesd", "shelf/small");
    make_module("tiny-unet", "shelf/somebody/tiny-unet");
    setenv("PH_MODELS", temp_path("shelf"), 1);
    const struct output *o = PHOSPHENE("models", "list");
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->out, "small  ");
    CHECK_HAS(o->out, "somebody/tiny-unet");
    CHECK_HAS(o->out, "AutoencoderTiny");
    CHECK_HAS(o->out, " f16 ");
    const struct ph_json *list = parse_json(PHOSPHENE("models", "--json")->out);
    CHECK_INT(list->count, ==, 2);
    const struct ph_json *one = ph_json_at(list, 0);
    CHECK_STR(ph_json_string(ph_json_get(one, "name"), ""), "small");
    CHECK_INT(ph_json_int(ph_json_get(one, "bytes"), 0), >, 1000);
    CHECK_STR(ph_json_string(ph_json_get(one, "types"), ""), "f16");
}

TEST(an_empty_shelf_says_how_to_get_a_model)
{
    setenv("PH_MODELS", temp_path("nothing"), 1);
    const struct output *o = PHOSPHENE("models");
    CHECK_STATUS(o, 0);
    CHECK_STR(o->out, "");
    CHECK_HAS(o->err, "phosphene models pull");
}

TEST(a_wrong_word_suggests_the_nearest)
{
    const struct output *o = PHOSPHENE("models", "inspct", "x");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "did you mean inspect?");
    CHECK_STATUS(PHOSPHENE("models", "check"), 2);
    o = PHOSPHENE("models", "check", "nosuchmodel");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "nosuchmodel");
    CHECK_STATUS(PHOSPHENE("models", "inspect", temp_dir()), 3);
}

// ------------------------------------------------------------------------------ inspect
TEST(inspect_counts_what_the_config_asks_for)
{
    const char *folder = make_module("tiny-taesd", "small");
    const struct output *o =
        PHOSPHENE("models", "inspect", folder, "--size", "64x64", "--json");
    CHECK_STATUS(o, 0);
    const struct ph_json *all = parse_json(o->out),
                         *module = ph_json_at(ph_json_get(all, "modules"), 0),
                         *decoder = ph_json_at(ph_json_get(module, "parts"), 1);
    struct ph_fault fault;
    struct ph_module *m;
    struct ph_prog_cost cost;
    const struct ph_module_size size = { .height = 64, .width = 64 };
    CHECK_INT(ph_module_describe(folder, &m, &fault), ==, PH_OK);
    CHECK_INT(ph_module_cost(m, 1, &size, &cost, &fault), ==, PH_OK);
    CHECK_NUM(fabs(ph_json_double(ph_json_get(ph_json_get(decoder, "gflop"), "64x64"), 0) -
                   cost.each / 1e9),
              <, cost.each / 1e9 * 1e-4);
    CHECK_STR(ph_json_string(ph_json_get(module, "class"), ""), "AutoencoderTiny");
    CHECK_INT(ph_json_int(ph_json_get(module, "bytes"), 0), ==,
              2 * ph_json_int(ph_json_get(module, "params"), 0)); // f16
    CHECK_HAS(ph_json_string(ph_json_get(all, "device"), ""), "cpu");
    ph_module_close(&m);
}

TEST(inspect_with_plan_prints_kernels_and_memory)
{
    const char *folder = make_module("tiny-taesd", "small");
    const struct output *o = PHOSPHENE("models", "inspect", folder, "--plan", "--size", "64x64",
                                       "--precision", "f32", "--device", "cpu:plain");
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->out, "runs on cpu");
    CHECK_HAS(o->out, ", f32\n");
    CHECK_HAS(o->out, " steps on ");
    CHECK_HAS(o->out, "between steps");
    CHECK_STATUS(PHOSPHENE("models", "inspect", folder, "--size", "63x64"), 2);
    CHECK_STATUS(PHOSPHENE("models", "inspect", folder, "--precision", "f64"), 2);
}

TEST(inspect_of_a_pipeline_has_a_line_for_each_module)
{
    const struct output *o = PHOSPHENE("models", "inspect", tiny_pipeline());
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->out, "text_encoder");
    CHECK_HAS(o->out, "UNet2DConditionModel");
    CHECK_HAS(o->out, "vae decoder");
}

// ------------------------------------------------------------------------------ check
TEST(check_passes_what_is_whole_and_counts_it)
{
    const struct output *o = PHOSPHENE("models", "check", make_module("tiny-taesd", "small"));
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->out, "tensors of 1 module as the configs want them");
}

TEST(check_names_every_tensor_that_does_not_fit)
{
    const char *folder = make_module("tiny-taesd", "small");
    shell("sed -i 's/\"latent_channels\": [0-9]*/\"latent_channels\": 9/' %s/config.json",
          folder);
    const struct output *o = PHOSPHENE("models", "check", folder);
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->out, "encoder.layers.");
    CHECK_HAS(o->out, "decoder.layers.");
    CHECK_HAS(o->out, "the config wants [9,");
    o = PHOSPHENE("models", "check", folder, "--json");
    CHECK_STATUS(o, 3);
    const struct ph_json *report = parse_json(o->out);
    CHECK(!ph_json_bool(ph_json_get(report, "ok"), true));
    CHECK_INT(ph_json_get(report, "issues")->count, >=, 3);
}

TEST(check_finds_a_cut_file_and_a_value_that_is_no_number)
{
    const char *folder = make_module("tiny-taesd", "small"), *other;
    shell("truncate -s -100 %s/*.safetensors", folder);
    const struct output *o = PHOSPHENE("models", "check", folder);
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->out, ".safetensors");
    other = make_module("tiny-taesd", "other");
    shell(
        "printf '\\377\\177' | dd of=%s/diffusion_pytorch_model.safetensors bs=1 conv=notrunc "
        "seek=$(($(stat -c %%s %s/diffusion_pytorch_model.safetensors) - 2)) 2>/dev/null",
        other, other);
    o = PHOSPHENE("models", "check", other);
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->out, "1 problem");
}

TEST(check_of_a_pipeline_looks_at_tokenizer_and_sampler_too)
{
    const char *copy = temp_path("copy");
    shell("cp -r %s %s", tiny_pipeline(), copy);
    CHECK_STATUS(PHOSPHENE("models", "check", copy), 0);
    shell("rm %s/tokenizer/merges.txt", copy);
    const struct output *o = PHOSPHENE("models", "check", copy);
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->out, "merges.txt");
}

TEST(check_of_a_pipeline_misses_a_part_and_reads_its_index)
{
    const char *copy = temp_path("copy");
    shell("cp -r %s %s && printf '{' >%s/model_index.json", tiny_pipeline(), copy, copy);
    const struct output *o = PHOSPHENE("models", "check", copy);
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->out, "model_index.json");
    shell("printf '{}' >%s/model_index.json", copy);
    CHECK_STATUS(PHOSPHENE("models", "check", copy), 0);
    shell("rm %s/unet/config.json", copy);
    o = PHOSPHENE("models", "check", copy);
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->out, "unet");
}

TEST(a_sampler_can_be_chosen_where_that_of_the_folder_is_not_known)
{
    const char *copy = temp_path("copy");
    shell("cp -r %s %s", tiny_pipeline(), copy);
    shell("sed -i 's/\"_class_name\": "
          "*\"[A-Za-z]*\"/\"_class_name\":\"UniPCMultistepScheduler\"/' "
          "%s/scheduler/scheduler_config.json",
          copy);
    const struct output *o = PHOSPHENE("models", "check", copy);
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->out, "UniPC");
    o = PHOSPHENE("generate", "a fox", "-m", copy, "-s", "64x64", "--steps", "2", "-o",
                  temp_path("auto.png"));
    CHECK_STATUS(o, 4);
    CHECK_HAS(o->err, "choose lcm, euler");
    o = PHOSPHENE("generate", "a fox", "-m", copy, "-s", "64x64", "--steps", "2", "--sampler",
                  "euler", "-o", temp_path("euler.png"));
    CHECK_STATUS(o, 0);
}

// ------------------------------------------------------------------------------ pull
static struct child hub;
static char hub_url[64];

static void stop_hub(void)
{
    if (hub.pid > 0) kill(hub.pid, SIGKILL);
}

// The hub serves what is below "hub"; its requests go to "hub.log".
static void start_hub(const char *first, const char *second)
{
    const char *script = getenv("PH_TEST_HUB");
    if (!script) TEST_FAIL("PH_TEST_HUB is not set: run by `meson test`");
    if (!have_program("python3")) TEST_SKIP("python3 is not installed");
    if (strstr(PHOSPHENE("models", "pull", "a/b", "--hub", "http://127.0.0.1:9")->err,
               "libcurl4"))
        TEST_SKIP("built without libcurl");
    hub = start("python3", script, temp_path("hub"), temp_path("hub.log"), first, second, NULL);
    atexit(stop_hub);
    snprintf(hub_url, sizeof hub_url, "http://127.0.0.1:%d", atoi(read_line(&hub)));
    unsetenv("http_proxy");
    setenv("PH_MODELS", temp_path("shelf"), 1);
    setenv("PH_HUB", hub_url, 1);
}

#define WEIGHTS "diffusion_pytorch_model.safetensors"

static void check_pulled(void)
{
    CHECK(same_files(temp_path("hub/me/small/" WEIGHTS), temp_path("shelf/small/" WEIGHTS)));
    CHECK(same_files(temp_path("hub/me/small/config.json"),
                     temp_path("shelf/small/config.json")));
    CHECK(access(temp_path("shelf/small/" WEIGHTS ".part"), F_OK));
}

TEST(a_model_comes_whole_and_is_not_fetched_twice)
{
    make_module("tiny-taesd", "hub/me/small");
    start_hub(NULL, NULL);
    const struct output *o = PHOSPHENE("models", "pull", "me/small");
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->err, "small: 2 of 2 files");
    CHECK_HAS(o->out, "as the configs want them");
    check_pulled();
    o = PHOSPHENE("models", "pull", "me/small");
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->err, "all 2 files are here already");
    char url[128];
    snprintf(url, sizeof url, "%s/me/small", hub_url);
    CHECK_STATUS(PHOSPHENE("models", "pull", url, "--to", temp_path("else")), 0);
    CHECK(!access(temp_path("else/config.json"), R_OK));
}

TEST(a_broken_connection_is_taken_up_where_it_broke)
{
    make_module("tiny-taesd", "hub/me/small");
    start_hub("cut=20000", NULL);
    const struct output *o = PHOSPHENE("models", "pull", "me/small");
    CHECK_STATUS(o, 0);
    check_pulled();
    CHECK_HAS(read_text(temp_path("hub.log")), WEIGHTS " bytes=20000-\n");
}

TEST(a_server_without_ranges_sends_it_again_from_the_start)
{
    make_module("tiny-taesd", "hub/me/small");
    start_hub("cut=20000", "no-range");
    CHECK_STATUS(PHOSPHENE("models", "pull", "me/small"), 0);
    check_pulled();
}

TEST(an_interrupted_pull_leaves_no_model_and_goes_on_later)
{
    make_module("tiny-taesd", "hub/me/small");
    start_hub("slow=40000", NULL);
    char part[256];
    const struct output *o;
    struct stat st = { 0 };
    snprintf(part, sizeof part, "%s", temp_path("shelf/small/" WEIGHTS ".part"));
    struct child c = start(program(), "models", "pull", "me/small", NULL);
    while (stat(part, &st) || st.st_size == 0) { // stdio writes 4 KB at a time
        if (waitpid(c.pid, NULL, WNOHANG)) TEST_FAIL("it ended before it was interrupted");
        sleep_ms(10);
    }
    stop_child(&c, SIGINT, &o);
    CHECK_STATUS(o, 130);
    CHECK(access(temp_path("shelf/small/config.json"), F_OK));
    CHECK_OK(stat(part, &st));
    stop_hub();
    start_hub(NULL, NULL);
    CHECK_STATUS(PHOSPHENE("models", "pull", "me/small"), 0);
    check_pulled();
    char range[64];
    snprintf(range, sizeof range, WEIGHTS " bytes=%lld-\n", (long long) st.st_size);
    CHECK_HAS(read_text(temp_path("hub.log")), range);
}

TEST(a_wrong_checksum_is_refused_and_leaves_nothing)
{
    make_module("tiny-taesd", "hub/me/small");
    start_hub("wrong", NULL);
    const struct output *o = PHOSPHENE("models", "pull", "me/small");
    CHECK_STATUS(o, 1);
    CHECK_HAS(o->err, "SHA-256");
    CHECK(access(temp_path("shelf/small/" WEIGHTS), F_OK));
    CHECK(access(temp_path("shelf/small/" WEIGHTS ".part"), F_OK));
    CHECK(access(temp_path("shelf/small/config.json"), F_OK));
}

TEST(a_part_of_another_file_is_found_out_and_not_kept)
{
    make_module("tiny-taesd", "hub/me/small");
    shell("mkdir -p %s", temp_path("shelf/small"));
    write_text(temp_path("shelf/small/" WEIGHTS ".part"), "not the beginning of it");
    start_hub(NULL, NULL);
    CHECK_STATUS(PHOSPHENE("models", "pull", "me/small"), 1);
    CHECK_STATUS(PHOSPHENE("models", "pull", "me/small"), 0);
    check_pulled();
}

TEST(what_differs_from_the_hub_is_replaced_only_when_told)
{
    make_module("tiny-taesd", "hub/me/small");
    shell("mkdir -p %s", temp_path("shelf/small"));
    write_text(temp_path("shelf/small/" WEIGHTS), "mine");
    start_hub(NULL, NULL);
    const struct output *o = PHOSPHENE("models", "pull", "me/small");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "-y replaces it");
    CHECK_STR(read_text(temp_path("shelf/small/" WEIGHTS)), "mine");
    CHECK_STATUS(PHOSPHENE("models", "pull", "me/small", "-y"), 0);
    check_pulled();
}

TEST(a_plain_web_server_will_do_with_sums_and_without)
{
    char url[128];
    make_module("tiny-taesd", "hub/me/small");
    start_hub("cut=20000", NULL);
    unsetenv("PH_HUB");
    snprintf(url, sizeof url, "%s/plain/me/small/", hub_url);
    const struct output *o = PHOSPHENE("models", "pull", url, "--to", temp_path("bare"));
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->err, "2 of them came without a checksum");
    shell("cd %s && sha256sum * > SHA256SUMS", temp_path("hub/me/small"));
    o = PHOSPHENE("models", "pull", url);
    CHECK_STATUS(o, 0);
    CHECK(!strstr(o->err, "without a checksum"));
    check_pulled();
    shell("sed -i 's/^..../0000/' %s", temp_path("hub/me/small/SHA256SUMS"));
    o = PHOSPHENE("models", "pull", url, "--to", temp_path("wrong"));
    CHECK_STATUS(o, 1);
    CHECK_HAS(o->err, "SHA-256");
}

TEST(a_pipeline_brings_what_runs_and_nothing_else)
{
    shell("mkdir -p %s && cp -r %s %s", temp_path("hub/me"), tiny_pipeline(),
          temp_path("hub/me/tiny"));
    shell("cd %s && mv unet/" WEIGHTS " unet/diffusion_pytorch_model.fp16.safetensors && "
          "cp unet/diffusion_pytorch_model.fp16.safetensors unet/" WEIGHTS " && "
          "echo big > tiny.ckpt && echo hello > README.md && echo x > unet/model.onnx",
          temp_path("hub/me/tiny"));
    start_hub("evil", NULL);
    CHECK_STATUS(PHOSPHENE("models", "pull", "me/tiny"), 0);
    CHECK(!access(temp_path("shelf/tiny/unet/diffusion_pytorch_model.fp16.safetensors"), R_OK));
    CHECK(access(temp_path("shelf/tiny/unet/" WEIGHTS), F_OK));
    CHECK(access(temp_path("shelf/tiny/README.md"), F_OK));
    CHECK(access(temp_path("shelf/tiny/tiny.ckpt"), F_OK));
    CHECK(access(temp_path("shelf/evil.json"), F_OK));
    const struct output *o = PHOSPHENE("generate", "a fox", "-m", "tiny", "-o",
                                       temp_path("fox.png"), "--precision", "f32");
    CHECK_STATUS(o, 0);
    CHECK_STATUS(PHOSPHENE("models", "pull", "me/tiny", "--full", "--to", temp_path("full")),
                 0);
    CHECK(!access(temp_path("full/unet/" WEIGHTS), R_OK));
}

TEST(a_shard_that_leads_out_of_the_folder_is_not_followed)
{
    make_module("tiny-taesd", "hub/me/small");
    shell("cd %s && mv " WEIGHTS " ../evil.safetensors", temp_path("hub/me/small"));
    write_text(temp_path("hub/me/small/" WEIGHTS ".index.json"),
               "{\"weight_map\":{\"a\":\"../evil.safetensors\"}}");
    start_hub(NULL, NULL);
    const struct output *o = PHOSPHENE("models", "pull", "me/small");
    CHECK_STATUS(o, 1);
    CHECK_HAS(o->err, "has no ../evil.safetensors");
    CHECK(access(temp_path("shelf/evil.safetensors"), F_OK));
}

TEST(what_is_not_there_is_said)
{
    start_hub(NULL, NULL);
    shell("mkdir -p %s", temp_path("hub/me/none"));
    const struct output *o = PHOSPHENE("models", "pull", "me/nothing");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "has no model me/nothing");
    o = PHOSPHENE("models", "pull", "me/none");
    CHECK_STATUS(o, 1);
    CHECK_HAS(o->err, "it is no model");
    o = PHOSPHENE("models", "pull", "nothing");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "sd-turbo");
    CHECK_STATUS(PHOSPHENE("models", "pull", "../x"), 2);
    CHECK_STATUS(PHOSPHENE("models", "pull", "me/x", "--hub", "http://127.0.0.1:9"), 4);
    o = PHOSPHENE("models", "pull");
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->out, "stabilityai/sd-turbo");
}

TEST_LIMIT(a_terminal_sees_how_much_has_come_and_the_time_left, 120)
{
    make_module("tiny-taesd", "hub/me/small");
    start_hub("slow=8000", NULL);
    const char *text = TERMINAL("models", "pull", "me/small");
    CHECK_HAS(text, "small: 0 of 0 MB, ");
    CHECK_HAS(text, " left");
    check_pulled();
}
