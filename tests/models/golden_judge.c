// SPDX-License-Identifier: MIT
// Errors, tolerances and what is printed of them.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"

struct errors {
    double rel_l2, max_abs, psnr_db; // psnr_db only of pictures
    double largest;                  // expected value
    bool finite;
};

struct limits {
    double rel_l2, max_abs, psnr_db; // 0 = not judged
    double share;                    // of the largest expected value, as max_abs
};

// ------------------------------------------------------------------------------ tolerances
static double larger(double a, double b)
{
    return a > b ? a : b;
}

// "max_abs" itself, or with a remark: "max_abs fp32".
static bool is_called(const struct ph_json *v, const char *leaf)
{
    size_t n = strlen(leaf);
    return v->key && strncmp(v->key, leaf, n) == 0 && (!v->key[n] || v->key[n] == ' ');
}

// The largest number called `leaf` in or below v.
static double worst(const struct ph_json *v, const char *leaf)
{
    if (!v) return 0;
    if (is_called(v, leaf) && v->type == PH_JSON_NUMBER) return v->number;
    double most = 0;
    for (const struct ph_json *i = v->child; i; i = i->next)
        most = larger(most, worst(i, leaf));
    return most;
}

// `leaf` of the part of v that is about the tensor; of all of v when no part is.
static double figure(const struct ph_json *v, const char *tensor, const char *leaf)
{
    const struct ph_json *own = ph_json_get(v, tensor);
    return worst(own ? own : v, leaf);
}

// "3e-5 * max|ref|" of a line's part: the factor; 0 when it says nothing of the kind.
static double share_of_largest(const struct ph_json *v, const char *key)
{
    const char *text = ph_json_string(ph_json_get(ph_json_get(v, key), "max_abs"), "");
    return strstr(text, "max|ref|") ? atof(text) : 0;
}

// 3 x what the reference shows in that type; of this run, else of the worst one.
static double emulated(const struct golden_case *c, const struct golden_file *f,
                       const char *tensor)
{
    const struct ph_json *all = ph_json_get(c->manifest, "reduced_precision_emulation");
    const struct ph_json *runs = ph_json_get(c->manifest, "runs");
    double most = 0;
    if (ph_json_get(all, "bfloat16"))
        return 3 * figure(ph_json_get(all, "bfloat16"), tensor, "rel_l2");
    if (ph_json_get(all, f->stem))
        return 3 * figure(ph_json_get(ph_json_get(all, f->stem), "bfloat16"), tensor, "rel_l2");
    for (const struct ph_json *i = all ? all->child : NULL; i; i = i->next)
        most = larger(most, figure(ph_json_get(i, "bfloat16"), tensor, "rel_l2"));
    const struct ph_json *own = ph_json_get(ph_json_get(runs, f->stem), "emulated_rel_l2");
    return 3 * larger(most, worst(own, "bfloat16"));
}

// Inner values and those without a line of their own get the loosest line of the case, and no
// absolute limit: their scale is their own.
static struct limits limits_of(const struct golden_case *c, const struct golden_file *f,
                               struct golden_check check)
{
    const struct ph_json *all = ph_json_get(c->manifest, "tolerance");
    const char *key = check.key ? check.key : check.tensor;
    bool inner = strncmp(check.tensor, "tap.", 4) == 0;
    struct limits l = { 0 };
    if (check.max_abs > 0) {
        l.max_abs = check.max_abs;
    } else if (strcmp(ph_json_string(all, ""), "exact") == 0) {
        l.max_abs = 0.5; // of whole numbers
    } else if (c->options->precision == PH_PRECISION_F32) {
        const struct ph_json *t = ph_json_get(all, check.line ? check.line : "fp32 engine");
        if (!t && ph_json_get(all, key)) t = all; // a manifest without lines for engines
        bool own = ph_json_get(t, key) || ph_json_get(t, "rel_l2") || check.line;
        l.rel_l2 = figure(t, key, "rel_l2");
        l.max_abs = own && !inner ? figure(t, key, "max_abs") : 0;
        l.share = share_of_largest(t, key);
    } else if (inner) {
        return l; // the figures of reduced precision are of outputs alone
    } else if (c->options->precision == PH_PRECISION_BF16) {
        l.rel_l2 = emulated(c, f, check.tensor);
        if (l.rel_l2 == 0)
            l.rel_l2 = figure(ph_json_get(all, "bf16 engine"), check.tensor, "rel_l2");
        l.psnr_db = check.range > 0 ? check.bf16_db > 0 ? fmin(check.bf16_db, 40) : 40 : 0;
    } else {
        l.psnr_db = check.range > 0 ? 30 : 0;
    }
    return l;
}

// ------------------------------------------------------------------------------ printing
static void print_text(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if ((unsigned char) *text < ' ')
            printf("\\u%04x", (unsigned char) *text);
        else
            printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    }
    putchar('"');
}

static void print_number(const char *key, double v)
{
    if (isfinite(v))
        printf(", \"%s\": %.6g", key, v);
    else
        printf(", \"%s\": null", key);
}

static void begin_json(struct golden_case *c, const struct golden_file *f, const char *label)
{
    static bool any;
    printf("%s\n {\"case\": ", any ? "," : "");
    any = true;
    print_text(c->name);
    printf(", \"file\": ");
    print_text(f ? f->name : "");
    printf(", \"tensor\": ");
    print_text(label);
    printf(", \"precision\": \"%s\"", ph_precision_name(c->options->precision));
}

static void print_json(struct golden_case *c, const struct golden_file *f, const char *label,
                       const struct errors *e, const struct limits *l, bool ok)
{
    begin_json(c, f, label);
    print_number("rel_l2", e->rel_l2);
    print_number("max_abs", e->max_abs);
    if (e->psnr_db) print_number("psnr_db", e->psnr_db);
    if (l->rel_l2) print_number("rel_l2_limit", l->rel_l2);
    if (l->max_abs) print_number("max_abs_limit", l->max_abs);
    if (l->psnr_db) print_number("psnr_db_limit", l->psnr_db);
    printf(", \"ok\": %s}", ok ? "true" : "false");
}

static void print_row(struct golden_case *c, const struct golden_file *f, const char *label,
                      const struct errors *e, const struct limits *l, bool ok)
{
    char rel[16] = "-", max[16] = "-", psnr[40] = "";
    if (l->rel_l2) snprintf(rel, sizeof rel, "%.1e", l->rel_l2);
    if (l->max_abs) snprintf(max, sizeof max, "%.1e", l->max_abs);
    if (e->psnr_db) snprintf(psnr, sizeof psnr, "  %.1f dB", e->psnr_db);
    if (e->psnr_db && l->psnr_db)
        snprintf(psnr, sizeof psnr, "  %.1f dB of %.0f", e->psnr_db, l->psnr_db);
    printf("%-14s %-24s %-58s rel %8.2e of %-8s max %8.2e of %-8s %s%s\n", c->name,
           f ? f->stem : "", label, e->rel_l2, rel, e->max_abs, max, ok ? "ok" : "BEYOND",
           psnr);
}

static void verdict(struct golden_case *c, const struct golden_file *f, const char *label,
                    const struct errors *e, const struct limits *l, bool ok)
{
    c->compared++;
    c->failed += !ok;
    if (c->options->json)
        print_json(c, f, label, e, l, ok);
    else if (!ok || !c->options->quiet)
        print_row(c, f, label, e, l, ok);
}

void golden_failure(struct golden_case *c, const struct golden_file *f, const char *what,
                    const char *why)
{
    c->failed++;
    if (c->options->json) {
        begin_json(c, f, what);
        printf(", \"ok\": false, \"error\": ");
        print_text(why);
        printf("}");
    } else {
        printf("%-14s %-24s %s: %s\n", c->name, f ? f->stem : "", what, why);
    }
}

// ------------------------------------------------------------------------------ errors
static struct errors errors_of(const float *got, const float *want, int64_t n, float range)
{
    double error = 0, power = 0, max = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double) got[i] - (double) want[i];
        error += d * d;
        power += (double) want[i] * (double) want[i];
        max = larger(max, fabs(d));
        largest = larger(largest, fabs((double) want[i]));
    }
    struct errors e = { .rel_l2 = sqrt(error / (power > 0 ? power : 1)),
                        .max_abs = max,
                        .largest = largest };
    e.finite = isfinite(error);
    if (range > 0)
        e.psnr_db = error > 0 ? 10 * log10((double) range * range * (double) n / error) : 999;
    return e;
}

// First row and column of the window that the manifest says taps are cut to: "[:, :, 8:16, 8:16]".
static int window_start(const struct golden_case *c)
{
    const char *text =
        ph_json_string(ph_json_get(ph_json_get(c->manifest, "tensors"), "out.tap.*"), "");
    const char *at = strstr(text, "[:, :, ");
    int start = 0;
    return at && sscanf(at, "[:, :, %d:", &start) == 1 ? start : 0;
}

// The window of a picture that has the shape of `want`; NULL when it has none.
static const float *window_of(struct golden_case *c, const struct ph_tensor *got,
                              const struct ph_tensor *want)
{
    if (ph_tensor_count(got) == ph_tensor_count(want)) return got->data;
    int start = window_start(c);
    const int64_t *g = got->dim, *w = want->dim;
    bool fits = got->rank == 4 && want->rank == 4 && g[0] == w[0] && g[1] == w[1] &&
                start + w[2] <= g[2] && start + w[3] <= g[3];
    if (!fits) return NULL;
    float *cut = ph_new(c->mem, float, (size_t) ph_tensor_count(want)), *dst = cut;
    for (int64_t i = 0; i < w[0] * w[1]; i++)
        for (int64_t y = 0; y < w[2]; y++, dst += w[3])
            memcpy(dst, (float *) got->data + (i * g[2] + start + y) * g[3] + start,
                   sizeof *dst * (size_t) w[3]);
    return cut;
}

void golden_compare(struct golden_case *c, const struct golden_file *f,
                    struct golden_check check, const struct ph_tensor *got,
                    const struct ph_tensor *want)
{
    char name[512], shape[96], other[96];
    snprintf(name, sizeof name, "out.%s", check.tensor);
    if (!want) want = golden_tensor(f, name);
    const char *label = check.label ? check.label : name;
    if (!want || !got->data) {
        golden_failure(c, f, label, want ? "the engine has no such value" : "not in the file");
        return;
    }
    struct ph_tensor expected = golden_floats(c, want);
    const float *values = window_of(c, got, want);
    if (!values) {
        char why[256];
        snprintf(why, sizeof why, "shape %s, expected %s",
                 ph_tensor_shape(got, shape, sizeof shape),
                 ph_tensor_shape(want, other, sizeof other));
        golden_failure(c, f, label, why);
        return;
    }
    struct errors e = errors_of(values, expected.data, ph_tensor_count(want), check.range);
    struct limits l = limits_of(c, f, check);
    if (l.share > 0) l.max_abs = l.share * e.largest;
    bool ok = e.finite && !(l.rel_l2 && e.rel_l2 > l.rel_l2) &&
              !(l.max_abs && e.max_abs > l.max_abs) && !(l.psnr_db && e.psnr_db < l.psnr_db);
    verdict(c, f, label, &e, &l, ok);
}

double golden_psnr(struct golden_case *c, const struct ph_tensor *got,
                   const struct ph_tensor *want, double range)
{
    if (!got->data || ph_tensor_count(got) != ph_tensor_count(want)) return 0;
    struct ph_tensor expected = golden_floats(c, want);
    return errors_of(got->data, expected.data, ph_tensor_count(want), (float) range).psnr_db;
}

void golden_compare_number(struct golden_case *c, const struct golden_file *f,
                           const char *label, double got, double want, double tolerance)
{
    char text[160];
    double d = fabs(got - want);
    snprintf(text, sizeof text, "%s: %.4f, expected %.4f", label, got, want);
    struct errors e = { .rel_l2 = d / (want != 0 ? fabs(want) : 1), .max_abs = d };
    struct limits l = { .max_abs = tolerance };
    verdict(c, f, text, &e, &l, tolerance == 0 || d <= tolerance);
}

// ------------------------------------------------------------------------------ taps
static const char *tap_name(const char *tensor, const char *prefix)
{
    static const char start[] = "out.tap.";
    if (strncmp(tensor, start, sizeof start - 1) != 0) return NULL;
    tensor += sizeof start - 1;
    return strncmp(tensor, prefix, strlen(prefix)) == 0 ? tensor : NULL;
}

bool golden_has_taps(const struct golden_file *f, const char *prefix)
{
    for (int i = 0; i < ph_weights_count(f->tensors); i++)
        if (tap_name(ph_weights_at(f->tensors, i)->name, prefix)) return true;
    return false;
}

void golden_compare_taps(struct golden_case *c, const struct golden_file *f,
                         struct ph_plan *plan, const char *prefix)
{
    for (int i = 0; i < ph_weights_count(f->tensors); i++) {
        const struct ph_weight *w = ph_weights_at(f->tensors, i);
        const char *name = tap_name(w->name, prefix);
        if (!name) continue;
        struct ph_tensor got = golden_read(c, plan, name);
        struct golden_check check = { .tensor = w->name + strlen("out.") };
        golden_compare(c, f, check, &got, &w->disk);
    }
}
