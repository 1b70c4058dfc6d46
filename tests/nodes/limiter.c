// SPDX-License-Identifier: MIT
// Every output passes its pictures through a flash limiter unless it is told not to.
#include "run.h"

#include "image/flashes.h"

static struct run r;

// White and black in turn, ten times a second each, for two seconds.
static void strobe(const char *text)
{
    run_open(&r, text);
    for (int i = 0; i < 40; i++) {
        run_until(&r, i / 20.0 + 0.001);
        run_set(&r, "src", "color", i & 1 ? "white" : "black");
    }
}

static double worst_field(void)
{
    static struct ph_flashes f;
    struct ph_flash_grid g;
    double worst = 0;
    ph_flashes_begin(&f);
    for (int i = 0; i < r.count; i++) {
        CHECK_OK(ph_flash_measure(&g, run_picture(&r, i), NULL, 0));
        ph_flashes_take(&f, &g, r.frames[i]->pts_ns);
        worst = fmax(worst, ph_flashes_report(&f, r.frames[i]->pts_ns).window);
    }
    return worst;
}

static bool status_has(const char *what)
{
    char *text = ph_graph_status_json(r.graph);
    bool has = strstr(text, what) != NULL;
    free(text);
    return has;
}

TEST(a_strobe_goes_out_safe_unless_the_limiter_is_off)
{
    strobe("src: pattern solid color=white size=64x36 fps=20 -> live");
    CHECK_INT(r.count, ==, 40);
    CHECK_NUM(worst_field(), <=, 0.25);
    CHECK(status_has("\"limiter\":\"holding\""));
    run_set(&r, "live", "limiter", "off");
    run_until(&r, 2.2);
    CHECK(status_has("\"limiter\":\"off\"") && !status_has("holding"));
    run_close(&r);
    strobe("src: pattern solid color=white size=64x36 fps=20 -> live limiter=off");
    CHECK_NUM(worst_field(), >, 0.9);
    run_close(&r);
}

TEST(what_is_safe_goes_out_bit_for_bit)
{
    static const char *const sources[] = { "pattern ball size=160x90 fps=30",
                                           "pattern plasma size=161x91 fps=25",
                                           "scene size=96x54 fps=10" };
    for (int i = 0; i < 3; i++) {
        char on[200], off[200];
        snprintf(on, sizeof on, "%s -> live", sources[i]);
        snprintf(off, sizeof off, "%s -> live limiter=off", sources[i]);
        CHECK(run_hash_at("avx512", on, 2) == run_hash_at("avx512", off, 2));
    }
}

TEST(a_size_that_changes_does_not_let_a_strobe_through)
{
    run_open(&r, "src: pattern solid color=white size=64x36 fps=20 -> live");
    for (int i = 0; i < 60; i++) {
        run_until(&r, i / 20.0 + 0.001);
        run_set(&r, "src", "color", i & 1 ? "white" : "black");
        if (i % 7 == 0) run_set(&r, "src", "size", i % 2 ? "33x17" : "128x20");
    }
    CHECK_NUM(worst_field(), <=, 0.25);
    CHECK_INT(r.problems, ==, 0);
    run_close(&r);
}

TEST(every_output_has_a_limiter_that_is_on)
{
    static const char *const outputs[] = {
        "live", "jpeg", "video", "image", "record", "window"
    };
    for (int i = 0; i < 6; i++) {
        const struct ph_param *p = NULL;
        for (const struct ph_node_info *const *n = ph_nodes(); *n; n++)
            if (!strcmp((*n)->name, outputs[i]))
                p = ph_param_find((*n)->params, "limiter", NULL);
        if (!p || p->type != PH_TYPE_BOOL || strcmp(p->def, "on"))
            TEST_FAIL("%s has no limiter that is on", outputs[i]);
    }
}

TEST(the_plan_says_which_limiters_are_on)
{
    run_open(&r, "pattern size=8x8 -> live limiter=off");
    char *text = ph_graph_explain(r.graph);
    CHECK(strstr(text, "flash limiter off"));
    free(text);
    run_close(&r);
}

#include "config.h"
#if PH_HAVE_JPEG
#include <turbojpeg.h>

static int brightness(const struct ph_frame *f)
{
    int w, h, sub, space;
    uint8_t rgb[64 * 36 * 3];
    tjhandle tj = tjInitDecompress();
    CHECK_OK(tjDecompressHeader3(tj, f->packet.data, f->packet.size, &w, &h, &sub, &space));
    CHECK(w == 64 && h == 36);
    CHECK_OK(tjDecompress2(tj, f->packet.data, f->packet.size, rgb, w, 0, h, TJPF_RGB, 0));
    tjDestroy(tj);
    return rgb[3 * 64 * 18 + 96];
}

// How many packets are more than half the range from the one before
static int jumps(void)
{
    int n = 0;
    for (int i = 1; i < r.count; i++)
        n += abs(brightness(r.frames[i]) - brightness(r.frames[i - 1])) > 127;
    return n;
}

TEST(jpeg_packets_are_limited_as_pictures_are)
{
    strobe("src: pattern solid color=white size=64x36 fps=20 -> jpeg limiter=off -> live");
    CHECK_INT(jumps(), ==, 39);
    run_close(&r);
    strobe("src: pattern solid color=white size=64x36 fps=20 -> jpeg -> live");
    CHECK_INT(r.count, ==, 40);
    CHECK_INT(jumps(), <=, 12);
    CHECK(status_has("\"limiter\":\"holding\""));
    run_close(&r);
}
#endif
