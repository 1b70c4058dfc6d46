// SPDX-License-Identifier: MIT
// Graphs nobody wrote: random progs over every operation, of which a plan with all its fusion, one
// arena and rare steps must give what the same operations give one by one, each in memory of its own,
// run anew every time, with states carried by hand.
#include <phosphene/tensor.h>

#include "files.h"
#include "nn/plan_priv.h"
#include "nn/rng.h"

#define D(...) ((const int64_t[]){ __VA_ARGS__ })

enum { N = 2, RUNS = 4, STATES = 3, MOST = 64 };

static uint64_t rng_state;

static int any(int n) // 0 .. n - 1
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (int) (rng_state % (uint64_t) n);
}

// ------------------------------------------------------------------------------ weights
static const int widths[] = { 4, 8 };

static struct ph_weights *weights(void)
{
    static struct ph_named_tensor all[64];
    static char names[64][32];
    int n = 0;
#define TENSOR(rank_, dims, ...)                                                               \
    snprintf(names[n], sizeof names[n], __VA_ARGS__);                                          \
    all[n] = (struct ph_named_tensor){ names[n], { PH_F32, rank_, dims, NULL } };              \
    n++
#define DIMS(...)                                                                              \
    {                                                                                          \
        __VA_ARGS__                                                                            \
    }
    for (int i = 0; i < 2; i++) {
        int a = widths[i];
        TENSOR(1, DIMS(a), "n%d.weight", a);
        TENSOR(1, DIMS(a), "n%d.bias", a);
        TENSOR(2, DIMS(7, a), "e%d.weight", a);
        TENSOR(1, DIMS(a), "v%d", a);
        TENSOR(2, DIMS(N, a), "m%d", a);
        for (int k = 0; k < 2; k++) {
            int b = widths[k];
            TENSOR(2, DIMS(b, a), "l%d_%d.weight", a, b);
            TENSOR(1, DIMS(b), "l%d_%d.bias", a, b);
            TENSOR(4, DIMS(b, a, 3, 3), "c%d_%d.weight", a, b);
            TENSOR(1, DIMS(b), "c%d_%d.bias", a, b);
        }
    }
    struct ph_fault fault = { 0 };
    if (ph_weights_save(in_folder("random.safetensors"), all, n, 7, &fault) < 0)
        TEST_FAIL("%s", fault.message);
    return open_ok(in_folder("random.safetensors"));
}

// ------------------------------------------------------------------------------ progs
struct graph {
    struct ph_prog *p;
    bool by_hand; // states are inputs, what is stored an output, every input changes always
    ph_val value[MOST + 64];
    int count;
    ph_val state[STATES];
    int outputs;
};

static void push(struct graph *g, ph_val v)
{
    if (v != PH_NONE && g->count < MOST) g->value[g->count++] = v;
}

static bool is_float(const struct graph *g, ph_val v)
{
    return g->p->values[v].dtype == PH_F32;
}

// Any value of a rank (0 = any), mostly one of the latest; PH_NONE when there is none.
static ph_val of_rank(const struct graph *g, int rank)
{
    for (int tries = 0; tries < 40; tries++) {
        int back = any(3) ? any(g->count < 6 ? g->count : 6) : any(g->count);
        ph_val v = g->value[g->count - 1 - back];
        if (is_float(g, v) && (!rank || ph_rank(g->p, v) == rank)) return v;
    }
    return PH_NONE;
}

static int width_of(const struct graph *g, ph_val v)
{
    int rank = ph_rank(g->p, v);
    return (int) ph_dim(g->p, v, rank == 4 ? 1 : rank - 1);
}

// "l4_8" for a value of 4 channels; NULL when no weight is that wide.
static const char *layer(const struct graph *g, ph_val v, const char *kind, bool two)
{
    static char name[32];
    int a = width_of(g, v);
    if (a != 4 && a != 8) return NULL;
    if (two)
        snprintf(name, sizeof name, "%s%d_%d", kind, a, widths[any(2)]);
    else
        snprintf(name, sizeof name, "%s%d", kind, a);
    return name;
}

static bool spreads(const struct graph *g, ph_val a, ph_val b)
{
    const struct ph_value *x = &g->p->values[a], *y = &g->p->values[b];
    return ph_spread(x->rank, x->dim, y->rank, y->dim) != PH_SPREAD_NONE;
}

static bool alike(const struct graph *g, ph_val a, ph_val b)
{
    const struct ph_value *x = &g->p->values[a], *y = &g->p->values[b];
    return x->rank == y->rank && memcmp(x->dim, y->dim, sizeof x->dim) == 0;
}

// Another value for which fits(g, a, it).
static ph_val partner(const struct graph *g, ph_val a,
                      bool (*fits)(const struct graph *g, ph_val a, ph_val b))
{
    for (int tries = 0; tries < 60; tries++) {
        ph_val b = g->value[any(g->count)];
        if (is_float(g, b) && fits(g, a, b)) return b;
    }
    return PH_NONE;
}

static void binary(struct graph *g, bool product)
{
    ph_val a = of_rank(g, 0), b = a == PH_NONE ? PH_NONE : partner(g, a, spreads);
    if (b != PH_NONE) push(g, product ? ph_mul(g->p, a, b) : ph_add(g->p, a, b));
}

static void attention(struct graph *g)
{
    ph_val q = of_rank(g, 3), k = of_rank(g, 3);
    if (q == PH_NONE || k == PH_NONE || width_of(g, q) != width_of(g, k)) return;
    if (ph_dim(g->p, q, 0) != ph_dim(g->p, k, 0) || width_of(g, q) % 2) return;
    ph_val v = partner(g, k, alike);
    bool causal = ph_dim(g->p, q, 1) == ph_dim(g->p, k, 1) && !any(3);
    if (v != PH_NONE)
        push(g, ph_attend(g->p, q, k, v, (struct ph_attention){ 1 + any(2), causal, 0 }));
}

static void axpby(struct graph *g)
{
    ph_val x = of_rank(g, 0), y = x == PH_NONE ? PH_NONE : partner(g, x, alike);
    ph_val a = of_rank(g, 1), b = a == PH_NONE ? PH_NONE : partner(g, a, alike);
    if (y == PH_NONE || b == PH_NONE || ph_dim(g->p, a, 0) != ph_dim(g->p, x, 0)) return;
    push(g, ph_axpby(g->p, a, x, b, y));
}

static bool beside(const struct graph *g, ph_val a, ph_val b)
{
    const struct ph_value *x = &g->p->values[a], *y = &g->p->values[b];
    if (x->rank != y->rank) return false;
    for (int i = 0; i < x->rank; i++)
        if (i != (x->rank == 4 ? 1 : x->rank - 1) && x->dim[i] != y->dim[i]) return false;
    return true;
}

static void shape(struct graph *g, int which)
{
    struct ph_prog *p = g->p;
    ph_val x = of_rank(g, which == 0 ? 4 : which == 1 || which == 5 ? 3 : 0), y;
    if (x == PH_NONE) return;
    int rank = ph_rank(p, x);
    switch (which) {
    case 0: push(g, ph_tokens(p, x)); return;
    case 1: push(g, ph_image(p, x, 1, (int) ph_dim(p, x, 1))); return;
    case 2:
        if (width_of(g, x) <= 8 && (y = partner(g, x, beside)) != PH_NONE)
            push(g, ph_concat(p, rank == 4 ? 1 : rank - 1, x, y));
        return;
    case 3: {
        int axis = any(rank);
        int64_t dim = ph_dim(p, x, axis), first = any((int) dim);
        push(g, ph_slice(p, x, axis, first, 1 + any((int) (dim - first))));
        return;
    }
    case 4:
        if (ph_dim(p, x, 0) == 1) push(g, ph_repeat(p, x, N));
        return;
    default:
        if ((y = of_rank(g, 1)) != PH_NONE) push(g, ph_sinusoid(p, y, 2 * (1 + any(4)), 100));
        return;
    }
}

static void layers(struct graph *g, int which)
{
    struct ph_prog *p = g->p;
    const char *name;
    ph_val x = of_rank(g, which == 0 || which == 5 ? 4 : which == 2 ? 3 + any(2) : 2 + any(2));
    if (x == PH_NONE) return;
    struct ph_conv conv = { 1 + !any(3), 1, 1, 1, 1, any(2) ? PH_NO_BIAS : 0 };
    switch (which) {
    case 0:
        if ((name = layer(g, x, "c", true))) push(g, ph_conv2d(p, x, name, conv));
        return;
    case 1:
        if ((name = layer(g, x, "l", true))) push(g, ph_linear(p, x, name, conv.flags));
        return;
    case 2:
        if ((name = layer(g, x, "n", false))) push(g, ph_group_norm(p, x, name, 2, 0.1f));
        return;
    case 3:
        name = any(2) ? layer(g, x, "n", false) : NULL;
        push(g, ph_layer_norm(p, x, name, 0.1f));
        return;
    case 4:
        if (width_of(g, x) % 2 == 0) push(g, ph_geglu(p, x));
        return;
    default:
        if (ph_dim(p, x, 2) < 7 && ph_dim(p, x, 3) < 7)
            push(g, ph_upsample(p, x, 2 + any(6), 2 + any(6)));
        return;
    }
}

// What models write all the time, so that every fusion comes up often.
static void pattern(struct graph *g)
{
    struct ph_prog *p = g->p;
    ph_val x = of_rank(g, any(2) ? 4 : 3);
    if (x == PH_NONE) return;
    const char *name = layer(g, x, ph_rank(p, x) == 4 ? "c" : "l", true);
    if (!name) return;
    struct ph_conv conv = { 1, 1, 1, 1, 1, 0 };
    ph_val h = ph_rank(p, x) == 4 ? ph_conv2d(p, x, name, conv) : ph_linear(p, x, name, 0);
    if (!any(3)) push(g, h); // read by others too
    ph_val row = partner(g, h, spreads);
    if (any(2) && row != PH_NONE) h = ph_add(p, h, row);
    if (any(2) && (name = layer(g, h, "n", false))) h = ph_group_norm(p, h, name, 2, 0.1f);
    if (any(2)) h = ph_activate(p, h, (enum ph_act)(1 + any(7)));
    if (!any(4)) push(g, h);
    ph_val same = partner(g, h, alike);
    if (any(2) && same != PH_NONE) h = any(2) ? ph_add(p, h, same) : ph_add(p, same, h);
    if (!any(3)) h = ph_activate(p, h, (enum ph_act)(1 + any(7)));
    push(g, h);
}

static void one_step(struct graph *g)
{
    struct ph_prog *p = g->p;
    int which = any(24);
    ph_val x = of_rank(g, 0), index;
    if (which < 6) {
        layers(g, which);
    } else if (which < 12) {
        shape(g, which - 6);
    } else if (which < 17) {
        pattern(g);
    } else if (which == 17) {
        attention(g);
    } else if (which == 18) {
        axpby(g);
    } else if (which < 21) {
        binary(g, which == 20);
    } else if (which == 21 && x != PH_NONE) {
        push(g, ph_activate(p, x, (enum ph_act)(1 + any(7))));
    } else if (which == 22 && x != PH_NONE) {
        push(g, any(2) ? ph_affine(p, x, 0.5f, 0.25f) : ph_clamp(p, x, -1, 0.75f));
    } else if ((x = of_rank(g, 3)) != PH_NONE && ph_dim(p, x, 0) == N && ph_dim(p, x, 1) >= 3) {
        index = g->value[1]; // below 3
        push(g, ph_pick(p, x, index));
    }
}

static ph_val input(struct graph *g, const char *name, enum ph_rate rate, enum ph_dtype dtype,
                    int rank, const int64_t *dim)
{
    ph_val v = ph_input(g->p, name, g->by_hand ? PH_EACH : rate, dtype, rank, dim);
    push(g, v);
    return v;
}

static void inputs(struct graph *g)
{
    char name[16];
    struct ph_prog *p = g->p;
    static const enum ph_rate rates[] = { PH_EACH, PH_RARE };
    ph_val ids = input(g, "ids", rates[any(2)], PH_I32, 2, D(N, 3));
    input(g, "index", rates[any(2)], PH_I32, 1, D(N));
    ph_val rgba = input(g, "rgba", rates[any(2)], PH_U8, 4, D(N, 3, 4, 4));
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "a%d", i);
        input(g, name, rates[i], PH_F32, 4, D(N, widths[any(2)], 2 + any(4), 2 + any(4)));
        snprintf(name, sizeof name, "b%d", i);
        input(g, name, rates[i], PH_F32, 3, D(N, 3 + any(3), widths[any(2)]));
        snprintf(name, sizeof name, "c%d", i);
        input(g, name, rates[i], PH_F32, 2, D(N, widths[any(2)]));
        snprintf(name, sizeof name, "d%d", i);
        input(g, name, rates[i], PH_F32, 1, D(N));
    }
    for (int i = 0; i < STATES; i++) {
        int64_t dim[3] = { N, 3, widths[i % 2] };
        snprintf(name, sizeof name, "s%d", i);
        g->state[i] =
            g->by_hand ? ph_input(p, name, PH_EACH, PH_F32, 3, dim) : ph_state(p, name, 3, dim);
        push(g, g->state[i]);
    }
    push(g, ph_embed(p, ids, any(2) ? "e4" : "e8"));
    push(g, ph_from_pixels(p, rgba, 2, -1));
    push(g, ph_param(p, any(2) ? "v4" : "v8", 1, D(0)));
    push(g, ph_param(p, any(2) ? "m4" : "m8", 2, D(0, 0)));
}

static void store(struct graph *g, int i)
{
    char name[16];
    ph_val x = partner(g, g->state[i], alike);
    if (x == PH_NONE || any(4) == 0) return;
    snprintf(name, sizeof name, "stored%d", i);
    if (g->by_hand)
        ph_output(g->p, name, x);
    else
        ph_store(g->p, g->state[i], x);
}

// The same calls give the same graph.
static struct graph graph(struct ph_weights *w, uint64_t seed, bool by_hand)
{
    struct graph g = { .by_hand = by_hand };
    char name[16];
    rng_state = seed * 0x9e3779b97f4a7c15u + 1;
    CHECK_INT(ph_prog_create(&g.p), ==, PH_OK);
    ph_prog_use(g.p, w);
    inputs(&g);
    int steps = 5 + any(30);
    for (int i = 0; i < steps; i++) one_step(&g);
    g.outputs = 2 + any(4);
    for (int i = 0; i < g.outputs; i++) {
        snprintf(name, sizeof name, "y%d", i);
        ph_val x = i ? of_rank(&g, 0) : g.value[g.count - 1];
        bool picture = x != PH_NONE && ph_rank(g.p, x) == 4 && ph_dim(g.p, x, 1) == 3;
        if (x == PH_NONE || !is_float(&g, x)) x = g.state[0];
        ph_output(g.p, name, picture ? ph_to_pixels(g.p, x, 0.5f, 0.5f) : x);
    }
    for (int i = 0; i < STATES; i++) store(&g, i);
    for (int i = 0; by_hand && i < g.p->value_count; i++) { // every value its own memory
        snprintf(name, sizeof name, "tap%d", i);
        ph_tap(g.p, name, i);
    }
    struct ph_fault fault = { 0 };
    if (ph_prog_error(g.p, &fault)) TEST_FAIL("seed %d: %s", (int) seed, fault.message);
    return g;
}

// ------------------------------------------------------------------------------ running
// Open until the end: its threads are not made anew for each graph.
static struct ph_device *device(const char *spec)
{
    static struct {
        const char *spec;
        struct ph_device *d;
    } open[2];
    struct ph_fault fault = { 0 };
    int i = open[0].spec && strcmp(open[0].spec, spec) != 0;
    if (!open[i].d) CHECK_INT(ph_device_open(spec, &open[i].d, &fault), ==, PH_OK);
    open[i].spec = spec;
    return open[i].d;
}

static struct ph_plan *plan_of(struct graph *g, const char *spec, enum ph_precision precision)
{
    struct ph_plan *plan;
    struct ph_fault fault = { 0 };
    int flags = g->by_hand ? PH_PLAN_NO_FUSION | PH_PLAN_TAPS : 0;
    struct ph_plan_params params = { device(spec), precision, flags };
    if (ph_plan_create(g->p, &params, &plan, &fault) < 0) TEST_FAIL("%s", fault.message);
    ph_prog_free(&g->p);
    return plan;
}

enum { BYTES = 1 << 16 };

// Values of input `i` as they are after `turn` changes; the same for both plans.
static void fill(void *to, const struct ph_tensor *t, int i, int turn)
{
    int64_t n = ph_tensor_count(t);
    uint64_t stream = (uint64_t) (i * 100 + turn);
    if (t->dtype == PH_F32) ph_rng_normal(5, stream, 0, n, to);
    float draw[512];
    CHECK_INT(n, <=, 512);
    ph_rng_uniform(6, stream, 0, n, draw);
    for (int64_t k = 0; k < n; k++) {
        if (t->dtype == PH_I32) ((int32_t *) to)[k] = (int32_t) (draw[k] * 3);
        if (t->dtype == PH_U8) ((uint8_t *) to)[k] = (uint8_t) (draw[k] * 255);
    }
}

static bool describe(struct ph_plan *plan, const char *name, struct ph_tensor *t, void *data)
{
    if (ph_plan_describe(plan, name, t) < 0) return false;
    t->data = data;
    CHECK_INT(ph_tensor_count(t) * (int64_t) ph_dtype_size(t->dtype), <=, BYTES);
    return true;
}

static void write_inputs(struct ph_plan *plan, struct ph_plan *by_hand, uint64_t seed, int run)
{
    static const char *const names[] = { "ids", "index", "rgba", "a0", "b0", "c0",
                                         "d0",  "a1",    "b1",   "c1", "d1" };
    static _Alignas(64) char data[BYTES];
    for (int i = 0; i < 11; i++) {
        struct ph_tensor t;
        CHECK(describe(by_hand, names[i], &t, data));
        const struct ph_port *port = ph_plan_port(plan, names[i]);
        CHECK(port != NULL);
        bool rare = port->bit != PH_EVERY_RUN;
        // One in three rare inputs changes in a run, the others have what they had.
        int turn = run;
        while (rare && turn > 0 && (seed + (uint64_t) (turn * 7 + i * 13)) % 3) turn--;
        fill(data, &t, i, turn);
        CHECK_INT(ph_plan_write(by_hand, names[i], &t), ==, PH_OK);
        if (turn == run) CHECK_INT(ph_plan_write(plan, names[i], &t), ==, PH_OK);
    }
}

static void carry_states(struct ph_plan *by_hand)
{
    static _Alignas(64) char data[STATES][BYTES];
    char name[16];
    struct ph_tensor t[STATES] = { 0 };
    for (int i = 0; i < STATES; i++) {
        snprintf(name, sizeof name, "stored%d", i);
        if (describe(by_hand, name, &t[i], data[i]))
            CHECK_INT(ph_plan_read(by_hand, name, &t[i]), ==, PH_OK);
    }
    for (int i = 0; i < STATES; i++) {
        snprintf(name, sizeof name, "s%d", i);
        if (t[i].data) CHECK_INT(ph_plan_write(by_hand, name, &t[i]), ==, PH_OK);
    }
}

// The largest difference over the largest value; of bytes, over 256.
static double difference(const struct ph_tensor *a, const struct ph_tensor *b)
{
    double most = 0, size = a->dtype == PH_U8 ? 256 : 1;
    for (int64_t i = 0; i < ph_tensor_count(a); i++) {
        double x, y;
        if (a->dtype == PH_U8) {
            x = ((uint8_t *) a->data)[i];
            y = ((uint8_t *) b->data)[i];
            x = fabs(x - y) <= 1 ? y : x; // another side of a half
        } else {
            x = (double) ((float *) a->data)[i];
            y = (double) ((float *) b->data)[i];
        }
        if (!isfinite(y) || fabs(y) > 1e4) return 0; // says nothing
        size = fmax(size, fabs(y));
        most = fabs(x - y) <= most ? most : isfinite(x) ? fabs(x - y) : INFINITY;
    }
    return most / size;
}

static double compare(struct ph_plan *plan, struct ph_plan *by_hand, int outputs)
{
    static _Alignas(64) char a[BYTES], b[BYTES];
    char name[16];
    double most = 0;
    for (int i = 0; i < outputs; i++) {
        struct ph_tensor ta, tb;
        snprintf(name, sizeof name, "y%d", i);
        CHECK(describe(plan, name, &ta, a) && describe(by_hand, name, &tb, b));
        CHECK_INT(ta.dtype, ==, tb.dtype);
        CHECK_INT(ph_plan_read(plan, name, &ta), ==, PH_OK);
        CHECK_INT(ph_plan_read(by_hand, name, &tb), ==, PH_OK);
        most = fmax(most, difference(&ta, &tb));
    }
    return most;
}

static double check_seed(struct ph_weights *w, uint64_t seed, const char *spec,
                         enum ph_precision precision)
{
    struct graph g = graph(w, seed, false), h = graph(w, seed, true);
    CHECK_INT(g.count, ==, h.count);
    struct ph_plan *plan = plan_of(&g, spec, precision);
    struct ph_plan *by_hand = plan_of(&h, "cpu:plain", PH_PRECISION_F32);
    double most = 0;
    for (int run = 0; run < RUNS; run++) {
        write_inputs(plan, by_hand, seed, run);
        CHECK_INT(ph_plan_run(plan), ==, PH_OK);
        CHECK_INT(ph_plan_run(by_hand), ==, PH_OK);
        double off = compare(plan, by_hand, g.outputs);
        if (off > 1e-3 && precision == PH_PRECISION_F32) {
            char *text = ph_plan_print(plan);
            TEST_FAIL("seed %d, run %d: off by %g\n%s", (int) seed, run, off, text);
        }
        most = fmax(most, off);
        carry_states(by_hand);
    }
    ph_plan_destroy(&plan);
    ph_plan_destroy(&by_hand);
    return most;
}

#ifdef PH_TEST_DEVICE // another device than the CPU: "cuda", or its kernels on the host
static void check_seeds(int seeds, enum ph_precision precision, double bound)
{
    struct ph_device *d = NULL;
    struct ph_fault fault = { 0 };
    struct ph_weights *w = weights();
    int far = 0;
    if (ph_device_open(PH_TEST_DEVICE, &d, &fault) < 0) TEST_SKIP("%s", fault.message);
    for (uint64_t seed = 1; seed <= (uint64_t) seeds; seed++) {
        double off = check_seed(w, seed, PH_TEST_DEVICE, precision);
        if (off > bound) printf("# seed %d is off by %g\n", (int) seed, off);
        far += off > bound;
    }
    CHECK_INT(far, <=, seeds / 30);
    ph_weights_unref(&w);
    ph_device_unref(&d);
}

TEST_LIMIT(random_graphs_are_what_their_steps_are_one_by_one, 700)
{
    check_seeds(60, PH_PRECISION_F32, 1e-3);
}

TEST_LIMIT(random_graphs_in_bf16_are_close, 700)
{
    check_seeds(60, PH_PRECISION_BF16, 0.05);
}
#else
enum { SEEDS = 300, SLOW_SEEDS = 60 }; // where kernels are made anew for each shape

TEST_LIMIT(random_graphs_on_plain_kernels_are_what_their_steps_are_one_by_one, 240)
{
    struct ph_weights *w = weights();
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        check_seed(w, seed, "cpu:plain", PH_PRECISION_F32);
    ph_weights_unref(&w);
}

TEST_LIMIT(random_graphs_on_fast_kernels_are_what_their_steps_are_one_by_one, 240)
{
    struct ph_weights *w = weights();
    for (uint64_t seed = 1; seed <= SLOW_SEEDS; seed++)
        check_seed(w, seed, "cpu:threads=2", PH_PRECISION_F32);
    ph_weights_unref(&w);
}

// Roundings add up differently in each graph; a wrong value is wrong by its whole size.
TEST_LIMIT(random_graphs_in_bf16_are_close, 240)
{
    struct ph_weights *w = weights();
    int far = 0;
    for (uint64_t seed = 1; seed <= SLOW_SEEDS; seed++) {
        double off = check_seed(w, seed, "cpu:threads=2", PH_PRECISION_BF16);
        if (off > 0.05) printf("# seed %d is off by %g\n", (int) seed, off);
        far += off > 0.05;
    }
    CHECK_INT(far, <=, SLOW_SEEDS / 30);
    ph_weights_unref(&w);
}
#endif
