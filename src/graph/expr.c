// SPDX-License-Identifier: MIT
// Grammar:
//   sum     = product { ("+" | "-") product }
//   product = sign { ("*" | "/") sign }
//   sign    = "-" sign | number | "(" sum ")" | word "(" sum { "," sum } ")" | [ node "." ] word
#include "graph/expr.h"

#include "core/nearest.h"
#include "core/number.h"
#include "core/tree.h"
#include "core/wave.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum code {
    OP_NUMBER,
    OP_SIGNAL,
    OP_TIME,
    OP_BEAT,
    OP_BAR,
    OP_BPM,
    OP_VALUE,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_NEG,
    OP_MIN,
    OP_MAX,
    OP_CLAMP,
    OP_MIX,
    OP_STEP,
    OP_RANGE,
    OP_ABS,
    OP_SQRT,
    OP_FLOOR,
    OP_FRACT,
    OP_POW,
    OP_WAVE,
    OP_EASE,
    OP_SMOOTH,
    OP_SPRING,
    OP_EVERY,
    OP_RANDOM,
    OP_WALK,
};

struct function {
    const char *name;
    enum code code;
    int least, most; // arguments
    bool beat, state;
    const char *usage;
};

// clang-format off
static const struct function functions[] = {
    { "min",    OP_MIN,    2, 8, false, false, "min(a, b)" },
    { "max",    OP_MAX,    2, 8, false, false, "max(a, b)" },
    { "clamp",  OP_CLAMP,  3, 3, false, false, "clamp(x, low, high)" },
    { "mix",    OP_MIX,    3, 3, false, false, "mix(a, b, share of b)" },
    { "step",   OP_STEP,   2, 2, false, false, "step(edge, x)" },
    { "range",  OP_RANGE,  3, 5, false, false, "range(x, low, high) or range(x, low, high, from, to)" },
    { "abs",    OP_ABS,    1, 1, false, false, "abs(x)" },
    { "sqrt",   OP_SQRT,   1, 1, false, false, "sqrt(x)" },
    { "floor",  OP_FLOOR,  1, 1, false, false, "floor(x)" },
    { "fract",  OP_FRACT,  1, 1, false, false, "fract(x)" },
    { "pow",    OP_POW,    2, 2, false, false, "pow(x, power)" },
    { "smooth", OP_SMOOTH, 1, 3, false, true,  "smooth(x, attack ms, release ms)" },
    { "spring", OP_SPRING, 1, 3, false, true,  "spring(x, stiffness, damping)" },
    { "every",  OP_EVERY,  2, 2, true,  true,  "every(beats, x)" },
    { "random", OP_RANDOM, 1, 1, true,  false, "random(beats)" },
    { "walk",   OP_WALK,   1, 1, true,  false, "walk(beats)" },
    { NULL, 0, 0, 0, false, false, NULL },
};
static const struct function wave_function = { "", OP_WAVE, 1, 2, true, false, "(beats) or (beats, phase)" };
static const struct function ease_function = { "", OP_EASE, 1, 1, false, false, "(x)" };

static const struct { const char *name; enum code code; bool beat; } variables[] = {
    { "time", OP_TIME, false }, { "beat", OP_BEAT, true }, { "bar", OP_BAR, true },
    { "bpm", OP_BPM, true }, { "value", OP_VALUE, false }, { NULL, 0, false },
};
// clang-format on

struct compiler {
    const char *start, *p, *end;
    struct ph_expr *e;
    void *parent;
    const struct ph_expr_names *names;
    struct ph_fault *fault;
    const char *at; // of the mistake
    int depth, stack;
};

// --- reading

PH_PRINTF(3, 4)
static ph_err wrong(struct compiler *c, const char *at, const char *fmt, ...)
{
    char text[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    c->at = at;
    return ph_fail(c->fault, PH_EINVAL, "graph", "%s", text);
}

static bool blank(const struct compiler *c)
{
    return *c->p == ' ' || *c->p == '\t' || *c->p == '\r' || *c->p == '\n' || *c->p == '\\';
}

static char peek(struct compiler *c)
{
    while (c->p < c->end && blank(c)) c->p++;
    return c->p < c->end ? *c->p : 0;
}

static bool is_word(char ch)
{
    return isalnum((unsigned char) ch) || ch == '_';
}

static ph_err read_word(struct compiler *c, char *word, size_t size)
{
    const char *begin = c->p;
    size_t n = 0;
    while (begin + n < c->end && is_word(begin[n])) n++;
    if (!n) return wrong(c, begin, "expected a number, a signal or a function");
    if (n >= size) return wrong(c, begin, "a name has at most %zu characters", size - 1);
    memcpy(word, begin, n);
    word[n] = 0;
    c->p += n;
    return PH_OK;
}

static ph_err emit(struct compiler *c, struct ph_expr_op op, int takes)
{
    if (c->e->count >= PH_EXPR_MAX_OPS)
        return wrong(c, c->p, "this is longer than %d steps", PH_EXPR_MAX_OPS);
    c->stack += 1 - takes;
    if (c->stack > PH_EXPR_STACK) return wrong(c, c->p, "too much at once: use fewer terms");
    if (!ph_append(c->parent, c->e->ops, c->e->count, op)) {
        c->at = c->p;
        return ph_fail(c->fault, PH_ENOMEM, "graph", "out of memory");
    }
    return PH_OK;
}

static ph_err read_sum(struct compiler *c);

static ph_err read_number(struct compiler *c)
{
    char text[40];
    const char *begin = c->p;
    size_t n = 0, most = sizeof text - 1;
    while (begin + n < c->end && n < most) {
        bool sign = (begin[n] == '+' || begin[n] == '-') && n && tolower(begin[n - 1]) == 'e';
        if (!isdigit((unsigned char) begin[n]) && begin[n] != '.' &&
            tolower((unsigned char) begin[n]) != 'e' && !sign)
            break;
        text[n] = begin[n];
        n++;
    }
    text[n] = 0;
    char *stop;
    double v = ph_strtod(text, &stop);
    if (*stop || !n || !isfinite(v)) return wrong(c, begin, "\"%s\" is not a number", text);
    c->p += n;
    return emit(c, (struct ph_expr_op){ .code = OP_NUMBER, .number = v }, 0);
}

static int find_name(const char *const *names, const char *word)
{
    for (int i = 0; names[i]; i++)
        if (!strcmp(names[i], word)) return i;
    return -1;
}

static const struct function *find_function(const char *word, int *kind)
{
    for (const struct function *f = functions; f->name; f++)
        if (!strcmp(f->name, word)) return f;
    if ((*kind = find_name(ph_wave_names, word)) >= 0) return &wave_function;
    if ((*kind = find_name(ph_ease_names, word)) >= 0) return &ease_function;
    return NULL;
}

static void look(const char *word, const char *name, int *limit, const char **best)
{
    int d = ph_edit_distance(word, name);
    if (d < *limit) *limit = d, *best = name;
}

static const char *nearest_function(const char *word, int *limit)
{
    const char *best = NULL;
    for (const struct function *f = functions; f->name; f++) look(word, f->name, limit, &best);
    for (int i = 0; ph_wave_names[i]; i++) look(word, ph_wave_names[i], limit, &best);
    for (int i = 0; ph_ease_names[i]; i++) look(word, ph_ease_names[i], limit, &best);
    return best;
}

static ph_err read_call(struct compiler *c, const char *word, const char *at)
{
    int kind = 0, count = 0, limit = PH_NEAREST_LIMIT;
    ph_err ret;
    const struct function *f = find_function(word, &kind);
    if (!f) {
        const char *near = nearest_function(word, &limit);
        return wrong(c, at, "there is no function \"%s\"%s%s%s", word,
                     near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    do {
        c->p++; // "(" or ","
        if (peek(c) == ')' && !count) break;
        if ((ret = read_sum(c)) < 0) return ret;
        count++;
    } while (peek(c) == ',');
    if (peek(c) != ')') return wrong(c, c->p, "expected , or ) in %s()", word);
    c->p++;
    if (count < f->least || count > f->most)
        return wrong(c, at, "%s takes %d%s%.0d argument%s: %s%s", word, f->least,
                     f->most > f->least ? " to " : "", f->most > f->least ? f->most : 0,
                     f->most > 1 ? "s" : "", f->name[0] ? "" : word, f->usage);
    c->e->beat |= f->beat;
    struct ph_expr_op op = { .code = (uint8_t) f->code, .kind = (uint8_t) kind };
    op.a = (int16_t) count;
    if (f->state) op.b = (int16_t) c->e->states++;
    if (f->code == OP_RANDOM || f->code == OP_WALK) op.b = (int16_t) c->e->count;
    return emit(c, op, count);
}

static ph_err unknown(struct compiler *c, const char *word, const char *at)
{
    int limit = PH_NEAREST_LIMIT;
    const char *signal = c->names->nearest(c->names->opaque, word), *near = NULL;
    for (int i = 0; variables[i].name; i++) look(word, variables[i].name, &limit, &near);
    if (signal) look(word, signal, &limit, &near);
    int kind;
    if (find_function(word, &kind))
        return wrong(c, at, "%s is a function: write %s(…)", word, word);
    const char *call = nearest_function(word, &limit);
    if (call) near = call;
    return wrong(c, at, "no node of this graph has a signal \"%s\"%s%s%s", word,
                 near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static ph_err read_signal(struct compiler *c, const char *node, const char *name,
                          const char *at)
{
    int slot = 0, index = 0, offset = 0;
    ph_err ret =
        c->names->signal(c->names->opaque, node, name, &slot, &index, &offset, c->fault);
    if (ret == PH_MORE) return unknown(c, name, at);
    if (ret < 0) {
        c->at = at + offset;
        return ret;
    }
    struct ph_expr_op op = { .code = OP_SIGNAL, .a = (int16_t) slot, .b = (int16_t) index };
    return emit(c, op, 0);
}

static ph_err read_name(struct compiler *c)
{
    char word[64], name[64];
    const char *at = c->p;
    ph_err ret = read_word(c, word, sizeof word);
    if (ret < 0) return ret;
    if (c->p < c->end && *c->p == '.') {
        c->p++;
        ret = read_word(c, name, sizeof name);
        return ret < 0 ? ret : read_signal(c, word, name, at);
    }
    if (peek(c) == '(') return read_call(c, word, at);
    for (int i = 0; variables[i].name; i++) {
        if (strcmp(variables[i].name, word)) continue;
        c->e->beat |= variables[i].beat;
        return emit(c, (struct ph_expr_op){ .code = (uint8_t) variables[i].code }, 0);
    }
    return read_signal(c, NULL, word, at);
}

static ph_err read_part(struct compiler *c)
{
    ph_err ret;
    char ch = peek(c);
    if (ch == '-') {
        c->p++;
        ret = read_part(c);
        return ret < 0 ? ret : emit(c, (struct ph_expr_op){ .code = OP_NEG }, 1);
    }
    if (isdigit((unsigned char) ch) || ch == '.') return read_number(c);
    if (ch != '(') return read_name(c);
    c->p++;
    if ((ret = read_sum(c)) < 0) return ret;
    if (peek(c) != ')') return wrong(c, c->p, "expected )");
    c->p++;
    return PH_OK;
}

static ph_err read_sign(struct compiler *c)
{
    if (++c->depth > PH_EXPR_MAX_DEPTH * 3) // a sum is three deep
        return wrong(c, c->p, "nested deeper than %d", PH_EXPR_MAX_DEPTH);
    ph_err ret = read_part(c);
    c->depth--;
    return ret;
}

static ph_err read_product(struct compiler *c)
{
    ph_err ret = read_sign(c);
    for (char ch; ret >= 0 && ((ch = peek(c)) == '*' || ch == '/');) {
        c->p++;
        if ((ret = read_sign(c)) < 0) break;
        ret = emit(c, (struct ph_expr_op){ .code = ch == '*' ? OP_MUL : OP_DIV }, 2);
    }
    return ret;
}

static ph_err read_sum(struct compiler *c)
{
    if (++c->depth > PH_EXPR_MAX_DEPTH * 3)
        return wrong(c, c->p, "nested deeper than %d", PH_EXPR_MAX_DEPTH);
    ph_err ret = read_product(c);
    for (char ch; ret >= 0 && ((ch = peek(c)) == '+' || ch == '-');) {
        c->p++;
        if ((ret = read_product(c)) < 0) break;
        ret = emit(c, (struct ph_expr_op){ .code = ch == '+' ? OP_ADD : OP_SUB }, 2);
    }
    c->depth--;
    return ret;
}

ph_err ph_expr_compile(struct ph_expr *out, void *parent, const char *text, size_t len,
                       const struct ph_expr_names *names, size_t *at, struct ph_fault *fault)
{
    struct compiler c = { text, text, text + len, out, parent, names, fault, text, 0, 0 };
    *out = (struct ph_expr){ 0 };
    ph_err ret;
    if (len > PH_EXPR_MAX_TEXT)
        ret = wrong(&c, text, "at most %d characters", PH_EXPR_MAX_TEXT);
    else if ((ret = read_sum(&c)) >= 0 && peek(&c))
        ret = wrong(&c, c.p, "expected + - * / or the end of the line");
    *at = (size_t) (c.at - text);
    return ret < 0 ? ret : PH_OK;
}

int ph_expr_slot(const struct ph_expr_op *op)
{
    return op->code == OP_SIGNAL ? op->a : -1;
}

// --- values

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

// What each argument says, or what holds without it.
static double arg(const double *v, const struct ph_expr_op *op, int i, double fallback)
{
    return i < op->a ? v[i] : fallback;
}

static double do_range(const double *v, const struct ph_expr_op *op)
{
    double from = arg(v, op, 3, 0), to = arg(v, op, 4, 1);
    return v[1] + (v[2] - v[1]) * clamp((v[0] - from) / (to - from), 0, 1);
}

// One pole, its time constant by direction: y += (x - y)(1 - exp(-dt / tau)), which gives the same
// for one step of 2 dt as for two of dt.
static double do_smooth(const double *v, const struct ph_expr_op *op, double dt_s,
                        struct ph_expr_state *s)
{
    if (!isfinite(v[0])) return s->value;
    if (!s->set) *s = (struct ph_expr_state){ .value = v[0], .set = true };
    double attack = arg(v, op, 1, 5), tau = v[0] > s->value ? attack : arg(v, op, 2, 150);
    double share = tau > 0 ? -expm1(-dt_s * 1e3 / tau) : 1;
    if (isfinite(share)) s->value += (v[0] - s->value) * share;
    return s->value;
}

// x'' = k (u - x) - c x', solved exactly over dt for a constant u (mass 1): e^(-c t / 2) times a
// wave, or, when the damping is over-critical, two decays.
static void move_spring(struct ph_expr_state *s, double u, double k, double c, double dt_s)
{
    double y = s->value - u, half = c / 2, d = half * half - k;
    double decay = exp(-half * dt_s), even, odd; // even: cos or cosh, odd: sin / w or sinh / w
    if (fabs(d) < 1e-9) {
        even = 1, odd = dt_s;
    } else if (d < 0) {
        double w = sqrt(-d);
        even = cos(w * dt_s), odd = sin(w * dt_s) / w;
    } else {
        // one exponential each, so that a stiff spring does not overflow
        double w = sqrt(d), slow = exp((w - half) * dt_s), fast = exp((-w - half) * dt_s);
        decay = 1, even = (slow + fast) / 2, odd = (slow - fast) / (2 * w);
    }
    double to = decay * (y * (even + half * odd) + s->speed * odd);
    s->speed = decay * (s->speed * (even - half * odd) - k * y * odd);
    s->value = u + to;
}

static double do_spring(const double *v, const struct ph_expr_op *op, double dt_s,
                        struct ph_expr_state *s)
{
    if (!isfinite(v[0])) return s->value;
    if (!s->set) *s = (struct ph_expr_state){ .value = v[0], .set = true };
    double k = clamp(arg(v, op, 1, 400), 1e-3, 1e6), c = clamp(arg(v, op, 2, 18), 0, 1e5);
    move_spring(s, v[0], k, c, dt_s);
    return s->value;
}

static int64_t step_of(double beat, double beats)
{
    double n = floor(beat / beats);
    return fabs(n) < 1e15 ? (int64_t) n : 0; // NaN, too
}

static double do_every(const double *v, double beat, struct ph_expr_state *s)
{
    int64_t step = step_of(beat, v[0]);
    if (!s->set || s->step != step)
        *s = (struct ph_expr_state){ .value = v[1], .step = step, .set = true };
    return s->value;
}

static double fraction(uint64_t seed, int which, int64_t step)
{
    uint32_t h = ph_hash32((uint32_t) seed ^ ph_hash32((uint32_t) (seed >> 32)));
    h = ph_hash32(h + (uint32_t) which);
    h = ph_hash32(h ^ (uint32_t) step ^ ph_hash32((uint32_t) ((uint64_t) step >> 32)));
    return h / 4294967296.0;
}

static double do_walk(double beat, double beats, uint64_t seed, int which)
{
    double x = beat / beats;
    if (!isfinite(x)) return 0.5;
    return 0.5 + 0.5 * ph_noise1(x + 0.5 + floor(fraction(seed, which, 0) * 65536));
}

static double variable(enum code code, const struct ph_expr_now *now)
{
    switch (code) {
    case OP_TIME: return now->time_s;
    case OP_BEAT: return now->beat;
    case OP_BAR: return now->beat / (now->per_bar > 0 ? now->per_bar : 4);
    case OP_BPM: return now->bpm;
    default: return now->value;
    }
}

static double fold(enum code code, const double *v, int count)
{
    double r = v[0];
    for (int i = 1; i < count; i++) r = code == OP_MIN ? fmin(r, v[i]) : fmax(r, v[i]);
    return r;
}

static double call(const struct ph_expr_op *op, const double *v, const struct ph_expr_now *now,
                   struct ph_expr_state *states)
{
    switch ((enum code) op->code) {
    case OP_MIN:
    case OP_MAX: return fold(op->code, v, op->a);
    case OP_CLAMP: return clamp(v[0], v[1], v[2]);
    case OP_MIX: return v[0] + (v[1] - v[0]) * v[2];
    case OP_STEP: return v[1] >= v[0];
    case OP_RANGE: return do_range(v, op);
    case OP_ABS: return fabs(v[0]);
    case OP_SQRT: return sqrt(v[0]);
    case OP_FLOOR: return floor(v[0]);
    case OP_FRACT: return v[0] - floor(v[0]);
    case OP_POW: return pow(v[0], v[1]);
    case OP_WAVE: return ph_wave((enum ph_wave) op->kind, now->beat / v[0] + arg(v, op, 1, 0));
    case OP_EASE: return ph_ease((enum ph_ease) op->kind, v[0]);
    case OP_SMOOTH: return do_smooth(v, op, now->dt_s, &states[op->b]);
    case OP_SPRING: return do_spring(v, op, now->dt_s, &states[op->b]);
    case OP_EVERY: return do_every(v, now->beat, &states[op->b]);
    case OP_RANDOM: return fraction(now->seed, op->b, step_of(now->beat, v[0]));
    case OP_WALK: return do_walk(now->beat, v[0], now->seed, op->b);
    default: return variable(op->code, now);
    }
}

double ph_expr_value(const struct ph_expr *e, const struct ph_expr_now *now,
                     struct ph_expr_state *states)
{
    double v[PH_EXPR_STACK + 1] = { 0 };
    int n = 0; // values on the stack; the compiler has counted them
    for (int i = 0; i < e->count; i++) {
        const struct ph_expr_op *op = &e->ops[i];
        switch ((enum code) op->code) {
        case OP_NUMBER: v[n++] = op->number; break;
        case OP_SIGNAL: {
            const struct ph_signals *s = now->slots[op->a];
            v[n++] = op->b < s->count ? (double) s->value[op->b] : 0;
            break;
        }
        case OP_ADD: n--, v[n - 1] += v[n]; break;
        case OP_SUB: n--, v[n - 1] -= v[n]; break;
        case OP_MUL: n--, v[n - 1] *= v[n]; break;
        case OP_DIV: n--, v[n - 1] /= v[n]; break;
        case OP_NEG: v[n - 1] = -v[n - 1]; break;
        default:
            n -= op->a; // of what is no function: none
            v[n] = call(op, &v[n], now, states);
            n++;
        }
    }
    return v[0];
}
