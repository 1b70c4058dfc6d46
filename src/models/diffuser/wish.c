// SPDX-License-Identifier: MIT
// Settings as they are wished: checked and copied.
#include <math.h>
#include <string.h>

#include "core/tree.h"
#include "models/diffuser/making.h"

void ph_diffuser_defaults(struct ph_diffuser_settings *s)
{
    *s = (struct ph_diffuser_settings){
        .width = 512,
        .height = 512,
        .from_picture = true,
        .sampler = "auto",
        .steps = 1,
        .strength = 0.5f,
        .guidance = "none",
        .guidance_scale = 1,
        .delta = 1,
        .similar_max = 10,
        .control_scale = 1,
    };
}

static ph_err check_range(struct ph_fault *fault, const char *name, double value, double low,
                          double high)
{
    // as floats: 0.4 written by hand is above the double of that name; and not for NaN
    if (value >= low && value <= (double) (float) high) return PH_OK;
    return ph_fail(fault, PH_EINVAL, name, "%s is %g, expected %g to %g", name, value, low,
                   high);
}

static ph_err check_size(struct ph_fault *fault, const char *name, int value)
{
    if (value >= 16 && value <= 4096 && value % 8 == 0) return PH_OK;
    int near = value < 16 ? 16 : value > 4096 ? 4096 : (value + 4) / 8 * 8;
    return ph_fail(fault, PH_EINVAL, name,
                   "%s is %d, expected a multiple of 8 from 16 to 4096, such as %d", name,
                   value, near);
}

static ph_err check_numbers(const struct ph_diffuser_settings *s, struct ph_fault *fault)
{
    const struct {
        const char *name;
        double value, low, high;
    } numbers[] = {
        { "steps", s->steps, 1, PH_STEPS_MAX },
        { "table", s->table, 0, 1000 },
        { "strength", s->strength, 0, 1 },
        { "eta", s->eta, 0, 1 },
        { "guidance_scale", s->guidance_scale, 0, 30 },
        { "delta", s->delta, 0, 10 },
        { "similar", s->similar, 0, 1 },
        { "similar_max", s->similar_max, 0, 10000 },
        { "smooth", s->smooth, 0, 0.95 },
        { "latent_feedback", s->latent_feedback, 0, 0.4 },
        { "picture_feedback", s->picture_feedback, 0, 1 },
        { "control_scale", s->control_scale, 0, 2 },
        { "transition", s->transition, 0, 100000 },
        { "memory", s->memory, 0, 4 },
        { "memory_interval", s->memory_interval, 0, 1000 },
        { "prompts", s->prompt_count, 1, PH_PROMPTS_MAX },
        { "seeds", s->seed_count, 0, PH_SEEDS_MAX },
        { "styles", s->style_count, 0, PH_STYLES_MAX },
    };
    ph_err ret = check_size(fault, "width", s->width);
    if (ret >= 0) ret = check_size(fault, "height", s->height);
    for (size_t i = 0; ret >= 0 && i < sizeof numbers / sizeof *numbers; i++)
        ret = check_range(fault, numbers[i].name, numbers[i].value, numbers[i].low,
                          numbers[i].high);
    return ret;
}

static ph_err check_lists(const struct ph_diffuser_settings *s, struct ph_fault *fault)
{
    int last = (s->table ? s->table : 50) - 1;
    if (!s->prompts || (s->style_count && !s->styles))
        return ph_fail(fault, PH_EINVAL, s->prompts ? "styles" : "prompts",
                       "there is a count but no list");
    if ((s->index || s->painting == PH_PAINT_STREAM) && s->steps > last + 1)
        return ph_fail(fault, PH_EINVAL, "steps", "steps is %d, but the table has %d", s->steps,
                       last + 1);
    for (int i = 0; s->index && i < s->steps; i++)
        if (s->index[i] < 0 || s->index[i] > last || (i && s->index[i] <= s->index[i - 1]))
            return ph_fail(fault, PH_EINVAL, "index",
                           "index has %d, expected %d rising places from 0 to %d", s->index[i],
                           s->steps, last);
    for (int i = 0; i < s->prompt_count; i++) {
        if (!isfinite(s->prompts[i].weight) || s->prompts[i].weight < 0)
            return ph_fail(fault, PH_EINVAL, "prompts", "a weight is %g, expected 0 or more",
                           (double) s->prompts[i].weight);
        if (!s->prompts[i].text)
            return ph_fail(fault, PH_EINVAL, "prompts", "prompt %d has no text", i);
        if (strlen(s->prompts[i].text) > PH_CLIP_TEXT_MAX)
            return ph_fail(fault, PH_ELIMIT, "prompts", "a prompt is over %u MB",
                           PH_CLIP_TEXT_MAX >> 20);
    }
    for (int i = 0; i < s->seed_count; i++)
        if (!isfinite(s->seeds[i].weight) || s->seeds[i].weight < 0)
            return ph_fail(fault, PH_EINVAL, "seeds", "a weight is %g, expected 0 or more",
                           (double) s->seeds[i].weight);
    if (s->circle[0] == s->circle[1] && s->circle[0])
        return ph_fail(fault, PH_EINVAL, "circle",
                       "circle is two different seeds, not %llu twice",
                       (unsigned long long) s->circle[0]);
    for (int i = 0; i < s->style_count; i++)
        if (!s->styles[i].path || !(fabsf(s->styles[i].scale) <= 10))
            return ph_fail(fault, PH_EINVAL, "styles", "a scale is %g, expected -10 to 10",
                           (double) s->styles[i].scale);
    return PH_OK;
}

static ph_err read_words(struct ph_wish *w, struct ph_fault *fault)
{
    static const char *const guidances[] = { "none", "full", "self", "initialize" };
    const char *sampler = w->s.sampler ? w->s.sampler : "auto";
    const char *guidance = w->s.guidance ? w->s.guidance : "none";
    w->sampler = ph_sampler_from_name(sampler);
    if (w->sampler == PH_SAMPLER_AUTO && strcmp(sampler, "auto") != 0)
        return ph_fail(fault, PH_EINVAL, "sampler",
                       "no sampler \"%s\"; there are auto, lcm, euler, euler_a, ddim, tcd and "
                       "dpmpp_2m",
                       sampler);
    // A stream notes steps by LCM's table, as StreamDiffusion does with every model.
    if (w->sampler == PH_SAMPLER_AUTO && w->s.painting == PH_PAINT_STREAM)
        w->sampler = PH_SAMPLER_LCM;
    int g = 0;
    while (g < 4 && strcmp(guidances[g], guidance) != 0) g++;
    if (g == 4)
        return ph_fail(fault, PH_EINVAL, "guidance",
                       "no guidance \"%s\"; there are none, full, self and initialize",
                       guidance);
    w->guidance = w->s.guidance_scale > 1 ? (enum ph_guidance) g : PH_GUIDANCE_NONE;
    if (w->s.painting == PH_PAINT_WHOLE && w->s.memory)
        return ph_fail(fault, PH_EINVAL, "memory",
                       "memory is for streams: the steps of a whole painting differ");
    if (w->s.painting == PH_PAINT_WHOLE && w->guidance > PH_GUIDANCE_FULL)
        return ph_fail(fault, PH_EINVAL, "guidance",
                       "%s is for streams; a whole painting has none or full", guidance);
    return PH_OK;
}

static const char *copy_text(struct ph_wish *w, const char *text)
{
    return ph_tree_text(w, text ? text : "", text ? strlen(text) : 0);
}

static void *copy_list(struct ph_wish *w, const void *list, int n, size_t size)
{
    void *copy = ph_tree_alloc(w, (size_t) n * size + 1);
    return copy && n ? memcpy(copy, list, (size_t) n * size) : copy;
}

// Everything that s points at becomes the wish's own.
static bool own(struct ph_wish *w)
{
    struct ph_diffuser_settings *s = &w->s;
    static const struct ph_seed first = { 2, 1 };
    if (!s->seed_count || !s->seeds) {
        s->seeds = &first;
        s->seed_count = 1;
    }
    if (!s->circle[0] && !s->circle[1]) s->circle[0] = 1001, s->circle[1] = 1002;
    struct ph_prompt *prompts = copy_list(w, s->prompts, s->prompt_count, sizeof *prompts);
    struct ph_style *styles = copy_list(w, s->styles, s->style_count, sizeof *styles);
    struct ph_seed *seeds = copy_list(w, s->seeds, s->seed_count, sizeof *seeds);
    int *index = s->index ? copy_list(w, s->index, s->steps, sizeof *index) : NULL;
    bool ok = prompts && styles && seeds && (index || !s->index);
    for (int i = 0; ok && i < s->prompt_count; i++)
        ok = (prompts[i].text = copy_text(w, prompts[i].text)) != NULL;
    for (int i = 0; ok && i < s->style_count; i++)
        ok = (styles[i].path = copy_text(w, styles[i].path)) != NULL;
    s->prompts = prompts;
    s->styles = styles;
    s->seeds = seeds;
    s->index = index;
    s->negative = copy_text(w, s->negative);
    s->sampler = s->guidance = NULL; // read already
    return ok && s->negative;
}

ph_err ph_wish_create(const struct ph_diffuser_settings *s, const struct ph_maker *m,
                      struct ph_wish **out, struct ph_fault *fault)
{
    struct ph_wish *w = NULL;
    ph_err ret = check_numbers(s, fault);
    *out = NULL;
    if (ret >= 0) ret = check_lists(s, fault);
    if (ret < 0) return ret;
    if (!(w = ph_new(NULL, struct ph_wish, 1)))
        return ph_fail(fault, PH_ENOMEM, "", "out of memory");
    w->s = *s;
    ret = read_words(w, fault);
    if (ret >= 0 && !own(w)) ret = ph_fail(fault, PH_ENOMEM, "", "out of memory");
    if (ret < 0)
        ph_tree_free(w);
    else
        *out = w;
    return ret;
}
