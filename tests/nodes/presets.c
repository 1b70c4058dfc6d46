// SPDX-License-Identifier: MIT
// Every shipped preset runs and gives pictures that a viewer can decode.
#include "run.h"

#include "config.h"

#include <dirent.h>

static struct run r;

#if PH_HAVE_JPEG && PH_HAVE_TEXT
#include <turbojpeg.h>

static const char *folder(void)
{
    static char path[512];
    const char *data = getenv("PH_TEST_DATA");
    if (!data) TEST_SKIP("PH_TEST_DATA is not set");
    snprintf(path, sizeof path, "%s/../../presets", data);
    return path;
}

static char *read_preset(const char *name)
{
    static char text[64 << 10];
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder(), name);
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static void push_grey(int w, int h)
{
    unsigned char *bytes = NULL, *grey = calloc((size_t) w * (size_t) h, 1);
    unsigned long size = 0;
    memset(grey, 200, (size_t) w * (size_t) h);
    tjhandle tj = tjInitCompress();
    CHECK_OK(tjCompress2(tj, grey, w, 0, h, TJPF_GRAY, &bytes, &size, TJSAMP_GRAY, 80, 0));
    struct ph_frame *f;
    CHECK_OK(ph_frame_packet(NULL, PH_JPEG, size, &f));
    memcpy(f->packet.data, bytes, size);
    f->packet.size = size;
    CHECK_OK(ph_graph_push(r.graph, "browser", &f));
    tjFree(bytes);
    tjDestroy(tj);
    free(grey);
}

// Points and depth go to the same viewers as pictures.
static const struct ph_frame *newest_jpeg(void)
{
    for (int i = r.count - 1; i >= 0; i--)
        if (r.frames[i]->kind == PH_PACKET && r.frames[i]->packet.codec == PH_JPEG)
            return r.frames[i];
    TEST_FAIL("no JPEG packet among %d frames", r.count);
}

// The newest one as a picture of 3 bytes a pixel; its size is checked by the decoder.
static uint8_t *decoded(int *w, int *h)
{
    const struct ph_frame *f = newest_jpeg();
    int sub, space;
    tjhandle tj = tjInitDecompress();
    CHECK_OK(tjDecompressHeader3(tj, f->packet.data, f->packet.size, w, h, &sub, &space));
    uint8_t *rgb = malloc((size_t) *w * (size_t) *h * 3);
    CHECK_OK(tjDecompress2(tj, f->packet.data, f->packet.size, rgb, *w, 0, *h, TJPF_RGB, 0));
    tjDestroy(tj);
    return rgb;
}

// A preset with a model runs on a small one; false: there is none.
static bool lend_model(char *text)
{
    char shelf[2048], path[1100];
    const char *golden = getenv("PH_GOLDEN");
    if (!golden) golden = "../shared/golden";
    snprintf(shelf, sizeof shelf, "%s/diffusion/models:%s/depth/da2/A37", golden, golden);
    snprintf(path, sizeof path, "%s/%s", golden,
             strstr(text, "diffusion ") ? "diffusion/models/pipe_sd15_tiny/model_index.json"
                                        : "depth/da2/A37/hf/config.json");
    setenv("PH_MODELS", access(path, R_OK) == 0 ? shelf : "/nonexistent", 1);
    char *named = strstr(text, "model=spark"), *side = strstr(text, "side=168");
    if (named) memset(named, ' ', strlen("model=spark")); // the bundled one may not be there
    if (side) memcpy(side, "side=042", 8);
    return access(path, R_OK) == 0;
}

static void check_says_what_to_do(const char *name, const char *text)
{
    struct ph_fault fault = { 0 };
    CHECK_INT(run_try(&r, text, &fault), ==, PH_ENOENT);
    if (!strstr(fault.message, "/nonexistent") || !strstr(fault.message, "models pull"))
        TEST_FAIL("%s: %s", name, fault.message);
}

static void check_preset(const char *name)
{
    char *text = read_preset(name);
    bool wants = strstr(text, ": diffusion ") || strstr(text, ": depth ");
    if (wants && !lend_model(text)) {
        check_says_what_to_do(name, text);
        return;
    }
    if (strncmp(text, "# title: ", 9)) TEST_FAIL("%s does not begin with \"# title: \"", name);
    run_open(&r, text);
    for (int i = 1; i <= 5; i++) {
        if (strstr(text, "\nbrowser")) push_grey(320, 240);
        run_until(&r, 0.1 * i);
    }
    // without a sound device there is no sound, and the pictures come all the same
    // (its problems come from another thread)
    if (!strstr(text, "\nsound ") && r.problems) TEST_FAIL("%s: %s", name, r.problem);
    if (r.count < 3) TEST_FAIL("%s: %d frames in half a second", name, r.count);
    int w, h, bright = 0;
    uint8_t *rgb = decoded(&w, &h);
    for (int i = 0; i < w * h * 3; i++) bright += rgb[i] > 180;
    if (bright < 100) TEST_FAIL("%s is all dark", name); // the label at least is not
    free(rgb);
    run_close(&r);
}

TEST_LIMIT(d2_18_every_preset_runs_and_shows_something_that_is_not_black, 120)
{
    int found = 0;
    DIR *d = opendir(folder());
    CHECK(d != NULL);
    for (struct dirent *e; (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n < 7 || strcmp(e->d_name + n - 6, ".graph")) continue;
        check_preset(e->d_name);
        found++;
    }
    closedir(d);
    CHECK_INT(found, >=, 7);
}

// Whether the newest message of points holds a thousand and more.
static bool has_cloud(void)
{
    for (int i = r.count - 1; i >= 0; i--)
        if (r.frames[i]->kind == PH_PACKET && r.frames[i]->packet.codec == PH_CLOUD)
            return r.frames[i]->packet.size > 15 * 1000; // 15 bytes a point
    return false;
}

TEST_LIMIT(clouds_are_seen_by_the_bundled_model_where_no_other_is_given, 120)
{
    static const char *const names[] = { "cloud.graph", "cloud-webcam.graph" };
    unsetenv("PH_SHARE"); // other tests are without
    setenv("PH_MODELS", "/nonexistent", 1);
    for (int i = 0; i < 2; i++) {
        run_open(&r, read_preset(names[i]));
        for (int k = 1; k <= 3; k++) {
            if (i == 1) push_grey(320, 240);
            run_until(&r, 0.1 * k);
        }
        if (r.problems) TEST_FAIL("%s: %s", names[i], r.problem);
        if (!has_cloud()) TEST_FAIL("%s: no points", names[i]);
        run_close(&r);
    }
}

TEST(a_preset_without_a_model_says_where_one_belongs_and_how_to_get_it)
{
    setenv("PH_MODELS", "/nonexistent", 1);
    check_says_what_to_do("paint-webcam", read_preset("paint-webcam.graph"));
    check_says_what_to_do("text-to-picture", read_preset("text-to-picture.graph"));
    check_says_what_to_do("dream", read_preset("dream.graph"));
    check_says_what_to_do("spark", read_preset("spark.graph"));
    check_says_what_to_do("cloud-webcam", read_preset("cloud-webcam.graph"));
    check_says_what_to_do("cloud", read_preset("cloud.graph"));
}
#endif

TEST(nodes_are_sorted_complete_and_have_help)
{
    const struct ph_node_info *const *list = ph_nodes();
    for (int i = 0; list[i]; i++) {
        const struct ph_node_info *n = list[i];
        if (i && strcmp(list[i - 1]->name, n->name) >= 0)
            TEST_FAIL("%s is out of order", n->name);
        if (!n->help || !n->help[0]) TEST_FAIL("%s has no help", n->name);
        if (!n->process) TEST_FAIL("%s does nothing", n->name);
        CHECK(n->group && strstr("source prepare model compose encode deliver", n->group));
        for (const struct ph_param *p = n->params; p && p->name; p++) {
            union ph_value v;
            if (!p->help || !p->help[0]) TEST_FAIL("%s.%s has no help", n->name, p->name);
            if (p->help[strlen(p->help) - 1] == '.')
                TEST_FAIL("%s.%s: a dot", n->name, p->name);
            if (p->def && ph_param_parse(p, p->def, &v, NULL) < 0)
                TEST_FAIL("%s.%s: its default %s is refused", n->name, p->name, p->def);
        }
    }
}
