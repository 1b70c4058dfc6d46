// SPDX-License-Identifier: MIT
// Packets for browsers: decoded again by FFmpeg and libjpeg-turbo, content asserted.
#include "media.h"

#include "alloc_count.h"

#include <math.h>

#if PH_HAVE_JPEG
#include <turbojpeg.h>
#endif

static struct run r;

static const struct ph_packet *packet(int i)
{
    if (i >= r.count) TEST_FAIL("there is no packet %d: %d came; %s", i, r.count, r.problem);
    CHECK_INT(r.frames[i]->kind, ==, PH_PACKET);
    return &r.frames[i]->packet;
}

// --- jpeg

#if PH_HAVE_JPEG

static struct ph_frame *decode(const struct ph_packet *p)
{
    struct ph_frame *f;
    int w, h, sub, space;
    tjhandle tj = tjInitDecompress();
    CHECK_OK(tjDecompressHeader3(tj, p->data, p->size, &w, &h, &sub, &space));
    CHECK_OK(ph_frame_picture(NULL, PH_RGBA, w, h, &f));
    CHECK_OK(tjDecompress2(tj, p->data, p->size, f->picture.data[0], w,
                           (int) f->picture.stride[0], h, TJPF_RGBA, 0));
    tjDestroy(tj);
    return f;
}

TEST(a_jpeg_shows_the_picture_it_was_made_from)
{
    run_open(&r, "pattern kind=gradient size=321x243 fps=10 id=on -> jpeg q=90 -> live");
    run_until(&r, 0.4);
    CHECK_INT(r.count, ==, 5);
    for (int i = 0; i < 5; i++) {
        const struct ph_packet *p = packet(i);
        uint32_t id = 99;
        CHECK_INT(p->codec, ==, PH_JPEG);
        CHECK(p->key);
        CHECK_INT(p->width, ==, 321);
        CHECK_INT(p->height, ==, 243);
        CHECK_INT(r.frames[i]->pts_ns, ==, i * PH_SECOND_NS / 10);
        CHECK_INT(r.frames[i]->id, ==, i);
        struct ph_frame *f = decode(p);
        CHECK_OK(ph_barcode_read(&f->picture, &id));
        CHECK_INT(id, ==, i);
        ph_frame_unref(&f);
    }
    struct ph_frame *f = decode(packet(0));
    static struct run truth;
    const struct ph_picture *want =
        run_first(&truth, "pattern kind=gradient size=321x243 fps=10 id=on -> live");
    CHECK_NUM(ph_image_difference(&f->picture, want), <, 1.5);
    run_close(&truth);
    ph_frame_unref(&f);
    run_close(&r);
}

TEST(quality_and_subsampling_of_a_jpeg_change_live)
{
    run_open(&r, "p: pattern kind=noise size=320x240 fps=10 -> j: jpeg -> live");
    static const char *const steps[][2] = {
        { "q", "85" }, { "q", "20" }, { "subsampling", "444" }, { "subsampling", "gray" }
    };
    size_t sizes[4];
    for (int i = 0; i < 4; i++) {
        run_set(&r, "j", steps[i][0], steps[i][1]);
        run_until(&r, i * 0.1);
        CHECK_INT(r.count, ==, i + 1);
        sizes[i] = packet(i)->size;
    }
    CHECK_INT(sizes[1] * 2, <, sizes[0]);
    CHECK_INT(sizes[2], >, sizes[1]);
    CHECK_INT(sizes[3], <, sizes[1]);
    run_close(&r);
}

TEST(a_jpeg_nobody_wants_is_not_encoded)
{
    run_open(&r, "pattern size=1920x1080 fps=10 -> j: jpeg -> live");
    ph_graph_unsubscribe(r.graph, &r.sub);
    run_until(&r, 1);
    char *status = ph_graph_status_json(r.graph);
    const char *jpeg = strstr(status, "\"name\":\"j\"");
    CHECK_HAS(jpeg, "\"errors\":0");
    const char *link = strstr(status, "\"from\":\"j.out\"");
    CHECK_HAS(link, "\"passed\":0");
    free(status);
    r.sub.codecs = 1u << PH_H264; // somebody who wants something else
    ph_graph_subscribe(r.graph, "live", &r.sub);
    run_until(&r, 2);
    CHECK_INT(r.count, ==, 0);
    ph_graph_unsubscribe(r.graph, &r.sub);
    r.sub.codecs = 1u << PH_JPEG;
    ph_graph_subscribe(r.graph, "live", &r.sub);
    run_until(&r, 3);
    CHECK_INT(r.count, ==, 10);
    run_close(&r);
}

TEST(encoding_jpeg_allocates_nothing_in_the_steady_state)
{
    run_open(&r, "pattern size=320x240 fps=30 -> jpeg -> live");
    run_until(&r, 1);
    run_forget(&r);
    run_until(&r, 2);
    run_forget(&r);
    long before = alloc_count_here();
    for (int i = 0; i < 30; i++) {
        run_until(&r, 2 + (i + 1) / 30.);
        CHECK_INT(r.count, ==, 1);
        run_forget(&r);
    }
    CHECK_INT(alloc_count_here() - before, ==, 0);
    run_close(&r);
}

#else

TEST(a_build_without_jpeg_says_so)
{
    struct ph_fault fault;
    CHECK_INT(run_try(&r, "pattern -> jpeg -> live", &fault), ==, PH_ENOTSUP);
    CHECK_HAS(fault.message, "libturbojpeg0-dev");
}

#endif

// --- video

// Puts the packets that came into a file that FFmpeg knows: Annex B as it is, VP8 as IVF.
static const char *save(const char *name, int from)
{
    const char *path = media_path(name);
    FILE *f = fopen(path, "w");
    bool vp8 = packet(from)->codec == PH_VP8;
    if (vp8) {
        uint8_t head[32] = "DKIF\0\0\x20\0VP80";
        uint32_t rate[4] = { 30, 1, (uint32_t) (r.count - from), 0 };
        uint16_t size[2] = { (uint16_t) packet(from)->width, (uint16_t) packet(from)->height };
        memcpy(head + 12, size, 4);
        memcpy(head + 16, rate, 16);
        fwrite(head, 1, 32, f);
    }
    for (int i = from; i < r.count; i++) {
        uint32_t head[3] = { (uint32_t) packet(i)->size, (uint32_t) (i - from), 0 };
        if (vp8) fwrite(head, 4, 3, f);
        fwrite(packet(i)->data, 1, packet(i)->size, f);
    }
    fclose(f);
    return path;
}

static void check_decodes(const char *name, int from, int first_bar)
{
    static struct media m;
    media_render(&m, "file %s -> live", save(name, from));
    media_check_bars(&m, first_bar, r.count - from);
    media_close(&m);
}

// Types of the NAL units of an Annex B packet, as bits.
static unsigned nal_types(const struct ph_packet *p)
{
    unsigned types = 0;
    for (size_t i = 0; i + 3 < p->size; i++)
        if (!p->data[i] && !p->data[i + 1] && p->data[i + 2] == 1)
            types |= 1u << (p->data[i + 3] & 31);
    return types;
}

#define SPS (1u << 7)
#define PPS (1u << 8)
#define IDR (1u << 5)

TEST(h264_packets_are_the_pictures_and_a_key_frame_has_all_it_needs)
{
    MEDIA_NEEDS("true");
    run_open(&r, "pattern size=320x240 fps=30 id=on -> video gop=0.5 -> live");
    run_until(&r, 2 - 1e-6);
    CHECK_INT(r.count, ==, 60); // each by the run that made its picture
    for (int i = 0; i < 60; i++) {
        const struct ph_packet *p = packet(i);
        CHECK_INT(p->codec, ==, PH_H264);
        CHECK_INT(p->key, ==, i % 15 == 0);
        CHECK_INT(r.frames[i]->id, ==, i);
        CHECK(p->data[0] == 0 && p->data[1] == 0);
        unsigned types = nal_types(p);
        CHECK_INT((types & (SPS | PPS | IDR)) == (SPS | PPS | IDR), ==, p->key);
        CHECK_INT(!!(types & IDR), ==, p->key);
    }
    check_decodes("all.h264", 0, 0);
    check_decodes("joined.h264", 45, 45); // who joins at a key frame needs nothing earlier
    run_close(&r);
}

TEST(vp8_packets_are_the_pictures)
{
    MEDIA_NEEDS("true");
    run_open(&r, "pattern size=320x240 fps=30 id=on -> video vp8 gop=1 -> live");
    run_until(&r, 2 - 1e-6);
    CHECK_INT(r.count, ==, 60);
    for (int i = 0; i < 60; i++) {
        CHECK_INT(packet(i)->codec, ==, PH_VP8);
        CHECK_INT(packet(i)->key, ==, i % 30 == 0);
        CHECK_INT(!(packet(i)->data[0] & 1), ==, packet(i)->key); // RFC 6386, 9.1
    }
    check_decodes("all.ivf", 0, 0);
    check_decodes("joined.ivf", 30, 30);
    run_close(&r);
}

TEST(a_key_frame_comes_when_somebody_comes_or_asks_or_cuts)
{
    MEDIA_NEEDS("true");
    run_open(&r, "p: pattern size=160x120 fps=30 -> v: video gop=60 -> live");
    run_until(&r, 0.5);
    CHECK(packet(0)->key);
    for (int i = 1; i < r.count; i++) CHECK(!packet(i)->key);
    run_forget(&r);
    run_set(&r, "v", "refresh", "1"); // the room, for one who joins the others
    run_until(&r, 1);
    CHECK(packet(0)->key && !packet(1)->key);
    ph_graph_unsubscribe(r.graph, &r.sub);
    run_until(&r, 2);
    run_forget(&r);
    ph_graph_subscribe(r.graph, "live", &r.sub); // the first one after a while
    run_until(&r, 2.5);
    CHECK(packet(0)->key && !packet(1)->key);
    CHECK_INT(r.count, <=, 16); // what nobody wanted was not encoded
    run_forget(&r);
    ph_graph_cut(r.graph, 1, (struct ph_cut){ .hard = true });
    run_until(&r, 3);
    CHECK(packet(0)->key && !packet(1)->key);
    run_forget(&r);
    run_set(&r, "p", "size", "200x100"); // another size is another stream
    run_until(&r, 3.5);
    int keys = 0;
    for (int i = 0; i < r.count; i++) {
        keys += packet(i)->key;
        if (packet(i)->key) CHECK_INT(packet(i)->width, ==, 200);
    }
    CHECK_INT(keys, ==, 1);
    run_close(&r);
}

static double kbit_per_second(const char *more)
{
    char text[300];
    snprintf(text, sizeof text, "pattern noise size=320x240 fps=30 -> video %s -> live", more);
    run_open(&r, text);
    run_until(&r, 4);
    double bytes = 0;
    for (int i = 30; i < r.count; i++) bytes += (double) packet(i)->size;
    double seconds = (r.count - 30) / 30.;
    run_close(&r);
    return bytes * 8 / 1000 / seconds;
}

TEST(a_bitrate_is_kept_and_quality_costs_bits)
{
    MEDIA_NEEDS("true");
    double h264 = kbit_per_second("bitrate=800"), vp8 = kbit_per_second("vp8 bitrate=4000");
    CHECK_NUM(h264, >, 500);
    CHECK_NUM(h264, <, 1000);
    CHECK_NUM(vp8, >, 3000);
    CHECK_NUM(vp8, <, 5000);
    CHECK_NUM(kbit_per_second("quality=80"), >, 1.5 * kbit_per_second("quality=40"));
    CHECK_NUM(kbit_per_second("vp8 quality=80"), >, 1.2 * kbit_per_second("vp8 quality=30"));
}

TEST(quality_and_bitrate_of_a_running_stream_change)
{
    MEDIA_NEEDS("true");
    static const char *const codecs[] = { "h264", "vp8" };
    for (int c = 0; c < 2; c++) {
        char text[200];
        snprintf(text, sizeof text,
                 "pattern noise size=160x120 fps=30 -> v: video %s quality=80 -> live",
                 codecs[c]);
        run_open(&r, text);
        run_until(&r, 0.99);
        double high = 0, low = 0;
        for (int i = 10; i < r.count; i++) high += (double) packet(i)->size / (r.count - 10);
        run_forget(&r);
        run_set(&r, "v", "quality", "20");
        run_until(&r, 2);
        for (int i = 10; i < r.count; i++) low += (double) packet(i)->size / (r.count - 10);
        CHECK_NUM(low * 1.5, <, high);
        run_forget(&r);
        run_set(&r, "v", "bitrate", "300");
        run_until(&r, 3);
        CHECK_INT(r.count, ==, 30);
        CHECK_STR(r.problem, "");
        run_close(&r);
    }
}

TEST(odd_sizes_become_even_video)
{
    MEDIA_NEEDS("true");
    static const char *const codecs[] = { "h264", "vp8" };
    for (int c = 0; c < 2; c++) {
        char text[200];
        snprintf(text, sizeof text, "pattern size=511x321 fps=30 id=on -> video %s -> live",
                 codecs[c]);
        run_open(&r, text);
        run_until(&r, 0.5 - 1e-6);
        CHECK_INT(packet(0)->width, ==, 512);
        CHECK_INT(packet(0)->height, ==, 322);
        check_decodes(c ? "odd.ivf" : "odd.h264", 0, 0);
        run_close(&r);
    }
}

TEST(d2_14_a_lost_packet_costs_all_to_the_next_key_frame_and_no_more)
{
    MEDIA_NEEDS("true");
    // the default of a link from an output whose packets need one another, and a slow reader
    run_open(&r, "pattern size=160x120 fps=100 id=on -> video gop=0.1 => delay 25 -> live");
    run_until(&r, 4);
    int holes = 0;
    for (int i = 1; i < r.count; i++) {
        bool hole = r.frames[i]->id != r.frames[i - 1]->id + 1;
        if (hole) CHECK(packet(i)->key);
        holes += hole;
    }
    CHECK_INT(holes, >, 5);
    CHECK_INT(r.count, >, 60);
    run_close(&r);
}
