// SPDX-License-Identifier: MIT
#include "run.h"

#include "config.h"
#include "nodes/picture_file.h"

#include <dirent.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct run r;
static char folder[64];

static void need_libraries(void)
{
    if (!PH_HAVE_PNG || !PH_HAVE_JPEG) TEST_SKIP("this build has no PNG or no JPEG");
}

static const char *make_folder(void)
{
    strcpy(folder, "/tmp/ph-deliver-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    return folder;
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK(system(command) == 0);
}

static int count_files(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static char *read_text(const char *path)
{
    static char text[64 << 10];
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

TEST(hash_writes_a_line_a_frame_with_its_pts_content_and_bar_code)
{
    char path[128], text[300];
    snprintf(path, sizeof path, "%s/lines", make_folder());
    snprintf(text, sizeof text,
             "p: pattern size=96x60 fps=25 id=on -> hash %s id=on\np -> live", path);
    run_open(&r, text);
    run_until(&r, 0.4);
    CHECK_INT(r.count, ==, 11);
    char *at = read_text(path);
    for (int i = 0; i < 11; i++) {
        uint64_t frame, hash;
        int64_t pts;
        unsigned id;
        int used = 0;
        CHECK_INT(sscanf(at, "%" SCNu64 " %" SCNd64 " %" SCNx64 " %u\n%n", &frame, &pts, &hash,
                         &id, &used),
                  ==, 4);
        CHECK_INT(frame, ==, i);
        CHECK_INT(pts, ==, r.frames[i]->pts_ns);
        CHECK_INT(id, ==, i);
        CHECK(hash == ph_image_hash(run_picture(&r, i)));
        at += used;
    }
    CHECK_STR(at, "");
    run_close(&r);
    remove_folder();
}

static char logged[1024];

static void keep_log(void *opaque, enum ph_log_level level, const char *who, const char *line)
{
    if (!strcmp(who, "hash")) snprintf(logged, sizeof logged, "%s", line);
}

TEST(hash_of_all_frames_is_told_at_the_end_and_depends_on_each)
{
    char first[64] = "";
    static const struct ph_log log = { .write = keep_log };
    for (int i = 0; i < 3; i++) {
        r.par = (struct ph_graph_params){ .log = &log };
        run_open(&r, i < 2 ? "pattern noise seed=3 size=20x20 fps=10 -> hash"
                           : "pattern noise seed=4 size=20x20 fps=10 -> hash");
        run_until(&r, 1);
        ph_graph_destroy(&r.graph);
        CHECK_HAS(logged, "over 11 frames");
        if (!i) snprintf(first, sizeof first, "%.16s", logged);
        CHECK_INT(strncmp(first, logged, 16) == 0, ==, i < 2);
    }
}

TEST(image_keeps_the_newest_as_png_with_every_pixel)
{
    need_libraries();
    char path[128], text[300];
    struct ph_frame *back;
    snprintf(path, sizeof path, "%s/now.png", make_folder());
    snprintf(text, sizeof text, "p: pattern size=101x77 fps=10 -> image %s\np -> live", path);
    run_open(&r, text);
    run_until(&r, 0.5);
    CHECK_OK(ph_picture_load(path, &back, NULL));
    CHECK(ph_image_hash(&back->picture) == ph_image_hash(run_picture(&r, 5)));
    CHECK_INT(count_files(), ==, 1);
    ph_frame_unref(&back);
    run_close(&r);
    remove_folder();
}

TEST(image_numbers_a_sequence_and_keeps_every_nth)
{
    need_libraries();
    char text[300], path[128];
    snprintf(
        text, sizeof text,
        "pattern size=64x48 fps=10 id=on -> image %s/f-%%04d.jpg every=3 start=7 quality=100",
        make_folder());
    run_open(&r, text);
    run_until(&r, 1.0); // frames 0, 3, 6, 9 of 0..10
    CHECK_INT(count_files(), ==, 4);
    for (int i = 7; i < 11; i++) {
        struct ph_frame *back;
        snprintf(path, sizeof path, "%s/f-%04d.jpg", folder, i);
        CHECK_OK(ph_picture_load(path, &back, NULL));
        CHECK_INT(back->picture.width, ==, 64);
        ph_frame_unref(&back);
    }
    run_close(&r);
    snprintf(text, sizeof text, "pattern size=64x48 fps=10 -> image %s/%%d.png", folder);
    run_open(&r, text);
    run_until(&r, 0.15);
    snprintf(path, sizeof path, "%s/1.png", folder);
    CHECK_INT(access(path, R_OK), ==, 0);
    run_close(&r);
    remove_folder();
}

TEST(image_refuses_a_path_it_cannot_mean)
{
    need_libraries();
    struct ph_fault fault = { 0 };
    static const char *const bad[][2] = { { "image", "path names a file" },
                                          { "image out.gif", ".png" },
                                          { "image \"a%s.png\"", "one number" },
                                          { "image \"%n.png\"", "one number" },
                                          { "image \"%d%d.png\"", "one number" } };
    for (int i = 0; i < 5; i++) {
        char text[100];
        snprintf(text, sizeof text, "pattern -> %s", bad[i][0]);
        CHECK_INT(run_try(&r, text, &fault), <, 0);
        CHECK_HAS(fault.message, bad[i][1]);
    }
}

TEST(image_on_a_full_disk_names_the_file_keeps_the_old_one_and_goes_on)
{
    need_libraries();
    char path[128], text[300];
    struct stat before, after;
    snprintf(path, sizeof path, "%s/now.png", make_folder());
    snprintf(text, sizeof text, "p: pattern noise size=200x200 fps=10 -> image %s\np -> live",
             path);
    run_open(&r, text);
    run_until(&r, 0);
    CHECK_INT(stat(path, &before), ==, 0);
    struct rlimit limit, tight = { 4096, RLIM_INFINITY };
    getrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &tight); // as a disk without room for more
    run_until(&r, 0.3);
    CHECK_HAS(r.problem, path);
    CHECK_INT(r.count, ==, 4); // the other branch has its frames
    CHECK_INT(stat(path, &after), ==, 0);
    CHECK_INT(after.st_size, ==, before.st_size);
    CHECK_INT(count_files(), ==, 1); // no part left behind
    setrlimit(RLIMIT_FSIZE, &limit);
    run_until(&r, 0.4);
    CHECK_STR(r.problem, ""); // well again
    run_close(&r);
    remove_folder();
}

TEST(png_and_jpeg_files_that_are_damaged_are_refused)
{
    need_libraries();
    char path[128];
    struct ph_frame *f, *back;
    struct ph_picture_writer *w;
    struct ph_fault fault = { 0 };
    CHECK_OK(ph_frame_picture(NULL, PH_RGBA, 40, 30, &f));
    memset(f->picture.data[0], 99, (size_t) f->picture.stride[0] * 30);
    make_folder();
    for (int jpeg = 0; jpeg < 2; jpeg++) {
        snprintf(path, sizeof path, "%s/a.%s", folder, jpeg ? "jpg" : "png");
        CHECK_OK(ph_picture_writer_create(&w, path, NULL));
        CHECK_OK(ph_picture_save(w, path, &f->picture, 90, NULL));
        ph_picture_writer_destroy(&w);
        struct stat st;
        stat(path, &st);
        // without PNG's last chunk, which says nothing, all pixels are still there
        for (off_t size = st.st_size - (jpeg ? 2 : 14); size >= 0; size -= 7) {
            CHECK_INT(truncate(path, size), ==, 0);
            CHECK_INT(ph_picture_load(path, &back, &fault), <, 0);
            CHECK_HAS(fault.message, path);
            CHECK(back == NULL);
        }
    }
    ph_frame_unref(&f);
    remove_folder();
}

TEST(live_publishes_pictures_of_several_links_and_null_takes_anything)
{
    run_open(&r, "a: pattern solid size=8x8 fps=10 color=red -> live\n"
                 "b: pattern solid size=9x9 fps=10 color=lime -> live.in\n"
                 "s: scene 8x8 fps=10 -> null\ns.depth -> null");
    run_until(&r, 0.5);
    CHECK_INT(r.count, ==, 12);
    int wide = 0;
    for (int i = 0; i < r.count; i++) wide += run_picture(&r, i)->width == 9;
    CHECK_INT(wide, ==, 6);
    CHECK_INT(r.problems, ==, 0);
    run_close(&r);
}
