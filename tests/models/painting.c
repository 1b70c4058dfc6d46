// SPDX-License-Identifier: MIT
// Painting with whole folders of small random models: two text encoders, a ControlNet, both kinds of
// autoencoders; what settings do, and what happens where something is wrong or memory runs out.
#include <phosphene/frame.h>
#include <phosphene/model.h>

#include <sched.h>

#include "../alloc_count.h"
#include "nn/plan_priv.h"
#include "small.h"

// ------------------------------------------------------------------------------ what counts
static void check_conditions(struct ph_diffuser *d, struct ph_diffuser_settings s)
{
    struct ph_prompt other = { "猫の写真, another thing", 1 };
    struct shot a = paint_as(d, &s), b = paint_as(d, &s);
    CHECK(memcmp(&a, &b, sizeof a) == 0);
    s.prompts = &other;
    b = paint_as(d, &s);
    CHECK_DIFFERS(a, b);
    s.prompts = &words;
    s.guidance = "full";
    s.guidance_scale = 5;
    s.negative = words.text; // away from what it goes to: nowhere
    b = paint_as(d, &s);
    CHECK_SAME(a, b);
    s.negative = "rain";
    b = paint_as(d, &s);
    CHECK_DIFFERS(a, b);
}

TEST(whole_paintings_with_two_text_encoders_read_both_prompts)
{
    struct ph_diffuser *d = open_it(xl(), NULL);
    struct ph_diffuser_settings s = settings(PH_PAINT_WHOLE, 3);
    s.sampler = "euler";
    check_conditions(d, s);
    s.from_picture = false;
    check_conditions(d, s);
    ph_diffuser_close(&d);
}

TEST(streams_with_two_text_encoders_read_both_prompts)
{
    struct ph_diffuser *d = open_it(xl(), NULL);
    check_conditions(d, settings(PH_PAINT_STREAM, 2));
    ph_diffuser_close(&d);
}

// Columns of the first, then of the second; its pooled vector after all.
TEST(embeddings_of_two_text_encoders_stand_side_by_side)
{
    struct ph_diffuser *d = open_it(xl(), NULL);
    struct ph_embedding *e;
    struct ph_fault fault = { 0 };
    CHECK_INT(ph_text_size(d->maker.text), ==, 12 * 24 + 10);
    CHECK_INT(ph_text_embed(d->maker.text, "a", &e, &fault), ==, PH_OK);
    for (int part = 0; part < 3; part++) {
        static const int first[] = { 0, 16, 12 * 24 }, count[] = { 16, 8, 10 };
        double sum = 0;
        for (int i = 0; i < count[part]; i++) sum += fabs((double) e->data[first[part] + i]);
        CHECK_NUM(sum, >, 1e-3);
    }
    CHECK(memcmp(e->data, e->data + 24, 24 * sizeof *e->data) != 0); // places differ
    ph_embedding_unref(&e);
    ph_diffuser_close(&d);
}

static void check_control(const char *folder, const char *hint, struct ph_diffuser_settings s)
{
    struct ph_diffuser *with = open_it(folder, hint), *without = open_it(folder, NULL);
    struct shot plain = paint_as(without, &s);
    s.control_scale = 0;
    struct shot off = paint_as(with, &s);
    CHECK_SAME(plain, off);
    s.control_scale = 2;
    struct shot on = paint_as(with, &s);
    CHECK_DIFFERS(plain, on);
    struct ph_picture in, out;
    struct shot a, b;
    struct ph_fault fault = { 0 };
    gradient(&a, 0);
    in = picture(&a, s.width, s.height);
    out = picture(&b, s.width, s.height);
    CHECK_INT(ph_diffuser_paint(with, &in, NULL, &out, NULL, &fault), ==, PH_EINVAL);
    CHECK_STR(fault.field, "control");
    ph_diffuser_close(&with);
    ph_diffuser_close(&without);
}

TEST(a_controlnet_steers_both_ways_of_painting)
{
    add_module("hint", UNET("ControlNetModel", "16", HINT));
    const char *folder = small();
    check_control(folder, in_base("hint"), settings(PH_PAINT_STREAM, 2));
    struct ph_diffuser_settings s = settings(PH_PAINT_WHOLE, 2);
    s.sampler = "euler";
    check_control(folder, in_base("hint"), s);
}

TEST(a_controlnet_steers_a_model_with_two_text_encoders)
{
    add_module("hint-xl", UNET("ControlNetModel", "24", HINT));
    struct ph_diffuser_settings s = settings(PH_PAINT_WHOLE, 2);
    s.sampler = "euler";
    check_control(xl(), in_base("hint-xl"), s);
}

// ------------------------------------------------------------------------------ settings
TEST(every_sampler_of_the_contract_can_be_chosen)
{
    static const char *const names[] = { "auto", "lcm", "euler",   "euler_a",
                                         "ddim", "tcd", "dpmpp_2m" };
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_diffuser_settings s = settings(PH_PAINT_WHOLE, 4);
    s.from_picture = false;
    struct shot all[7];
    for (int i = 0; i < 7; i++) {
        s.sampler = names[i];
        all[i] = paint_as(d, &s);
        for (int k = 1; k < i; k++) CHECK_DIFFERS(all[i], all[k]);
    }
    ph_diffuser_close(&d);
}

TEST(a_seed_of_no_weight_leaves_no_noise_in_any_step)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_diffuser_settings s = settings(PH_PAINT_WHOLE, 4);
    struct ph_seed two[2] = { { 5, 0 }, { 9, 1 } }, one = { 9, 1 };
    s.from_picture = false;
    s.sampler = "euler_a";
    s.seeds = two;
    s.seed_count = 2;
    struct shot a = paint_as(d, &s);
    s.seeds = &one;
    s.seed_count = 1;
    struct shot b = paint_as(d, &s);
    CHECK_SAME(a, b);
    ph_diffuser_close(&d);
}

static bool count_step(void *arg, int done, int of)
{
    *(int *) arg = of;
    return done > of;
}

TEST(no_strength_is_the_last_step_alone_and_not_all_of_them)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_diffuser_settings s = settings(PH_PAINT_WHOLE, 10);
    int steps = 0;
    s.sampler = "euler";
    ph_diffuser_on_step(d, count_step, &steps);
    s.strength = 0.5f;
    paint_as(d, &s);
    CHECK_INT(steps, ==, 5);
    s.strength = 0;
    paint_as(d, &s);
    CHECK_INT(steps, ==, 1);
    ph_diffuser_close(&d);
}

static bool stop_it(void *arg, int done, int of)
{
    (void) arg;
    (void) of;
    return done == 1;
}

TEST(a_stopped_painting_is_not_fed_back)
{
    struct ph_diffuser *d = open_it(small(), NULL), *never = open_it(small(), NULL);
    struct ph_diffuser_settings s = settings(PH_PAINT_WHOLE, 4);
    struct ph_fault fault = { 0 };
    struct shot a, b;
    s.sampler = "euler";
    s.latent_feedback = 0.4f;
    set(d, &s);
    set(never, &s);
    paint(d, &a);
    paint(never, &b);
    ph_diffuser_on_step(d, stop_it, NULL);
    CHECK_INT(try_paint(d, 60, &a, NULL, &fault), ==, PH_ESTOPPED);
    ph_diffuser_on_step(d, NULL, NULL);
    paint(d, &a);
    paint(never, &b);
    CHECK_SAME(a, b);
    ph_diffuser_close(&d);
    ph_diffuser_close(&never);
}

TEST(a_transition_goes_on_through_another_size)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 1);
    struct ph_prompt other = { "rain", 1 };
    struct shot out;
    set(d, &s);
    paint(d, &out);
    s.prompts = &other;
    s.transition = 4;
    set(d, &s);
    paint(d, &out);
    s.width = 48;
    set(d, &s);
    const struct ph_easel *e = &d->easel;
    size_t bytes = sizeof(float) * (size_t) e->text_len;
    for (int i = 0; i < 3; i++) {
        CHECK(memcmp(e->words, e->to, bytes) != 0);
        paint(d, &out);
        CHECK_INT(e->width, ==, 48);
    }
    CHECK(memcmp(e->words, e->to, bytes) == 0 && !e->in_transition);
    ph_diffuser_close(&d);
}

// ------------------------------------------------------------------------------ what is wrong
static void wish_style(struct ph_diffuser *d, struct ph_diffuser_settings s, const char *path)
{
    struct ph_style style = { path, 1 };
    struct ph_fault fault = { 0 };
    s.styles = &style;
    s.style_count = 1;
    CHECK_INT(ph_diffuser_set(d, &s, &fault), ==, PH_OK);
}

TEST(each_wish_that_cannot_be_is_told_once)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 1);
    struct ph_painted painted;
    struct ph_fault fault = { 0 };
    struct shot out;
    set(d, &s);
    paint(d, &out);
    for (int i = 0; i < 2; i++) { // the second, too, though none was painted in between
        wish_style(d, s, i ? "/no/second" : "/no/first");
        CHECK(ph_diffuser_settle(d, &fault) < 0);
        CHECK_INT(try_paint(d, 0, &out, &painted, &fault), ==, PH_OK);
        CHECK(strstr(painted.problem.message, i ? "/no/second" : "/no/first"));
        if (i) CHECK_INT(try_paint(d, 0, &out, &painted, &fault), ==, PH_OK);
        if (i) CHECK_INT(painted.problem.code, ==, PH_OK);
    }
    wish_style(d, s, "/no/third");
    ph_diffuser_set(d, &s, &fault); // maybe while the third is being made
    CHECK_INT(ph_diffuser_settle(d, &fault), ==, PH_OK);
    ph_diffuser_close(&d);
}

struct gate {
    struct ph_device *device;
    pthread_mutex_t lock;
};

static void wait_at(void *arg)
{
    struct gate *g = arg;
    pthread_mutex_lock(&g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void *hold(void *arg)
{
    ph_device_call(((struct gate *) arg)->device, wait_at, arg);
    return NULL;
}

static uint64_t calls(struct ph_device *d)
{
    pthread_mutex_lock(&d->lock);
    uint64_t n = d->ticket;
    pthread_mutex_unlock(&d->lock);
    return n;
}

// Upstream's demo lines up whatever comes while the model is busy, and falls behind for ever.
TEST(a11_6_wishes_do_not_line_up_while_the_model_is_busy)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 1);
    struct ph_prompt prompt = { "the first", 1 };
    struct gate g = { d->maker.device, PTHREAD_MUTEX_INITIALIZER };
    struct ph_painted painted;
    struct ph_fault fault = { 0 };
    struct shot out;
    char text[32];
    pthread_t holder;
    set(d, &s);
    uint64_t before = calls(g.device);
    s.prompts = &prompt;
    set(d, &s);
    uint64_t one = calls(g.device) - before;
    CHECK_INT(one, >, 0);
    pthread_mutex_lock(&g.lock);
    before = calls(g.device);
    CHECK_INT(pthread_create(&holder, NULL, hold, &g), ==, 0);
    while (calls(g.device) == before) sched_yield();
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "wish %d", i);
        prompt.text = text;
        CHECK_INT(ph_diffuser_set(d, &s, &fault), ==, PH_OK);
    }
    pthread_mutex_unlock(&g.lock);
    CHECK_INT(pthread_join(holder, NULL), ==, 0);
    CHECK_INT(ph_diffuser_settle(d, &fault), ==, PH_OK);
    CHECK_INT(calls(g.device) - before, <=, 1 + 2 * one); // the one under way, and the last
    CHECK_INT(try_paint(d, 0, &out, &painted, &fault), ==, PH_OK);
    CHECK_INT(painted.landed, ==, 102);
    ph_diffuser_close(&d);
}

static void refused(const char *folder, const char *field, const char *says)
{
    struct ph_diffuser *d;
    struct ph_fault fault = { 0 };
    struct ph_diffuser_params params = { .model = folder, .device = "cpu:threads=1" };
    CHECK(ph_diffuser_open(&params, &d, &fault) < 0);
    CHECK_STR(fault.field, field);
    if (!strstr(fault.message, says)) TEST_FAIL("%s", fault.message);
}

TEST(two_text_encoders_of_different_lengths_are_refused)
{
    const char *folder = model("long", true, TAESD("8,8,8,8", "1,1,1,1"),
                               CLIP("CLIPTextModelWithProjection", "8", "40"));
    refused(folder, "max_position_embeddings", "12 tokens, the other 40");
}

TEST(an_autoencoder_of_another_scale_is_refused_by_name)
{
    struct ph_diffuser *d = open_it(model("four", false, TAESD("8,8,8", "1,1,1"), NULL), NULL);
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 1);
    struct ph_fault fault = { 0 };
    for (int i = 0; i < 2; i++) {
        s.from_picture = i;
        CHECK_INT(ph_diffuser_set(d, &s, &fault), ==, PH_OK);
        CHECK_INT(ph_diffuser_settle(d, &fault), ==, PH_ENOTSUP);
        CHECK_STR(fault.field, "vae");
        CHECK(strstr(fault.message, "shrink pictures by 8"));
    }
    ph_diffuser_close(&d);
}

TEST(settings_that_cannot_be_name_themselves)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_fault fault = { 0 };
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 1);
    s.prompts = NULL;
    CHECK_INT(ph_diffuser_set(d, &s, &fault), ==, PH_EINVAL);
    CHECK_STR(fault.field, "prompts");
    s = settings(PH_PAINT_STREAM, 1);
    s.style_count = 1;
    CHECK_INT(ph_diffuser_set(d, &s, &fault), ==, PH_EINVAL);
    CHECK_STR(fault.field, "styles");
    s = settings(PH_PAINT_STREAM, 10);
    s.table = 5;
    ph_err ret = ph_diffuser_set(d, &s, &fault);
    if (ret >= 0) ret = ph_diffuser_settle(d, &fault);
    CHECK_INT(ret, ==, PH_EINVAL);
    ph_diffuser_close(&d);
}

// ------------------------------------------------------------------------------ memory
static void check_no_allocation(struct ph_diffuser *d, const struct ph_diffuser_settings *s)
{
    struct shot out;
    set(d, s);
    for (int i = 0; i < 3; i++) paint(d, &out);
    alloc_watch("");
    for (int i = 0; i < 4; i++) paint(d, &out);
    long count = alloc_watched();
    alloc_watch(NULL);
    if (count) TEST_FAIL("%ld times, %s", count, alloc_first());
}

TEST(pictures_allocate_nothing)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 2);
    struct ph_seed two[2] = { { 5, 1 }, { 9, 1 } };
    s.seeds = two;
    s.seed_count = 2;
    s.similar = 0.9f;
    s.similar_max = 1;
    s.latent_feedback = s.picture_feedback = s.smooth = 0.1f;
    s.guidance = "self";
    s.guidance_scale = 2;
    check_no_allocation(d, &s);
    s.painting = PH_PAINT_WHOLE;
    s.guidance = "full";
    s.sampler = "euler_a";
    check_no_allocation(d, &s);
    ph_diffuser_close(&d);
}

// What lands needs memory; without it the settings before stay, and are painted with.
TEST_LIMIT(without_memory_to_land_the_settings_before_stay, 120)
{
    struct ph_diffuser *d = open_it(small(), NULL);
    struct ph_diffuser_settings a = settings(PH_PAINT_STREAM, 1), b = a;
    struct ph_seed two[2] = { { 5, 1 }, { 9, 1 } };
    struct ph_painted painted;
    struct ph_fault fault = { 0 };
    struct shot before = paint_as(d, &a), out;
    b.width = 48;
    b.steps = 3;
    b.seeds = two;
    b.seed_count = 2;
    long n = 0;
    for (bool landed = false; !landed; n++) {
        set(d, &b);
        struct shot in;
        gradient(&in, 0);
        struct ph_picture i = picture(&in, 32, 24), o = picture(&out, 32, 24);
        memset(&out, 0, sizeof out);
        ph_diffuser_cut(d);
        alloc_fail_only(n);
        ph_err ret = ph_diffuser_paint(d, &i, NULL, &o, &painted, &fault);
        alloc_fail_from(-1);
        landed = d->easel.width == 48;
        CHECK_INT(ret, ==, landed ? PH_EINVAL : PH_OK); // another size is asked for then
        if (landed) break;
        CHECK_INT(painted.problem.code, ==, PH_ENOMEM);
        CHECK(memcmp(before.rgba, out.rgba, sizeof out.rgba) == 0);
    }
    CHECK_INT(n, >, 10);
    paint(d, &out);
    out = paint_as(d, &a); // a smaller one afterwards works
    CHECK_SAME(before, out);
    ph_diffuser_close(&d);
}

// On this thread; that of the device is told about in nn.
TEST_LIMIT(without_memory_to_open_or_to_make_there_is_an_error_and_nothing_else, 240)
{
    struct ph_fault fault;
    struct ph_maker m;
    struct ph_wish *wish;
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 2);
    struct ph_diffuser_params params = { .model = xl(), .device = "cpu:threads=1" };
    struct ph_device *d;
    CHECK_INT(ph_device_open(params.device, &d, &fault), ==, PH_OK);
    long step = 1;
    for (long n = 0; step; n += step) {
        fault = (struct ph_fault){ 0 };
        alloc_fail_only(n);
        ph_err ret = ph_maker_open(&params, (struct ph_stop){ 0 }, &m, &fault);
        long failed = alloc_failed();
        alloc_fail_from(-1);
        if (ret >= 0) ph_maker_close(&m);
        CHECK(ret == PH_OK || ret == PH_ENOMEM);
        step = failed ? n < 30 ? 1 : 1 + n / 20 : 0;
    }
    CHECK_INT(ph_maker_open(&params, (struct ph_stop){ 0 }, &m, &fault), ==, PH_OK);
    step = 1;
    for (long n = 0; step; n += step) {
        struct ph_made *made = NULL;
        alloc_fail_only(n);
        ph_err ret = ph_wish_create(&s, &m, &wish, &fault);
        if (ret >= 0) made = ph_make(&m, wish, NULL);
        long failed = alloc_failed();
        alloc_fail_from(-1);
        if (made && made->ret < 0)
            CHECK(made->fault.code == made->ret && made->ret == PH_ENOMEM);
        ph_made_unref(&made);
        step = failed ? n < 30 ? 1 : 1 + n / 20 : 0;
    }
    ph_maker_close(&m);
    ph_device_unref(&d);
}

// ------------------------------------------------------------------------------ no words
TEST(without_a_negative_prompt_sdxl_gets_zeros_unless_its_folder_says_otherwise)
{
    static const char *const index[] = { NULL, "{\"force_zeros_for_empty_prompt\":true}",
                                         "{\"force_zeros_for_empty_prompt\":false}", "{}" };
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 1);
    const char *folder = xl();
    for (int i = 0; i < 4; i++) {
        struct shot out;
        if (index[i]) file_write(folder, "model_index.json", index[i]);
        struct ph_diffuser *d = open_it(folder, NULL);
        for (int given = 0; given < 2; given++) {
            double sum = 0;
            s.negative = given ? "grey" : "";
            set(d, &s);
            paint(d, &out);
            for (int64_t k = 0; k < d->easel.text_len; k++)
                sum += fabs((double) d->now->negative->data[k]);
            CHECK_INT(sum == 0, ==, !given && i != 2);
        }
        ph_diffuser_close(&d);
    }
    file_write(folder, "model_index.json", "{"); // of another model it matters nothing
    struct ph_diffuser_params params = { .model = folder };
    struct ph_diffuser *d;
    struct ph_fault fault = { 0 };
    CHECK_INT(ph_diffuser_open(&params, &d, &fault), ==, PH_EFORMAT);
    CHECK_HAS(fault.message, "model_index.json");
}

// ------------------------------------------------------------------------------ stopping
struct asked {
    _Atomic int count, stop_at, wait_at; // the numbers of questions; 0 = none
    _Atomic bool waiting;
    struct ph_diffuser *_Atomic d;
};

static bool ask(void *arg)
{
    struct asked *a = arg;
    int n = ++a->count;
    if (n == a->wait_at) { // until it is being closed
        a->waiting = true;
        while (!a->d || !a->d->quit) sched_yield();
    }
    return a->stop_at && n >= a->stop_at;
}

static struct ph_diffuser *open_asking(struct asked *a)
{
    struct ph_diffuser *d;
    struct ph_fault fault = { 0 };
    struct ph_diffuser_params params = {
        .model = small(), .device = "cpu:threads=1", .stop = ask, .stop_arg = a
    };
    if (ph_diffuser_open(&params, &d, &fault) < 0) TEST_FAIL("%s", fault.message);
    return d;
}

TEST(a_painting_that_is_stopped_runs_no_step_more)
{
    struct asked a = { 0 };
    struct shot out;
    struct ph_fault fault = { 0 };
    struct ph_diffuser *d = open_asking(&a);
    struct ph_diffuser_settings s = settings(PH_PAINT_WHOLE, 8);
    set(d, &s);
    paint(d, &out);
    a.count = 0;
    paint(d, &out);
    int steps = a.count; // of a whole painting: several models, each of many steps
    CHECK_INT(steps, >, 8 * 20);
    for (int at = 1; at < steps; at += 37) {
        a.count = 0;
        a.stop_at = at;
        CHECK_INT(try_paint(d, 0, &out, NULL, &fault), ==, PH_ESTOPPED);
        CHECK_INT(a.count, ==, at);
    }
    a.stop_at = 0;
    paint(d, &out);
    ph_diffuser_close(&d);
}

// What the maker's thread does, the text encoder first, is left where it is.
TEST(closing_does_not_wait_for_what_is_being_made)
{
    struct asked whole = { 0 };
    struct ph_diffuser_settings s = settings(PH_PAINT_STREAM, 1);
    struct ph_diffuser *d = open_asking(&whole);
    set(d, &s);
    ph_diffuser_close(&d);
    CHECK_INT(whole.count, >, 100);
    for (int at = 3; at < whole.count; at += 60) {
        struct asked a = { .wait_at = at };
        struct ph_fault fault = { 0 };
        d = open_asking(&a);
        a.d = d;
        CHECK_OK(ph_diffuser_set(d, &s, &fault));
        while (!a.waiting) sched_yield();
        ph_diffuser_close(&d);
        CHECK_INT(a.count, ==, at); // nothing more was done
    }
}
