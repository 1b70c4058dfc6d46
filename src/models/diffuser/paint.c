// SPDX-License-Identifier: MIT
// Painting: what landed is put on the easel, then picture after picture without an allocation.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/diffuser/diffuser.h"
#include "models/sampler/mix.h"
#include "models/stream/latent.h"
#include "nn/rng.h"

// Streams of the random numbers of a seed: slots count from 0, the rest lies beyond them.
enum { FILTER_DRAWS = 1 << 17 };

// ------------------------------------------------------------------------------ the easel
enum { FLOATS = 14 };

static void list_floats(struct ph_easel *e, float **list[FLOATS])
{
    float **const all[FLOATS] = { &e->noise,    &e->latent,    &e->clean, &e->shown,
                                  &e->other,    &e->draws,     &e->in,    &e->prediction,
                                  &e->text,     &e->from,      &e->to,    &e->words,
                                  &e->negative, &e->walk.parts };
    memcpy(list, all, sizeof all);
}

// Frees what of e is not also in `kept` (NULL = nothing is).
static void easel_drop(struct ph_easel *e, struct ph_easel *kept)
{
    struct ph_easel none = { 0 };
    float **mine[FLOATS], **other[FLOATS];
    if (!kept) kept = &none;
    list_floats(e, mine);
    list_floats(kept, other);
    for (int i = 0; i < FLOATS; i++)
        if (*mine[i] != *other[i]) free(*mine[i]);
    if (e->rgba != kept->rgba) free(e->rgba);
    if (e->last != kept->last) free(e->last);
    if (e->batch != kept->batch) ph_batch_destroy(&e->batch);
    if (e->similar.last != kept->similar.last) ph_similar_finish(&e->similar);
}

void ph_painting_free(struct ph_diffuser *d)
{
    easel_drop(&d->easel, NULL);
    d->easel = (struct ph_easel){ 0 };
}

static bool have_floats(float **at, int64_t n)
{
    if (!*at) *at = calloc((size_t) n + 1, sizeof **at);
    return *at != NULL;
}

static bool have_bytes(uint8_t **at, size_t n)
{
    if (!*at) *at = calloc(1, n);
    return *at != NULL;
}

// Whether all is there that painting with `made` needs.
static bool furnish(struct ph_easel *n, const struct ph_made *made)
{
    const struct ph_diffuser_settings *s = &made->wish->s;
    int64_t len = n->latent_len, words = n->text_len;
    size_t bytes = (size_t) n->width * (size_t) n->height * 4;
    return have_floats(&n->noise, PH_STEPS_MAX * len) && have_floats(&n->latent, len) &&
           have_floats(&n->clean, len) && have_floats(&n->shown, len) &&
           have_floats(&n->other, 4 * len) && have_floats(&n->in, n->rows * len) &&
           have_floats(&n->prediction, n->rows * len) &&
           have_floats(&n->text, n->rows * words) && have_floats(&n->from, words) &&
           have_floats(&n->to, words) && have_floats(&n->words, words) &&
           have_floats(&n->negative, words) &&
           (s->seed_count < 2 || have_floats(&n->draws, s->seed_count * len)) &&
           have_bytes(&n->rgba, bytes) && have_bytes(&n->last, bytes) &&
           (n->similar.last || ph_similar_init(&n->similar, &(struct ph_similar_params){ 0 },
                                               (int64_t) n->width * n->height, true) >= 0);
}

// The easel as `made` wants it, in *n: new where something is of another size, e's own elsewhere.
// For another size of pictures all begins anew but the words. On failure e is as it was.
static ph_err size_easel(struct ph_diffuser *d, const struct ph_made *made, struct ph_easel *n,
                         struct ph_fault *fault)
{
    struct ph_easel *e = &d->easel;
    const struct ph_diffuser_settings *s = &made->wish->s;
    bool resized = e->width != s->width || e->height != s->height;
    struct ph_batch_params params;
    *n = *e;
    n->width = s->width;
    n->height = s->height;
    n->latent_len =
        (int64_t) ph_folder_latent_channels(d->maker.folder) * made->latent_w * made->latent_h;
    n->text_len = ph_text_size(d->maker.text);
    n->rows = made->rows;
    n->seeds = s->seed_count;
    if (resized) {
        n->noise = n->latent = n->clean = n->shown = n->other = NULL;
        n->rgba = n->last = NULL;
        n->batch = NULL;
        n->similar = (struct ph_similar){ 0 };
        n->walk = (struct ph_noise_walk){ 0 };
        n->has_last = n->has_shown = false;
    }
    if (resized || n->rows != e->rows) n->in = n->prediction = n->text = NULL;
    if (resized || n->seeds != e->seeds) n->draws = NULL;
    if (s->painting == PH_PAINT_WHOLE) n->batch = NULL;
    ph_err ret = furnish(n, made) ? PH_OK : ph_fail(fault, PH_ENOMEM, "", "out of memory");
    ph_made_batch_params(made, &params);
    if (ret >= 0 && s->painting == PH_PAINT_STREAM)
        ret = n->batch ? ph_batch_set(n->batch, &params, fault)
                       : ph_batch_create(&n->batch, PH_STEPS_MAX, n->latent_len, n->noise,
                                         &params, fault);
    if (ret < 0) easel_drop(n, e);
    return ret;
}

// ------------------------------------------------------------------------------ landing
static bool same_seeds(const struct ph_diffuser_settings *a,
                       const struct ph_diffuser_settings *b)
{
    if (a->seed_count != b->seed_count) return false;
    for (int i = 0; i < a->seed_count; i++)
        if (a->seeds[i].seed != b->seeds[i].seed || a->seeds[i].weight != b->seeds[i].weight)
            return false;
    return true;
}

static void land_words(struct ph_diffuser *d, const struct ph_made *made, bool first)
{
    struct ph_easel *e = &d->easel;
    const struct ph_diffuser_settings *s = &made->wish->s;
    size_t bytes = sizeof(float) * (size_t) e->text_len;
    float *wished = e->text; // rows are written anew before the next run
    ph_steer_aim(d, made, &e->aimed, wished);
    bool other = memcmp(wished, e->to, bytes) != 0;
    if (first || other) memcpy(e->to, wished, bytes);
    memcpy(e->negative, made->negative->data, bytes);
    e->words_changed = true;
    if (first || (other && !s->transition)) {
        memcpy(e->words, e->to, bytes);
        e->in_transition = false;
    } else if (other) {
        memcpy(e->from, e->words, bytes);
        ph_transition_begin(&e->transition, s->transition, PH_EASE_IN_OUT, s->blend_linear);
        e->in_transition = true;
    }
}

static ph_err write_rare(struct ph_diffuser *d, const struct ph_made *made)
{
    struct ph_plan *plan = made->model->plan;
    const struct ph_diffuser_settings *s = &made->wish->s;
    ph_err ret = PH_OK;
    if (ph_folder_pooled_channels(d->maker.folder)) {
        float ids[2 * PH_STEPS_MAX * 6];
        for (int i = 0; i < made->rows; i++) {
            const float row[6] = { (float) s->height, (float) s->width, 0, 0,
                                   (float) s->height, (float) s->width };
            memcpy(ids + i * 6, row, sizeof row);
        }
        PH_TRY(ph_plan_write(plan, "time_ids",
                             &(struct ph_tensor){ PH_F32, 2, { made->rows, 6 }, ids }));
    }
    if (d->maker.folder->control) {
        float scales[PH_UNET_SKIPS + 1];
        int n = ph_controlnet_residuals(d->maker.folder->control->config);
        ph_controlnet_scales(n, s->control_scale, s->control_guess, scales);
        PH_TRY(ph_plan_write(plan, "control_scale",
                             &(struct ph_tensor){ PH_F32, 1, { n }, scales }));
    }
fail:
    return ret;
}

// All of `made` or, when something is missing for it, nothing. Takes made.
static ph_err land(struct ph_diffuser *d, struct ph_made *made, struct ph_fault *fault)
{
    struct ph_easel *e = &d->easel, n;
    const struct ph_diffuser_settings *s = &made->wish->s;
    bool first = !d->now;
    ph_err ret;
    PH_TRY(size_easel(d, made, &n, fault));
    bool seeds = n.noise != e->noise || !same_seeds(s, &d->now->wish->s);
    bool stream = n.batch != NULL, anew = stream && n.batch != e->batch;
    easel_drop(e, &n);
    *e = n;
    // Another model of the same shape, such as one with another style, remembers the same pictures.
    if (first || (made->model != d->now->model &&
                  !ph_plan_carry(made->model->plan, d->now->model->plan)))
        e->fresh = true;
    PH_TRY(write_rare(d, made)); // cannot fail: sizes are those of the plan
    for (int i = 0; seeds && i < PH_STEPS_MAX; i++)
        ph_steer_draw(d, s, 0, (uint64_t) i, e->noise + i * e->latent_len);
    if (stream && (seeds || anew)) ph_batch_reseed(e->batch, e->noise);
    ph_steer_land(d, made, seeds);
    land_words(d, made, first);
    ph_steer_filter(d, made);
    ph_similar_reset(&e->similar); // a change that the picture does not show
    e->rows_changed = true;
    ph_made_unref(&d->now);
    d->now = made;
    return PH_OK;
fail:
    ph_made_unref(&made);
    return ret;
}

// With what is ready; where that cannot be, the settings before stay.
static ph_err land_or_stay(struct ph_diffuser *d, struct ph_made *made,
                           struct ph_painted *painted, struct ph_fault *fault)
{
    struct ph_fault problem = { 0 };
    ph_err ret = land(d, made, &problem);
    if (ret >= 0) return ret;
    if (!problem.code) ph_fail(&problem, ret, "", "%s", ph_strerror(ret));
    if (d->now) {
        painted->problem = problem;
        return PH_OK;
    }
    if (fault) *fault = problem;
    return ret;
}

// Takes what is ready, and what is to be told of what could not be made.
static ph_err look(struct ph_diffuser *d, struct ph_painted *painted, struct ph_fault *fault)
{
    pthread_mutex_lock(&d->lock);
    if (!d->now) // nothing to show before the first is made
        while (!d->ready && (d->wish || d->making)) pthread_cond_wait(&d->change, &d->lock);
    struct ph_made *made = d->ready;
    d->ready = NULL;
    if (d->problem.code < 0 && !d->problem_told) painted->problem = d->problem;
    d->problem_told = d->problem.code < 0;
    struct ph_fault problem = d->problem;
    pthread_mutex_unlock(&d->lock);
    if (made) return land_or_stay(d, made, painted, fault);
    if (d->now) return PH_OK;
    if (problem.code < 0) {
        if (fault) *fault = problem;
        return problem.code;
    }
    return ph_fail(fault, PH_EBUSY, "", "nothing was set yet");
}

// ------------------------------------------------------------------------------ pictures
static ph_err check_picture(const struct ph_easel *e, const char *what,
                            const struct ph_picture *p, struct ph_fault *fault)
{
    if (p && p->format == PH_RGBA && p->width == e->width && p->height == e->height)
        return PH_OK;
    if (!p) return ph_fail(fault, PH_EINVAL, what, "expected a picture %s", what);
    return ph_fail(fault, PH_EINVAL, what, "the picture %s is %s %dx%d, expected rgba %dx%d",
                   what, ph_format_name(p->format), p->width, p->height, e->width, e->height);
}

static void take(const struct ph_easel *e, const struct ph_picture *p, uint8_t *rgba)
{
    size_t row = (size_t) e->width * 4;
    for (int y = 0; y < e->height; y++)
        memcpy(rgba + (size_t) y * row, p->data[0] + y * p->stride[0], row);
}

static void show(const struct ph_easel *e, struct ph_picture *p)
{
    size_t row = (size_t) e->width * 4;
    for (int y = 0; y < e->height; y++)
        memcpy(p->data[0] + y * p->stride[0], e->last + (size_t) y * row, row);
}

// rgba = (1 - amount) rgba + amount last, in 1/256.
static void feed_back(struct ph_easel *e, float amount)
{
    int keep = (int) (amount * 256 + 0.5f), n = e->width * e->height * 4;
    for (int i = 0; i < n; i++)
        e->rgba[i] = (uint8_t) ((e->rgba[i] * (256 - keep) + e->last[i] * keep + 128) >> 8);
}

static struct ph_tensor rgba_of(const struct ph_easel *e, uint8_t *data)
{
    return (struct ph_tensor){ PH_U8, 4, { 1, e->height, e->width, 4 }, data };
}

static struct ph_tensor vector_of(float *data, int64_t n)
{
    return (struct ph_tensor){ PH_F32, 1, { n }, data };
}

static int64_t device_ns(const struct ph_plan *plan)
{
    struct ph_plan_stats stats;
    ph_plan_stats(plan, &stats);
    return stats.run_ns;
}

static ph_err encode(struct ph_diffuser *d, struct ph_painted *painted)
{
    struct ph_easel *e = &d->easel;
    struct ph_plan *plan = d->now->encode->plan;
    struct ph_tensor rgba = rgba_of(e, e->rgba), latent = vector_of(e->latent, e->latent_len);
    ph_err ret;
    PH_TRY(ph_plan_write(plan, "rgba", &rgba));
    PH_TRY(ph_plan_run(plan));
    PH_TRY(ph_plan_read(plan, "latent", &latent));
    painted->encode_ns = device_ns(plan);
fail:
    return ret;
}

static ph_err decode(struct ph_diffuser *d, const float *clean, struct ph_painted *painted)
{
    struct ph_easel *e = &d->easel;
    struct ph_plan *plan = d->now->decode->plan;
    ph_latent_smooth(e->shown, clean, e->has_shown ? d->steer.smooth : 0, e->latent_len);
    e->has_shown = true;
    struct ph_tensor rgba = rgba_of(e, e->last), latent = vector_of(e->shown, e->latent_len);
    ph_err ret;
    PH_TRY(ph_plan_write(plan, "latent", &latent));
    PH_TRY(ph_plan_run(plan));
    PH_TRY(ph_plan_read(plan, "rgba", &rgba));
    painted->decode_ns = device_ns(plan);
    e->has_last = true;
fail:
    return ret;
}

// ------------------------------------------------------------------------------ the model
struct row {
    bool negative;
    double timestep;
};

// Words and times of the rows, where they are not what the model has already.
static ph_err write_rows(struct ph_diffuser *d, const struct row *rows)
{
    struct ph_easel *e = &d->easel;
    struct ph_plan *plan = d->now->model->plan;
    int pooled = ph_folder_pooled_channels(d->maker.folder), n = e->rows;
    int64_t states = e->text_len - pooled;
    bool times = e->rows_changed;
    float timestep[2 * PH_STEPS_MAX];
    ph_err ret = PH_OK;
    for (int i = 0; i < n; i++) {
        times = times || e->timestep[i] != rows[i].timestep;
        e->timestep[i] = rows[i].timestep;
        timestep[i] = (float) rows[i].timestep;
    }
    if (times) {
        struct ph_tensor t = vector_of(timestep, n);
        PH_TRY(ph_plan_write(plan, "timestep", &t));
    }
    if (e->words_changed || e->rows_changed) {
        float *tail = e->text + n * states;
        for (int i = 0; i < n; i++) {
            const float *from = rows[i].negative ? e->negative : e->words;
            memcpy(e->text + i * states, from, sizeof(float) * (size_t) states);
            memcpy(tail + i * pooled, from + states, sizeof(float) * (size_t) pooled);
        }
        struct ph_tensor text = vector_of(e->text, n * states);
        struct ph_tensor pool = vector_of(tail, (int64_t) n * pooled);
        PH_TRY(ph_plan_write(plan, "text", &text));
        if (pooled) PH_TRY(ph_plan_write(plan, "pooled", &pool));
    }
    e->words_changed = e->rows_changed = false;
fail:
    return ret;
}

// What of the pictures before is in view of this run, and whether it stays for the next ones.
static ph_err write_memory(struct ph_diffuser *d)
{
    struct ph_easel *e = &d->easel;
    const struct ph_diffuser_settings *s = &d->now->wish->s;
    struct ph_plan *plan = d->now->model->plan;
    float fresh[2 * PH_STEPS_MAX], kept[2 * PH_STEPS_MAX];
    uint64_t interval = s->memory_interval > 1 ? (uint64_t) s->memory_interval : 1;
    ph_err ret = PH_OK;
    if (!s->memory) return PH_OK;
    if (e->fresh) ph_plan_forget(plan);
    ph_plan_hold(plan, !e->fresh && e->painted % interval != 0);
    if (e->fresh || e->was_fresh) {
        for (int i = 0; i < e->rows; i++) {
            fresh[i] = e->fresh;
            kept[i] = !e->fresh;
        }
        struct ph_tensor f = vector_of(fresh, e->rows), k = vector_of(kept, e->rows);
        PH_TRY(ph_plan_write(plan, "fresh", &f));
        PH_TRY(ph_plan_write(plan, "kept", &k));
    }
    e->was_fresh = e->fresh;
    e->fresh = false;
fail:
    return ret;
}

static ph_err predict(struct ph_diffuser *d, struct ph_painted *painted)
{
    struct ph_easel *e = &d->easel;
    struct ph_plan *plan = d->now->model->plan;
    struct ph_tensor in = vector_of(e->in, e->rows * e->latent_len);
    struct ph_tensor out = vector_of(e->prediction, e->rows * e->latent_len);
    ph_err ret;
    PH_TRY(write_memory(d));
    PH_TRY(ph_plan_write(plan, "sample", &in));
    PH_TRY(ph_plan_run(plan));
    PH_TRY(ph_plan_read(plan, "prediction", &out));
    painted->model_ns += device_ns(plan);
fail:
    return ret;
}

static ph_err paint_stream(struct ph_diffuser *d, struct ph_painted *painted)
{
    struct ph_easel *e = &d->easel;
    struct ph_batch *b = e->batch;
    struct row rows[2 * PH_STEPS_MAX];
    ph_err ret;
    if (d->now->encode)
        ph_batch_enter(b, e->latent, e->painted);
    else
        ph_batch_enter_noise(b, NULL, e->painted);
    for (int i = 0; i < e->rows; i++) {
        struct ph_batch_row row = ph_batch_row_at(b, i);
        rows[i] = (struct row){ row.negative, row.timestep };
    }
    painted->warming = b->warm > 0 && !d->now->encode; // of a picture, all slots show it
    PH_TRY(write_rows(d, rows));
    ph_batch_gather(b, e->in);
    PH_TRY(predict(d, painted));
    ph_batch_step(b, e->prediction, e->clean);
fail:
    return ret;
}

// prediction of the positive row, guided away from the negative one; [latent], or in `out`.
static const float *guided(struct ph_easel *e, const struct ph_wish *wish, float *out)
{
    float g = wish->s.guidance_scale;
    const float *m = e->prediction;
    if (wish->guidance == PH_GUIDANCE_NONE) return m;
    ph_mix_of(out, e->latent_len, { 1 - g, m }, { g, m + e->latent_len });
    return out;
}

static ph_err paint_whole(struct ph_diffuser *d, struct ph_painted *painted)
{
    struct ph_easel *e = &d->easel;
    const struct ph_made *made = d->now;
    const struct ph_sampler *s = made->sampler;
    int64_t len = e->latent_len;
    float *before = e->other, *noise = before + len, *x = noise + len, *m = x + len;
    const struct ph_sampler_step *begin = &s->step[s->first];
    ph_err ret = PH_OK;
    if (made->encode)
        ph_mix_of(x, len, { begin->clean, e->latent }, { begin->noise, e->noise });
    else
        ph_mix_of(x, len, { begin->start, e->noise });
    memset(before, 0, sizeof(float) * (size_t) len);
    for (int i = s->first; i < s->count; i++) {
        const struct ph_sampler_step *step = &s->step[i];
        struct row rows[2] = { { made->rows == 2, step->timestep }, { false, step->timestep } };
        PH_TRY(write_rows(d, rows));
        for (int r = 0; r < made->rows; r++)
            ph_mix_of(e->in + r * len, len, { step->input, x });
        PH_TRY(predict(d, painted));
        if (step->next_noise != 0)
            ph_steer_draw_here(d, PH_STEP_NOISE + (uint64_t) i, m, noise);
        ph_sampler_advance(step, x, guided(e, made->wish, m), noise, before, len, before, x);
        if (d->on_step && d->on_step(d->on_step_arg, i + 1 - s->first, s->count - s->first))
            return PH_ESTOPPED;
    }
    memcpy(e->clean, x, sizeof(float) * (size_t) len);
fail:
    return ret;
}

// ------------------------------------------------------------------------------ one picture
// Whether the input is so like the one before that its picture is shown again.
static bool is_similar(struct ph_diffuser *d)
{
    struct ph_easel *e = &d->easel;
    float draw;
    if (!e->filters) return false;
    ph_rng_uniform(d->now->wish->s.seeds[0].seed, FILTER_DRAWS, e->painted, 1, &draw);
    return !ph_similar_next(&e->similar, e->rgba, (double) draw) && e->has_last;
}

static ph_err prepare_input(struct ph_diffuser *d, const struct ph_picture *in,
                            struct ph_painted *painted, struct ph_fault *fault)
{
    struct ph_easel *e = &d->easel;
    const struct ph_steering *s = &d->steer;
    ph_err ret;
    PH_TRY(check_picture(e, "in", in, fault));
    take(e, in, e->rgba);
    if (is_similar(d)) {
        painted->skipped = true;
        return PH_OK;
    }
    if (s->picture_feedback > 0 && e->has_last) feed_back(e, s->picture_feedback);
    PH_TRY(encode(d, painted));
    if (e->has_shown)
        ph_latent_feedback(e->latent, e->clean, s->latent_feedback, e->latent_len);
fail:
    return ret;
}

static ph_err write_control(struct ph_diffuser *d, const struct ph_picture *control)
{
    struct ph_easel *e = &d->easel;
    if (!d->maker.folder->control) return PH_OK;
    take(e, control, e->rgba); // the input is in the latent by now
    struct ph_tensor rgba = rgba_of(e, e->rgba);
    return ph_plan_write(d->now->model->plan, "control", &rgba);
}

static void advance_transition(struct ph_easel *e)
{
    if (!e->in_transition) return;
    e->in_transition =
        ph_transition_next(&e->transition, e->from, e->to, e->text_len, e->words);
    e->words_changed = true;
}

ph_err ph_diffuser_paint(struct ph_diffuser *d, const struct ph_picture *in,
                         const struct ph_picture *control, struct ph_picture *out,
                         struct ph_painted *painted, struct ph_fault *fault)
{
    struct ph_painted own;
    struct ph_easel *e = &d->easel;
    ph_err ret;
    if (!painted) painted = &own;
    *painted = (struct ph_painted){ 0 };
    PH_TRY(look(d, painted, fault));
    painted->landed = d->now->wish->number;
    painted->rows = d->now->rows;
    PH_TRY(check_picture(e, "out", out, fault));
    if (d->maker.folder->control) PH_TRY(check_picture(e, "control", control, fault));
    PH_TRY(ph_steer_move(d));
    if (d->now->encode) PH_TRY(prepare_input(d, in, painted, fault));
    e->painted++;
    if (!painted->skipped) {
        PH_TRY(write_control(d, control));
        advance_transition(e);
        PH_TRY(e->batch ? paint_stream(d, painted) : paint_whole(d, painted));
        if (!painted->warming || !e->has_last) PH_TRY(decode(d, e->clean, painted));
    }
    show(e, out);
    return PH_OK;
fail:
    if (fault && ret < 0 && fault->code != ret) ph_fail(fault, ret, "", "%s", ph_strerror(ret));
    return ret;
}

void ph_diffuser_size(struct ph_diffuser *d, int *width, int *height)
{
    pthread_mutex_lock(&d->lock);
    const struct ph_made *made = d->ready ? d->ready : d->now;
    *width = made ? made->wish->s.width : 0;
    *height = made ? made->wish->s.height : 0;
    pthread_mutex_unlock(&d->lock);
}

void ph_diffuser_cut(struct ph_diffuser *d)
{
    struct ph_easel *e = &d->easel;
    if (e->batch) ph_batch_empty(e->batch);
    ph_similar_reset(&e->similar);
    e->has_last = e->has_shown = false;
    e->fresh = true;
    if (e->in_transition) {
        memcpy(e->words, e->to, sizeof(float) * (size_t) e->text_len);
        e->in_transition = false;
        e->words_changed = true;
    }
}

void ph_diffuser_usage(struct ph_diffuser *d, struct ph_diffuser_use *use)
{
    *use = (struct ph_diffuser_use){ 0 };
    if (!d->now) return;
    const struct ph_part *parts[] = { d->now->encode, d->now->model, d->now->decode };
    for (int i = 0; i < 3; i++) {
        struct ph_plan_stats stats;
        if (!parts[i]) continue;
        ph_plan_stats(parts[i]->plan, &stats);
        use->packed_bytes = stats.packed_bytes; // of the device: counted once
        use->kept_bytes += stats.kept_bytes;
        use->flops += stats.flops;
        if (stats.arena_bytes > use->arena_bytes) use->arena_bytes = stats.arena_bytes;
    }
}

static void join(struct ph_diffuser_quality *q, const struct ph_part *part)
{
    struct ph_plan_stats stats = { 0 };
    if (part) ph_plan_stats(part->plan, &stats);
    if (!stats.worst) return;
    if (!*q->worst || stats.weights_db < q->weights_db) q->weights_db = stats.weights_db;
    if (*q->worst && stats.worst_db >= q->worst_db) return;
    q->worst_db = stats.worst_db;
    snprintf(q->worst, sizeof q->worst, "%s", stats.worst);
}

void ph_diffuser_rounding(struct ph_diffuser *d, struct ph_diffuser_quality *out)
{
    *out = (struct ph_diffuser_quality){ 0 };
    pthread_mutex_lock(&d->lock);
    struct ph_made *made = d->ready ? d->ready : d->now;
    if (made) ph_made_ref(made);
    pthread_mutex_unlock(&d->lock);
    if (!made) return;
    join(out, made->model);
    join(out, made->encode);
    join(out, made->decode);
    if (*out->worst)
        out->gate_db = ph_precision_gate_db(ph_precision_resolve(d->maker.precision));
    ph_made_unref(&made);
}
