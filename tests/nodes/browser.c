// SPDX-License-Identifier: MIT
#include "run.h"

#include "config.h"

#if PH_HAVE_JPEG
#include <turbojpeg.h>

static struct run r;

// A JPEG of one colour with a darker right half.
static struct ph_frame *packet(int w, int h, uint32_t color)
{
    uint8_t *rgb = malloc((size_t) w * (size_t) h * 3);
    for (int i = 0; i < w * h; i++)
        for (int c = 0; c < 3; c++) {
            unsigned v = color >> (24 - 8 * c) & 255;
            rgb[3 * i + c] = (uint8_t) (i % w < w / 2 ? v : v / 2);
        }
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    tjhandle tj = tjInitCompress();
    CHECK_OK(tjCompress2(tj, rgb, w, 0, h, TJPF_RGB, &bytes, &size, TJSAMP_444, 95, 0));
    struct ph_frame *f;
    CHECK_OK(ph_frame_packet(NULL, PH_JPEG, size, &f));
    memcpy(f->packet.data, bytes, size);
    f->packet.size = size;
    tjFree(bytes);
    tjDestroy(tj);
    free(rgb);
    return f;
}

static void push(struct ph_frame *f, int64_t capture_ns, double until)
{
    f->capture_ns = capture_ns;
    CHECK_OK(ph_graph_push(r.graph, "browser", &f));
    CHECK(f == NULL);
    run_until(&r, until);
}

TEST(a_pushed_jpeg_becomes_a_picture_of_its_size_and_colours)
{
    run_open(&r, "browser -> live");
    push(packet(63, 41, 0xc08040ff), 5000, 0.1);
    CHECK_INT(r.count, ==, 1);
    const struct ph_picture *p = run_picture(&r, 0);
    CHECK_INT(p->width, ==, 63);
    CHECK_INT(p->height, ==, 41);
    CHECK_INT(px_far(px(p, 5, 20), 0xc08040ff), <=, 4);
    CHECK_INT(px_far(px(p, 60, 20), 0x604020ff), <=, 4);
    CHECK_INT(r.frames[0]->capture_ns, ==, 5000);
    CHECK_INT(r.frames[0]->pts_ns, ==, 0);
    run_close(&r);
}

TEST(times_rise_even_when_the_visitors_do_not)
{
    static const int64_t at[] = { 1000000, 34000000, 34000000, 20000000, 67000000 };
    run_open(&r, "browser -> live");
    for (int i = 0; i < 5; i++) push(packet(16, 16, 0xffffffff), at[i], 0.1 * (i + 1));
    CHECK_INT(r.count, ==, 5);
    CHECK_INT(r.frames[1]->pts_ns, ==, 33000000);
    for (int i = 1; i < 5; i++) {
        CHECK_INT(r.frames[i]->pts_ns, >, r.frames[i - 1]->pts_ns);
        CHECK_INT(r.frames[i]->id, ==, r.frames[i - 1]->id + 1);
    }
    run_close(&r);
}

TEST(d2_22_a_bad_picture_is_named_and_dropped_and_the_next_one_is_shown)
{
    run_open(&r, "browser -> live");
    push(packet(64, 48, 0xff0000ff), 1, 0.1);
    struct ph_frame *f = packet(64, 48, 0xff0000ff);
    f->packet.size /= 2; // cut off
    push(f, 2, 0.2);
    CHECK_INT(r.count, ==, 1);
    CHECK_HAS(r.problem, "thrown away");
    f = packet(64, 48, 0xff0000ff);
    memset(f->packet.data + f->packet.size - 20, 0xff, 8); // a damaged scan
    push(f, 3, 0.3);
    CHECK_INT(r.count, ==, 1);
    f = packet(64, 48, 0xff0000ff);
    memset(f->packet.data, 'x', f->packet.size);
    push(f, 4, 0.4);
    CHECK_INT(r.count, ==, 1);
    push(packet(64, 48, 0x00ff00ff), 5, 0.5);
    CHECK_INT(r.count, ==, 2);
    CHECK_STR(r.problem, "");
    CHECK_INT(px_far(px(run_picture(&r, 1), 3, 3), 0x00ff00ff), <=, 6);
    run_close(&r);
}

TEST(a_picture_larger_than_16384_is_refused_by_its_header_alone)
{
    run_open(&r, "browser -> live");
    struct ph_frame *f = packet(64, 48, 0xff0000ff);
    for (size_t i = 0; i + 9 < f->packet.size; i++) { // SOF0: marker, length, 8, height, width
        if (f->packet.data[i] != 0xff || f->packet.data[i + 1] != 0xc0) continue;
        f->packet.data[i + 5] = 0x40; // 16384 + 48 high
        break;
    }
    push(f, 1, 0.1);
    CHECK_INT(r.count, ==, 0);
    CHECK_HAS(r.problem, "16384");
    run_close(&r);
}

TEST(what_is_not_jpeg_is_refused_and_only_the_newest_waits)
{
    run_open(&r, "browser -> live");
    struct ph_frame *f = packet(64, 48, 0xff0000ff);
    f->packet.codec = PH_H264;
    push(f, 1, 0.1);
    CHECK_HAS(r.problem, "JPEG");
    for (int i = 0; i < 10; i++) {
        f = packet(16 + i, 16, 0xff0000ff);
        CHECK_OK(ph_graph_push(r.graph, "browser", &f));
    }
    run_until(&r, 0.2);
    CHECK_INT(r.count, ==, 1); // nothing is queued: the newest of them
    CHECK_INT(run_picture(&r, 0)->width, ==, 25);
    run_close(&r);
}

TEST(the_size_may_change_from_picture_to_picture)
{
    run_open(&r, "browser -> mirror -> overlay -> waveform -> live");
    for (int i = 0; i < 20; i++) {
        int w = 1 + i * 37 % 300, h = 1 + i * 53 % 200;
        push(packet(w, h, 0x808080ff), i + 1, 0.1 * (i + 1));
        CHECK_INT(run_picture(&r, r.count - 1)->width, ==, w);
        CHECK_INT(run_picture(&r, r.count - 1)->height, ==, h);
    }
    CHECK_INT(r.problems, ==, 0);
    run_close(&r);
}
#else
TEST(without_libjpeg_turbo_the_package_is_named)
{
    struct run r = { 0 };
    struct ph_fault fault = { 0 };
    CHECK_INT(run_try(&r, "browser -> live", &fault), ==, PH_ENOTSUP);
    CHECK_HAS(fault.message, "libturbojpeg0-dev");
}
#endif
