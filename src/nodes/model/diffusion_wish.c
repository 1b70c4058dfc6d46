// SPDX-License-Identifier: MIT
// From parameters to what the diffuser is to do, and when that shows.
//
// Live, the diffuser prepares beside the pictures and a wish lands when it is ready: chance, so the
// journal keeps which wish each picture showed. Offline, and in a replay, nothing may depend on how
// quick the machine is: there a wish is waited for.
#include "nodes/model/diffusion.h"

#include "core/tree.h"
#include "nodes/model/lists.h"

#include <stdio.h>
#include <string.h>

const char *const ph_diffusion_samplers[] = { "auto", "lcm", "euler",    "euler_a",
                                              "ddim", "tcd", "dpmpp_2m", NULL };
const char *const ph_diffusion_guidances[] = { "none", "full", "self", "initialize", NULL };

static ph_err read_lists(const struct diffusion *p, void *tree, struct ph_diffuser_settings *s,
                         struct ph_fault *fault)
{
    int places;
    ph_err ret;
    PH_TRY(ph_prompts_parse(tree, p->prompt, &s->prompts, &s->prompt_count, fault));
    PH_TRY(ph_seeds_parse(tree, p->seed, &s->seeds, &s->seed_count, fault));
    PH_TRY(ph_styles_parse(tree, p->style, *p->styles ? p->styles : NULL, &s->styles,
                           &s->style_count, fault));
    PH_TRY(ph_circle_parse(p->circle, s->circle, fault));
    PH_TRY(ph_index_parse(tree, p->index, &s->index, &places, fault));
    s->steps = s->index ? places : (int) p->steps;
fail:
    return ret;
}

static void read_numbers(const struct diffusion *p, struct ph_diffuser_settings *s)
{
    s->painting = p->painting ? PH_PAINT_WHOLE : PH_PAINT_STREAM;
    s->negative = p->negative;
    s->blend_linear = p->blend == 1;
    s->transition = (int) p->transition;
    s->sampler = ph_diffusion_samplers[p->sampler];
    s->table = (int) p->table;
    s->strength = p->strength;
    s->eta = p->eta;
    s->guidance = ph_diffusion_guidances[p->guidance];
    s->guidance_scale = p->guidance_scale;
    s->delta = p->delta;
    s->control_scale = p->control_scale;
    s->memory = (int) p->memory;
}

ph_err ph_diffusion_check(const struct diffusion *p, struct ph_fault *fault)
{
    struct ph_diffuser_settings s;
    void *tree = ph_tree_alloc(NULL, 1);
    if (!tree) return ph_fail(fault, PH_ENOMEM, "", "out of memory");
    ph_err ret = read_lists(p, tree, &s, fault);
    ph_tree_free(tree);
    return ret;
}

static ph_err make_wish(const struct diffusion *p, struct ph_size size, bool over,
                        struct diffusion_wish **out, struct ph_fault *fault)
{
    struct diffusion_wish *w = *out = ph_new(NULL, struct diffusion_wish, 1);
    if (!w) return ph_fail(fault, PH_ENOMEM, "", "out of memory");
    ph_diffuser_defaults(&w->s);
    read_numbers(p, &w->s);
    w->s.width = size.width;
    w->s.height = size.height;
    w->s.from_picture = over;
    return read_lists(p, w, &w->s, fault);
}

// --- what was said

static struct diffusion_texts texts_of(const struct diffusion *p)
{
    return (struct diffusion_texts){ p->prompt, p->negative, p->seed,
                                     p->style,  p->index,    p->circle };
}

static struct diffusion_numbers numbers_of(const struct diffusion *p)
{
    return (struct diffusion_numbers){ .transition = p->transition,
                                       .steps = p->steps,
                                       .table = p->table,
                                       .memory = p->memory,
                                       .blend = p->blend,
                                       .sampler = p->sampler,
                                       .guidance = p->guidance,
                                       .painting = p->painting,
                                       .strength = p->strength,
                                       .eta = p->eta,
                                       .guidance_scale = p->guidance_scale,
                                       .delta = p->delta,
                                       .control_scale = p->control_scale };
}

static bool same_texts(const struct diffusion_texts *a, const struct diffusion_texts *b)
{
    return !strcmp(a->prompt, b->prompt) && !strcmp(a->negative, b->negative) &&
           !strcmp(a->seed, b->seed) && !strcmp(a->style, b->style) &&
           !strcmp(a->index, b->index) && !strcmp(a->circle, b->circle);
}

bool ph_diffusion_needs_wish(const struct diffusion *p)
{
    if (!p->said) return true;
    struct diffusion_texts texts = texts_of(p);
    struct diffusion_numbers numbers = numbers_of(p);
    return memcmp(&p->said->numbers, &numbers, sizeof numbers) != 0 ||
           !same_texts(&p->said->texts, &texts);
}

static bool copy(void *tree, const char **text)
{
    return (*text = ph_tree_text(tree, *text, strlen(*text))) != NULL;
}

// Without memory for it, the next change is wished again, whatever it is.
static void remember(struct diffusion *p)
{
    struct diffusion_said *s = ph_new(NULL, struct diffusion_said, 1);
    ph_tree_free(p->said);
    p->said = s;
    if (!s) return;
    s->texts = texts_of(p);
    s->numbers = numbers_of(p);
    struct diffusion_texts *t = &s->texts;
    if (copy(s, &t->prompt) && copy(s, &t->negative) && copy(s, &t->seed) &&
        copy(s, &t->style) && copy(s, &t->index) && copy(s, &t->circle))
        return;
    ph_tree_free(s);
    p->said = NULL;
}

// --- wishing

static void trouble(struct ph_node *n, uint64_t number, const struct ph_fault *fault)
{
    struct diffusion *p = ph_priv(n);
    p->troubled = number;
    ph_node_problem(n, "%s", fault->message);
}

// The texts that negative and the lists of a kept wish point at change with the next parameter.
static ph_err keep(struct diffusion_wish *w)
{
    const char *negative = w->s.negative;
    size_t len = 0;
    while (negative[len]) len++;
    w->s.negative = ph_tree_text(w, negative, len);
    return w->s.negative ? PH_OK : PH_ENOMEM;
}

static void append(struct diffusion *p, struct diffusion_wish *w)
{
    if (!p->first) p->last = &p->first;
    *p->last = w;
    p->last = &w->next;
}

void ph_diffusion_wish(struct ph_node *n, struct ph_size size, bool over)
{
    struct diffusion *p = ph_priv(n);
    struct diffusion_wish *w;
    struct ph_fault fault = { 0 };
    uint64_t number = ++p->wished;
    p->changed = false;
    remember(p);
    p->wished_size = size;
    p->wished_over = over;
    ph_err ret = make_wish(p, size, over, &w, &fault);
    if (ret >= 0 && ph_node_replaying(n))
        ret = keep(w);
    else if (ret >= 0)
        ret = ph_diffuser_set(p->diffuser, &w->s, &fault);
    if (ret < 0) { // nothing will land: it is acknowledged with the next picture
        ph_tree_free(w);
        trouble(n, number, &fault);
        return;
    }
    w->number = number;
    w->set = ++p->taken;
    append(p, w);
    ph_node_defer(n, number);
}

// --- landing

static void arrive(struct ph_node *n, uint64_t number)
{
    struct diffusion *p = ph_priv(n);
    if (number <= p->landed) return;
    while (p->first && p->first->number <= number) {
        struct diffusion_wish *w = p->first;
        p->first = w->next;
        if (w->number == number) {
            p->landed = number;
            p->steps_now = w->s.steps;
            p->scale_now =
                w->s.guidance == ph_diffusion_guidances[0] || w->s.guidance_scale <= 1
                    ? 0
                    : (double) w->s.guidance_scale;
        }
        ph_tree_free(w);
    }
    ph_node_landed(n, number);
    if (p->troubled && p->troubled < number) {
        p->troubled = 0;
        ph_node_problem(n, NULL);
    }
}

static struct diffusion_wish *wish_of(const struct diffusion *p, uint64_t number)
{
    struct diffusion_wish *w = p->first;
    while (w && w->number != number) w = w->next;
    return w;
}

// The wish that this picture showed when the journal was written.
static ph_err land_again(struct ph_node *n, struct ph_fault *fault)
{
    struct diffusion *p = ph_priv(n);
    uint64_t number = (uint64_t) ph_node_chance(n, "landed", (int64_t) p->wished);
    struct diffusion_wish *w = number > p->landed ? wish_of(p, number) : NULL;
    if (!w) return PH_OK;
    ph_err ret = ph_diffuser_set(p->diffuser, &w->s, fault);
    if (ret >= 0) ret = ph_diffuser_settle(p->diffuser, fault);
    if (ret >= 0) arrive(n, number);
    return ret;
}

ph_err ph_diffusion_settle(struct ph_node *n, struct ph_fault *fault)
{
    struct diffusion *p = ph_priv(n);
    if (ph_node_replaying(n)) return land_again(n, fault);
    if (!ph_node_offline(n)) return PH_OK;
    ph_err ret = p->first ? ph_diffuser_settle(p->diffuser, fault) : PH_OK;
    if (ret < 0) trouble(n, p->wished, fault);
    return PH_OK; // what landed before goes on being painted
}

void ph_diffusion_landed(struct ph_node *n, const struct ph_painted *painted)
{
    struct diffusion *p = ph_priv(n);
    if (ph_node_replaying(n)) return;
    uint64_t number = p->landed;
    for (const struct diffusion_wish *w = p->first; w && w->set <= painted->landed; w = w->next)
        number = w->number;
    arrive(n, number);
    ph_node_chance(n, "landed", (int64_t) number);
    if (painted->problem.code < 0) {
        trouble(n, p->wished, &painted->problem);
        ph_node_landed(n, p->wished); // it will not: nobody is to wait for it
    }
}

void ph_diffusion_forget(struct diffusion *p)
{
    ph_tree_free(p->said);
    p->said = NULL;
    while (p->first) {
        struct diffusion_wish *w = p->first;
        p->first = w->next;
        ph_tree_free(w);
    }
}
