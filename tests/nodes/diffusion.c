// SPDX-License-Identifier: MIT
// The node diffusion on a small pipeline: what it paints, when a change shows, and that a session
// can be run again.
#include "run.h"

#include "golden.h"
#include "nodes/model/lists.h"

#include "core/tree.h"

#include <sys/stat.h>

#define PIPELINE "diffusion/models/pipe_sd15_tiny"

static struct run r;

static const char *model(void)
{
    golden(PIPELINE "/model_index.json");
    return golden(PIPELINE);
}

// "%s" in the text becomes the small model, on one thread: two wait for each other on a busy machine.
static const char *with_model(const char *text)
{
    static char full[2][6000];
    static int turn;
    char *out = full[turn++ % 2], *at = strstr(text, "%s");
    snprintf(out, sizeof full[0], "%.*smodel=%s precision=f32 device=cpu:threads=1%s",
             (int) (at - text), text, model(), at + 2);
    return out;
}

static uint64_t hash_of(int i)
{
    return ph_image_hash(run_picture(&r, i));
}

static uint64_t newest(void)
{
    return hash_of(r.count - 1);
}

// --- what it paints

TEST_LIMIT(a_picture_is_painted_over_as_the_prompt_says, 240)
{
    uint64_t seen[4];
    static const char *const texts[] = {
        "pattern ball size=64x64 fps=10 -> diffusion \"a cat\" %s -> live",
        "pattern ball size=64x64 fps=10 -> diffusion \"a cat\" %s -> live",
        "pattern ball size=64x64 fps=10 -> diffusion \"a dog\" %s -> live",
        "pattern bars size=64x64 fps=10 -> diffusion \"a cat\" %s -> live",
    };
    for (int i = 0; i < 4; i++) {
        const struct ph_picture *p = run_first(&r, with_model(texts[i]));
        CHECK_INT(p->width, ==, 64);
        CHECK_INT(p->height, ==, 64);
        struct ph_moments m;
        ph_image_moments(&m, p);
        CHECK_NUM(m.variance[0], >, 1);
        CHECK_NUM(m.mean[3], ==, 255);
        seen[i] = ph_image_hash(p);
        run_close(&r);
    }
    CHECK(seen[0] == seen[1]);
    CHECK(seen[0] != seen[2]);
    CHECK(seen[0] != seen[3]);
}

TEST_LIMIT(without_an_input_it_is_a_source_that_paints_from_words, 240)
{
    run_open(&r, with_model("diffusion \"a cat\" size=64x48 fps=5 %s -> live"));
    run_until(&r, 1);
    CHECK_INT(r.count, ==, 6);
    CHECK_INT(run_picture(&r, 0)->width, ==, 64);
    CHECK_INT(run_picture(&r, 0)->height, ==, 48);
    for (int i = 0; i < 6; i++) {
        CHECK_INT(r.frames[i]->id, ==, i);
        CHECK_INT(r.frames[i]->pts_ns, ==, i * PH_SECOND_NS / 5);
    }
    uint64_t before = newest();
    run_set(&r, "diffusion", "seed", "3");
    run_until(&r, 1.2);
    CHECK(newest() != before);
    run_close(&r);
}

TEST_LIMIT(pictures_of_any_size_are_fitted_into_eights, 240)
{
    const struct ph_picture *p =
        run_first(&r, with_model("pattern bars size=77x50 fps=10 -> diffusion %s -> live"));
    CHECK_INT(p->width, ==, 72);
    CHECK_INT(p->height, ==, 48);
    run_close(&r);
}

TEST_LIMIT(an_input_that_is_linked_later_is_painted_over, 240)
{
    struct ph_fault fault;
    run_open(&r, with_model("d: diffusion size=64x64 fps=10 %s -> live: live"));
    run_until(&r, 0.3);
    uint64_t id = r.frames[r.count - 1]->id, alone = newest();
    if (ph_graph_edit(r.graph, 1,
                      with_model("pattern bars size=64x64 fps=10 -> d: diffusion size=64x64 "
                                 "fps=10 %s -> live: live"),
                      &fault) < 0)
        TEST_FAIL("%s", fault.message);
    int n = r.count;
    run_until(&r, 0.9);
    CHECK_INT(r.count, >, n);
    CHECK(newest() != alone);
    uint64_t over = newest();
    CHECK_OK(ph_graph_edit(
        r.graph, 2, with_model("d: diffusion size=64x64 fps=10 %s -> live: live"), &fault));
    run_until(&r, 1.5);
    CHECK(newest() != over);
    CHECK_INT(r.frames[r.count - 1]->id, >, id);
    run_close(&r);
}

TEST_LIMIT(a_controlnet_steers_by_its_own_picture_or_by_the_input, 240)
{
    char text[3][6000];
    uint64_t seen[4];
    golden("diffusion/models/controlnet_sd15/config.json");
    const char *control = golden("diffusion/models/controlnet_sd15");
    snprintf(text[0], sizeof text[0],
             "pattern bars size=64x64 fps=10 -> d: diffusion control=%s %%s -> live", control);
    snprintf(text[1], sizeof text[1],
             "p: pattern bars size=64x64 fps=10 -> d: diffusion control=%s %%s -> live: live\n"
             "pattern checkerboard size=96x64 fps=10 -> d.control",
             control);
    snprintf(text[2], sizeof text[2],
             "pattern bars size=64x64 fps=10 -> diffusion %%s -> live");
    for (int i = 0; i < 3; i++) {
        run_open(&r, with_model(text[i]));
        run_until(&r, 0.3);
        if (r.problem[0]) TEST_FAIL("%s: %s", text[i], r.problem);
        seen[i] = newest();
        if (i == 0) {
            run_set(&r, "d", "control_scale", "0.2");
            run_until(&r, 0.6);
            seen[3] = newest();
        }
        run_close(&r);
    }
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            if (seen[i] == seen[k]) TEST_FAIL("%d and %d are the same", i, k);
}

// --- changes

TEST_LIMIT(every_setting_changes_between_two_pictures, 300)
{
    static const struct {
        const char *param, *value;
        bool shows; // at once, on a picture that stands still
    } all[] = {
        { "prompt", "a dog | a cat:0.3", true },
        { "blend", "linear", true },
        { "seed", "7", true },
        { "seed", "7 8:0.5", true },
        { "strength", "0.9", true },
        { "steps", "2", true },
        { "index", "10 30", true },
        { "table", "40", true },
        { "guidance", "full", true },
        { "guidance_scale", "5", true },
        { "negative", "ugly", true },
        { "guidance", "self", true },
        { "delta", "0.5", true },
        { "guidance", "initialize", true },
        { "guidance", "none", true },
        { "smooth", "0.5", false },
        { "latent_feedback", "0.3", true },
        { "picture_feedback", "0.3", true },
        { "transition", "3", false },
        { "control_scale", "0.5", false }, // there is no ControlNet
        { "memory", "2", true },
        { "memory", "0", true },
        { "sampler", "euler", true },
        { "painting", "whole", true },
        { "sampler", "tcd", true },
        { "eta", "0.5", false },
        { "size", "48x64", true },
        { "fit", "stretch", true },
        { "similar", "0.99", false },
        { "similar_max", "2", false },
        { "radius", "0.5", true },
        { "angle", "0.3", true },
        { "spin", "0.1", true },
        { "circle", "5 6", true },
        { "variation", "1.5", true },
        { "prompt", "a dog | a cat", false },
        { "walk", "position", true },
        { "position", "0.5", true },
        { "walk", "notes", true },
        { "reach", "0.5", false },
        { "sized_by", "model", false },
        { "fps", "7", false },
    };
    run_open(&r, with_model("pattern bars size=64x64 fps=10 -> d: diffusion %s -> live"));
    run_until(&r, 0.5);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uint64_t before = newest();
        r.acked_id = 0;
        run_set(&r, "d", all[i].param, all[i].value);
        // the settling of feedback is no sign of a change; four pictures fill every batch
        run_until(&r, 0.5 + 0.4 * (double) (i + 1));
        if (r.problem[0]) TEST_FAIL("%s=%s: %s", all[i].param, all[i].value, r.problem);
        if (r.acked_id != 1) TEST_FAIL("%s: no acknowledgement", all[i].param);
        if (all[i].shows && newest() == before)
            TEST_FAIL("%s=%s changes nothing", all[i].param, all[i].value);
    }
    CHECK_INT(r.count, ==, 6 + 4 * (int) (sizeof all / sizeof *all));
    run_close(&r);
}

TEST_LIMIT(a_size_changes_between_two_pictures_and_its_acknowledgement_names_the_first, 240)
{
    run_open(&r, with_model("pattern bars size=64x64 fps=10 -> d: diffusion %s -> live"));
    run_until(&r, 0.2);
    run_set(&r, "d", "size", "32x48");
    run_until(&r, 0.5);
    CHECK_INT(r.count, ==, 6);
    for (int i = 0; i < 6; i++) CHECK_INT(run_picture(&r, i)->width, ==, i < 3 ? 64 : 32);
    CHECK_INT(r.acked_frame, ==, 3);
    run_close(&r);
}

TEST_LIMIT(what_cannot_be_is_the_nodes_problem_and_pictures_go_on, 240)
{
    static const char *const wrong[][3] = {
        { "size", "65x64", "multiple of 8" }, { "prompt", "a:0 | b:0", "weights" },
        { "seed", "one", "whole numbers" },   { "index", "20 10", "rising" },
        { "style", "none-such", "no style" }, { "style", "../secret", "not the name" },
    };
    run_open(&r, with_model("pattern bars size=64x64 fps=10 -> d: diffusion %s -> live"));
    run_until(&r, 0);
    uint64_t before = newest();
    for (int i = 0; i < 6; i++) {
        int n = r.count;
        r.acked_id = 0;
        run_set(&r, "d", wrong[i][0], wrong[i][1]);
        run_until(&r, 0.2 * i + 0.1);
        CHECK_INT(r.count, ==, n + 1);
        CHECK(newest() == before);
        if (!strstr(r.problem, wrong[i][2])) TEST_FAIL("%s: %s", wrong[i][0], r.problem);
        CHECK_INT(r.acked_id, ==, 1); // nobody waits for what will not come
        struct ph_fault fault;
        CHECK_OK(ph_graph_set(
            r.graph, 2, "d", wrong[i][0],
            ((const char *[]){ "0x0", "an oil painting", "2", "", "", "" })[i], &fault));
        run_until(&r, 0.2 * i + 0.2);
        if (r.problem[0]) TEST_FAIL("%s stays: %s", wrong[i][0], r.problem);
    }
    run_close(&r);
}

TEST_LIMIT(a_style_is_worn_turned_down_and_taken_off, 240)
{
    static const char *const values[] = { "kohya", "kohya.safetensors:0.3", "" };
    char text[6000];
    uint64_t seen[3];
    golden("diffusion/models/lora/kohya.safetensors");
    snprintf(text, sizeof text,
             "pattern bars size=64x64 fps=10 -> d: diffusion styles=%s %%s -> live",
             golden("diffusion/models/lora"));
    run_open(&r, with_model(text));
    run_until(&r, 0);
    uint64_t bare = newest();
    for (int i = 0; i < 3; i++) {
        run_set(&r, "d", "style", values[i]);
        run_until(&r, 0.1 * (i + 1));
        CHECK_STR(r.problem, "");
        seen[i] = newest();
    }
    CHECK(seen[0] != bare && seen[1] != bare && seen[0] != seen[1]);
    CHECK(seen[2] == bare);
    run_close(&r);
}

TEST_LIMIT(a_style_that_is_none_is_a_problem_and_pictures_go_on, 240)
{
    char folder[] = "/tmp/ph-styles-XXXXXX", path[256], text[6000];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/broken.safetensors", folder);
    FILE *f = fopen(path, "w");
    CHECK(f && fputs("not a style", f) >= 0 && fclose(f) == 0);
    snprintf(text, sizeof text,
             "pattern bars size=64x64 fps=10 -> d: diffusion styles=%s %%s -> live", folder);
    run_open(&r, with_model(text));
    run_until(&r, 0.1);
    uint64_t before = newest();
    run_set(&r, "d", "style", "broken:0.5");
    run_until(&r, 0.3);
    CHECK(strstr(r.problem, "broken.safetensors") != NULL);
    CHECK(newest() == before);
    CHECK_INT(r.acked_id, ==, 1);
    run_set(&r, "d", "style", "");
    run_until(&r, 0.5);
    CHECK_STR(r.problem, "");
    run_close(&r);
    unlink(path);
    rmdir(folder);
}

// --- cuts and the filter

TEST_LIMIT(a_hard_cut_forgets_every_picture_before, 240)
{
    run_open(&r, with_model("pattern bars size=64x64 fps=10 -> d: diffusion steps=2 "
                            "picture_feedback=0.5 latent_feedback=0.4 smooth=0.5 %s -> live"));
    run_until(&r, 1);
    CHECK(newest() != hash_of(0));
    CHECK_OK(ph_graph_cut(r.graph, 5, (struct ph_cut){ .hard = true }));
    run_until(&r, 1.1);
    CHECK_INT(r.frames[r.count - 1]->epoch, ==, 1);
    CHECK(newest() == hash_of(0));
    run_close(&r);
}

TEST_LIMIT(a_soft_cut_fades_the_old_painting, 240)
{
    run_open(&r, with_model("pattern bars size=64x64 fps=10 -> d: diffusion %s -> live"));
    run_until(&r, 0.1);
    uint64_t settled = newest();
    CHECK_OK(ph_graph_cut(r.graph, 5, (struct ph_cut){ .chunks = 2 }));
    run_set(&r, "d", "seed", "9");
    run_until(&r, 0.6);
    CHECK_INT(r.count, ==, 7);
    uint64_t after = newest();
    CHECK(after != settled);
    CHECK(hash_of(2) != after && hash_of(3) != after && hash_of(2) != hash_of(3));
    CHECK(hash_of(4) == after);
    run_close(&r);
}

TEST_LIMIT(pictures_that_are_alike_are_left_out_and_counted, 240)
{
    struct ph_model_report report;
    run_open(&r, with_model("pattern bars size=64x64 fps=10 -> d: diffusion similar=0.9 "
                            "similar_max=3 %s -> live"));
    CHECK(!ph_graph_report(r.graph, 0, &report));
    run_until(&r, 1.9);
    CHECK_INT(r.count, ==, 20);
    CHECK(ph_graph_report(r.graph, 19, &report));
    CHECK_INT((int64_t) report.skipped, >=, 12); // three of four
    CHECK_INT((int64_t) report.skipped, <=, 16);
    CHECK_INT(report.mean_ns, >, 0);
    CHECK_STR(report.model, "pipe_sd15_tiny");
    int idle = 0, busy = 0;
    for (uint64_t id = 8; id < 20; id++) {
        CHECK(ph_graph_report(r.graph, id, &report));
        int64_t ns = report.encode_ns + report.model_ns + report.decode_ns;
        idle += ns == 0;
        busy += report.encode_ns > 0 && report.model_ns > 0 && report.decode_ns > 0;
    }
    CHECK_INT(idle + busy, ==, 12);
    CHECK_INT(busy, >=, 2);
    CHECK_INT(idle, >=, 6);
    run_close(&r);
}

// --- opening

static void expect_fault(const char *text, ph_err code, const char *part)
{
    struct ph_fault fault = { 0 };
    CHECK_INT(run_try(&r, text, &fault), ==, code);
    if (!strstr(fault.message, part)) TEST_FAIL("%s", fault.message);
    if (!fault.line) TEST_FAIL("no place: %s", fault.message);
}

TEST(a_wrong_folder_or_a_missing_module_is_said_when_the_graph_is_made)
{
    char folder[] = "/tmp/ph-model-XXXXXX", path[256], text[512];
    setenv("PH_MODELS", "/nonexistent", 1);
    expect_fault("diffusion model=/no/such/folder -> live", PH_ENOENT, "/no/such/folder");
    expect_fault("diffusion model=sd-turbo -> live", PH_ENOENT, "\"sd-turbo\"");
    expect_fault("diffusion -> live", PH_ENOENT, "models pull");
    expect_fault("diffusion seed=x -> live", PH_EINVAL, "whole numbers");
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/model_index.json", folder);
    FILE *f = fopen(path, "w");
    CHECK(f && fputs("{}", f) >= 0 && fclose(f) == 0);
    snprintf(text, sizeof text, "diffusion model=%s -> live", folder);
    expect_fault(text, PH_EFORMAT, "unet/");
    unlink(path);
    rmdir(folder);
}

// --- lists

TEST(prompts_have_weights_and_colons_of_their_own)
{
    void *tree = ph_tree_alloc(NULL, 1);
    struct ph_fault fault;
    const struct ph_prompt *p;
    int n;
    CHECK_OK(ph_prompts_parse(tree, " an oil painting | a watercolour : 0.3 ", &p, &n, &fault));
    CHECK_INT(n, ==, 2);
    CHECK_STR(p[0].text, "an oil painting");
    CHECK_NUM(p[0].weight, ==, 1);
    CHECK_STR(p[1].text, "a watercolour");
    CHECK_NUM(p[1].weight, ==, 0.3f);
    CHECK_OK(ph_prompts_parse(tree, "study: a hand \\| a foot", &p, &n, &fault));
    CHECK_INT(n, ==, 1);
    CHECK_STR(p[0].text, "study: a hand | a foot");
    CHECK_OK(ph_prompts_parse(tree, "a | ", &p, &n, &fault)); // while it is being typed
    CHECK_INT(n, ==, 1);
    CHECK_OK(ph_prompts_parse(tree, "", &p, &n, &fault));
    CHECK_INT(n, ==, 1);
    CHECK_STR(p[0].text, "");
    CHECK_INT(ph_prompts_parse(tree, "a:-1 | b", &p, &n, &fault), ==, PH_EINVAL);
    char many[200] = "0";
    for (int i = 1; i < 64; i++) strcat(many, "|1");
    CHECK_OK(ph_prompts_parse(tree, many, &p, &n, &fault));
    CHECK_INT(n, ==, 64);
    CHECK_INT(ph_prompts_parse(tree, strcat(many, "|1"), &p, &n, &fault), ==, PH_EINVAL);
    ph_tree_free(tree);
}

TEST(seeds_and_places_are_whole_numbers)
{
    void *tree = ph_tree_alloc(NULL, 1);
    struct ph_fault fault;
    const struct ph_seed *s;
    const int *index;
    int n;
    CHECK_OK(ph_seeds_parse(tree, "18446744073709551615, 2:0.5", &s, &n, &fault));
    CHECK_INT(n, ==, 2);
    CHECK(s[0].seed == UINT64_MAX && s[1].seed == 2);
    CHECK_NUM(s[1].weight, ==, 0.5);
    CHECK_OK(ph_seeds_parse(tree, "", &s, &n, &fault));
    CHECK_INT(n, ==, 0);
    CHECK_INT(ph_seeds_parse(tree, "1.5", &s, &n, &fault), ==, PH_EINVAL);
    CHECK_INT(ph_seeds_parse(tree, "18446744073709551616", &s, &n, &fault), ==, PH_EINVAL);
    CHECK_OK(ph_index_parse(tree, "0, 16 32", &index, &n, &fault));
    CHECK_INT(n, ==, 3);
    CHECK_INT(index[2], ==, 32);
    CHECK_INT(ph_index_parse(tree, "16 x", &index, &n, &fault), ==, PH_EINVAL);
    ph_tree_free(tree);
}

// --- live, and again

static _Atomic int delivered;

static void deliver_live(void *opaque, struct ph_frame *f)
{
    run_deliver(opaque, f);
    delivered++;
}

static void await_frames(int n)
{
    while (delivered < n) ph_sleep_until_ns(ph_now_ns() + PH_MS_NS);
}

static void open_live(const char *text, uint64_t frames, const char *journal)
{
    struct ph_fault fault = { 0 };
    memset(&r, 0, sizeof r);
    struct ph_graph_params par = {
        .seed = 7, .frames = frames, .journal = journal, .event = run_event, .opaque = &r
    };
    if (ph_graph_create(&r.graph, text, &par, &fault) < 0) TEST_FAIL("%s", fault.message);
    r.sub = (struct ph_subscriber){ .deliver = deliver_live, .opaque = &r };
    CHECK_OK(ph_graph_subscribe(r.graph, "live", &r.sub));
    CHECK_OK(ph_graph_start(r.graph));
}

static uint64_t await_ack(uint64_t id)
{
    for (;;) {
        pthread_mutex_lock(&run_lock);
        uint64_t frame = r.acked_id == id ? r.acked_frame + 1 : 0;
        pthread_mutex_unlock(&run_lock);
        if (frame) return frame - 1;
        ph_sleep_until_ns(ph_now_ns() + PH_MS_NS);
    }
}

TEST_LIMIT(live_an_acknowledgement_names_the_very_picture_that_shows_the_change, 300)
{
    struct ph_fault fault;
    open_live(with_model("pattern bars size=32x32 fps=0 -> d: diffusion %s -> live"), 0, NULL);
    await_frames(3);
    CHECK_OK(ph_graph_set(r.graph, 11, "d", "prompt", "something else", &fault));
    uint64_t first = await_ack(11);
    CHECK_OK(ph_graph_set(r.graph, 12, "d", "size", "48x32", &fault));
    uint64_t second = await_ack(12);
    ph_graph_stop(r.graph);
    CHECK_INT((int64_t) second, >, (int64_t) first);
    CHECK_INT((int64_t) second, <, RUN_FRAMES);
    for (int i = 0; i < r.count && i <= (int) second; i++) {
        uint64_t id = r.frames[i]->id;
        if (id < first)
            CHECK(hash_of(i) == hash_of(0));
        else
            CHECK(hash_of(i) != hash_of(0));
        CHECK_INT(run_picture(&r, i)->width, ==, id < second ? 32 : 48);
    }
    run_close(&r);
}

enum { SESSION = 200, CHANGES = 22 };
static const char *const script[CHANGES][2] = {
    { "prompt", "a dog" },
    { "strength", "0.8" },
    { "steps", "2" },
    { "transition", "5" },
    { "prompt", "a bird | a fish:0.4" },
    { "seed", "3 4:0.5" },
    { "guidance", "self" },
    { "guidance_scale", "2" },
    { "negative", "grey" },
    { "smooth", "0.4" },
    { "size", "48x32" },
    { "latent_feedback", "0.2" },
    { "index", "12 24 36" },
    { "similar", "0.95" },
    { "picture_feedback", "0.2" },
    { "size", "0x0" },
    { "memory", "2" },
    { "memory", "0" },
    { "painting", "whole" },
    { "seed", "x" },
    { "painting", "stream" },
    { "prompt", "the end" },
};

static uint64_t pictures[SESSION]; // by id; 0 = not seen

// The picture that was being painted when the hard cut came is shown to nobody.
static void note_pictures(void)
{
    CHECK_INT(r.count, >=, SESSION - 1);
    for (int i = 0; i < r.count; i++) pictures[r.frames[i]->id] = hash_of(i);
}

static void check_pictures(const char *which)
{
    if (r.count != SESSION) TEST_FAIL("%s: %d pictures", which, r.count);
    for (int i = 0; i < SESSION; i++) {
        if (pictures[i] && hash_of(i) != pictures[i])
            TEST_FAIL("%s: picture %d is another", which, i);
        pictures[i] = hash_of(i);
    }
}

static void watch_replay(void *opaque, struct ph_graph *g)
{
    (void) opaque;
    r.sub = (struct ph_subscriber){ .deliver = run_deliver, .opaque = &r };
    ph_graph_subscribe(g, "live", &r.sub);
}

static void leave_replay(void *opaque, struct ph_graph *g)
{
    (void) opaque;
    ph_graph_unsubscribe(g, &r.sub);
}

TEST_LIMIT(a_live_session_of_200_pictures_and_22_changes_comes_again_to_the_same_bytes, 580)
{
    char journal[64];
    struct ph_fault fault = { 0 };
    snprintf(journal, sizeof journal, "/tmp/ph-diffusion-%d", (int) getpid());
    open_live(with_model("pattern ball size=32x32 fps=0 -> d: diffusion %s -> live"), SESSION,
              journal);
    for (int i = 0; i < CHANGES; i++) {
        await_frames(5 + 9 * i);
        CHECK_OK(
            ph_graph_set(r.graph, (uint64_t) i + 1, "d", script[i][0], script[i][1], &fault));
        if (i == 10) CHECK_OK(ph_graph_cut(r.graph, 99, (struct ph_cut){ .hard = true }));
    }
    CHECK_INT(ph_graph_wait(r.graph, -1), ==, PH_EOF);
    note_pictures();
    run_close(&r);
    for (int i = 0; i < 2; i++) {
        struct ph_replay_params par = { .started = watch_replay, .ended = leave_replay };
        if (ph_replay(journal, &par, &fault) < 0) TEST_FAIL("%s", fault.message);
        check_pictures(i ? "the second replay" : "the first replay");
        run_forget(&r);
    }
    unlink(journal);
}

TEST_LIMIT(a_painting_of_many_steps_does_not_hold_up_the_end, 240)
{
    open_live(
        with_model("pattern bars size=64x64 fps=0 -> d: diffusion painting=whole steps=32 "
                   "%s -> live"),
        0, NULL);
    await_frames(1);
    ph_graph_destroy(&r.graph); // in the midst of one; it ends, and without a complaint
    CHECK_STR(r.problem, "");
    run_forget(&r);
}
