// SPDX-License-Identifier: MIT
// A diffuser from its folder to the picture, against itself; the golden runner has the reference.
#include <phosphene/frame.h>
#include <phosphene/model.h>

#include "../golden.h"
#include "models/diffuser/diffuser.h"
#include "nn/weights.h"

#define PIPELINE "diffusion/models/pipe_sd15_tiny"

static struct ph_diffuser *open_tiny(const char *precision)
{
    struct ph_diffuser *d;
    struct ph_fault fault = { 0 };
    golden(PIPELINE "/model_index.json");
    struct ph_diffuser_params params = { .model = golden(PIPELINE), .precision = precision };
    if (ph_diffuser_open(&params, &d, &fault) < 0) TEST_FAIL("%s", fault.message);
    return d;
}

static struct ph_diffuser_settings settings(int width, int height, const char *prompt)
{
    static struct ph_prompt one;
    struct ph_diffuser_settings s;
    ph_diffuser_defaults(&s);
    one = (struct ph_prompt){ prompt, 1 };
    s.width = width;
    s.height = height;
    s.prompts = &one;
    s.prompt_count = 1;
    return s;
}

static void set(struct ph_diffuser *d, const struct ph_diffuser_settings *s)
{
    struct ph_fault fault = { 0 };
    if (ph_diffuser_set(d, s, &fault) < 0 || ph_diffuser_settle(d, &fault) < 0)
        TEST_FAIL("%s: %s", fault.field, fault.message);
}

struct canvas {
    struct ph_frame *frame;
    struct ph_picture *p;
};

static struct canvas canvas(int width, int height)
{
    struct canvas c;
    CHECK_INT(ph_frame_picture(NULL, PH_RGBA, width, height, &c.frame), ==, PH_OK);
    c.p = &c.frame->picture;
    return c;
}

static void gradient(struct canvas c, int shift)
{
    for (int y = 0; y < c.p->height; y++)
        for (int x = 0; x < c.p->width; x++) {
            uint8_t *at = c.p->data[0] + y * c.p->stride[0] + x * 4;
            at[0] = (uint8_t) (x * 3 + shift);
            at[1] = (uint8_t) (y * 5);
            at[2] = (uint8_t) (x + y + shift * 2);
            at[3] = 255;
        }
}

static void paint(struct ph_diffuser *d, struct canvas *in, struct canvas out,
                  struct ph_painted *painted)
{
    struct ph_fault fault = { 0 };
    if (ph_diffuser_paint(d, in ? in->p : NULL, NULL, out.p, painted, &fault) < 0)
        TEST_FAIL("%s: %s", fault.field, fault.message);
}

// ------------------------------------------------------------------------------ live
static bool same(struct canvas a, struct canvas b)
{
    for (int y = 0; y < a.p->height; y++)
        if (memcmp(a.p->data[0] + y * a.p->stride[0], b.p->data[0] + y * b.p->stride[0],
                   (size_t) a.p->width * 4))
            return false;
    return true;
}

static int farthest_of(struct canvas a, struct canvas b)
{
    int most = 0;
    for (int y = 0; y < a.p->height; y++)
        for (int x = 0; x < a.p->width * 4; x++) {
            int off = abs(a.p->data[0][y * a.p->stride[0] + x] -
                          b.p->data[0][y * b.p->stride[0] + x]);
            most = off > most ? off : most;
        }
    return most;
}

// Every setting changes while pictures go on; each change shows, or rightly does not.
TEST_LIMIT(every_setting_changes_between_two_pictures, 240)
{
    struct ph_diffuser *d = open_tiny(NULL);
    struct canvas in = canvas(64, 64), out = canvas(64, 64), before = canvas(64, 64);
    struct ph_prompt two[] = { { "a red fox in the snow", 1 }, { "a blue house", 1 } };
    struct ph_seed seeds[] = { { 5, 1 }, { 6, 2 } };
    struct ph_diffuser_settings s = settings(64, 64, "a red fox in the snow");
    set(d, &s);
    gradient(in, 0);
    struct ph_painted painted;
    for (int change = 0; change < 14; change++) {
        paint(d, &in, before, NULL);
        switch (change) {
        case 0:
            s.prompts = two;
            s.prompt_count = 2;
            break;
        case 1: s.steps = 4; break;
        case 2:
            s.negative = "blurry";
            s.guidance = "full";
            s.guidance_scale = 3;
            break;
        case 3: s.guidance = "initialize"; break;
        case 4:
            s.guidance = "self";
            s.delta = 0.5f;
            break;
        case 5: s.guidance_scale = 1.5f; break;
        case 6:
            s.seeds = seeds;
            s.seed_count = 2;
            break;
        case 7: s.strength = 0.9f; break;
        case 8:
            s.steps = 2;
            s.sampler = "ddim";
            break;
        case 9:
            s.blend_linear = true;
            s.prompts = two + 1;
            s.prompt_count = 1;
            break;
        case 10: s.guidance = "none"; break;
        case 11: s.painting = PH_PAINT_WHOLE; break;
        case 12: s.from_picture = false; break;
        case 13:
            s.painting = PH_PAINT_STREAM;
            s.sampler = "lcm";
            break;
        }
        set(d, &s);
        paint(d, s.from_picture ? &in : NULL, out, &painted);
        CHECK_INT(painted.landed, ==, change + 2);
        // A stream from noise shows what was there until its own first picture is done.
        if (same(before, out) != painted.warming) TEST_FAIL("change %d shows wrongly", change);
        for (int i = 0; i < 4; i++) paint(d, s.from_picture ? &in : NULL, out, &painted);
        if (same(before, out)) TEST_FAIL("change %d does not show", change);
        CHECK_INT(painted.landed, ==, change + 2);
    }
    ph_frame_unref(&in.frame);
    ph_frame_unref(&out.frame);
    ph_frame_unref(&before.frame);
    ph_diffuser_close(&d);
}

TEST_LIMIT(the_same_calls_give_the_same_bytes_and_another_size_comes_and_goes, 240)
{
    uint8_t first[64 * 64 * 4];
    for (int round = 0; round < 2; round++) {
        struct ph_diffuser *d = open_tiny(round ? "bf16" : "bf16");
        struct canvas in = canvas(64, 64), out = canvas(64, 64), wide = canvas(96, 48);
        struct ph_diffuser_settings s = settings(64, 64, "a red fox in the snow");
        s.steps = 2;
        set(d, &s);
        gradient(in, 1);
        for (int i = 0; i < 3; i++) paint(d, &in, out, NULL);
        s.width = 96;
        s.height = 48;
        set(d, &s);
        struct ph_fault fault = { 0 };
        CHECK_INT(ph_diffuser_paint(d, in.p, NULL, wide.p, NULL, &fault), ==, PH_EINVAL);
        CHECK_HAS(fault.message, "rgba 64x64, expected rgba 96x48");
        paint(d, &wide, wide, NULL);
        s.width = s.height = 64;
        set(d, &s);
        for (int i = 0; i < 3; i++) paint(d, &in, out, NULL);
        for (int y = 0; y < 64; y++) {
            uint8_t *row = out.p->data[0] + y * out.p->stride[0];
            if (round) CHECK(memcmp(first + y * 256, row, 256) == 0);
            memcpy(first + y * 256, row, 256);
        }
        ph_frame_unref(&in.frame);
        ph_frame_unref(&out.frame);
        ph_frame_unref(&wide.frame);
        ph_diffuser_close(&d);
    }
}

TEST(a_transition_ends_exactly_where_a_cut_would_have_gone)
{
    struct ph_diffuser *d = open_tiny(NULL);
    struct canvas in = canvas(64, 64), out = canvas(64, 64), cut = canvas(64, 64);
    struct ph_diffuser_settings s = settings(64, 64, "a blue house");
    gradient(in, 0);
    set(d, &s);
    paint(d, &in, cut, NULL);
    s = settings(64, 64, "a red fox in the snow");
    set(d, &s);
    paint(d, &in, out, NULL);
    s = settings(64, 64, "a blue house");
    s.transition = 5;
    set(d, &s);
    for (int i = 0; i < 5; i++) {
        paint(d, &in, out, NULL);
        CHECK(same(out, cut) == (i == 4));
        if (i == 1) { // another setting does not end it
            s.similar_max = 3;
            set(d, &s);
        }
    }
    ph_frame_unref(&in.frame);
    ph_frame_unref(&out.frame);
    ph_frame_unref(&cut.frame);
    ph_diffuser_close(&d);
}

TEST(a_still_scene_is_not_painted_again_and_that_is_counted)
{
    struct ph_diffuser *d = open_tiny(NULL);
    struct canvas in = canvas(64, 64), out = canvas(64, 64);
    struct ph_diffuser_settings s = settings(64, 64, "a blue house");
    struct ph_painted painted;
    s.similar = 0.98f;
    s.similar_max = 3;
    set(d, &s);
    int skipped = 0;
    for (int i = 0; i < 12; i++) {
        gradient(in, i < 8 ? 0 : i * 40);
        paint(d, &in, out, &painted);
        skipped += painted.skipped;
        CHECK(!painted.skipped || painted.model_ns == 0);
        if (i > 8) CHECK(!painted.skipped);
    }
    CHECK_INT(skipped, ==, 6); // after the first, three in a row, twice
    ph_diffuser_cut(d);
    paint(d, &in, out, &painted);
    CHECK(!painted.skipped);
    ph_frame_unref(&in.frame);
    ph_frame_unref(&out.frame);
    ph_diffuser_close(&d);
}

// ------------------------------------------------------------------------------ bad input
static void refused(struct ph_diffuser *d, struct ph_diffuser_settings s, const char *field,
                    const char *part)
{
    struct ph_fault fault = { 0 };
    ph_err ret = ph_diffuser_set(d, &s, &fault);
    if (ret == PH_OK) ret = ph_diffuser_settle(d, &fault);
    CHECK_INT(ret, <, 0);
    CHECK_STR(fault.field, field);
    CHECK_HAS(fault.message, part);
}

TEST(what_cannot_be_leaves_what_is_and_names_itself)
{
    struct ph_diffuser *d = open_tiny(NULL);
    struct canvas in = canvas(64, 64), out = canvas(64, 64), before = canvas(64, 64);
    struct ph_diffuser_settings good = settings(64, 64, "a blue house"), s;
    struct ph_fault fault = { 0 };
    gradient(in, 0);
    CHECK_INT(ph_diffuser_paint(d, in.p, NULL, out.p, NULL, &fault), ==, PH_EBUSY);
    set(d, &good);
    paint(d, &in, before, NULL);
    s = good, s.width = 65;
    refused(d, s, "width", "width is 65, expected a multiple of 8 from 16 to 4096, such as 64");
    s = good, s.steps = 0;
    refused(d, s, "steps", "steps is 0, expected 1 to 32");
    s = good, s.strength = NAN;
    refused(d, s, "strength", "expected 0 to 1");
    s = good, s.sampler = "heun";
    refused(d, s, "sampler", "no sampler \"heun\"; there are auto, lcm, euler");
    s = good, s.guidance = "much", s.guidance_scale = 2;
    refused(d, s, "guidance", "no guidance \"much\"");
    s = good, s.steps = 2, s.index = (const int[]){ 30, 20 };
    refused(d, s, "index", "index has 20, expected 2 rising places from 0 to 49");
    struct ph_style style = { golden("diffusion/cases/11_lora/lora.safetensors"), 1 };
    s = good, s.styles = &style, s.style_count = 1;
    ph_err ret = ph_diffuser_set(d, &s, &fault);
    CHECK_INT(ret, ==, PH_OK);
    CHECK_INT(ph_diffuser_settle(d, &fault), <, 0);
    struct ph_painted painted;
    paint(d, &in, out, &painted);
    CHECK_INT(painted.problem.code, <, 0); // told once
    CHECK(same(before, out));
    paint(d, &in, out, &painted);
    CHECK_INT(painted.problem.code, ==, PH_OK);
    CHECK(same(before, out));
    ph_frame_unref(&in.frame);
    ph_frame_unref(&out.frame);
    ph_frame_unref(&before.frame);
    ph_diffuser_close(&d);
}

TEST_LIMIT(a_style_changes_the_picture_and_leaves_no_trace_when_it_goes, 240)
{
    struct ph_diffuser *d = open_tiny(NULL);
    struct canvas in = canvas(64, 64), out = canvas(64, 64), before = canvas(64, 64);
    struct ph_diffuser_settings s = settings(64, 64, "a blue house");
    struct ph_style style = { golden("diffusion/models/lora/kohya.safetensors"), 0.8f };
    gradient(in, 0);
    set(d, &s);
    paint(d, &in, before, NULL);
    s.styles = &style;
    s.style_count = 1;
    set(d, &s);
    paint(d, &in, out, NULL);
    CHECK(!same(before, out));
    style.scale = 0.2f;
    set(d, &s);
    paint(d, &in, out, NULL);
    CHECK(!same(before, out));
    s.style_count = 0;
    set(d, &s);
    paint(d, &in, out, NULL);
    CHECK(same(before, out));
    ph_frame_unref(&in.frame);
    ph_frame_unref(&out.frame);
    ph_frame_unref(&before.frame);
    ph_diffuser_close(&d);
}

// Its modules have the names of this model's and the shapes of another's.
TEST(a_lora_for_another_model_is_refused_with_its_first_tensor_that_does_not_fit)
{
    static const char layer[] =
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
    static const struct {
        const char *module;
        int64_t width;
        const char *says;
    } cases[] = {
        { layer, 1234, "makes [1234, 1234], the layer is" },
        { "unet.down_blocks.7.attentions.0.transformer_blocks.0.attn1.to_q", 8, "no layer" },
        { "text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj", 8, "has not" },
    };
    struct ph_diffuser *d = open_tiny(NULL);
    struct canvas in = canvas(64, 64), out = canvas(64, 64), before = canvas(64, 64);
    struct ph_diffuser_settings s = settings(64, 64, "a blue house");
    gradient(in, 0);
    set(d, &s);
    paint(d, &in, before, NULL);
    for (int i = 0; i < 3; i++) {
        char path[64], down[160], up[160];
        struct ph_fault fault = { 0 };
        struct ph_painted painted;
        snprintf(path, sizeof path, "/tmp/ph-other-%d.safetensors", (int) getpid());
        snprintf(down, sizeof down, "%s.lora_A.weight", cases[i].module);
        snprintf(up, sizeof up, "%s.lora_B.weight", cases[i].module);
        const struct ph_named_tensor tensors[] = {
            { down, { PH_F32, 2, { 2, cases[i].width }, NULL } },
            { up, { PH_F32, 2, { cases[i].width, 2 }, NULL } },
        };
        CHECK_OK(ph_weights_save(path, tensors, 2, 1, &fault));
        struct ph_style style = { path, 1 };
        s.styles = &style;
        s.style_count = 1;
        CHECK_OK(ph_diffuser_set(d, &s, &fault));
        CHECK_INT(ph_diffuser_settle(d, &fault), ==, PH_EFORMAT);
        unlink(path);
        CHECK_HAS(fault.message, path + strlen("/tmp/"));
        CHECK_HAS(fault.message, "is for another model");
        CHECK_HAS(fault.message, cases[i].module);
        CHECK_HAS(fault.message, cases[i].says);
        paint(d, &in, out, &painted);
        CHECK_INT(painted.problem.code, ==, PH_EFORMAT);
        CHECK(same(before, out)); // what was goes on
    }
    ph_frame_unref(&in.frame);
    ph_frame_unref(&out.frame);
    ph_frame_unref(&before.frame);
    ph_diffuser_close(&d);
}

// Another style is another model, of the same shape.
TEST(memory_of_pictures_outlives_a_change_of_style)
{
    struct ph_diffuser *with = open_tiny("f32"), *without = open_tiny("f32");
    struct canvas in = canvas(64, 64), a = canvas(64, 64), b = canvas(64, 64);
    struct ph_diffuser_settings s = settings(64, 64, "a blue house"), plain = s;
    struct ph_style style = { golden("diffusion/models/lora/kohya.safetensors"), 0.1f };
    s.memory = 1;
    set(with, &s);
    gradient(in, 0);
    for (int i = 0; i < 3; i++) paint(with, &in, b, NULL);
    s.styles = plain.styles = &style;
    s.style_count = plain.style_count = 1;
    set(with, &s);
    set(without, &plain);
    gradient(in, 90);
    paint(without, &in, a, NULL);
    paint(with, &in, b, NULL);
    CHECK_INT(farthest_of(a, b), >, 1); // what was before is in view
    s.steps = plain.steps = 2;          // another shape: nothing is
    set(with, &s);
    set(without, &plain);
    ph_diffuser_cut(without);
    ph_diffuser_cut(with);
    paint(without, &in, a, NULL);
    paint(with, &in, b, NULL);
    CHECK_INT(farthest_of(a, b), <=, 1);
    ph_frame_unref(&in.frame);
    ph_frame_unref(&a.frame);
    ph_frame_unref(&b.frame);
    ph_diffuser_close(&with);
    ph_diffuser_close(&without);
}

// StreamV2V's idea: a still scene stays as it is painted, and a moving one keeps to what was.
TEST(memory_keeps_a_still_picture_and_holds_back_a_changing_one)
{
    struct ph_diffuser *with = open_tiny("f32"), *without = open_tiny("f32");
    struct canvas in = canvas(64, 64), a = canvas(64, 64), b = canvas(64, 64);
    struct ph_diffuser_settings s = settings(64, 64, "a blue house");
    set(without, &s);
    for (int frames = 1; frames <= 2; frames++) {
        s.memory = frames;
        s.memory_interval = frames;
        set(with, &s);
        gradient(in, 0);
        paint(without, &in, a, NULL);
        for (int i = 0; i < 4; i++) { // its own keys again: as if there were no memory
            paint(with, &in, b, NULL);
            CHECK_INT(farthest_of(a, b), <=, 1);
        }
        gradient(in, 90);
        paint(without, &in, a, NULL);
        paint(with, &in, b, NULL);
        CHECK_INT(farthest_of(a, b), >, 1); // what was before is in view
        ph_diffuser_cut(with);
        paint(with, &in, b, NULL);
        CHECK_INT(farthest_of(a, b), <=, 1);
    }
    ph_frame_unref(&in.frame);
    ph_frame_unref(&a.frame);
    ph_frame_unref(&b.frame);
    ph_diffuser_close(&with);
    ph_diffuser_close(&without);
}

// ------------------------------------------------------------------------------ memory
static int64_t packed_on(const char *device)
{
    struct ph_plan_stats stats;
    struct ph_fault fault = { 0 };
    struct ph_plan_params params = { 0 };
    struct ph_plan *plan;
    struct ph_prog *p;
    CHECK_INT(ph_device_open(device, &params.device, &fault), ==, PH_OK);
    CHECK_INT(ph_prog_create(&p), ==, PH_OK);
    ph_val x = ph_input(p, "x", PH_EACH, PH_F32, 1, (const int64_t[]){ 4 });
    ph_output(p, "y", ph_affine(p, x, 2, 0));
    CHECK_INT(ph_plan_create(p, &params, &plan, &fault), ==, PH_OK);
    ph_plan_stats(plan, &stats);
    ph_plan_destroy(&plan);
    ph_prog_free(&p);
    ph_device_unref(&params.device);
    return stats.packed_bytes;
}

// What two rooms of a model do: a diffuser each.
TEST_LIMIT(two_diffusers_of_a_model_hold_its_weights_once_and_the_last_frees_them, 240)
{
    struct ph_diffuser_settings s = settings(64, 64, "a fox");
    struct ph_device *held;
    CHECK_INT(ph_device_open(NULL, &held, NULL), ==, PH_OK); // stays when both are gone
    CHECK_INT(packed_on(NULL), ==, 0);
    struct ph_diffuser *a = open_tiny("f32");
    set(a, &s);
    int64_t one = packed_on(NULL);
    CHECK_INT(one, >, 1000000);
    struct ph_diffuser *b = open_tiny("f32");
    set(b, &s);
    CHECK_INT(packed_on(NULL), ==, one);
    ph_diffuser_close(&a);
    CHECK_INT(packed_on(NULL), ==, one);
    ph_diffuser_close(&b);
    CHECK_INT(packed_on(NULL), ==, 0);
    ph_device_unref(&held);
}
