// SPDX-License-Identifier: MIT
#include "models/diffuser/steer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/diffuser/diffuser.h"
#include "models/stream/walk.h"

enum { MID, A, B, PARTS };

// ------------------------------------------------------------------------------ checks
static ph_err check(struct ph_fault *fault, const char *name, double value, double low,
                    double high)
{
    if (value >= low && value <= (double) (float) high) return PH_OK;
    return ph_fail(fault, PH_EINVAL, name, "%s is %g, expected %g to %g", name, value, low,
                   high);
}

ph_err ph_diffuser_steer(struct ph_diffuser *d, const struct ph_steering *s,
                         struct ph_fault *fault)
{
    const double any = 1e15; // beyond it a double knows no thousandths of a turn
    ph_err ret;
    PH_TRY(check(fault, "radius", (double) s->radius, 0, 1));
    PH_TRY(check(fault, "angle", s->angle, -any, any));
    PH_TRY(check(fault, "variation", s->variation, -any, any));
    PH_TRY(check(fault, "position", s->position, -any, any));
    PH_TRY(check(fault, "reach", (double) s->reach, 0, 1));
    PH_TRY(check(fault, "similar", (double) s->similar, 0, 1));
    PH_TRY(check(fault, "similar_max", s->similar_max, 0, 10000));
    PH_TRY(check(fault, "smooth", (double) s->smooth, 0, 0.95));
    PH_TRY(check(fault, "latent_feedback", (double) s->latent_feedback, 0, 0.4));
    PH_TRY(check(fault, "picture_feedback", (double) s->picture_feedback, 0, 1));
    for (int i = 0; i < 12; i++) PH_TRY(check(fault, "chroma", (double) s->chroma[i], 0, 1));
    d->steer = *s;
    d->steered = true;
fail:
    return ret;
}

int ph_diffuser_native_px(const struct ph_diffuser *d)
{
    return ph_folder_unet(d->maker.folder)->sample_size * 8;
}

// ------------------------------------------------------------------------------ noise
void ph_steer_draw(struct ph_diffuser *d, const struct ph_diffuser_settings *s, uint64_t more,
                   uint64_t stream, float *out)
{
    struct ph_easel *e = &d->easel;
    struct ph_blend_input in[PH_SEEDS_MAX];
    struct ph_blend_params how = { .method = PH_BLEND_LINEAR, .keep_length = true };
    if (s->seed_count == 1) {
        d->draw(s->seeds[0].seed + more, stream, 0, e->latent_len, out);
        return;
    }
    for (int k = 0; k < s->seed_count; k++) {
        in[k] = (struct ph_blend_input){ e->draws + k * e->latent_len, s->seeds[k].weight };
        d->draw(s->seeds[k].seed + more, stream, 0, e->latent_len,
                e->draws + k * e->latent_len);
    }
    ph_blend_mix(in, s->seed_count, e->latent_len, &how, out);
}

static double on_ring(double x, double length)
{
    x = fmod(x, length);
    return x < 0 ? fmod(x + length, length) : x; // what is just below 0 is 0 then
}

void ph_steer_draw_here(struct ph_diffuser *d, uint64_t stream, float *scratch, float *out)
{
    const struct ph_diffuser_settings *s = &d->now->wish->s;
    double at = d->easel.walk.at;
    uint64_t k = (uint64_t) at;
    ph_steer_draw(d, s, k, stream, out);
    if (at <= (double) k) return;
    ph_steer_draw(d, s, (k + 1) % PH_VARIATIONS, stream, scratch);
    ph_blend_slerp(out, scratch, at - (double) k, d->easel.latent_len, out);
}

static float *part_at(const struct ph_easel *e, int k, int part, int slot)
{
    const struct ph_noise_walk *w = &e->walk;
    return w->parts + (((k & 1) * PARTS + part) * w->slots + slot) * e->latent_len;
}

// Part of variation k in a slot; drawn for all slots when it is not there.
static const float *part_of(struct ph_diffuser *d, int k, int part, int slot)
{
    struct ph_easel *e = &d->easel;
    struct ph_noise_walk *w = &e->walk;
    const struct ph_diffuser_settings *s = &d->now->wish->s;
    bool *has = w->has[k & 1];
    if (w->variation[k & 1] != k) has[MID] = has[A] = has[B] = false;
    w->variation[k & 1] = k;
    for (int i = 0; i < w->slots && !has[part]; i++) {
        float *out = part_at(e, k, part, i);
        // A and B of other variations are those of seeds that nobody writes down
        uint64_t seed = s->circle[part == B] + ((uint64_t) k << 32);
        if (part == MID)
            ph_steer_draw(d, s, (uint64_t) k, (uint64_t) i, out);
        else
            d->draw(seed, (uint64_t) i, 0, e->latent_len, out);
    }
    has[part] = true;
    return part_at(e, k, part, slot);
}

static void compose(struct ph_diffuser *d, int k, int slot, float *out)
{
    const struct ph_noise_walk *w = &d->easel.walk;
    const float *mid = w->radius < 1 ? part_of(d, k, MID, slot) : NULL;
    const float *a = w->radius > 0 ? part_of(d, k, A, slot) : NULL;
    const float *b = w->radius > 0 ? part_of(d, k, B, slot) : NULL;
    ph_walk_circle(mid, a, b, (double) w->radius, w->angle, d->easel.latent_len, out);
}

static ph_err have_parts(struct ph_easel *e, int slots)
{
    struct ph_noise_walk *w = &e->walk;
    if (w->slots == slots) return PH_OK;
    free(w->parts);
    w->parts = malloc(sizeof(float) * (size_t) (2 * PARTS * slots * e->latent_len));
    w->slots = w->parts ? slots : 0;
    memset(w->has, 0, sizeof w->has);
    return w->parts ? PH_OK : PH_ENOMEM;
}

// All rows: those that are not in use now have to be right when they are.
static void go_home(struct ph_diffuser *d)
{
    struct ph_easel *e = &d->easel;
    for (int i = 0; i < PH_STEPS_MAX; i++)
        ph_steer_draw(d, &d->now->wish->s, 0, (uint64_t) i, e->noise + i * e->latent_len);
    if (e->batch) ph_batch_reseed(e->batch, e->noise);
}

static ph_err move_noise(struct ph_diffuser *d, bool *moved)
{
    struct ph_easel *e = &d->easel;
    struct ph_noise_walk *w = &e->walk;
    const struct ph_steering *s = &d->steer;
    double angle = s->radius > 0 ? on_ring(s->angle, 1) : 0;
    double at = on_ring(s->variation, PH_VARIATIONS);
    int slots = e->batch ? e->batch->slots : 1, k = (int) at;
    bool home = s->radius == 0 && at == 0;
    bool same = w->radius == s->radius && w->angle == angle && w->at == at;
    *moved = false;
    if (same && (home || w->slots == slots)) return PH_OK;
    ph_err ret = home ? PH_OK : have_parts(e, slots);
    if (ret < 0) return ret;
    *moved = true;
    w->radius = s->radius;
    w->angle = angle;
    w->at = at;
    if (home) {
        go_home(d);
        return PH_OK;
    }
    for (int i = 0; i < slots; i++) {
        float *out = e->noise + i * e->latent_len, *next = e->other;
        compose(d, k, i, out);
        if (at <= k) continue;
        compose(d, (k + 1) % PH_VARIATIONS, i, next);
        ph_blend_slerp(out, next, at - k, e->latent_len, out);
    }
    if (e->batch) ph_batch_shift(e->batch, e->noise);
    return PH_OK;
}

// ------------------------------------------------------------------------------ words
static void aim_weights(const struct ph_easel *e, const struct ph_made *made, float *out)
{
    const struct ph_diffuser_settings *s = &made->wish->s;
    struct ph_blend_input in[PH_PROMPTS_MAX];
    struct ph_blend_params how = { .method =
                                       s->blend_linear ? PH_BLEND_LINEAR : PH_BLEND_SLERP };
    for (int i = 0; i < s->prompt_count; i++)
        in[i] = (struct ph_blend_input){ made->prompt[i]->data, s->prompts[i].weight };
    ph_blend_mix(in, s->prompt_count, e->text_len, &how, out);
}

// rows of the embeddings from `at` on
static void aim_rows(const struct ph_made *made, const struct ph_steering *how,
                     const float *weights, int count, int64_t at, int64_t rows, int64_t width,
                     float *out)
{
    struct ph_blend_input in[PH_PROMPTS_MAX];
    bool linear = made->wish->s.blend_linear;
    struct ph_walk_place p = ph_walk_ring(how->position, count);
    for (int i = 0; i < count; i++)
        in[i] = (struct ph_blend_input){ made->prompt[i]->data + at, weights[i] };
    if (how->walk == PH_WALK_NOTES || linear)
        ph_walk_tokens(in, count, rows, width, linear, out + at);
    else
        ph_walk_slerp(in[p.from].x, in[p.to].x, p.share, rows, width, out + at);
}

void ph_steer_aim(const struct ph_diffuser *d, const struct ph_made *made,
                  const struct ph_steering *how, float *out)
{
    const struct ph_easel *e = &d->easel;
    int count = made->wish->s.prompt_count, most = 13;
    int64_t pooled = ph_folder_pooled_channels(d->maker.folder);
    int64_t tokens = ph_folder_tokens(d->maker.folder), states = e->text_len - pooled;
    float weights[PH_PROMPTS_MAX] = { 0 };
    if (how->walk == PH_WALK_WEIGHTS || count < 2) {
        aim_weights(e, made, out);
        return;
    }
    if (how->walk == PH_WALK_NOTES) {
        ph_walk_notes(how->chroma, count < most ? count : most, (double) how->reach, weights);
    } else {
        struct ph_walk_place p = ph_walk_ring(how->position, count);
        weights[p.to] = (float) p.share;
        weights[p.from] = 1 - (float) p.share;
    }
    aim_rows(made, how, weights, count, 0, tokens, states / tokens, out);
    if (pooled) aim_rows(made, how, weights, count, states, 1, pooled, out);
}

static bool aims_elsewhere(const struct ph_steering *a, const struct ph_steering *b)
{
    if (a->walk != b->walk) return true;
    if (a->walk == PH_WALK_POSITION) return a->position != b->position;
    return a->walk == PH_WALK_NOTES &&
           (a->reach != b->reach || memcmp(a->chroma, b->chroma, sizeof a->chroma) != 0);
}

static bool move_words(struct ph_diffuser *d)
{
    struct ph_easel *e = &d->easel;
    const struct ph_diffuser_settings *s = &d->now->wish->s;
    size_t bytes = sizeof(float) * (size_t) e->text_len;
    if (!aims_elsewhere(&e->aimed, &d->steer)) return false;
    bool another = e->aimed.walk != d->steer.walk;
    e->aimed = d->steer;
    float *aim = e->text; // rows are written anew before the next run
    ph_steer_aim(d, d->now, &e->aimed, aim);
    if (!memcmp(aim, e->to, bytes)) return false;
    memcpy(e->to, aim, bytes);
    if (another && s->transition) {
        memcpy(e->from, e->words, bytes);
        ph_transition_begin(&e->transition, s->transition, PH_EASE_IN_OUT, s->blend_linear);
        e->in_transition = true;
    }
    if (!e->in_transition) memcpy(e->words, e->to, bytes);
    e->words_changed = true;
    return true;
}

// ------------------------------------------------------------------------------ the filter
void ph_steer_filter(struct ph_diffuser *d, const struct ph_made *made)
{
    struct ph_easel *e = &d->easel;
    const struct ph_steering *s = &d->steer;
    // A control picture may move over a still one.
    bool filters = s->similar > 0 && made->wish->s.from_picture && !d->maker.folder->control;
    struct ph_similar_params params = { .threshold = (double) s->similar,
                                        .max_skip = s->similar_max ? s->similar_max : -1,
                                        .drain = ph_made_slots(made) - 1 };
    ph_similar_set(&e->similar, &params);
    // It has not seen the pictures that were painted without it.
    if (filters && !e->filters) ph_similar_reset(&e->similar);
    e->filters = filters;
}

// ------------------------------------------------------------------------------ all of it
void ph_steer_land(struct ph_diffuser *d, const struct ph_made *made, bool reseeded)
{
    struct ph_easel *e = &d->easel;
    const struct ph_diffuser_settings *s = &made->wish->s;
    const struct ph_diffuser_settings *was = d->now ? &d->now->wish->s : NULL;
    if (!d->steered) {
        d->steer.similar = s->similar;
        d->steer.similar_max = s->similar_max;
        d->steer.smooth = s->smooth;
        d->steer.latent_feedback = s->latent_feedback;
        d->steer.picture_feedback = s->picture_feedback;
    }
    if (!was) e->aimed = d->steer;
    if (reseeded || !was || memcmp(was->circle, s->circle, sizeof s->circle) != 0)
        e->walk.slots = 0;
    if (reseeded) e->walk.radius = 0, e->walk.angle = e->walk.at = 0;
}

ph_err ph_steer_move(struct ph_diffuser *d)
{
    bool noise, words;
    ph_err ret = move_noise(d, &noise);
    if (ret < 0) return ret;
    words = move_words(d);
    ph_steer_filter(d, d->now);
    // what the picture that comes in does not show
    if (noise || words || d->easel.in_transition) ph_similar_reset(&d->easel.similar);
    return PH_OK;
}
