// SPDX-License-Identifier: MIT
#include "models/diffuser/making.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tree.h"

// ------------------------------------------------------------------------------ the maker
ph_err ph_maker_open(const struct ph_diffuser_params *params, struct ph_stop stop,
                     struct ph_maker *m, struct ph_fault *fault)
{
    const char *precision = params->precision ? params->precision : "auto";
    ph_err ret;
    *m = (struct ph_maker){ .precision = ph_precision_parse(precision),
                            .plan_flags = params->tune ? PH_PLAN_TUNE : 0,
                            .stop = stop };
    if ((int) m->precision < 0)
        return ph_fail(fault, PH_EINVAL, "precision",
                       "no precision \"%s\"; there are auto, f32, bf16, int8 and q4",
                       precision);
    if (!params->model || !*params->model)
        return ph_fail(fault, PH_EINVAL, "model",
                       "expected the folder of a model; `phosphene models list` shows what is "
                       "here");
    PH_TRY(ph_device_open(params->device, &m->device, fault));
    PH_TRY(ph_folder_open(params->model, params->vae, params->control, &m->folder, fault));
    PH_TRY(ph_text_create(m->folder, m->device, m->precision, stop, &m->text));
    return PH_OK;
fail:
    ph_maker_close(m);
    return ret;
}

static void drop_styles(struct ph_maker *m)
{
    for (int i = 0; i < m->style_count; i++) {
        ph_lora_unref(&m->styles[i].lora);
        free(m->style_path[i]);
    }
    m->style_count = 0;
    ph_weights_unref(&m->unet);
}

void ph_maker_close(struct ph_maker *m)
{
    drop_styles(m);
    ph_text_destroy(&m->text);
    ph_folder_close(&m->folder);
    ph_device_unref(&m->device);
}

// ------------------------------------------------------------------------------ parts
static void part_unref(struct ph_part **out)
{
    struct ph_part *part = *out;
    *out = NULL;
    if (!part || __atomic_sub_fetch(&part->refs, 1, __ATOMIC_ACQ_REL)) return;
    ph_plan_destroy(&part->plan);
    free(part);
}

// What of the same key the one before has, or a new plan of what record() writes.
static ph_err part_get(struct ph_maker *m, const char *key, struct ph_part *before,
                       void (*record)(struct ph_prog *p, struct ph_maker *m,
                                      const struct ph_made *made),
                       const struct ph_made *made, struct ph_part **out, struct ph_fault *fault)
{
    if (before && strcmp(before->key, key) == 0) {
        __atomic_add_fetch(&before->refs, 1, __ATOMIC_RELAXED);
        *out = before;
        return PH_OK;
    }
    struct ph_part *part = calloc(1, sizeof *part);
    struct ph_prog *p = NULL;
    if (!part || ph_prog_create(&p) < 0) {
        free(part);
        return PH_ENOMEM;
    }
    part->refs = 1;
    snprintf(part->key, sizeof part->key, "%s", key);
    record(p, m, made);
    int flags = m->plan_flags ? m->plan_flags : PH_PLAN_LEARN;
    struct ph_plan_params params = { m->device, m->precision, flags, m->stop };
    ph_err ret = ph_plan_create(p, &params, &part->plan, fault);
    ph_prog_free(&p);
    if (ret < 0)
        part_unref(&part);
    else
        *out = part;
    return ret;
}

// ------------------------------------------------------------------------------ recording
static void record_encode(struct ph_prog *p, struct ph_maker *m, const struct ph_made *made)
{
    const struct ph_module *vae = m->folder->vae;
    int64_t size[4] = { 1, made->wish->s.height, made->wish->s.width, 4 };
    ph_prog_use(p, vae->weights[0]);
    ph_val x = ph_from_pixels(p, ph_input(p, "rgba", PH_EACH, PH_U8, 4, size), 2, -1);
    if (vae->class->kind == PH_MODULE_VAE) // the mean, not a sample: the picture stays calm
        x = ph_vae_scale(p, vae->config, ph_vae_encode(p, vae->config, x).mean);
    else
        x = ph_taesd_encode(p, vae->config, x);
    ph_output(p, "latent", x);
}

static void record_decode(struct ph_prog *p, struct ph_maker *m, const struct ph_made *made)
{
    const struct ph_module *vae = m->folder->vae;
    int64_t size[4] = { 1, ph_folder_latent_channels(m->folder), made->latent_h,
                        made->latent_w };
    ph_prog_use(p, vae->weights[1] ? vae->weights[1] : vae->weights[0]);
    ph_val x = ph_input(p, "latent", PH_EACH, PH_F32, 4, size);
    if (vae->class->kind == PH_MODULE_VAE)
        x = ph_vae_decode(p, vae->config, ph_vae_unscale(p, vae->config, x));
    else
        x = ph_taesd_decode(p, vae->config, x);
    ph_output(p, "rgba", ph_to_pixels(p, x, 0.5f, 0.5f));
}

static void record_control(struct ph_prog *p, struct ph_maker *m, const struct ph_made *made,
                           const struct ph_unet_in *in, struct ph_residuals *residuals)
{
    const struct ph_controlnet_config *c = m->folder->control->config;
    int64_t size[4] = { 1, made->wish->s.height, made->wish->s.width, 4 };
    int64_t scales[1] = { ph_controlnet_residuals(c) };
    ph_prog_use(p, m->folder->control->weights[0]);
    struct ph_controlnet_in control = { .unet = *in };
    control.condition =
        ph_repeat(p, ph_from_pixels(p, ph_input(p, "control", PH_EACH, PH_U8, 4, size), 1, 0),
                  made->rows);
    control.scale = ph_input(p, "control_scale", PH_RARE, PH_F32, 1, scales);
    ph_controlnet_steer(p, c, &control, residuals);
}

static void record_model(struct ph_prog *p, struct ph_maker *m, const struct ph_made *made)
{
    const struct ph_unet_config *c = ph_folder_unet(m->folder);
    int64_t n = made->rows, pooled = ph_folder_pooled_channels(m->folder);
    struct ph_unet_in in = { .pooled = PH_NONE, .time_ids = PH_NONE };
    in.sample = ph_input(p, "sample", PH_EACH, PH_F32, 4,
                         (int64_t[]){ n, c->in_channels, made->latent_h, made->latent_w });
    in.timestep = ph_input(p, "timestep", PH_RARE, PH_F32, 1, (int64_t[]){ n });
    in.text = ph_input(p, "text", PH_RARE, PH_F32, 3,
                       (int64_t[]){ n, ph_folder_tokens(m->folder), c->text_channels });
    if (pooled) {
        in.pooled = ph_input(p, "pooled", PH_RARE, PH_F32, 2, (int64_t[]){ n, pooled });
        in.time_ids = ph_input(p, "time_ids", PH_RARE, PH_F32, 2, (int64_t[]){ n, 6 });
    }
    struct ph_residuals residuals = { 0 };
    if (m->folder->control) {
        record_control(p, m, made, &in, &residuals);
        in.control = &residuals;
    }
    struct ph_unet_memory memory = { .frames = made->wish->s.memory };
    if (memory.frames) {
        memory.fresh = ph_input(p, "fresh", PH_RARE, PH_F32, 1, &n);
        memory.kept = ph_input(p, "kept", PH_RARE, PH_F32, 1, &n);
        in.memory = &memory;
    }
    ph_prog_use(p, m->unet ? m->unet : m->folder->unet->weights[0]);
    ph_output(p, "prediction", ph_unet_predict(p, c, &in));
}

// An autoencoder that shrinks pictures by another factor than the models here were made for.
static ph_err check_shape(const struct ph_made *made, const struct ph_maker *m,
                          const struct ph_part *part, const char *name, int64_t high,
                          struct ph_fault *fault)
{
    struct ph_tensor t;
    int axis = strcmp(name, "rgba") == 0 ? 1 : 2;
    ph_err ret = ph_plan_describe(part->plan, name, &t);
    if (ret < 0 || t.dim[axis] == high) return ret;
    return ph_fail(fault, PH_ENOTSUP, "vae",
                   "%s: a side of %d becomes %lld, expected %lld: the autoencoders known here "
                   "shrink pictures by 8",
                   m->folder->vae->path, axis == 1 ? made->latent_h : made->wish->s.height,
                   (long long) t.dim[axis], (long long) high);
}

static ph_err make_plans(struct ph_maker *m, struct ph_made *made, const struct ph_made *before)
{
    static const struct ph_made nothing;
    const struct ph_diffuser_settings *s = &made->wish->s;
    char key[192];
    ph_err ret = PH_OK;
    if (!before) before = &nothing;
    if (s->from_picture) {
        snprintf(key, sizeof key, "encode %dx%d", s->width, s->height);
        PH_TRY(
            part_get(m, key, before->encode, record_encode, made, &made->encode, &made->fault));
        PH_TRY(check_shape(made, m, made->encode, "latent", made->latent_h, &made->fault));
    }
    snprintf(key, sizeof key, "decode %dx%d", s->width, s->height);
    PH_TRY(part_get(m, key, before->decode, record_decode, made, &made->decode, &made->fault));
    PH_TRY(check_shape(made, m, made->decode, "rgba", s->height, &made->fault));
    snprintf(key, sizeof key, "model %dx%d rows=%d memory=%d styles=%016llx", s->width,
             s->height, made->rows, s->memory, (unsigned long long) m->style_key);
    PH_TRY(part_get(m, key, before->model, record_model, made, &made->model, &made->fault));
fail:
    return ret;
}

// ------------------------------------------------------------------------------ styles
static uint64_t mix(uint64_t h, const void *data, size_t n)
{
    for (size_t i = 0; i < n; i++) h = (h ^ ((const uint8_t *) data)[i]) * 0x100000001b3u;
    return h;
}

static uint64_t style_key(const struct ph_diffuser_settings *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (int i = 0; i < s->style_count; i++) {
        h = mix(h, s->styles[i].path, strlen(s->styles[i].path) + 1);
        h = mix(h, &s->styles[i].scale, sizeof s->styles[i].scale);
    }
    return s->style_count ? h : 0;
}

// An open file of the same path is not opened again: a live scale costs no reading.
static ph_err open_style(const struct ph_maker *m, const char *path, struct ph_lora **out,
                         struct ph_fault *fault)
{
    for (int i = 0; i < m->style_count; i++)
        if (strcmp(m->style_path[i], path) == 0) {
            *out = ph_lora_ref(m->styles[i].lora);
            return PH_OK;
        }
    return ph_lora_open(path, out, fault);
}

static ph_err apply_styles(struct ph_maker *m, struct ph_made *made)
{
    const struct ph_diffuser_settings *s = &made->wish->s;
    uint64_t key = style_key(s);
    if (key == m->style_key) return PH_OK;
    struct ph_adapter styles[PH_STYLES_MAX] = { 0 };
    char *paths[PH_STYLES_MAX] = { NULL };
    struct ph_weights *unet = NULL;
    unsigned parts = 1u << PH_LORA_UNET | 1u << PH_LORA_TEXT;
    ph_err ret = PH_OK;
    if (m->folder->text[1]) parts |= 1u << PH_LORA_TEXT2;
    for (int i = 0; i < s->style_count; i++) {
        styles[i].scale = s->styles[i].scale;
        PH_TRY(open_style(m, s->styles[i].path, &styles[i].lora, &made->fault));
        PH_TRY(ph_lora_check_parts(styles[i].lora, parts, &made->fault));
        if (!(paths[i] = strdup(s->styles[i].path))) PH_TRY(PH_ENOMEM);
    }
    if (s->style_count)
        PH_TRY(ph_weights_adapt(m->folder->unet->weights[0], PH_LORA_UNET, styles,
                                s->style_count, &unet, &made->fault));
    PH_TRY(ph_text_adapt(m->text, styles, s->style_count, key, &made->fault));
    drop_styles(m);
    memcpy(m->styles, styles, sizeof styles);
    memcpy(m->style_path, paths, sizeof paths);
    m->style_count = s->style_count;
    m->style_key = key;
    m->unet = unet;
    return PH_OK;
fail:
    ph_weights_unref(&unet);
    for (int i = 0; i < PH_STYLES_MAX; i++) {
        ph_lora_unref(&styles[i].lora);
        free(paths[i]);
    }
    return ret;
}

// ------------------------------------------------------------------------------ steps
static ph_err make_sampler(struct ph_maker *m, struct ph_made *made)
{
    const struct ph_diffuser_settings *s = &made->wish->s;
    struct ph_schedule *schedule = NULL;
    ph_err ret = ph_folder_schedule(m->folder, made->wish->sampler, &schedule, &made->fault);
    if (ret < 0) return ret;
    struct ph_sampler_params params = { .eta = s->eta };
    int spread[PH_STEPS_MAX];
    bool stream = s->painting == PH_PAINT_STREAM;
    int table = s->table ? s->table : 50;
    if (s->index || stream) {
        if (!s->index)
            ph_batch_indices(s->from_picture ? (double) s->strength : 1, s->steps, table,
                             spread);
        params.steps = table;
        params.index = s->index ? s->index : spread;
        params.chosen = s->steps;
    } else {
        params.steps = s->steps;
        // 0 is no choice to the sampler; less than a step is the last step alone.
        params.strength = s->from_picture ? fmax((double) s->strength, 1e-6) : 0;
        // LCM, too, leaves out the first steps, as diffusers' img2img does with every sampler.
        for (int i = 0; i < s->steps; i++) spread[i] = i;
        params.index = spread;
        params.chosen = s->steps;
    }
    ret = ph_sampler_create(schedule, &params, &made->sampler, &made->fault);
    ph_tree_free(schedule);
    return ret;
}

int ph_made_slots(const struct ph_made *made)
{
    return made->wish->s.painting == PH_PAINT_STREAM ? made->sampler->count : 1;
}

void ph_made_batch_params(const struct ph_made *made, struct ph_batch_params *out)
{
    *out = (struct ph_batch_params){
        .slots = made->sampler->count,
        .step = made->sampler->step,
        .guidance = made->wish->guidance,
        .scale = made->wish->s.guidance_scale,
        .delta = made->wish->s.delta,
        .no_noise = made->wish->s.no_noise,
    };
}

static int count_rows(const struct ph_made *made)
{
    int n = ph_made_slots(made);
    switch (made->wish->guidance) {
    case PH_GUIDANCE_FULL: return 2 * n;
    case PH_GUIDANCE_INITIALIZE: return n + 1;
    default: return n;
    }
}

// ------------------------------------------------------------------------------ all of it
static ph_err make(struct ph_maker *m, struct ph_made *made, const struct ph_made *before)
{
    const struct ph_diffuser_settings *s = &made->wish->s;
    ph_err ret = PH_OK;
    PH_TRY(apply_styles(m, made));
    for (int i = 0; i < s->prompt_count; i++)
        PH_TRY(ph_text_embed(m->text, s->prompts[i].text, &made->prompt[i], &made->fault));
    if (m->folder->zeros_for_empty && !*s->negative)
        PH_TRY(ph_text_zeros(m->text, &made->negative));
    else
        PH_TRY(ph_text_embed(m->text, s->negative, &made->negative, &made->fault));
    PH_TRY(make_sampler(m, made));
    made->rows = count_rows(made);
    made->latent_w = s->width / 8;
    made->latent_h = s->height / 8;
    PH_TRY(make_plans(m, made, before));
fail:
    return ret;
}

struct ph_made *ph_make(struct ph_maker *m, struct ph_wish *wish, const struct ph_made *before)
{
    struct ph_made *made = calloc(1, sizeof *made);
    if (!made) {
        ph_tree_free(wish);
        return NULL;
    }
    made->refs = 1;
    made->wish = wish;
    made->ret = make(m, made, before);
    if (made->ret < 0 && !made->fault.code)
        ph_fail(&made->fault, made->ret, "", "%s", ph_strerror(made->ret));
    return made;
}

struct ph_made *ph_made_ref(struct ph_made *made)
{
    __atomic_add_fetch(&made->refs, 1, __ATOMIC_RELAXED);
    return made;
}

void ph_made_unref(struct ph_made **out)
{
    struct ph_made *made = *out;
    *out = NULL;
    if (!made || __atomic_sub_fetch(&made->refs, 1, __ATOMIC_ACQ_REL)) return;
    for (int i = 0; i < PH_PROMPTS_MAX; i++) ph_embedding_unref(&made->prompt[i]);
    ph_embedding_unref(&made->negative);
    ph_sampler_free(&made->sampler);
    part_unref(&made->encode);
    part_unref(&made->model);
    part_unref(&made->decode);
    ph_tree_free(made->wish);
    free(made);
}
