// SPDX-License-Identifier: MIT
// What one kernel can do at once. A step that is fused into another becomes a view of its result,
// so that every value keeps its name and shape.
#include <stdlib.h>
#include <string.h>

#include "nn/plan_priv.h"

int ph_step_reads(const struct ph_step *s, ph_val out[PH_STEP_READS])
{
    int n = 0;
    for (int i = 0; i < s->inputs; i++) out[n++] = s->in[i];
    if (s->row != PH_NONE) out[n++] = s->row;
    if (s->residual != PH_NONE) out[n++] = s->residual;
    return n;
}

struct fusing {
    struct ph_plan *plan;
    int *uses;     // by value: steps and ports that read it
    int *producer; // by value: its step
};

// What is computed when a rare input was written stays so: beside a value of every run it is not
// computed with every run.
static bool as_rare(const struct ph_step *a, const struct ph_step *b)
{
    return (a->inputs_used & PH_EVERY_RUN) == (b->inputs_used & PH_EVERY_RUN);
}

static void count_uses(struct fusing *f)
{
    const struct ph_plan *plan = f->plan;
    ph_val reads[PH_STEP_READS];
    memset(f->uses, 0, sizeof *f->uses * (size_t) plan->value_count);
    for (int i = 0; i < plan->step_count; i++) {
        int n = ph_step_reads(&plan->steps[i], reads);
        for (int k = 0; k < n; k++) f->uses[reads[k]]++;
        f->producer[plan->steps[i].out] = i;
    }
    for (int i = 0; i < plan->port_count; i++) {
        const struct ph_port *port = &plan->ports[i];
        f->uses[port->value]++;
        if (port->stored != PH_NONE) f->uses[port->stored]++;
    }
}

// The step that computes v, through views that nobody else looks at; NULL when others need it.
static struct ph_step *sole_producer(const struct fusing *f, ph_val v)
{
    for (;;) {
        if (f->uses[v] != 1) return NULL;
        struct ph_step *s = &f->plan->steps[f->producer[v]];
        if (s->op != PH_OP_VIEW) return s;
        v = s->in[0];
    }
}

static bool is_layer(const struct ph_step *s)
{
    return s->op == PH_OP_CONV || s->op == PH_OP_LINEAR;
}

static void become_view(struct ph_step *s, ph_val of)
{
    s->op = PH_OP_VIEW;
    s->inputs = 1;
    s->in[0] = of;
    s->act = PH_ACT_NONE;
}

// act(layer(x)), act(norm(x)), act(layer(x) + y).
static void fuse_activation(struct fusing *f, struct ph_step *s)
{
    struct ph_step *maker = sole_producer(f, s->in[0]);
    if (!maker || maker->act != PH_ACT_NONE) return;
    if (!is_layer(maker) && maker->op != PH_OP_GROUP_NORM && maker->op != PH_OP_LAYER_NORM)
        return;
    maker->act = s->act;
    become_view(s, s->in[0]);
}

// layer(x) * g[c], where g comes from the same file: weights are packed once, so it costs nothing.
static void fuse_gain(struct fusing *f, struct ph_step *s)
{
    const struct ph_place *a = &f->plan->place[s->in[0]], *b = &f->plan->place[s->in[1]];
    if (ph_spread(a->rank, a->dim, b->rank, b->dim) != PH_SPREAD_CHANNEL) return;
    struct ph_step *maker = sole_producer(f, s->in[0]);
    const struct ph_step *gain = &f->plan->steps[f->producer[s->in[1]]];
    if (!maker || maker->op != PH_OP_LINEAR || maker->act != PH_ACT_NONE || maker->gain ||
        maker->turned || maker->residual != PH_NONE)
        return;
    if (gain->op != PH_OP_PARAM || gain->set != maker->set) return;
    maker->gain = gain->weight;
    become_view(s, s->in[0]);
}

// layer(x) + y, when y is there before the layer runs.
static bool fuse_residual(struct fusing *f, struct ph_step *s, int side)
{
    ph_val mine = s->in[side], other = s->in[1 - side];
    struct ph_step *maker = sole_producer(f, mine);
    if (!maker || !is_layer(maker) || maker->act != PH_ACT_NONE || maker->residual != PH_NONE)
        return false;
    if (f->producer[other] >= (int) (maker - f->plan->steps) || !as_rare(maker, s))
        return false;
    maker->residual = other;
    become_view(s, mine);
    return true;
}

static void fuse_add(struct fusing *f, struct ph_step *s)
{
    const struct ph_place *a = &f->plan->place[s->in[0]], *b = &f->plan->place[s->in[1]];
    if (ph_spread(a->rank, a->dim, b->rank, b->dim) != PH_SPREAD_SAME) return;
    if (s->in[0] == s->in[1]) return;
    if (!fuse_residual(f, s, 0)) fuse_residual(f, s, 1);
}

// norm(x + y[n, c])
static void fuse_row(struct fusing *f, struct ph_step *s)
{
    if (f->uses[s->in[0]] != 1) return;
    struct ph_step *add = &f->plan->steps[f->producer[s->in[0]]];
    if (add->op != PH_OP_ADD) return;
    const struct ph_place *a = &f->plan->place[add->in[0]], *b = &f->plan->place[add->in[1]];
    if (ph_spread(a->rank, a->dim, b->rank, b->dim) != PH_SPREAD_ROW_CHANNEL) return;
    s->row = add->in[1];
    s->in[0] = add->in[0];
    f->uses[add->out] = 0;
}

void ph_plan_fuse(struct ph_plan *plan)
{
    int *memory = calloc((size_t) plan->value_count * 2 + 1, sizeof *memory);
    if (!memory) return; // then nothing is fused, and all is as right
    struct fusing f = { plan, memory, memory + plan->value_count };
    count_uses(&f);
    for (int i = 0; i < plan->step_count; i++) {
        struct ph_step *s = &plan->steps[i];
        if (s->op == PH_OP_ACTIVATE)
            fuse_activation(&f, s);
        else if (s->op == PH_OP_ADD)
            fuse_add(&f, s);
        else if (s->op == PH_OP_MUL)
            fuse_gain(&f, s);
        else if (s->op == PH_OP_GROUP_NORM)
            fuse_row(&f, s);
    }
    free(memory);
}

void ph_plan_prune(struct ph_plan *plan)
{
    bool *wanted = calloc((size_t) plan->value_count + 1, sizeof *wanted);
    if (!wanted) return;
    for (int i = 0; i < plan->port_count; i++) {
        wanted[plan->ports[i].value] = true;
        if (plan->ports[i].stored != PH_NONE) wanted[plan->ports[i].stored] = true;
    }
    ph_val reads[PH_STEP_READS];
    for (int i = plan->step_count - 1; i >= 0; i--) {
        if (!wanted[plan->steps[i].out]) continue;
        int n = ph_step_reads(&plan->steps[i], reads);
        for (int k = 0; k < n; k++) wanted[reads[k]] = true;
    }
    int left = 0;
    for (int i = 0; i < plan->step_count; i++)
        if (wanted[plan->steps[i].out]) plan->steps[left++] = plan->steps[i];
    plan->step_count = left;
    free(wanted);
}
