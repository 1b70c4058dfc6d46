// SPDX-License-Identifier: MIT
// The programs of examples/ do what their first line says.
#include "program.h"

#include "nodes/picture_file.h"

static const char *example(const char *name)
{
    static char path[512];
    const char *folder = getenv("PH_EXAMPLES");
    if (!folder) TEST_FAIL("PH_EXAMPLES is not set: run by `meson test`");
    snprintf(path, sizeof path, "%s/example_%s", folder, name);
    return path;
}

TEST(count_frames_counts_what_the_sink_got)
{
    const struct output *o =
        run(example("count_frames"), "pattern size=64x64 fps=100 -> live", "1", NULL);
    CHECK_STATUS(o, 0);
    int frames = 0;
    CHECK_INT(sscanf(o->out, "%d frames", &frames), ==, 1);
    CHECK_INT(frames, >, 0);
    CHECK_INT(frames, <=, 101);
    CHECK_STATUS(run(example("count_frames"), "patern -> live", NULL), 1);
}

TEST(own_node_runs_in_a_graph)
{
    const struct output *o = run(example("own_node"), NULL);
    CHECK_STATUS(o, 0);
    const struct ph_json *node = ph_json_at(ph_json_get(parse_json(o->out), "nodes"), 1);
    CHECK_STR(ph_json_string(ph_json_get(node, "type"), ""), "invert");
    CHECK_INT(ph_json_int(ph_json_get(node, "errors"), 1), ==, 0);
    CHECK_INT(ph_json_int(ph_json_get(node, "runs"), 0), >=, 30);
}

TEST(live_change_is_refused_or_acknowledged_with_its_frame)
{
    const struct output *o = run(example("live_change"), NULL);
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->out, "refused: kind");
    int frame = 0;
    CHECK_INT(sscanf(strstr(o->out, "frame "), "frame %d", &frame), ==, 1);
    CHECK_INT(frame, >, 0);
}

TEST(generate_paints_the_picture_that_the_program_paints)
{
    char model[1024], picture[160];
    const char *root = getenv("PH_GOLDEN");
    snprintf(model, sizeof model, "%s/diffusion/models/pipe_sd15_tiny", root ? root : "");
    if (access(model, R_OK)) TEST_SKIP("no %s", model);
    static char ppm[64 * 64 * 3 + 32];
    const struct output *o = run(example("generate"), model, "a red fox", "64", "2", NULL);
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->err, "step 2 of 2");
    memcpy(ppm, o->out, sizeof ppm);
    CHECK(!strncmp(ppm, "P6 64 64 255\n", 13));
    snprintf(picture, sizeof picture, "%s", temp_path("fox.png"));
    o = PHOSPHENE("generate", "a red fox", "-m", model, "--size", "64", "--steps", "2", "-o",
                  picture, "-g", "1");
    CHECK_STATUS(o, 0);
    struct ph_frame *f;
    struct ph_fault fault;
    CHECK_INT(ph_picture_load(picture, &f, &fault), ==, PH_OK);
    for (int y = 0; y < 64; y++)
        for (int x = 0; x < 64; x++)
            CHECK(!memcmp(ppm + 13 + (y * 64 + x) * 3,
                          f->picture.data[0] + y * f->picture.stride[0] + x * 4, 3));
    ph_frame_unref(&f);
    o = run(example("generate"), model, "a red fox", "63", NULL);
    CHECK_STATUS(o, 1);
    CHECK_HAS(o->err, "multiple of 8");
    CHECK_STATUS(run(example("generate"), "/none", "a fox", NULL), 1);
}
