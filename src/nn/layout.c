// SPDX-License-Identifier: MIT
// Where everything lies: what each step hangs on, how long each value lives, and offsets in the
// arena such that no two that live at once overlap.
#include <stdlib.h>
#include <string.h>

#include "nn/plan_priv.h"

static bool is_memory(const struct ph_step *s) // has no kernel: its value is just there
{
    return s->op == PH_OP_INPUT || s->op == PH_OP_STATE || s->op == PH_OP_PARAM ||
           s->op == PH_OP_VIEW;
}

// ------------------------------------------------------------------------------ dependence
// A rare step runs when one of its inputs was written. One whose result is not kept must also run
// when a step that reads it does.
void ph_plan_depend(struct ph_plan *plan)
{
    uint64_t *used = calloc((size_t) plan->value_count + 1, sizeof *used);
    ph_val reads[PH_STEP_READS];
    for (int i = 0; used && i < plan->step_count; i++) {
        struct ph_step *s = &plan->steps[i];
        int n = ph_step_reads(s, reads);
        for (int k = 0; k < n; k++) s->inputs_used |= used[reads[k]];
        used[s->out] = s->inputs_used;
        if (!s->inputs_used) s->inputs_used = PH_FIRST_RUN;
    }
    if (!used) // then everything runs every time
        for (int i = 0; i < plan->step_count; i++) plan->steps[i].inputs_used = PH_EVERY_RUN;
    free(used);
}

static bool is_rare(const struct ph_step *s)
{
    return !(s->inputs_used & PH_EVERY_RUN);
}

// A rare value that an every-run step reads or a state becomes outlives the run, and so does what
// ports show.
static void keep(struct ph_plan *plan)
{
    ph_val reads[PH_STEP_READS];
    bool *rare = calloc((size_t) plan->value_count + 1, sizeof *rare);
    for (int i = 0; i < plan->step_count; i++) {
        const struct ph_step *s = &plan->steps[i];
        if (rare) rare[s->out] = is_rare(s);
        int n = ph_step_reads(s, reads);
        for (int k = 0; k < n; k++)
            if (!is_rare(s) && s->op != PH_OP_VIEW && (!rare || rare[reads[k]]))
                plan->span[ph_root(plan, reads[k])].kept = true;
    }
    for (int i = 0; i < plan->port_count; i++) {
        const struct ph_port *port = &plan->ports[i];
        plan->span[ph_root(plan, port->value)].kept = true;
        if (port->stored != PH_NONE && (!rare || rare[port->stored]))
            plan->span[ph_root(plan, port->stored)].kept = true;
    }
    free(rare);
}

// Backwards: what a step that will run reads and that was not kept must run with it.
static void run_with_readers(struct ph_plan *plan)
{
    uint64_t *wanted = calloc((size_t) plan->value_count + 1, sizeof *wanted);
    ph_val reads[PH_STEP_READS];
    for (int i = plan->step_count - 1; wanted && i >= 0; i--) {
        struct ph_step *s = &plan->steps[i];
        if (!plan->span[ph_root(plan, s->out)].kept) s->inputs_used |= wanted[s->out];
        int n = ph_step_reads(s, reads);
        for (int k = 0; k < n; k++) wanted[reads[k]] |= s->inputs_used;
    }
    free(wanted);
}

// ------------------------------------------------------------------------------ lifetimes
static size_t round_up(size_t n)
{
    return (n + 63) / 64 * 64;
}

static void live(struct ph_plan *plan)
{
    ph_val reads[PH_STEP_READS];
    for (ph_val v = 0; v < plan->value_count; v++) {
        const struct ph_place *p = &plan->place[v];
        plan->span[v].first = plan->span[v].last = -1;
        plan->span[v].bytes = round_up((size_t) p->count * ph_dtype_size(p->dtype));
    }
    for (int i = 0; i < plan->step_count; i++) {
        const struct ph_step *s = &plan->steps[i];
        struct ph_span *out = &plan->span[ph_root(plan, s->out)];
        if (out->first < 0) out->first = i;
        if (out->last < i) out->last = i;
        if (s->op == PH_OP_PARAM) out->foreign = true;
        int n = ph_step_reads(s, reads);
        for (int k = 0; k < n; k++) plan->span[ph_root(plan, reads[k])].last = i;
    }
    for (int i = 0; i < plan->port_count; i++)
        if (plan->ports[i].stored != PH_NONE)
            plan->span[ph_root(plan, plan->ports[i].stored)].last = plan->step_count;
}

// ------------------------------------------------------------------------------ offsets
struct block { // of the arena, for steps first .. last
    size_t bytes, *offset;
    int first, last;
};

static int larger_first(const void *a, const void *b)
{
    const struct block *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->first != y->first ? x->first - y->first : x->last - y->last;
}

static int lower_first(const void *a, const void *b)
{
    const struct block *const *x = a, *const *y = b;
    return *(*x)->offset < *(*y)->offset ? -1 : *(*x)->offset > *(*y)->offset;
}

// The largest first, each at the lowest place that is free while it lives.
static size_t arrange(struct block *blocks, int n, const struct block **beside)
{
    size_t total = 0;
    qsort(blocks, (size_t) n, sizeof *blocks, larger_first);
    for (int i = 0; i < n; i++) {
        int neighbours = 0;
        for (int k = 0; k < i; k++)
            if (blocks[k].first <= blocks[i].last && blocks[i].first <= blocks[k].last)
                beside[neighbours++] = &blocks[k];
        qsort(beside, (size_t) neighbours, sizeof *beside, lower_first);
        size_t at = 0;
        for (int k = 0; k < neighbours; k++) {
            if (at + blocks[i].bytes <= *beside[k]->offset) break;
            size_t end = *beside[k]->offset + beside[k]->bytes;
            if (end > at) at = end;
        }
        *blocks[i].offset = at;
        if (at + blocks[i].bytes > total) total = at + blocks[i].bytes;
    }
    return total;
}

static size_t lay_kept(struct ph_plan *plan)
{
    size_t total = 0;
    for (ph_val v = 0; v < plan->value_count; v++) {
        struct ph_span *s = &plan->span[v];
        if (plan->root[v] != v || !s->kept || s->foreign || s->first < 0) continue;
        s->offset = total;
        total += s->bytes;
    }
    return total;
}

ph_err ph_plan_lay_out(struct ph_plan *plan)
{
    size_t most = (size_t) (plan->value_count + plan->step_count) + 1;
    struct block *blocks = calloc(most, sizeof *blocks);
    const struct block **beside = calloc(most, sizeof(struct block *));
    plan->scratch_at = calloc((size_t) plan->step_count + 1, sizeof *plan->scratch_at);
    if (!blocks || !beside || !plan->scratch_at) {
        free(blocks);
        free(beside);
        return PH_ENOMEM;
    }
    live(plan);
    keep(plan);
    run_with_readers(plan);
    plan->kept_size = lay_kept(plan);
    int n = 0;
    for (ph_val v = 0; v < plan->value_count; v++) {
        struct ph_span *s = &plan->span[v];
        if (plan->root[v] != v || s->kept || s->foreign || s->first < 0) continue;
        blocks[n++] = (struct block){ s->bytes, &s->offset, s->first, s->last };
    }
    for (int i = 0; i < plan->step_count; i++) {
        const struct ph_step *s = &plan->steps[i];
        if (!is_memory(s) && s->scratch)
            blocks[n++] = (struct block){ round_up(s->scratch), &plan->scratch_at[i], i, i };
    }
    plan->arena_size = arrange(blocks, n, beside);
    free(blocks);
    free(beside);
    return PH_OK;
}
