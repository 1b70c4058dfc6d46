// SPDX-License-Identifier: MIT
// Which weights a prog uses, and what it costs.
#include <stdlib.h>

#include "core/tree.h"
#include "nn/record.h"

static int by_address(const void *a, const void *b)
{
    const struct ph_weight *const *x = a, *const *y = b;
    return *x < *y ? -1 : *x > *y;
}

// Every weight once, by address; *count = -1 when out of memory. Freed with ph_tree_free.
static const struct ph_weight **used_weights(const struct ph_prog *p, int *count)
{
    const struct ph_weight **w =
        ph_new(NULL, const struct ph_weight *, (size_t) (2 * p->step_count + 1));
    int n = 0, kept = 0;
    *count = -1;
    if (!w) return NULL;
    for (int i = 0; i < p->step_count; i++) {
        if (p->steps[i].weight) w[n++] = p->steps[i].weight;
        if (p->steps[i].bias) w[n++] = p->steps[i].bias;
    }
    qsort(w, (size_t) n, sizeof *w, by_address);
    for (int i = 0; i < n; i++)
        if (!kept || w[kept - 1] != w[i]) w[kept++] = w[i];
    *count = kept;
    return w;
}

int ph_prog_unused(const struct ph_prog *p, const struct ph_weights *w,
                   void (*each)(void *arg, const char *name), void *arg)
{
    int unused = 0, count;
    const struct ph_weight **used = used_weights(p, &count);
    for (int i = 0; used && i < ph_weights_count(w); i++) {
        const struct ph_weight *one = ph_weights_at(w, i);
        if (bsearch(&one, used, (size_t) count, sizeof *used, by_address)) continue;
        unused++;
        if (each) each(arg, one->name);
    }
    ph_tree_free(used);
    return unused;
}

void ph_prog_cost(const struct ph_prog *p, struct ph_prog_cost *cost)
{
    int count;
    const struct ph_weight **w = used_weights(p, &count);
    *cost = (struct ph_prog_cost){ 0 };
    for (int i = 0; i < count; i++) {
        cost->params += ph_tensor_count(&w[i]->disk);
        cost->weight_bytes += (int64_t) ph_tensor_bytes(&w[i]->disk);
    }
    ph_tree_free(w);
    uint64_t *used = ph_new(NULL, uint64_t, (size_t) (p->value_count + 1));
    if (used) ph_prog_trace(p, used);
    for (int i = 0; i < p->step_count; i++) {
        const struct ph_step *s = &p->steps[i];
        bool rare = used && !(used[s->out] & PH_EVERY_RUN);
        *(rare ? &cost->rare : &cost->each) += s->flops;
    }
    ph_tree_free(used);
}
