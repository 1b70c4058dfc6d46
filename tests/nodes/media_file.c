// SPDX-License-Identifier: MIT
// Local films: made by the ffmpeg program or by our own recorder, read back, content asserted.
#include "media.h"

#include "nodes/media/input.h"

#include <math.h>

static struct media m;
static struct run r;

#if !PH_HAVE_FFMPEG
TEST(a_build_without_ffmpeg_says_what_to_install)
{
    static const char *const texts[] = {
        "file a.mp4 -> live",      "file rtsp://h/c -> live",
        "screen :0 -> live",       "pattern -> video -> live",
        "pattern -> record a.mp4", "camera \"lavfi:testsrc2\" -> live"
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct ph_fault fault;
        CHECK_INT(run_try(&r, texts[i], &fault), ==, PH_ENOTSUP);
        CHECK_HAS(fault.message, "libavformat-dev");
    }
}
#endif

// A film of our own with bar codes, size 320x240, 30 frames a second.
static const char *make_film_of(const char *name, int frames, int fps)
{
    const char *path = media_path(name);
    struct ph_fault fault = { 0 };
    char text[400];
    struct ph_graph *g;
    snprintf(text, sizeof text, "pattern size=320x240 fps=%d id=on -> record %s", fps, path);
    if (ph_graph_create(
            &g, text, ph_graph_params(.mode = PH_OFFLINE, .frames = (uint64_t) frames), &fault))
        TEST_FAIL("%s", fault.message);
    ph_graph_start(g);
    CHECK_INT(ph_graph_wait(g, -1), ==, PH_EOF);
    ph_graph_destroy(&g);
    return path;
}

static const char *make_film(const char *name, int frames)
{
    return make_film_of(name, frames, 30);
}

TEST(d2_31_a_film_lasts_as_long_out_as_in)
{
    MEDIA_NEEDS("ffprobe");
    static const char *const names[] = { "a.mp4", "a.mov", "a.mkv", "a.webm" };
    for (int i = 0; i < 4; i++) {
        const char *path = make_film(names[i], 12);
        CHECK_NUM(fabs(media_probe(path, "format=duration") - 12 / 30.), <, 1 / 30.);
        double before = media_now();
        media_open(&m, PH_LIVE, "file %s => live", path);
        ph_graph_start(m.graph);
        CHECK_INT(ph_graph_wait(m.graph, -1), ==, PH_EOF);
        CHECK_NUM(fabs(media_now() - before - 12 / 30.), <, 0.3);
        media_close(&m);
        CHECK_INT(m.seen[m.count - 1].bar, ==, 11);
        media_render(&m, "file %s -> live", path);
        media_check_bars(&m, 0, 12);
        for (int k = 0; k < 12; k++) // Matroska has milliseconds
            CHECK_INT(llabs(m.seen[k].pts_ns - k * PH_SECOND_NS / 30), <=, PH_MS_NS);
        media_close(&m);
    }
}

TEST(the_same_film_gives_the_same_frames_live_rendered_and_stepped)
{
    MEDIA_NEEDS("ffmpeg");
    uint64_t hashes[3] = { 0 };
    uint64_t pts[3] = { 0 };
    media_sh(
        "ffmpeg -v error -f lavfi -i testsrc2=size=160x120:rate=25:duration=1.2 -c:v libx264 "
        "-bf 2 a.mp4");
    for (int mode = PH_LIVE; mode <= PH_STEPPED; mode++) {
        media_open(&m, mode, "file %s -> live", media_path("a.mp4"));
        if (mode == PH_STEPPED) {
            CHECK_INT(ph_graph_step(m.graph, 5 * PH_SECOND_NS), ==, PH_EOF);
        } else {
            ph_graph_start(m.graph);
            CHECK_INT(ph_graph_wait(m.graph, -1), ==, PH_EOF);
        }
        CHECK_INT(m.count, ==, 30);
        for (int i = 0; i < m.count; i++) {
            hashes[mode] = hashes[mode] * 31 + m.seen[i].hash;
            pts[mode] = (int64_t) ((uint64_t) pts[mode] * 31 + (uint64_t) m.seen[i].pts_ns);
        }
        media_close(&m);
    }
    CHECK(hashes[0] == hashes[1] && hashes[1] == hashes[2]);
    CHECK(pts[0] == pts[1] && pts[1] == pts[2]);
}

TEST(on_the_virtual_clock_a_frame_comes_when_its_pts_says)
{
    if (!PH_HAVE_FFMPEG) TEST_SKIP("this build has no FFmpeg");
    char text[300];
    snprintf(text, sizeof text, "file %s -> live", make_film("a.mp4", 30));
    run_open(&r, text);
    run_until(&r, 0);
    CHECK_INT(r.count, ==, 1);
    run_until(&r, 0.5);
    CHECK_INT(r.count, ==, 16);
    run_until(&r, 0.52);
    CHECK_INT(r.count, ==, 16);
    CHECK_INT(run_until(&r, 1.0), ==, PH_EOF);
    CHECK_INT(r.count, ==, 30);
    run_close(&r);
}

TEST(variable_frame_rates_keep_their_times)
{
    MEDIA_NEEDS("ffmpeg");
    // 0, 1/30 … 9/30, then three times as far apart
    media_sh(
        "ffmpeg -v error -f lavfi -i testsrc2=size=160x120:rate=30:duration=1 -vf "
        "\"setpts='if(lt(N,10),N,10+(N-10)*3)/30/TB'\" -vsync vfr -enc_time_base 1/90000 -c:v "
        "libx264 a.mp4");
    media_render(&m, "file %s -> live", media_path("a.mp4"));
    CHECK_INT(m.count, ==, 30);
    for (int i = 0; i < 30; i++) {
        int64_t want = (i < 10 ? i : 10 + (i - 10) * 3) * PH_SECOND_NS / 30;
        CHECK_INT(llabs(m.seen[i].pts_ns - want), <, PH_MS_NS);
    }
    media_close(&m);
}

TEST(variable_frame_rates_are_recorded_as_they_are)
{
    MEDIA_NEEDS("ffmpeg");
    media_sh(
        "ffmpeg -v error -f lavfi -i testsrc2=size=160x120:rate=30:duration=1 -vf "
        "\"setpts='if(lt(N,10),N,10+(N-10)*3)/30/TB'\" -vsync vfr -enc_time_base 1/90000 -c:v "
        "libx264 a.mp4");
    media_render(&m, "file %s -> record %s", media_path("a.mp4"), media_path("b.mp4"));
    media_close(&m);
    media_check_sound_file(media_path("b.mp4"));
    media_render(&m, "file %s -> live", media_path("b.mp4"));
    CHECK_INT(m.count, ==, 30);
    for (int i = 0; i < 30; i++) {
        int64_t want = (i < 10 ? i : 10 + (i - 10) * 3) * PH_SECOND_NS / 30;
        CHECK_INT(llabs(m.seen[i].pts_ns - want), <, PH_MS_NS);
    }
    media_close(&m);
}

// Mean difference between the newest picture and a raw rgba file, per byte.
static double differs(const struct media *s, const char *raw)
{
    const struct ph_picture *p = &s->last->picture;
    FILE *f = fopen(raw, "r");
    double sum = 0;
    CHECK(f != NULL);
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width * 4; x++) {
            int c = getc(f);
            CHECK(c != EOF);
            sum += abs(c - p->data[0][y * p->stride[0] + x]);
        }
    }
    CHECK(getc(f) == EOF);
    fclose(f);
    return sum / (4. * p->width * p->height);
}

TEST(rotated_films_are_shown_upright)
{
    MEDIA_NEEDS("ffmpeg");
    media_sh(
        "ffmpeg -v error -f lavfi -i testsrc2=size=160x96:rate=10:duration=0.1 -c:v libx264 "
        "-crf 1 -pix_fmt yuv420p flat.mp4");
    for (int angle = 0; angle < 360; angle += 90) {
        media_sh(
            "ffmpeg -v error -y -i flat.mp4 -c copy -metadata:s:v:0 rotate=%d turned.mp4 && "
            "ffmpeg -v error -y -i turned.mp4 -f rawvideo -pix_fmt rgba upright.raw",
            angle);
        media_render(&m, "file %s -> live", media_path("turned.mp4"));
        CHECK_INT(m.seen[0].width, ==, angle % 180 ? 96 : 160);
        CHECK_INT(m.seen[0].height, ==, angle % 180 ? 160 : 96);
        CHECK_NUM(differs(&m, media_path("upright.raw")), <, 3);
        media_close(&m);
    }
}

TEST(odd_sizes_keep_every_pixel)
{
    MEDIA_NEEDS("ffmpeg");
    media_sh(
        "ffmpeg -v error -f lavfi -i testsrc=size=511x321:rate=10:duration=0.1 -c:v ffv1 "
        "-pix_fmt yuv420p a.mkv && ffmpeg -v error -i a.mkv -f rawvideo -pix_fmt rgba a.raw");
    media_render(&m, "file %s -> live", media_path("a.mkv"));
    CHECK_INT(m.seen[0].width, ==, 511);
    CHECK_INT(m.seen[0].height, ==, 321);
    CHECK_NUM(differs(&m, media_path("a.raw")), <, 3);
    media_close(&m);
}

// The middle of a film of one colour.
static uint32_t color_of(const char *how)
{
    media_sh("ffmpeg -v error -y -f lavfi -i color=c=0x3366cc:size=64x64:rate=10:duration=0.1,"
             "format=gbrp -vf %s",
             how);
    media_render(&m, "file %s -> live", media_path("color.mkv"));
    uint32_t c = px(&m.last->picture, 31, 31);
    media_close(&m);
    return c;
}

TEST(colours_survive_depth_range_and_matrix)
{
    MEDIA_NEEDS("ffmpeg");
    static const char *const ways[] = {
        "scale=out_color_matrix=bt601 -pix_fmt yuv420p -colorspace smpte170m -c:v libx264 -qp "
        "0",
        "scale=out_color_matrix=bt709 -pix_fmt yuv420p -colorspace bt709 -c:v libx264 -qp 0",
        "scale=out_color_matrix=bt709 -pix_fmt yuv420p10le -colorspace bt709 -c:v libx264 -qp "
        "0",
        "scale=out_color_matrix=bt709 -pix_fmt yuv422p12le -colorspace bt709 -c:v ffv1",
        "scale=out_color_matrix=bt709:out_range=pc -pix_fmt yuv420p -colorspace bt709 "
        "-color_range "
        "pc -c:v libx264 -qp 0",
        "scale=out_color_matrix=bt601:out_range=pc -pix_fmt yuvj420p -c:v mjpeg -q:v 1",
        "scale=out_color_matrix=bt601:out_range=pc -pix_fmt yuvj444p -c:v mjpeg -q:v 1",
        "scale=out_color_matrix=bt601 -pix_fmt nv12 -c:v rawvideo",
        "null -pix_fmt gbrp -c:v libx264rgb -qp 0",
        "null -pix_fmt rgba -c:v png",
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char how[300];
        snprintf(how, sizeof how, "%s color.mkv", ways[i]);
        uint32_t got = color_of(how);
        if (px_far(got, 0x3366ccff) > 4) TEST_FAIL("%s: #%08x, want #3366ccff", ways[i], got);
    }
}

TEST(a_film_that_loops_goes_on_in_time)
{
    if (!PH_HAVE_FFMPEG) TEST_SKIP("this build has no FFmpeg");
    char text[300];
    snprintf(text, sizeof text, "file %s loop=on -> live", make_film("a.mp4", 10));
    run_open(&r, text);
    CHECK_INT(run_until(&r, 1.0 + 1e-6), ==, PH_MORE);
    CHECK_INT(r.count, ==, 31);
    for (int i = 0; i < r.count; i++) {
        uint32_t id = 99;
        CHECK_OK(ph_barcode_read(run_picture(&r, i), &id));
        CHECK_INT(id, ==, i % 10);
        CHECK_INT(llabs(r.frames[i]->pts_ns - i * PH_SECOND_NS / 30), <, 1000 * 10);
    }
    run_close(&r);
}

TEST(a_film_starts_where_it_is_told_and_loops_there)
{
    if (!PH_HAVE_FFMPEG) TEST_SKIP("this build has no FFmpeg");
    char text[300];
    snprintf(text, sizeof text, "file %s loop=on start=1.5 -> live", make_film("a.mp4", 60));
    run_open(&r, text);
    run_until(&r, 0.6);
    for (int i = 0; i < 18; i++) {
        uint32_t id = 99;
        CHECK_OK(ph_barcode_read(run_picture(&r, i), &id));
        CHECK_INT(id, ==, 45 + i % 15);
    }
    CHECK_INT(r.frames[0]->pts_ns, ==, 0);
    run_close(&r);
}

TEST(a_new_position_jumps_there_and_time_goes_on)
{
    if (!PH_HAVE_FFMPEG) TEST_SKIP("this build has no FFmpeg");
    char text[300];
    snprintf(text, sizeof text, "film: file %s -> live", make_film("a.mp4", 90));
    run_open(&r, text);
    run_until(&r, 0.5);
    int before = r.count;
    for (int again = 0; again < 2; again++) { // the same place twice
        run_set(&r, "film", "position", "2");
        run_until(&r, 0.75 + again * 0.25);
    }
    uint32_t id = 0, last = 0;
    int jumps = 0;
    for (int i = 0; i < r.count; i++) {
        CHECK_OK(ph_barcode_read(run_picture(&r, i), &id));
        if (i && id != last + 1) {
            jumps++;
            CHECK_INT(id, ==, 60);
            CHECK_INT(i, >=, before);
        }
        if (i) CHECK_INT(r.frames[i]->pts_ns, >, r.frames[i - 1]->pts_ns);
        if (i) CHECK_INT(r.frames[i]->pts_ns - r.frames[i - 1]->pts_ns, <, 50 * PH_MS_NS);
        last = id;
    }
    CHECK_INT(jumps, ==, 2);
    run_close(&r);
}

TEST(speed_changes_the_times_and_not_the_frames)
{
    if (!PH_HAVE_FFMPEG) TEST_SKIP("this build has no FFmpeg");
    char text[300];
    snprintf(text, sizeof text, "film: file %s speed=2 -> live", make_film("a.mp4", 90));
    run_open(&r, text);
    run_until(&r, 0.5);
    CHECK_INT(r.count, ==, 31);
    run_set(&r, "film", "speed", "0.5");
    run_until(&r, 1.5);
    CHECK_INT(r.count, >=, 31 + 14);
    CHECK_INT(r.count, <=, 31 + 16);
    for (int i = 0; i < r.count; i++) {
        uint32_t id = 999;
        CHECK_OK(ph_barcode_read(run_picture(&r, i), &id));
        CHECK_INT(id, ==, i);
        if (i) CHECK_INT(r.frames[i]->pts_ns, >, r.frames[i - 1]->pts_ns);
    }
    run_close(&r);
}

TEST(as_fast_as_possible_means_that)
{
    if (!PH_HAVE_FFMPEG) TEST_SKIP("this build has no FFmpeg");
    const char *path = make_film_of("a.mp4", 300, 1); // five minutes
    double before = media_now();
    media_open(&m, PH_LIVE, "file %s pace=fast =>[block 4] live", path);
    ph_graph_start(m.graph);
    CHECK_INT(ph_graph_wait(m.graph, -1), ==, PH_EOF);
    CHECK_NUM(media_now() - before, <, 150);
    media_check_bars(&m, 0, 300);
    media_close(&m);
}

TEST(d2_47_every_kind_of_file_works_as_the_first_one)
{
    MEDIA_NEEDS("ffmpeg");
    static const char *const makes[][2] = {
        { "one.png", "-frames:v 1" },
        { "one.jpg", "-frames:v 1" },
        { "clip.gif", "" },
        { "clip.avi", "-c:v mpeg4" },
        { "clip.ts", "-c:v mpeg2video" },
        { "clip.h264", "-c:v libx264" },
        { "clip.flv", "-c:v flv" },
        { "clip.webm", "-c:v libvpx-vp9 -cpu-used 8 -deadline realtime" },
    };
    for (size_t i = 0; i < sizeof makes / sizeof *makes; i++) {
        media_sh("ffmpeg -v error -f lavfi -i testsrc2=size=128x96:rate=10:duration=0.5 %s %s",
                 makes[i][1], makes[i][0]);
        fflush(stdout);
        pid_t pid = fork(); // nothing has been opened before in this process
        if (!pid) {
            media_render(&m, "file %s -> live", media_path(makes[i][0]));
            if (m.count != (i < 2 ? 1 : 5)) TEST_FAIL("%s: %d frames", makes[i][0], m.count);
            CHECK_INT(m.seen[0].width, ==, 128);
            media_check_rising(&m);
            media_close(&m);
            _exit(0);
        }
        int status = -1;
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
}

// --- sound

static struct {
    double seconds, crossings, first_ns, next_ns;
    int pieces;
    float loudest;
} heard;

static void hear(void *opaque, struct ph_frame *f)
{
    if (f->kind != PH_SAMPLES) return;
    const struct ph_samples *s = &f->samples;
    CHECK_INT(s->rate_hz, ==, 48000);
    if (!heard.pieces++) heard.first_ns = (double) f->pts_ns;
    heard.seconds += s->count / 48000.;
    for (int i = 1; i < s->count; i++) {
        float a = s->data[(i - 1) * s->channels], b = s->data[i * s->channels];
        heard.crossings += (a < 0) != (b < 0);
        if (fabsf(b) > heard.loudest) heard.loudest = fabsf(b);
    }
    heard.next_ns = (double) f->pts_ns + s->count / 48000. * 1e9;
}

static void listen_to(const char *text)
{
    struct ph_subscriber sub = { .deliver = hear };
    memset(&heard, 0, sizeof heard);
    media_open(&m, PH_OFFLINE, "%s", text);
    CHECK_OK(ph_graph_subscribe(m.graph, "ear", &sub));
    ph_graph_start(m.graph);
    CHECK_INT(ph_graph_wait(m.graph, -1), ==, PH_EOF);
    ph_graph_unsubscribe(m.graph, &sub);
}

TEST(sound_comes_as_48_khz_with_the_times_of_the_pictures)
{
    MEDIA_NEEDS("ffmpeg");
    char text[300];
    media_sh("ffmpeg -v error -f lavfi -i testsrc2=size=128x96:rate=25:duration=2 -f lavfi -i "
             "sine=frequency=440:sample_rate=44100:duration=2 -c:a aac -shortest a.mp4");
    snprintf(text, sizeof text, "f: file %s -> live\nf.sound -> ear: live",
             media_path("a.mp4"));
    listen_to(text);
    CHECK_INT(m.count, ==, 50);
    CHECK_NUM(fabs(heard.seconds - 2), <, 0.06);
    CHECK_NUM(fabs(heard.crossings / heard.seconds - 880), <, 20);
    CHECK_NUM(heard.first_ns, <, 30e6);
    CHECK_NUM(fabs(heard.next_ns - 2e9), <, 60e6);
    CHECK_NUM(heard.loudest, >, 0.05);
    media_close(&m);
}

TEST(a_file_with_sound_only_plays_it)
{
    MEDIA_NEEDS("ffmpeg");
    char text[300];
    media_sh("ffmpeg -v error -f lavfi -i sine=frequency=1000:duration=1 -ac 6 a.flac");
    snprintf(text, sizeof text, "f: file %s -> live\nf.sound -> ear: live",
             media_path("a.flac"));
    listen_to(text);
    CHECK_NUM(fabs(heard.seconds - 1), <, 0.01);
    CHECK_NUM(fabs(heard.crossings - 2000), <, 10);
    media_close(&m);
    media_render(&m, "file %s -> live", media_path("a.flac"));
    CHECK_HAS(m.problem, "has sound only");
    media_close(&m);
}

// --- bad files

static void check_refused(const char *text, const char *says)
{
    struct ph_fault fault = { 0 };
    CHECK_INT(media_try(&m, PH_LIVE, text, &fault), <, 0);
    CHECK_HAS(fault.message, says);
}

TEST(what_cannot_be_played_is_named)
{
    MEDIA_NEEDS("ffmpeg");
    char text[300];
    check_refused("file -> live", "which file");
    check_refused("file /nowhere/clip.mp4 -> live", "/nowhere/clip.mp4: no such file");
    check_refused("file /tmp -> live", "/tmp: ");
    check_refused("file /dev/video7 -> live", "camera /dev/video7");
    media_sh("head -c 100000 /dev/urandom >noise.mp4; : >empty.mp4; echo hello >text.txt");
    snprintf(text, sizeof text, "file %s -> live", media_path("noise.mp4"));
    check_refused(text, "noise.mp4: no video or sound that can be read");
    snprintf(text, sizeof text, "file %s -> live", media_path("empty.mp4"));
    check_refused(text, "empty.mp4");
    snprintf(text, sizeof text, "file %s -> live", media_path("text.txt"));
    media_sh("ffmpeg -v error -f lavfi -i testsrc2=size=128x96:rate=25:duration=2 -c:v libx264 "
             "a.mp4; head -c 20000 a.mp4 >cut.mp4");
    snprintf(text, sizeof text, "file %s -> live",
             media_path("cut.mp4")); // its index was at the end
    check_refused(text, "cut.mp4");
    snprintf(text, sizeof text, "file %s start=7 -> live", media_path("a.mp4"));
    check_refused(text, "after the end");
}

TEST(a_truncated_film_plays_up_to_its_end)
{
    MEDIA_NEEDS("ffmpeg");
    make_film("a.mkv", 120);
    struct stat st;
    CHECK_OK(stat(media_path("a.mkv"), &st));
    media_sh("head -c %ld a.mkv >b.mkv", (long) st.st_size / 2);
    media_render(&m, "file %s -> live", media_path("b.mkv"));
    CHECK_INT(m.count, >, 30);
    CHECK_INT(m.count, <, 90);
    for (int i = 0; i < m.count; i++) CHECK_INT(m.seen[i].bar, ==, i);
    media_close(&m);
}

struct lines {
    char text[4000];
    int warnings;
};

static void keep_warning(void *opaque, enum ph_log_level level, const char *who,
                         const char *line)
{
    struct lines *l = opaque;
    size_t len = strlen(l->text);
    (void) who;
    if (level != PH_LOG_WARN) return;
    l->warnings++;
    snprintf(l->text + len, sizeof l->text - len, "%s\n", line);
}

// The pictures of a file, and what was warned of.
static int pictures_of(const char *path, struct lines *lines)
{
    char text[300];
    struct ph_graph *g;
    struct ph_fault fault;
    struct ph_log log = { .level = PH_LOG_WARN, .write = keep_warning, .opaque = lines };
    struct ph_graph_rates rates;
    memset(lines, 0, sizeof *lines);
    snprintf(text, sizeof text, "file \"%s\" -> null", path);
    if (ph_graph_create(&g, text, ph_graph_params(.mode = PH_OFFLINE, .log = &log), &fault))
        TEST_FAIL("%s", fault.message);
    CHECK_OK(ph_graph_start(g));
    CHECK_INT(ph_graph_wait(g, -1), ==, PH_EOF);
    ph_graph_get_rates(g, &rates);
    ph_graph_destroy(&g);
    return (int) rates.output;
}

TEST(a_truncated_jpeg_is_shown_and_named_once)
{
    MEDIA_NEEDS("ffmpeg");
    struct lines lines;
    media_sh("ffmpeg -v error -f lavfi -i testsrc=size=320x240:rate=5 -frames:v 5 p%%d.jpg && "
             "cat p1.jpg p2.jpg p3.jpg > whole.mjpeg && for i in 3 4; do "
             "truncate -s $(($(stat -c %%s p$i.jpg) / 2)) p$i.jpg; done");
    CHECK_INT(pictures_of(media_path("whole.mjpeg"), &lines), ==, 3);
    CHECK_STR(lines.text, "");
    CHECK_INT(pictures_of(media_path("p3.jpg"), &lines), ==, 1);
    CHECK_HAS(lines.text, "p3.jpg: frame 0 is cut short");
    CHECK_INT(pictures_of(media_path("p%d.jpg"), &lines), ==, 5);
    CHECK_HAS(lines.text, "frame 2 is cut short"); // the third; of the next nothing is said
    CHECK_INT(lines.warnings, ==, 1);
}

TEST(damage_in_the_middle_costs_only_itself)
{
    MEDIA_NEEDS("ffmpeg");
    media_sh("ffmpeg -v error -f lavfi -i testsrc2=size=128x96:rate=25:duration=4 -c:v libx264 "
             "-g 12 "
             "a.ts");
    struct stat st;
    CHECK_OK(stat(media_path("a.ts"), &st));
    media_sh("dd if=/dev/urandom of=a.ts bs=1 seek=%ld count=3000 conv=notrunc status=none",
             (long) st.st_size / 2);
    media_render(&m, "file %s -> live", media_path("a.ts"));
    CHECK_INT(m.count, >, 70);
    CHECK_INT(m.count, <=, 100);
    media_check_rising(&m);
    CHECK_INT(m.seen[m.count - 1].pts_ns, >, 3 * PH_SECOND_NS + PH_SECOND_NS / 2);
    media_close(&m);
}

TEST(a_film_goes_on_where_it_was_when_nobody_had_looked)
{
    if (!PH_HAVE_FFMPEG) TEST_SKIP("this build has no FFmpeg");
    media_open(&m, PH_LIVE, "file %s => live", make_film("a.mp4", 400));
    ph_graph_start(m.graph);
    WAIT_FOR(media_count(&m) >= 15, 3);
    ph_graph_unsubscribe(m.graph, &m.sub);
    int left = media_count(&m);
    usleep(3000000);
    CHECK_INT(media_count(&m), ==, left);
    ph_graph_subscribe(m.graph, "live", &m.sub);
    ph_graph_wake(m.graph);
    double before = media_now();
    WAIT_FOR(media_count(&m) >= left + 15, 3);
    CHECK_NUM(media_now() - before, >, 0.35);                  // nothing was caught up on
    CHECK_INT(m.seen[left].bar, <, m.seen[left - 1].bar + 60); // of 90
    media_close(&m);
}
