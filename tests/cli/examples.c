// SPDX-License-Identifier: MIT
// The programs of examples/ do what their first line says.
#include "program.h"

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
    CHECK_INT(frames, >, 50);
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
