// SPDX-License-Identifier: MIT
// Making a plan: copy the prog, fuse, give every value a type and every step a kernel, pack
// weights, lay out memory.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "core/tree.h"
#include "nn/plan_priv.h"
#include "nn/tune.h"

// ------------------------------------------------------------------------------ copying
static ph_err copy_values(struct ph_plan *plan, struct ph_step *s)
{
    size_t count = (size_t) plan->place[s->out].count;
    float *values = ph_new(plan, float, count);
    if (!values) return PH_ENOMEM;
    s->values = memcpy(values, s->values, count * sizeof *values);
    return PH_OK;
}

static ph_err copy_steps(struct ph_plan *plan, const struct ph_prog *p)
{
    ph_err ret = PH_OK;
    plan->steps = ph_new(plan, struct ph_step, p->step_count + 1);
    plan->place = ph_new(plan, struct ph_place, p->value_count + 1);
    plan->span = ph_new(plan, struct ph_span, p->value_count + 1);
    plan->root = ph_new(plan, ph_val, p->value_count + 1);
    plan->ports = ph_new(plan, struct ph_port, p->port_count + 1);
    plan->sets = ph_new(plan, struct ph_weights *, p->set_count + 1);
    plan->params = ph_new(plan, const struct ph_pack *, p->step_count + 1);
    if (!plan->steps || !plan->place || !plan->span || !plan->root || !plan->ports ||
        !plan->sets || !plan->params)
        return PH_ENOMEM;
    for (; plan->set_count < p->set_count; plan->set_count++)
        plan->sets[plan->set_count] = ph_weights_ref(p->sets[plan->set_count]);
    plan->value_count = p->value_count;
    for (int i = 0; i < p->value_count; i++) {
        const struct ph_value *v = &p->values[i];
        plan->root[i] = i;
        plan->place[i] = (struct ph_place){ .dtype = v->dtype,
                                            .rank = v->rank,
                                            .count = ph_count(v->rank, v->dim) };
        memcpy(plan->place[i].dim, v->dim, sizeof v->dim);
    }
    plan->step_count = p->step_count;
    for (int i = 0; i < p->step_count; i++) {
        plan->steps[i] = p->steps[i];
        plan->steps[i].name = ph_tree_text(plan, p->steps[i].name, strlen(p->steps[i].name));
        if (!plan->steps[i].name) return PH_ENOMEM;
        if (plan->steps[i].values) PH_TRY(copy_values(plan, &plan->steps[i]));
        plan->flops += p->steps[i].flops;
    }
fail:
    return ret;
}

static ph_err copy_ports(struct ph_plan *plan, const struct ph_prog *p)
{
    for (int i = 0; i < p->port_count; i++) {
        const struct ph_port *port = &p->ports[i];
        if (port->kind == PH_PORT_TAP && !(plan->flags & PH_PLAN_TAPS)) continue;
        plan->ports[plan->port_count] = *port;
        char *name = ph_tree_text(plan, port->name, strlen(port->name));
        if (!name) return PH_ENOMEM;
        plan->ports[plan->port_count++].name = name;
    }
    return PH_OK;
}

static void find_roots(struct ph_plan *plan)
{
    for (int i = 0; i < plan->step_count; i++)
        if (plan->steps[i].op == PH_OP_VIEW)
            plan->root[plan->steps[i].out] = ph_root(plan, plan->steps[i].in[0]);
}

// ------------------------------------------------------------------------------ types
// Operands of products are bf16 where the precision says so; sums, and what anybody else reads,
// stay f32. What only moves or shapes values passes the question on to those who read it.
static bool passes_on(enum ph_op op)
{
    return op == PH_OP_GEGLU || op == PH_OP_UPSAMPLE || op == PH_OP_CONCAT ||
           op == PH_OP_SLICE || op == PH_OP_REPEAT || op == PH_OP_SPREAD || op == PH_OP_STRETCH;
}

static bool may_narrow(enum ph_op op) // as a producer
{
    return op != PH_OP_INPUT && op != PH_OP_STATE && op != PH_OP_PARAM && op != PH_OP_VIEW &&
           op != PH_OP_CONSTANT && op != PH_OP_SINUSOID && op != PH_OP_TO_PIXELS;
}

// Backwards over the steps: a value is wide when somebody needs it as f32.
static void choose_types(struct ph_plan *plan, bool *wide)
{
    for (int i = 0; i < plan->port_count; i++) {
        wide[ph_root(plan, plan->ports[i].value)] = true;
        if (plan->ports[i].stored != PH_NONE) wide[ph_root(plan, plan->ports[i].stored)] = true;
    }
    for (int i = plan->step_count - 1; i >= 0; i--) {
        const struct ph_step *s = &plan->steps[i];
        if (s->op == PH_OP_VIEW) continue;
        bool operand = s->op == PH_OP_CONV || s->op == PH_OP_LINEAR || s->op == PH_OP_ATTEND ||
                       (passes_on(s->op) && !wide[ph_root(plan, s->out)]);
        if (!operand)
            for (int k = 0; k < s->inputs; k++) wide[ph_root(plan, s->in[k])] = true;
        if (s->row != PH_NONE) wide[ph_root(plan, s->row)] = true;
        if (s->residual != PH_NONE) wide[ph_root(plan, s->residual)] = true;
        if (!may_narrow(s->op)) wide[ph_root(plan, s->out)] = true;
    }
    for (ph_val v = 0; v < plan->value_count; v++)
        if (plan->place[v].dtype == PH_F32 && !wide[ph_root(plan, v)])
            plan->place[v].dtype = PH_BF16;
}

static ph_err give_types(struct ph_plan *plan)
{
    if (plan->precision == PH_PRECISION_F32) return PH_OK;
    bool *wide = calloc((size_t) plan->value_count + 1, sizeof *wide);
    if (!wide) return PH_ENOMEM;
    choose_types(plan, wide);
    free(wide);
    return PH_OK;
}

// ------------------------------------------------------------------------------ kernels
struct preparing {
    struct ph_plan *plan;
    struct ph_step *step;
    struct ph_fault *fault;
    ph_err ret;
};

// The best by its own account behind `last`, or NULL.
static const struct ph_kernel *next_kernel(const struct ph_plan *plan, const struct ph_step *s,
                                           const struct ph_kernel *last)
{
    double limit = last->fits(s, plan->place, plan->precision), most = 0;
    const struct ph_kernel *best = NULL;
    bool behind = false;
    for (const struct ph_kernel *const *k = plan->device->kernels; *k; k++) {
        double speed = (*k)->op == s->op ? (*k)->fits(s, plan->place, plan->precision) : 0;
        bool later = speed < limit || (behind && speed <= limit);
        behind |= *k == last;
        if (*k == last || !later || speed <= most) continue;
        best = *k;
        most = speed;
    }
    return best;
}

// A library may know only when it is asked that it has nothing for a step: then the next best.
static ph_err prepare_kernel(struct preparing *w)
{
    struct ph_step *s = w->step;
    struct ph_plan *plan = w->plan;
    for (;;) {
        const struct ph_kernel *k = s->kernel, *next;
        if (!k->prepare) return PH_OK;
        ph_err ret = k->prepare(plan->device, s, plan->place, plan->precision, w->fault);
        if (ret != PH_ENOTSUP || !(next = next_kernel(plan, s, k))) return ret;
        s->kernel = next;
    }
}

// On the device's thread, a step at a time: a plan that serves waits for one step at most.
static void prepare_step(void *arg)
{
    struct preparing *w = arg;
    struct ph_step *s = w->step;
    struct ph_plan *plan = w->plan;
    if (ph_stop_asked(&plan->stop)) {
        w->ret = ph_fail(w->fault, PH_ESTOPPED, "", "stopped");
        return;
    }
    if (s->op == PH_OP_PARAM) {
        const struct ph_pack *pack = NULL;
        w->ret = ph_pack_f32(plan->device, s, s->weight, &pack, w->fault);
        if (w->ret < 0) return;
        plan->params[plan->param_count++] = pack;
        plan->place[s->out].data = pack->data;
        return;
    }
    s->kernel = ph_tune_choose(plan, s);
    if (!s->kernel)
        w->ret = ph_fail(w->fault, PH_ENOTSUP, s->name, "%s: no kernel does %s here", s->name,
                         ph_op_name(s->op));
    else
        w->ret = prepare_kernel(w);
    if (w->ret < 0) s->kernel = NULL; // has nothing to finish
}

static ph_err prepare(struct ph_plan *plan, struct ph_fault *fault)
{
    struct preparing w = { plan, NULL, fault, PH_OK };
    for (int i = 0; i < plan->step_count && w.ret >= 0; i++) {
        w.step = &plan->steps[i];
        if (w.step->op == PH_OP_INPUT || w.step->op == PH_OP_STATE || w.step->op == PH_OP_VIEW)
            continue;
        ph_device_call(plan->device, prepare_step, &w);
    }
    return w.ret;
}

// A file that is written to while it is mapped is neither the old one nor the new one, and one that
// is cut ends the process when it is read.
static ph_err check_files(const struct ph_plan *plan, struct ph_fault *fault)
{
    ph_err ret = PH_OK;
    for (int i = 0; ret >= 0 && i < plan->set_count; i++)
        ret = ph_weights_check_unchanged(plan->sets[i], fault);
    return ret;
}

// ------------------------------------------------------------------------------ memory
static void reserve(void *arg)
{
    struct preparing *w = arg;
    w->ret = ph_device_reserve(w->plan->device, w->plan);
}

static ph_err allocate(struct ph_plan *plan)
{
    ph_err ret = ph_plan_lay_out(plan);
    if (ret < 0) return ret;
    if (plan->kept_size) {
        plan->kept = plan->device->backend->alloc(plan->device, plan->kept_size);
        if (!plan->kept) return PH_ENOMEM;
    }
    for (ph_val v = 0; v < plan->value_count; v++) {
        const struct ph_span *s = &plan->span[ph_root(plan, v)];
        if (s->foreign)
            plan->place[v].data = plan->place[ph_root(plan, v)].data;
        else if (s->kept && s->first >= 0)
            plan->place[v].data = (char *) plan->kept + s->offset;
    }
    size_t most = 0;
    for (int i = 0; i < plan->port_count; i++) {
        size_t bytes = (size_t) plan->place[plan->ports[i].value].count * 4;
        if (bytes > most) most = bytes;
    }
    plan->staging_half = most;
    plan->staging = malloc(2 * most + 1);
    if (!plan->staging) return PH_ENOMEM;
    struct preparing w = { .plan = plan };
    ph_device_call(plan->device, reserve, &w);
    return w.ret;
}

enum ph_precision ph_precision_resolve(enum ph_precision p)
{
    if (p != PH_PRECISION_AUTO) return p;
    return ph_cpu_flags() & PH_CPU_BF16 ? PH_PRECISION_BF16 : PH_PRECISION_F32;
}

ph_err ph_plan_create(const struct ph_prog *p, const struct ph_plan_params *params,
                      struct ph_plan **out, struct ph_fault *fault)
{
    ph_err ret = ph_prog_error(p, fault);
    *out = NULL;
    if (ret < 0) return ret;
    if (p->collecting)
        return ph_fail(fault, PH_EINVAL, "", "a prog that only collects does not run");
    struct ph_plan *plan = ph_new(NULL, struct ph_plan, 1);
    if (!plan) return ph_fail(fault, PH_ENOMEM, "", "out of memory");
    struct ph_plan_params none = { 0 };
    if (!params) params = &none;
    plan->flags = params->flags;
    plan->stop = params->stop;
    plan->dirty = ~0ull;
    if (params->device)
        plan->device = ph_device_ref(params->device);
    else
        PH_TRY(ph_device_open(NULL, &plan->device, fault));
    plan->precision = params->precision;
    if (plan->precision == PH_PRECISION_AUTO) plan->precision = plan->device->backend->best;
    plan->precision = ph_precision_resolve(plan->precision);
    if (plan->device->rounds) {
        plan->precision = PH_PRECISION_F32;
        plan->flags |= PH_PLAN_NO_FUSION;
    }
    PH_TRY(copy_steps(plan, p));
    PH_TRY(copy_ports(plan, p));
    ph_plan_depend(plan); // fusing asks; what it changes is found out after
    if (!(plan->flags & PH_PLAN_NO_FUSION)) ph_plan_fuse(plan);
    ph_plan_prune(plan);
    find_roots(plan);
    ph_plan_depend(plan);
    PH_TRY(give_types(plan));
    PH_TRY(check_files(plan, fault));
    PH_TRY(prepare(plan, fault));
    PH_TRY(check_files(plan, fault));
    PH_TRY(allocate(plan));
    *out = plan;
    return PH_OK;
fail:
    if (ret == PH_ENOMEM && fault && fault->code != PH_ENOMEM)
        ph_fail(fault, ret, "", "out of memory");
    ph_plan_destroy(&plan);
    return ret;
}

struct ph_device *ph_plan_device(const struct ph_plan *plan)
{
    return plan->device;
}

void ph_plan_destroy(struct ph_plan **out)
{
    struct ph_plan *plan = *out;
    *out = NULL;
    if (!plan) return;
    struct ph_device *d = plan->device;
    if (d) ph_device_release(d, plan);
    if (plan->recording) d->backend->forget(d, plan->recording);
    for (int i = 0; plan->steps && i < plan->step_count; i++) {
        struct ph_step *s = &plan->steps[i];
        if (s->kernel && s->kernel->finish) s->kernel->finish(d, s);
    }
    for (int i = 0; i < plan->param_count; i++) ph_pack_put(d, plan->params[i]);
    if (plan->kept) d->backend->release(d, plan->kept, plan->kept_size);
    for (int i = 0; i < plan->set_count; i++) ph_weights_unref(&plan->sets[i]);
    free(plan->scratch_at);
    free(plan->staging);
    ph_tree_free(plan);
    ph_device_unref(&d);
}

double ph_precision_gate_db(enum ph_precision p)
{
    return p == PH_PRECISION_I8 ? 35 : p == PH_PRECISION_Q4 ? 16 : 0;
}

const char *ph_precision_name(enum ph_precision p)
{
    static const char *const names[] = { "auto", "f32", "bf16", "int8", "q4" };
    return (unsigned) p < sizeof names / sizeof *names ? names[p] : NULL;
}

enum ph_precision ph_precision_parse(const char *text)
{
    for (int i = 0; ph_precision_name((enum ph_precision) i); i++)
        if (strcmp(text, ph_precision_name((enum ph_precision) i)) == 0)
            return (enum ph_precision) i;
    return (enum ph_precision) - 1;
}
