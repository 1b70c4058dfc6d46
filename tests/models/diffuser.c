// SPDX-License-Identifier: MIT
// A diffuser from its folder to the picture, against the reference pipelines and against itself.
#include <phosphene/frame.h>
#include <phosphene/model.h>

#include "../golden.h"
#include "models/diffuser/diffuser.h"
#include "nn/rng.h"

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

// RGB bytes [h, w, 3] into a picture.
static void fill(struct canvas c, const uint8_t *rgb)
{
    for (int y = 0; y < c.p->height; y++)
        for (int x = 0; x < c.p->width; x++) {
            uint8_t *at = c.p->data[0] + y * c.p->stride[0] + x * 4;
            memcpy(at, rgb + (y * c.p->width + x) * 3, 3);
            at[3] = 255;
        }
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

static int farthest(struct canvas c, const uint8_t *rgb)
{
    int most = 0;
    for (int y = 0; y < c.p->height; y++)
        for (int x = 0; x < c.p->width; x++)
            for (int k = 0; k < 3; k++) {
                int a = c.p->data[0][y * c.p->stride[0] + x * 4 + k];
                int b = rgb[(y * c.p->width + x) * 3 + k];
                most = abs(a - b) > most ? abs(a - b) : most;
            }
    return most;
}

// ------------------------------------------------------------------------------ reference
static const float *initial, *steps; // recorded noise
static int64_t recorded;             // of one latent
static int noises_used;

static void draw_recorded(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, float *out)
{
    (void) seed;
    (void) first;
    CHECK_INT(n, ==, recorded);
    if (stream >= PH_STEP_NOISE)
        memcpy(out, steps + n * noises_used++, sizeof *out * (size_t) n);
    else
        memcpy(out, initial + n * (int64_t) stream, sizeof *out * (size_t) n);
}

static const void *tensor(struct ph_weights *w, const char *name)
{
    const struct ph_weight *t = ph_weights_find(w, name);
    if (!t) TEST_FAIL("no %s", name);
    return t->disk.data;
}

struct pipeline_case {
    const char *name, *sampler;
    int steps;
    float guidance, strength;
};

static void check_pipeline(struct pipeline_case c)
{
    char path[256];
    struct ph_weights *w;
    struct ph_fault fault;
    snprintf(path, sizeof path, "diffusion/cases/13_pipeline/%s.safetensors", c.name);
    CHECK_INT(ph_weights_open(golden(path), &w, &fault), ==, PH_OK);
    struct ph_diffuser *d = open_tiny("f32");
    d->draw = draw_recorded;
    recorded = 4 * 8 * 8;
    static float all[PH_STEPS_MAX * 4 * 8 * 8]; // only slot 0 counts
    memcpy(all, tensor(w, "in.noise"), sizeof *all * (size_t) recorded);
    initial = all;
    noises_used = 0;
    if (ph_weights_find(w, "in.step_noise")) steps = tensor(w, "in.step_noise");
    struct ph_diffuser_settings s = settings(64, 64, "a photo of a red fox in the snow");
    s.painting = PH_PAINT_WHOLE;
    s.from_picture = c.strength > 0;
    s.sampler = c.sampler;
    s.steps = c.steps;
    s.strength = c.strength;
    if (c.guidance > 1) {
        s.guidance = "full";
        s.guidance_scale = c.guidance;
        s.negative = "blurry, low quality";
    }
    set(d, &s);
    struct canvas in = canvas(64, 64), out = canvas(64, 64);
    if (s.from_picture) fill(in, tensor(w, "in.image_u8"));
    paint(d, s.from_picture ? &in : NULL, out, NULL);
    int off = farthest(out, tensor(w, "out.image_u8"));
    printf("# %s: largest difference %d of 255\n", c.name, off);
    CHECK_INT(off, <=, 1); // one at a rounding border
    ph_frame_unref(&in.frame);
    ph_frame_unref(&out.frame);
    ph_diffuser_close(&d);
    ph_weights_unref(&w);
}

TEST(euler_from_noise_is_as_the_reference_paints_it)
{
    check_pipeline((struct pipeline_case){ "txt2img_euler_1step", "euler", 1, 0, 0 });
    check_pipeline((struct pipeline_case){ "txt2img_euler_2step", "euler", 2, 0, 0 });
    check_pipeline((struct pipeline_case){ "txt2img_euler_4step", "euler", 4, 0, 0 });
}

TEST(lcm_from_noise_is_as_the_reference_paints_it)
{
    check_pipeline((struct pipeline_case){ "txt2img_lcm_4step", "lcm", 4, 0, 0 });
}

TEST(guidance_from_noise_is_as_the_reference_paints_it)
{
    check_pipeline((struct pipeline_case){ "txt2img_lcm_4step_cfg", "lcm", 4, 1.5f, 0 });
}

TEST(a_picture_is_painted_over_as_the_reference_does)
{
    check_pipeline((struct pipeline_case){ "img2img_euler_2step_strength0.5", "euler", 2, 0, 0.5f });
    check_pipeline((struct pipeline_case){ "img2img_lcm_4step_strength0.5", "lcm", 4, 0, 0.5f });
}
