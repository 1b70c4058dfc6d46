// SPDX-License-Identifier: MIT
// Rooms with a model: what the API lists, what viewers are told, what a change does.
#include "golden.h"
#include "house.h"

#include <sys/stat.h>

static void put_file(const char *folder, const char *name, const char *text)
{
    char path[512];
    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

TEST(models_are_listed_with_class_and_size_and_not_with_their_folders)
{
    struct house h;
    char shelf[] = "/tmp/ph-shelf-XXXXXX", path[256];
    CHECK(mkdtemp(shelf) != NULL);
    setenv("PH_MODELS", shelf, 1);
    house_start(&h, NULL, NULL);
    EXPECT(200, &h, "GET", "/api/v1/models", NULL);
    CHECK_STR(answer, "{\"models\":[]}");
    snprintf(path, sizeof path, "%s/somebody", shelf);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/somebody/turbo", shelf);
    put_file(path, "model_index.json", "{\"_class_name\":\"StableDiffusionPipeline\"}");
    snprintf(path, sizeof path, "%s/somebody/turbo/unet", shelf);
    put_file(path, "weights.safetensors", "0123456789");
    snprintf(path, sizeof path, "%s/taesd", shelf);
    put_file(path, "config.json", "{\"_class_name\":\"AutoencoderTiny\"}");
    snprintf(path, sizeof path, "%s/empty", shelf);
    mkdir(path, 0700);
    struct ph_json_doc *doc = get_json(&h, "/api/v1/models");
    CHECK_INT(at(doc, "models")->count, ==, 2);
    CHECK_STR(str(doc, "models.0.name"), "somebody/turbo");
    CHECK_STR(str(doc, "models.0.class"), "StableDiffusionPipeline");
    CHECK_STR(str(doc, "models.0.kind"), "pipeline");
    CHECK_NUM(num(doc, "models.0.bytes"), ==, 41 + 10);
    CHECK_STR(str(doc, "models.1.name"), "taesd");
    CHECK_STR(str(doc, "models.1.kind"), "module");
    if (strstr(answer, shelf)) TEST_FAIL("a folder is told: %s", answer);
    ph_json_free(&doc);
    house_stop(&h);
    remove_folder(shelf);
}

static void start_painting(struct house *h, const char *more)
{
    char text[5000];
    golden("diffusion/models/pipe_sd15_tiny/model_index.json");
    snprintf(text, sizeof text,
             "pattern ball size=64x64 fps=10 id=off => paint: diffusion \"a cat\" "
             "device=cpu:threads=1 %s "
             "model=%s => jpeg -> live",
             more, golden("diffusion/models/pipe_sd15_tiny"));
    house_start(h, text, NULL);
}

// Metrics whose picture the model worked on.
static struct ph_json_doc *next_metrics(struct client *c)
{
    for (;;) {
        struct message m = wait_text(c, "\"metrics\"");
        struct ph_json_doc *doc = parse_json(m.data);
        message_free(&m);
        if (num(doc, "data.inferenceTimeMs") > 0) return doc;
        ph_json_free(&doc);
    }
}

TEST_LIMIT(viewers_are_told_the_models_name_and_its_device_time, 240)
{
    struct house h;
    struct client c;
    start_painting(&h, "steps=2 guidance=self guidance_scale=1.5");
    watch(&h, &c, "/ws/stream");
    struct ph_json_doc *doc = next_metrics(&c);
    CHECK_STR(str(doc, "data.modelName"), "pipe_sd15_tiny");
    CHECK_HAS(str(doc, "data.backend"), "cpu-");
    CHECK_NUM(num(doc, "data.denoisingSteps"), ==, 2);
    CHECK_NUM(num(doc, "data.batchRows"), ==, 2);
    CHECK_NUM(num(doc, "data.guidanceScale"), ==, 1.5);
    CHECK_NUM(num(doc, "data.modelMs"), >, 0);
    double parts =
        num(doc, "data.encodeMs") + num(doc, "data.modelMs") + num(doc, "data.decodeMs");
    CHECK_NUM(fabs(num(doc, "data.inferenceTimeMs") - parts), <, 0.03); // each is rounded
    CHECK_NUM(num(doc, "data.inferenceTimeEmaMs"), >, 0);
    ph_json_free(&doc);
    doc = get_json(&h, "/api/v1/rooms/demo");
    CHECK_STR(str(doc, "nodes.1.model.name"), "pipe_sd15_tiny");
    CHECK_NUM(num(doc, "nodes.1.model.deviceMs.model"), >, 0);
    CHECK_STR(str(doc, "nodes.1.params.model"), "pipe_sd15_tiny"); // and not its folder
    ph_json_free(&doc);
    EXPECT(200, &h, "GET", "/metrics", NULL);
    CHECK_HAS(answer,
              "phosphene_model_device_seconds{room=\"demo\",node=\"paint\",part=\"model\"}");
    CHECK_HAS(answer, "# TYPE phosphene_model_skipped_total counter");
    client_close(&c);
    house_stop(&h);
}

TEST_LIMIT(a_model_is_chosen_by_its_name_and_never_by_a_path, 240)
{
    static const char *const wrong[] = { "/etc", "../models/pipe_sd15_tiny", "./pipe_sd15_tiny",
                                         "pipe_sd15_tiny/../lora", "none" };
    struct house h;
    char text[512];
    golden("diffusion/models/pipe_sd15_tiny/model_index.json");
    setenv("PH_MODELS", golden("diffusion/models"), 1);
    house_start(&h, "pattern bars size=64x64 fps=10 => jpeg -> live", NULL);
    for (int i = 0; i < 5; i++) {
        snprintf(text, sizeof text,
                 "{\"graph\":\"pattern size=64x64 => diffusion model=%s => jpeg -> live\"}",
                 wrong[i]);
        EXPECT(400, &h, "PATCH", "/api/v1/rooms/demo", text);
        CHECK_HAS(answer, "/api/v1/models");
    }
    EXPECT(200, &h, "PATCH", "/api/v1/rooms/demo",
           "{\"graph\":\"pattern size=64x64 => diffusion device=cpu:threads=1 "
           "model=pipe_sd15_tiny => jpeg -> "
           "live\"}");
    CHECK_HAS(answer, "model=pipe_sd15_tiny");
    house_stop(&h);
}

TEST_LIMIT(a_prompt_is_acknowledged_and_another_model_is_refused, 240)
{
    struct house h;
    struct client c;
    start_painting(&h, "");
    watch(&h, &c, "/ws/stream");
    struct ph_json_doc *doc = next_metrics(&c);
    double before = num(doc, "data.frame");
    ph_json_free(&doc);
    double frame = send_acked(&c,
                              "{\"type\":\"set\",\"id\":7,\"node\":\"paint\",\"values\":{"
                              "\"prompt\":\"a dog\",\"strength\":0.8}}",
                              7);
    CHECK_NUM(frame, >, before);
    EXPECT(400, &h, "PATCH", "/api/v1/rooms/demo/params",
           "{\"node\":\"paint\",\"values\":{\"model\":\"/etc\"}}");
    EXPECT(400, &h, "PATCH", "/api/v1/rooms/demo/params",
           "{\"node\":\"paint\",\"values\":{\"strength\":6}}");
    CHECK_HAS(answer, "0 … 1");
    client_close(&c);
    house_stop(&h);
}

TEST_LIMIT(another_model_takes_over_while_the_room_is_watched, 240)
{
    char shelf[] = "/tmp/ph-shelf-XXXXXX", path[64];
    const char *folder = golden("diffusion/models/pipe_sd15_tiny");
    struct house h;
    struct client c;
    golden("diffusion/models/pipe_sd15_tiny/model_index.json");
    CHECK(mkdtemp(shelf) != NULL);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", shelf, i ? "second" : "first");
        CHECK_INT(symlink(folder, path), ==, 0);
    }
    setenv("PH_MODELS", shelf, 1);
    house_start(&h,
                "pattern ball size=64x64 fps=10 id=off => paint: diffusion "
                "device=cpu:threads=1 model=first => jpeg -> live",
                NULL);
    watch(&h, &c, "/ws/stream");
    struct ph_json_doc *doc = next_metrics(&c);
    CHECK_STR(str(doc, "data.modelName"), "first");
    ph_json_free(&doc);
    EXPECT(400, &h, "PATCH", "/api/v1/rooms/demo/params",
           "{\"node\":\"paint\",\"values\":{\"model\":\"third\"}}");
    int status =
        api(&h, "PATCH", "/api/v1/rooms/demo/params",
            "{\"node\":\"paint\",\"values\":{\"model\":\"second\"}}", answer, sizeof answer);
    CHECK(status == 200 || status == 202); // 202: it takes longer than an answer waits
    for (bool there = false; !there; ph_json_free(&doc)) {
        doc = next_metrics(&c); // of the same connection
        there = !strcmp(str(doc, "data.modelName"), "second");
    }
    client_close(&c);
    house_stop(&h);
    remove_folder(shelf);
}
