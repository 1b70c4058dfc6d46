// SPDX-License-Identifier: MIT
// The builders: each checks its shapes, records one step and gives the new value.
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/tree.h"
#include "nn/record.h"

ph_err ph_prog_create(struct ph_prog **out)
{
    *out = ph_new(NULL, struct ph_prog, 1);
    return *out ? PH_OK : PH_ENOMEM;
}

void ph_prog_free(struct ph_prog **p)
{
    if (!*p) return;
    for (int i = 0; i < (*p)->set_count; i++) ph_weights_unref(&(*p)->sets[i]);
    ph_tree_free(*p);
    *p = NULL;
}

ph_err ph_prog_error(const struct ph_prog *p, struct ph_fault *fault)
{
    if (fault && p->fault.code) *fault = p->fault;
    return p->fault.code;
}

void ph_prog_fail(struct ph_prog *p, ph_err code, const char *fmt, ...)
{
    if (p->fault.code) return;
    char message[sizeof p->fault.message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    const char *at = p->scope_len ? p->scope : "";
    ph_fail(&p->fault, code, at, "%s%s%s", at, *at ? ": " : "", message);
}

static bool broken(const struct ph_prog *p)
{
    return p->fault.code != PH_OK;
}

// ------------------------------------------------------------------------------ weights, names
void ph_prog_use(struct ph_prog *p, struct ph_weights *w)
{
    if (broken(p)) return;
    // Not ph_append: the references must not be lost with the list.
    struct ph_weights **sets = ph_tree_grow(p, p->sets, (size_t) p->set_count, sizeof *sets);
    if (!sets) {
        ph_prog_fail(p, PH_ENOMEM, "out of memory");
        return;
    }
    p->sets = sets;
    p->sets[p->set_count++] = ph_weights_ref(w);
    p->set = w;
}

void ph_enter(struct ph_prog *p, const char *fmt, ...)
{
    char part[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(part, sizeof part, fmt, args);
    va_end(args);
    size_t len = strlen(part), dot = p->scope_len > 0;
    const int deepest = (int) (sizeof p->scope_mark / sizeof *p->scope_mark);
    if (p->scope_depth == deepest || p->scope_len + dot + len >= sizeof p->scope) {
        ph_prog_fail(p, PH_ELIMIT, "layers are nested too deep");
        return;
    }
    p->scope_mark[p->scope_depth++] = p->scope_len;
    if (dot) p->scope[p->scope_len++] = '.';
    memcpy(p->scope + p->scope_len, part, len + 1);
    p->scope_len += len;
}

void ph_leave(struct ph_prog *p)
{
    if (!p->scope_depth) return; // ph_enter has failed
    p->scope_len = p->scope_mark[--p->scope_depth];
    p->scope[p->scope_len] = '\0';
}

const char *ph_scope(const struct ph_prog *p)
{
    return p->scope_len ? p->scope : "";
}

char *ph_prog_scoped(const struct ph_prog *p, char *text, size_t size, const char *name,
                     const char *suffix)
{
    snprintf(text, size, "%s%s%s%s", p->scope, p->scope_len ? "." : "", name, suffix);
    return text;
}

static const struct ph_weight *find(const struct ph_prog *p, const char *name,
                                    const char *suffix)
{
    char full[768];
    return ph_prog_lookup(p, ph_prog_scoped(p, full, sizeof full, name, suffix));
}

bool ph_has(const struct ph_prog *p, const char *name)
{
    char full[768];
    ph_prog_scoped(p, full, sizeof full, name, "");
    return p->set && ph_weights_find(p->set, full);
}

static bool is_floating(enum ph_dtype t)
{
    return t == PH_F32 || t == PH_F16 || t == PH_BF16;
}

// The tensor `name` + `suffix` in scope; fails when it is absent or holds no real numbers.
const struct ph_weight *ph_prog_need(struct ph_prog *p, const char *name, const char *suffix)
{
    if (broken(p)) return NULL;
    const struct ph_weight *w = find(p, name, suffix);
    if (!w)
        ph_prog_fail(p, PH_ENOENT, "no tensor %s%s in %s", name, suffix,
                     p->set ? ph_weights_path(p->set) : "any file");
    else if (!is_floating(w->disk.dtype))
        ph_prog_fail(p, PH_EFORMAT, "%s: %s%s is %s, expected f32, f16 or bf16", w->file, name,
                     suffix,
                     w->disk.dtype ? ph_dtype_name(w->disk.dtype)
                                   : "of a type that is not computed with");
    else
        return w;
    return NULL;
}

// The vector name + suffix of n numbers.
const struct ph_weight *ph_prog_need_vector(struct ph_prog *p, const char *name,
                                            const char *suffix, int64_t n)
{
    const struct ph_weight *w = ph_prog_need(p, name, suffix);
    char shape[96];
    if (!w || (w->disk.rank == 1 && w->disk.dim[0] == n)) return w;
    ph_prog_fail(p, PH_EFORMAT, "%s: %s%s is %s, expected [%lld]", w->file, name, suffix,
                 ph_tensor_shape(&w->disk, shape, sizeof shape), (long long) n);
    return NULL;
}

// ------------------------------------------------------------------------------ values, steps
int ph_rank(const struct ph_prog *p, ph_val x)
{
    return x == PH_NONE || broken(p) ? 0 : p->values[x].rank;
}

int64_t ph_dim(const struct ph_prog *p, ph_val x, int i)
{
    bool none = x == PH_NONE || broken(p) || i < 0 || i >= PH_RANK_MAX;
    return none ? 0 : p->values[x].dim[i];
}

static const char *shape_of(const struct ph_prog *p, ph_val x, char *text, size_t size)
{
    struct ph_tensor t = { .rank = p->values[x].rank };
    memcpy(t.dim, p->values[x].dim, sizeof t.dim);
    return ph_tensor_shape(&t, text, size);
}

// Adds the step and the value it makes.
ph_val ph_prog_record(struct ph_prog *p, struct ph_step step, const char *name,
                      enum ph_dtype dtype, int rank, const int64_t *dim)
{
    if (broken(p)) return PH_NONE;
    const int64_t most = (int64_t) 1 << 40; // elements, so that no product of sizes overflows
    struct ph_value value = { .dtype = dtype, .rank = rank, .step = p->step_count };
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 1 || dim[i] > INT32_MAX) {
            ph_prog_fail(p, PH_EINVAL, "%s has a dimension of %lld", ph_op_name(step.op),
                         (long long) dim[i]);
            return PH_NONE;
        }
        if (dim[i] > most / count) {
            ph_prog_fail(p, PH_ELIMIT, "%s has over %lld elements", ph_op_name(step.op),
                         (long long) most);
            return PH_NONE;
        }
        count *= value.dim[i] = dim[i];
    }
    char full[768];
    ph_prog_scoped(p, full, sizeof full, name ? name : ph_op_name(step.op), "");
    step.name = ph_tree_text(p, full, strlen(full));
    step.out = p->value_count;
    step.row = step.residual = PH_NONE;
    step.set = step.weight || step.bias ? p->set : NULL;
    if (!step.name || !ph_append(p, p->steps, p->step_count, step) ||
        !ph_append(p, p->values, p->value_count, value)) {
        ph_prog_fail(p, PH_ENOMEM, "out of memory");
        return PH_NONE;
    }
    return step.out;
}

// As x in everything.
static ph_val record_like(struct ph_prog *p, struct ph_step step, const char *name, ph_val x)
{
    return ph_prog_record(p, step, name, PH_F32, p->values[x].rank, p->values[x].dim);
}

// Whether the values are there and hold numbers; every builder asks first.
bool ph_prog_ready(struct ph_prog *p, const char *what, ph_val x)
{
    if (broken(p)) return false;
    if (x < 0 || x >= p->value_count) {
        ph_prog_fail(p, PH_EINVAL, "%s of a value that does not exist", what);
        return false;
    }
    if (p->values[x].dtype == PH_F32) return true;
    ph_prog_fail(p, PH_EINVAL, "%s of %s values", what, ph_dtype_name(p->values[x].dtype));
    return false;
}

bool ph_prog_wrong_shape(struct ph_prog *p, const char *what, ph_val x, const char *expected)
{
    char shape[96];
    ph_prog_fail(p, PH_EINVAL, "%s of %s, expected %s", what,
                 shape_of(p, x, shape, sizeof shape), expected);
    return false;
}

bool ph_prog_has_rank(struct ph_prog *p, const char *what, ph_val x, int rank, const char *as)
{
    return p->values[x].rank == rank || ph_prog_wrong_shape(p, what, x, as);
}

static bool same_shape(const struct ph_prog *p, ph_val a, ph_val b)
{
    const struct ph_value *x = &p->values[a], *y = &p->values[b];
    return x->rank == y->rank && memcmp(x->dim, y->dim, sizeof *x->dim * (size_t) x->rank) == 0;
}

// Operations of a product for each element of a shape, which may be too large to be recorded.
double ph_prog_flops(int rank, const int64_t *dim, double each)
{
    for (int i = 0; i < rank; i++) each *= (double) dim[i];
    return each;
}

// ------------------------------------------------------------------------------ ports
static bool is_port(const struct ph_prog *p, const char *name)
{
    for (int i = 0; i < p->port_count; i++)
        if (strcmp(p->ports[i].name, name) == 0) return true;
    return false;
}

static ph_val add_port(struct ph_prog *p, enum ph_port_kind kind, const char *name,
                       uint64_t bit, ph_val value)
{
    if (broken(p)) return PH_NONE;
    if (is_port(p, name)) ph_prog_fail(p, PH_EINVAL, "two ports are called \"%s\"", name);
    struct ph_port port = { kind, ph_tree_text(p, name, strlen(name)), value, PH_NONE, bit };
    if (!port.name || !ph_append(p, p->ports, p->port_count, port))
        ph_prog_fail(p, PH_ENOMEM, "out of memory");
    return broken(p) ? PH_NONE : value;
}

// The bit of a RARE input; those past the 62nd count as changing every run, which is only slow.
static uint64_t bit_of(const struct ph_prog *p, enum ph_rate rate)
{
    int rare = 0;
    for (int i = 0; i < p->port_count; i++)
        rare += p->ports[i].bit != 0 && p->ports[i].bit != PH_EVERY_RUN;
    return rate == PH_RARE && rare < 62 ? 1ull << rare : PH_EVERY_RUN;
}

ph_val ph_input(struct ph_prog *p, const char *name, enum ph_rate rate, enum ph_dtype dtype,
                int rank, const int64_t *dim)
{
    if (is_floating(dtype)) dtype = PH_F32;
    struct ph_step step = { .op = PH_OP_INPUT, .inputs_used = bit_of(p, rate) };
    return add_port(p, PH_PORT_INPUT, name, step.inputs_used,
                    ph_prog_record(p, step, name, dtype, rank, dim));
}

ph_val ph_state(struct ph_prog *p, const char *name, int rank, const int64_t *dim)
{
    struct ph_step step = { .op = PH_OP_STATE, .inputs_used = PH_EVERY_RUN };
    return add_port(p, PH_PORT_STATE, name, 0,
                    ph_prog_record(p, step, name, PH_F32, rank, dim));
}

// What a port shows of a state is what it was in this run, though states change when the run ends:
// a copy, unless x is no state.
static ph_val settled(struct ph_prog *p, ph_val x)
{
    const struct ph_step *s = &p->steps[p->values[x].step];
    while (s->op == PH_OP_VIEW) s = &p->steps[p->values[s->in[0]].step];
    if (s->op != PH_OP_STATE) return x;
    return record_like(p, (struct ph_step){ .op = PH_OP_COPY, .inputs = 1, .in = { x } }, NULL,
                       x);
}

void ph_store(struct ph_prog *p, ph_val state, ph_val x)
{
    if (!ph_prog_ready(p, "a store", x) || !ph_prog_ready(p, "a store", state)) return;
    x = settled(p, x);
    if (broken(p)) return;
    for (int i = 0; i < p->port_count; i++) {
        if (p->ports[i].kind != PH_PORT_STATE || p->ports[i].value != state) continue;
        if (!same_shape(p, state, x))
            ph_prog_wrong_shape(p, "a store", x, "the state's own shape");
        p->ports[i].stored = x;
        return;
    }
    ph_prog_fail(p, PH_EINVAL, "a store into what is no state");
}

static void show(struct ph_prog *p, enum ph_port_kind kind, const char *name, ph_val x)
{
    if (broken(p)) return;
    if (x < 0 || x >= p->value_count)
        ph_prog_fail(p, PH_EINVAL, "%s is a value that does not exist", name);
    else
        add_port(p, kind, name, 0, settled(p, x));
}

void ph_output(struct ph_prog *p, const char *name, ph_val x)
{
    show(p, PH_PORT_OUTPUT, name, x);
}

void ph_tap(struct ph_prog *p, const char *name, ph_val x)
{
    if (!broken(p) && !p->collecting && !is_port(p, name)) show(p, PH_PORT_TAP, name, x);
}

ph_val ph_param(struct ph_prog *p, const char *name, int rank, const int64_t *dim)
{
    const struct ph_weight *w = ph_prog_need(p, name, "");
    if (!w) return PH_NONE;
    bool fits = w->disk.rank == rank;
    for (int i = 0; fits && i < rank; i++) fits = !dim[i] || dim[i] == w->disk.dim[i];
    if (!fits) {
        char got[96], expected[96];
        struct ph_tensor t = { .rank = rank };
        memcpy(t.dim, dim, sizeof *dim * (size_t) rank);
        ph_prog_fail(p, PH_EFORMAT, "%s: %s is %s, expected %s", w->file, name,
                     ph_tensor_shape(&w->disk, got, sizeof got),
                     ph_tensor_shape(&t, expected, sizeof expected));
        return PH_NONE;
    }
    struct ph_step step = { .op = PH_OP_PARAM, .weight = w };
    return ph_prog_record(p, step, name, PH_F32, rank, w->disk.dim);
}

// ------------------------------------------------------------------------------ layers
ph_val ph_conv2d(struct ph_prog *p, ph_val x, const char *name, struct ph_conv conv)
{
    if (!ph_prog_ready(p, name, x) || !ph_prog_has_rank(p, name, x, 4, "[n, c, h, w]"))
        return PH_NONE;
    if (conv.stride == 0) conv.stride = 1;
    const struct ph_weight *w = ph_prog_need(p, name, ".weight");
    if (!w) return PH_NONE;
    const int64_t *in = p->values[x].dim, *k = w->disk.dim;
    if (w->disk.rank != 4 || k[1] != in[1]) {
        char shape[96];
        ph_prog_fail(p, PH_EFORMAT, "%s: %s.weight is %s, expected [out, %lld, kh, kw]",
                     w->file, name, ph_tensor_shape(&w->disk, shape, sizeof shape),
                     (long long) in[1]);
        return PH_NONE;
    }
    struct ph_step step = {
        .op = PH_OP_CONV, .inputs = 1, .in = { x }, .weight = w, .conv = conv
    };
    if (!(conv.flags & PH_NO_BIAS)) step.bias = ph_prog_need_vector(p, name, ".bias", k[0]);
    int64_t high = in[2] + conv.top + conv.bottom, wide = in[3] + conv.left + conv.right;
    if (!broken(p) && (high < k[2] || wide < k[3]))
        ph_prog_fail(p, PH_EINVAL, "%s: a picture of %lldx%lld is smaller than the kernel",
                     name, (long long) in[3], (long long) in[2]);
    int64_t out[4] = { in[0], k[0], (high - k[2]) / conv.stride + 1,
                       (wide - k[3]) / conv.stride + 1 };
    step.flops = ph_prog_flops(4, out, 2.0 * (double) (k[1] * k[2] * k[3]));
    return ph_prog_record(p, step, name, PH_F32, 4, out);
}

ph_val ph_linear(struct ph_prog *p, ph_val x, const char *name, int flags)
{
    return ph_linear_rows(p, x, name, 0, 0, flags);
}

ph_val ph_linear_rows(struct ph_prog *p, ph_val x, const char *name, int64_t first,
                      int64_t count, int flags)
{
    if (!ph_prog_ready(p, name, x)) return PH_NONE;
    struct ph_value v = p->values[x];
    if (v.rank != 2 && v.rank != 3) {
        ph_prog_wrong_shape(p, name, x, "[n, c] or [n, t, c]");
        return PH_NONE;
    }
    const struct ph_weight *w = ph_prog_need(p, name, ".weight");
    if (!w) return PH_NONE;
    const int64_t *k = w->disk.dim;
    bool matrix = w->disk.rank == 2 || (w->disk.rank == 4 && k[2] == 1 && k[3] == 1);
    if (!matrix || k[1] != v.dim[v.rank - 1]) {
        char shape[96];
        ph_prog_fail(p, PH_EFORMAT, "%s: %s.weight is %s, expected [out, %lld]", w->file, name,
                     ph_tensor_shape(&w->disk, shape, sizeof shape),
                     (long long) v.dim[v.rank - 1]);
        return PH_NONE;
    }
    struct ph_step step = { .op = PH_OP_LINEAR, .inputs = 1, .in = { x }, .weight = w };
    if (!(flags & PH_NO_BIAS)) step.bias = ph_prog_need_vector(p, name, ".bias", k[0]);
    if (!broken(p) && (first < 0 || count < 0 || first > k[0] - count))
        ph_prog_fail(p, PH_EINVAL, "%s: rows %lld and %lld more of %lld", name,
                     (long long) first, (long long) count, (long long) k[0]);
    step.first_row = first;
    step.rows = count == k[0] ? 0 : count;
    v.dim[v.rank - 1] = count ? count : k[0];
    step.flops = ph_prog_flops(v.rank, v.dim, 2.0 * (double) k[1]);
    return ph_prog_record(p, step, name, PH_F32, v.rank, v.dim);
}

ph_val ph_group_norm(struct ph_prog *p, ph_val x, const char *name, int groups, float eps)
{
    if (!ph_prog_ready(p, name, x)) return PH_NONE;
    const struct ph_value *v = &p->values[x];
    if (v->rank != 3 && v->rank != 4) {
        ph_prog_wrong_shape(p, name, x, "[n, c, h, w] or [n, t, c]");
        return PH_NONE;
    }
    int64_t c = v->dim[v->rank == 4 ? 1 : 2];
    if (groups < 1 || c % groups) {
        ph_prog_fail(p, PH_EINVAL, "%s: %lld channels do not split into %d groups", name,
                     (long long) c, groups);
        return PH_NONE;
    }
    struct ph_step step = { .op = PH_OP_GROUP_NORM,
                            .inputs = 1,
                            .in = { x },
                            .groups = groups,
                            .eps = eps,
                            .weight = ph_prog_need_vector(p, name, ".weight", c),
                            .bias = ph_prog_need_vector(p, name, ".bias", c) };
    return record_like(p, step, name, x);
}

ph_val ph_layer_norm(struct ph_prog *p, ph_val x, const char *name, float eps)
{
    const char *what = name ? name : "layer_norm";
    if (!ph_prog_ready(p, what, x)) return PH_NONE;
    const struct ph_value *v = &p->values[x];
    if (v->rank != 2 && v->rank != 3) {
        ph_prog_wrong_shape(p, what, x, "[n, c] or [n, t, c]");
        return PH_NONE;
    }
    struct ph_step step = { .op = PH_OP_LAYER_NORM, .inputs = 1, .in = { x }, .eps = eps };
    if (name) {
        step.weight = ph_prog_need_vector(p, name, ".weight", v->dim[v->rank - 1]);
        step.bias = ph_prog_need_vector(p, name, ".bias", v->dim[v->rank - 1]);
    }
    return record_like(p, step, what, x);
}

ph_val ph_embed(struct ph_prog *p, ph_val ids, const char *name)
{
    if (broken(p)) return PH_NONE;
    const struct ph_weight *w = ph_prog_need(p, name, ".weight");
    if (!w) return PH_NONE;
    if (ids < 0 || ids >= p->value_count || p->values[ids].dtype != PH_I32 ||
        p->values[ids].rank != 2 || w->disk.rank != 2) {
        ph_prog_fail(p, PH_EINVAL, "%s: expected i32 ids [n, t] and a table [entries, c]",
                     name);
        return PH_NONE;
    }
    struct ph_step step = { .op = PH_OP_EMBED, .inputs = 1, .in = { ids }, .weight = w };
    int64_t out[3] = { p->values[ids].dim[0], p->values[ids].dim[1], w->disk.dim[1] };
    return ph_prog_record(p, step, name, PH_F32, 3, out);
}

ph_val ph_attend(struct ph_prog *p, ph_val q, ph_val k, ph_val v, struct ph_attention a)
{
    if (!ph_prog_ready(p, "attention", q) || !ph_prog_ready(p, "attention", k) ||
        !ph_prog_ready(p, "attention", v) ||
        !ph_prog_has_rank(p, "attention", q, 3, "[n, t, c]"))
        return PH_NONE;
    const int64_t *d = p->values[q].dim, *s = p->values[k].dim;
    if (p->values[k].rank != 3 || !same_shape(p, k, v) || s[0] != d[0] || s[2] != d[2]) {
        ph_prog_wrong_shape(p, "attention", k, "keys and values [n, s, c] with q's n and c");
        return PH_NONE;
    }
    if (a.heads < 1 || d[2] % a.heads) {
        ph_prog_fail(p, PH_EINVAL, "attention: %lld channels do not split into %d heads",
                     (long long) d[2], a.heads);
        return PH_NONE;
    }
    if (a.scale == 0) a.scale = 1.0f / sqrtf((float) (d[2] / a.heads));
    struct ph_step step = {
        .op = PH_OP_ATTEND, .inputs = 3, .in = { q, k, v }, .attention = a
    };
    step.flops = ph_prog_flops(3, d, 4.0 * (double) s[1]);
    return record_like(p, step, NULL, q);
}

// ------------------------------------------------------------------------------ elementwise
static ph_val unary(struct ph_prog *p, enum ph_op op, ph_val x, struct ph_step step)
{
    if (!ph_prog_ready(p, ph_op_name(op), x)) return PH_NONE;
    step.op = op;
    step.inputs = 1;
    step.in[0] = x;
    return record_like(p, step, NULL, x);
}

ph_val ph_activate(struct ph_prog *p, ph_val x, enum ph_act act)
{
    return act == PH_ACT_NONE ? x : unary(p, PH_OP_ACTIVATE, x, (struct ph_step){ .act = act });
}

ph_val ph_affine(struct ph_prog *p, ph_val x, float scale, float offset)
{
    return unary(p, PH_OP_AFFINE, x, (struct ph_step){ .scale = scale, .offset = offset });
}

ph_val ph_clamp(struct ph_prog *p, ph_val x, float low, float high)
{
    return unary(p, PH_OP_CLAMP, x, (struct ph_step){ .scale = low, .offset = high });
}

enum ph_spread ph_spread(int rank, const int64_t *dim, int b_rank, const int64_t *b)
{
    if (ph_count(b_rank, b) == 1) return PH_SPREAD_ONE;
    if (b_rank == rank && memcmp(dim, b, sizeof *b * (size_t) rank) == 0) return PH_SPREAD_SAME;
    int64_t c = dim[rank == 4 ? 1 : rank - 1];
    if (b_rank == 2 && rank > 2 && b[0] == dim[0] && b[1] == c) return PH_SPREAD_ROW_CHANNEL;
    if (b_rank == 2 && rank == 3 && b[0] == dim[1] && b[1] == c) return PH_SPREAD_TOKEN;
    if (b_rank == 1 && rank != 4 && b[0] == c) return PH_SPREAD_CHANNEL;
    if (b_rank == 1 && b[0] == dim[0]) return PH_SPREAD_ROW;
    return PH_SPREAD_NONE;
}

static ph_val binary(struct ph_prog *p, enum ph_op op, ph_val a, ph_val b)
{
    const char *what = ph_op_name(op);
    if (!ph_prog_ready(p, what, a) || !ph_prog_ready(p, what, b)) return PH_NONE;
    const struct ph_value *x = &p->values[a], *y = &p->values[b];
    if (ph_spread(x->rank, x->dim, y->rank, y->dim) == PH_SPREAD_NONE) {
        char shape[96];
        ph_prog_fail(p, PH_EINVAL, "%s: %s does not spread over %s", what,
                     shape_of(p, b, shape, sizeof shape), shape_of(p, a, (char[96]){ 0 }, 96));
        return PH_NONE;
    }
    struct ph_step step = { .op = op, .inputs = 2, .in = { a, b } };
    return record_like(p, step, NULL, a);
}

ph_val ph_add(struct ph_prog *p, ph_val a, ph_val b)
{
    return binary(p, PH_OP_ADD, a, b);
}

ph_val ph_mul(struct ph_prog *p, ph_val a, ph_val b)
{
    return binary(p, PH_OP_MUL, a, b);
}

ph_val ph_axpby(struct ph_prog *p, ph_val a, ph_val x, ph_val b, ph_val y)
{
    const char *what = ph_op_name(PH_OP_AXPBY);
    if (!ph_prog_ready(p, what, a) || !ph_prog_ready(p, what, x) ||
        !ph_prog_ready(p, what, b) || !ph_prog_ready(p, what, y))
        return PH_NONE;
    int64_t n = p->values[x].dim[0];
    bool rows = p->values[a].rank == 1 && p->values[a].dim[0] == n && same_shape(p, a, b);
    if (!rows || !same_shape(p, x, y)) {
        ph_prog_wrong_shape(p, what, rows ? y : a,
                            rows ? "x's shape" : "one coefficient a row");
        return PH_NONE;
    }
    struct ph_step step = { .op = PH_OP_AXPBY, .inputs = 4, .in = { a, x, b, y } };
    return record_like(p, step, NULL, x);
}

ph_val ph_geglu(struct ph_prog *p, ph_val x)
{
    if (!ph_prog_ready(p, "geglu", x)) return PH_NONE;
    struct ph_value v = p->values[x];
    if ((v.rank != 2 && v.rank != 3) || v.dim[v.rank - 1] % 2) {
        ph_prog_wrong_shape(p, "geglu", x, "[..., 2 f]");
        return PH_NONE;
    }
    v.dim[v.rank - 1] /= 2;
    struct ph_step step = { .op = PH_OP_GEGLU, .inputs = 1, .in = { x } };
    return ph_prog_record(p, step, NULL, PH_F32, v.rank, v.dim);
}

// ------------------------------------------------------------------------------ shape
static ph_val view(struct ph_prog *p, ph_val x, int rank, const int64_t *dim)
{
    struct ph_step step = { .op = PH_OP_VIEW, .inputs = 1, .in = { x } };
    return ph_prog_record(p, step, NULL, PH_F32, rank, dim);
}

ph_val ph_tokens(struct ph_prog *p, ph_val x)
{
    if (!ph_prog_ready(p, "tokens", x) || !ph_prog_has_rank(p, "tokens", x, 4, "[n, c, h, w]"))
        return PH_NONE;
    const int64_t *d = p->values[x].dim;
    return view(p, x, 3, (int64_t[]){ d[0], d[2] * d[3], d[1] });
}

ph_val ph_image(struct ph_prog *p, ph_val x, int h, int w)
{
    if (!ph_prog_ready(p, "image", x) || !ph_prog_has_rank(p, "image", x, 3, "[n, h w, c]"))
        return PH_NONE;
    const int64_t *d = p->values[x].dim;
    if (d[1] != (int64_t) h * w) {
        ph_prog_wrong_shape(p, "image", x, "as many tokens as pixels");
        return PH_NONE;
    }
    return view(p, x, 4, (int64_t[]){ d[0], d[2], h, w });
}

ph_val ph_reshape(struct ph_prog *p, ph_val x, int rank, const int64_t *dim)
{
    if (!ph_prog_ready(p, "reshape", x)) return PH_NONE;
    const struct ph_value *v = &p->values[x];
    if (v->rank == 4 || rank < 1 || rank > 3 ||
        ph_count(v->rank, v->dim) != ph_count(rank, dim)) {
        ph_prog_wrong_shape(p, "reshape", x, "as many elements, and no picture");
        return PH_NONE;
    }
    return view(p, x, rank, dim);
}

ph_val ph_constant(struct ph_prog *p, const char *name, int rank, const int64_t *dim,
                   const float *data)
{
    struct ph_step step = { .op = PH_OP_CONSTANT };
    ph_val x = ph_prog_record(p, step, name, PH_F32, rank, dim);
    if (x == PH_NONE) return x;
    size_t count = (size_t) ph_count(rank, dim);
    float *values = ph_new(p, float, count);
    if (!values)
        ph_prog_fail(p, PH_ENOMEM, "out of memory");
    else
        p->steps[p->values[x].step].values = memcpy(values, data, count * sizeof *values);
    return x;
}

ph_val ph_concat(struct ph_prog *p, int axis, ph_val a, ph_val b)
{
    if (!ph_prog_ready(p, "concat", a) || !ph_prog_ready(p, "concat", b)) return PH_NONE;
    struct ph_value v = p->values[a];
    const struct ph_value *y = &p->values[b];
    bool fits = axis >= 0 && axis < v.rank && v.rank == y->rank;
    for (int i = 0; fits && i < v.rank; i++) fits = i == axis || v.dim[i] == y->dim[i];
    if (!fits) {
        ph_prog_wrong_shape(p, "concat", b, "the first one's shape beside the axis");
        return PH_NONE;
    }
    v.dim[axis] += y->dim[axis];
    struct ph_step step = { .op = PH_OP_CONCAT, .inputs = 2, .in = { a, b }, .axis = axis };
    return ph_prog_record(p, step, NULL, PH_F32, v.rank, v.dim);
}

ph_val ph_slice(struct ph_prog *p, ph_val x, int axis, int64_t first, int64_t count)
{
    if (!ph_prog_ready(p, "slice", x)) return PH_NONE;
    struct ph_value v = p->values[x];
    if (axis < 0 || axis >= v.rank || first < 0 || count < 1 || first > v.dim[axis] - count) {
        ph_prog_wrong_shape(p, "slice", x, "the range to lie within");
        return PH_NONE;
    }
    if (count == v.dim[axis]) return x;
    v.dim[axis] = count;
    struct ph_step step = {
        .op = PH_OP_SLICE, .inputs = 1, .in = { x }, .axis = axis, .first = first
    };
    return ph_prog_record(p, step, NULL, PH_F32, v.rank, v.dim);
}

ph_val ph_upsample(struct ph_prog *p, ph_val x, int h, int w)
{
    if (!ph_prog_ready(p, "upsample", x) ||
        !ph_prog_has_rank(p, "upsample", x, 4, "[n, c, h, w]"))
        return PH_NONE;
    const int64_t *d = p->values[x].dim;
    if (d[2] == h && d[3] == w) return x;
    struct ph_step step = { .op = PH_OP_UPSAMPLE, .inputs = 1, .in = { x } };
    return ph_prog_record(p, step, NULL, PH_F32, 4, (int64_t[]){ d[0], d[1], h, w });
}

ph_val ph_repeat(struct ph_prog *p, ph_val x, int64_t n)
{
    if (!ph_prog_ready(p, "repeat", x)) return PH_NONE;
    struct ph_value v = p->values[x];
    if (v.rank < 1 || v.dim[0] != 1) {
        ph_prog_wrong_shape(p, "repeat", x, "[1, ...]");
        return PH_NONE;
    }
    if (n == 1) return x;
    v.dim[0] = n;
    struct ph_step step = { .op = PH_OP_REPEAT, .inputs = 1, .in = { x } };
    return ph_prog_record(p, step, NULL, PH_F32, v.rank, v.dim);
}

ph_val ph_pick(struct ph_prog *p, ph_val x, ph_val index)
{
    if (!ph_prog_ready(p, "pick", x) || !ph_prog_has_rank(p, "pick", x, 3, "[n, t, c]"))
        return PH_NONE;
    const struct ph_value *i = index == PH_NONE ? NULL : &p->values[index];
    const int64_t *d = p->values[x].dim;
    if (!i || i->dtype != PH_I32 || i->rank != 1 || i->dim[0] != d[0]) {
        ph_prog_fail(p, PH_EINVAL, "pick: expected one i32 place a row");
        return PH_NONE;
    }
    struct ph_step step = { .op = PH_OP_PICK, .inputs = 2, .in = { x, index } };
    return ph_prog_record(p, step, NULL, PH_F32, 2, (int64_t[]){ d[0], d[2] });
}

ph_val ph_sinusoid(struct ph_prog *p, ph_val t, int c, float max_period)
{
    if (!ph_prog_ready(p, "sinusoid", t)) return PH_NONE;
    const struct ph_value *v = &p->values[t];
    if (v->rank > 2 || v->rank < 1 || c < 2 || c % 2) {
        ph_prog_wrong_shape(p, "sinusoid", t, "[n] or [n, m], and an even number of channels");
        return PH_NONE;
    }
    int64_t m = v->rank == 2 ? v->dim[1] : 1;
    struct ph_step step = {
        .op = PH_OP_SINUSOID, .inputs = 1, .in = { t }, .max_period = max_period
    };
    return ph_prog_record(p, step, NULL, PH_F32, 2, (int64_t[]){ v->dim[0], m * c });
}

// ------------------------------------------------------------------------------ pictures
ph_val ph_from_pixels(struct ph_prog *p, ph_val rgba, float scale, float offset)
{
    if (broken(p)) return PH_NONE;
    const struct ph_value *v = rgba == PH_NONE ? NULL : &p->values[rgba];
    if (!v || v->dtype != PH_U8 || v->rank != 4 || v->dim[3] != 4) {
        ph_prog_fail(p, PH_EINVAL, "from_pixels: expected u8 [n, h, w, 4]");
        return PH_NONE;
    }
    struct ph_step step = {
        .op = PH_OP_FROM_PIXELS, .inputs = 1, .in = { rgba }, .scale = scale, .offset = offset
    };
    int64_t out[4] = { v->dim[0], 3, v->dim[1], v->dim[2] };
    return ph_prog_record(p, step, NULL, PH_F32, 4, out);
}

ph_val ph_to_pixels(struct ph_prog *p, ph_val x, float scale, float offset)
{
    if (!ph_prog_ready(p, "to_pixels", x) ||
        !ph_prog_has_rank(p, "to_pixels", x, 4, "[n, 3, h, w]"))
        return PH_NONE;
    const int64_t *d = p->values[x].dim;
    if (d[1] != 3) {
        ph_prog_wrong_shape(p, "to_pixels", x, "three channels");
        return PH_NONE;
    }
    struct ph_step step = {
        .op = PH_OP_TO_PIXELS, .inputs = 1, .in = { x }, .scale = scale, .offset = offset
    };
    return ph_prog_record(p, step, NULL, PH_U8, 4, (int64_t[]){ d[0], d[2], d[3], 4 });
}

// ------------------------------------------------------------------------------ cost
// Which inputs each value hangs on; the order of steps makes one pass enough.
void ph_prog_trace(const struct ph_prog *p, uint64_t *used)
{
    for (int i = 0; i < p->step_count; i++) {
        const struct ph_step *s = &p->steps[i];
        uint64_t bits = s->inputs_used;
        for (int k = 0; k < s->inputs; k++) bits |= used[s->in[k]];
        used[s->out] = bits;
    }
}

const char *ph_op_name(enum ph_op op)
{
    static const char *const names[PH_OP_COUNT] = {
        "input",      "state",    "param",    "conv",    "linear",   "group_norm",
        "layer_norm", "attend",   "activate", "add",     "mul",      "affine",
        "axpby",      "clamp",    "geglu",    "view",    "concat",   "slice",
        "upsample",   "repeat",   "embed",    "pick",    "sinusoid", "from_pixels",
        "to_pixels",  "constant", "spread",   "stretch", "bicubic",  "rotary",
        "copy",
    };
    return names[op];
}
