// SPDX-License-Identifier: MIT
// Whole folders of small random models, and painting with them.
#ifndef PH_TEST_SMALL_H
#define PH_TEST_SMALL_H

#include <phosphene/frame.h>
#include <phosphene/model.h>

#include "folders.h"
#include "models/diffuser/diffuser.h"

// ------------------------------------------------------------------------------ folders
#define CLIP(name, width, tokens)                                                              \
    "{\"architectures\":[\"" name "\"],\"hidden_size\":" width ",\"intermediate_size\":32,"    \
    "\"num_hidden_layers\":2,\"num_attention_heads\":2,\"hidden_act\":\"quick_gelu\","         \
    "\"max_position_embeddings\":" tokens ",\"vocab_size\":800,\"projection_dim\":10,"         \
    "\"eos_token_id\":737}"
#define UNET(class, words, more)                                                               \
    "{\"_class_name\":\"" class "\",\"act_fn\":\"silu\",\"in_channels\":4,\"out_channels\":4," \
                                "\"block_out_channels\":[16,32],\"attention_head_dim\":[1,2]," \
                                "\"norm_num_groups\":4,"                                       \
                                "\"down_block_types\":[\"CrossAttnDownBlock2D\","              \
                                "\"DownBlock2D\"],"                                            \
                                "\"layers_per_block\":1,\"use_linear_projection\":true,"       \
                                "\"cross_attention_dim\":" words "," more "}"
#define UP "\"up_block_types\":[\"UpBlock2D\",\"CrossAttnUpBlock2D\"],\"sample_size\":8"
#define XL                                                                                     \
    UP ",\"addition_embed_type\":\"text_time\",\"addition_time_embed_dim\":8,"                 \
       "\"projection_class_embeddings_input_dim\":58"
#define HINT "\"conditioning_embedding_out_channels\":[4,6,8,10]"
#define TAESD(levels, ones)                                                                    \
    "{\"_class_name\":\"AutoencoderTiny\",\"encoder_block_out_channels\":[" levels "],"        \
    "\"decoder_block_out_channels\":[" levels "],\"num_encoder_blocks\":[" ones "],"           \
    "\"num_decoder_blocks\":[" ones "],\"latent_channels\":4}"
#define VAE                                                                                    \
    "{\"_class_name\":\"AutoencoderKL\",\"latent_channels\":4,\"layers_per_block\":1,"         \
    "\"block_out_channels\":[8,8,8,16],\"norm_num_groups\":4,\"scaling_factor\":0.5,"          \
    "\"down_block_types\":[\"DownEncoderBlock2D\",\"DownEncoderBlock2D\","                     \
    "\"DownEncoderBlock2D\",\"DownEncoderBlock2D\"],\"up_block_types\":["                      \
    "\"UpDecoderBlock2D\",\"UpDecoderBlock2D\",\"UpDecoderBlock2D\",\"UpDecoderBlock2D\"]}"

static inline void add_module(const char *name, const char *config)
{
    struct ph_fault fault = { 0 };
    const char *folder = folder_new(name);
    file_write(folder, "config.json", config);
    struct ph_module *m = module_describe(folder);
    if (ph_module_write_random(m, folder, PH_F32, strlen(name), &fault))
        TEST_FAIL("%s", fault.message);
    ph_module_close(&m);
}

static inline const char *in_base(const char *name)
{
    static char path[4][256];
    static int turn;
    char *out = path[turn++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", folder_base, name);
    return out;
}

// A model with one text encoder, or as SDXL with two, the second of `tokens`; an autoencoder.
static inline const char *model(const char *name, bool two, const char *vae, const char *second)
{
    char at[64], command[2048];
    folder_new(name);
    snprintf(at, sizeof at, "%s/text_encoder", name);
    add_module(at, CLIP("CLIPTextModel", "16", "12"));
    snprintf(at, sizeof at, "%s/unet", name);
    add_module(at, two ? UNET("UNet2DConditionModel", "24", XL)
                       : UNET("UNet2DConditionModel", "16", UP));
    snprintf(at, sizeof at, "%s/vae", name);
    add_module(at, vae);
    snprintf(at, sizeof at, "%s/text_encoder_2", name);
    if (two) add_module(at, second);
    for (int i = 0; i <= two; i++) {
        snprintf(command, sizeof command, "ln -sfn '%s/tokenizer' '%s/tokenizer%s'",
                 getenv("PH_TEST_DATA"), in_base(name), i ? "_2" : "");
        CHECK(system(command) == 0);
    }
    return in_base(name);
}

static inline const char *xl(void)
{
    return model("xl", true, VAE, CLIP("CLIPTextModelWithProjection", "8", "12"));
}

static inline const char *small(void)
{
    return model("small", false, TAESD("8,8,8,8", "1,1,1,1"), NULL);
}

static inline struct ph_diffuser *open_it(const char *folder, const char *control)
{
    struct ph_diffuser *d;
    struct ph_fault fault = { 0 };
    struct ph_diffuser_params params = {
        .model = folder, .control = control, .device = "cpu:threads=1", .precision = "f32"
    };
    if (ph_diffuser_open(&params, &d, &fault) < 0)
        TEST_FAIL("%s: %s", fault.field, fault.message);
    return d;
}

// ------------------------------------------------------------------------------ painting
static struct ph_prompt words = { "a lighthouse on a cliff", 1 };

static inline struct ph_diffuser_settings settings(enum ph_painting how, int steps)
{
    struct ph_diffuser_settings s;
    ph_diffuser_defaults(&s);
    s.width = 32;
    s.height = 24;
    s.prompts = &words;
    s.prompt_count = 1;
    s.painting = how;
    s.steps = steps;
    return s;
}

static inline void set(struct ph_diffuser *d, const struct ph_diffuser_settings *s)
{
    struct ph_fault fault = { 0 };
    if (ph_diffuser_set(d, s, &fault) < 0 || ph_diffuser_settle(d, &fault) < 0)
        TEST_FAIL("%s: %s", fault.field, fault.message);
}

enum { SIDE = 64 };
struct shot {
    uint8_t rgba[SIDE * SIDE * 4];
    float latent[4 * SIDE * SIDE / 64]; // before it was decoded
};

static inline struct ph_picture picture(struct shot *s, int width, int height)
{
    return (struct ph_picture){ .format = PH_RGBA,
                                .width = width,
                                .height = height,
                                .data = { s->rgba },
                                .stride = { width * 4 } };
}

static inline void gradient(struct shot *s, int shift)
{
    for (int i = 0; i < SIDE * SIDE * 4; i++)
        s->rgba[i] = (uint8_t) (i % 4 == 3 ? 255 : i * 7 % 251 + shift);
}

// Paints in the size that comes next.
static inline ph_err try_paint(struct ph_diffuser *d, int shift, struct shot *out,
                               struct ph_painted *painted, struct ph_fault *fault)
{
    struct shot in, control;
    int w, h;
    ph_diffuser_size(d, &w, &h);
    gradient(&in, shift);
    gradient(&control, 77);
    memset(out, 0, sizeof *out);
    struct ph_picture i = picture(&in, w, h), c = picture(&control, w, h);
    struct ph_picture o = picture(out, w, h);
    ph_err ret = ph_diffuser_paint(d, &i, &c, &o, painted, fault);
    const struct ph_easel *e = &d->easel;
    if (ret >= 0) memcpy(out->latent, e->clean, sizeof(float) * (size_t) e->latent_len);
    return ret;
}

static inline void paint(struct ph_diffuser *d, struct shot *out)
{
    struct ph_fault fault = { 0 };
    if (try_paint(d, 0, out, NULL, &fault) < 0) TEST_FAIL("%s: %s", fault.field, fault.message);
}

static inline struct shot paint_as(struct ph_diffuser *d, const struct ph_diffuser_settings *s)
{
    struct shot out;
    set(d, s);
    ph_diffuser_cut(d);
    paint(d, &out);
    return out;
}

// Of the latents, over their largest: random autoencoders show little.
static inline double difference(const struct shot *a, const struct shot *b)
{
    double most = 0, size = 0;
    for (size_t i = 0; i < sizeof a->latent / sizeof *a->latent; i++) {
        most = fmax(most, fabs((double) a->latent[i] - b->latent[i]));
        size = fmax(size, fabs((double) b->latent[i]));
    }
    CHECK_NUM(size, >, 0.1);
    return most / size;
}

#define CHECK_SAME(a, b)    CHECK_NUM(difference(&(a), &(b)), <, 1e-5)
#define CHECK_DIFFERS(a, b) CHECK_NUM(difference(&(a), &(b)), >, 1e-4)

#endif
