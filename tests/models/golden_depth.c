// SPDX-License-Identifier: MIT
// Depth-Anything-V2 and 3 of tiny widths: every inner value, under both names of the tensors.
// Tolerances in f32 are the manifest's, on the largest difference; below f32 the largest is four
// times what rounding the weights alone did, and the median of relative errors stands beside it.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"
#include "image/stretch.h"
#include "nodes/model/depth_input.h"

struct depth_run {
    struct golden_case *c;
    const struct ph_json *entry; // of the manifest's cases
    struct golden_file file;     // stem and tensors
    struct ph_module *module;
    struct ph_weights *weights;
    const char *suffix;
    bool da3;
};

static int number_at(const struct ph_json *v, const char *key, int fallback)
{
    return ph_json_get(v, key) ? (int) ph_json_get(v, key)->integer : fallback;
}

static bool is_da3(const struct golden_case *c)
{
    return ph_json_get(c->manifest, "params_needed_live") != NULL;
}

static bool applies(const struct golden_case *c)
{
    const struct ph_json *m = ph_json_get(c->manifest, "model");
    return ph_json_get(m, "embed") && ph_json_get(m, "oc") && ph_json_get(c->manifest, "cases");
}

// ------------------------------------------------------------------------------ the model
static const char *config_text(struct golden_case *c)
{
    const struct ph_json *m = ph_json_get(c->manifest, "model"), *oc = ph_json_get(m, "oc");
    int e = number_at(m, "embed", 0), heads = number_at(m, "heads", 0), stage[4];
    for (int i = 0; i < 4; i++)
        stage[i] = ph_json_at(oc, i) ? (int) ph_json_at(oc, i)->integer : 0;
    const char *list =
        ph_tree_printf(c->mem, "[%d, %d, %d, %d]", stage[0], stage[1], stage[2], stage[3]);
    int features = number_at(m, "features", 0);
    if (is_da3(c))
        return ph_tree_printf(
            c->mem,
            "{\"model_name\": \"da3-small\", \"config\": {\"net\": {\"name\": "
            "\"vits\", \"embed_dim\": %d, \"num_heads\": %d}, \"head\": "
            "{\"features\": %d, \"out_channels\": %s}}}",
            e, heads, features, list);
    return ph_tree_printf(
        c->mem,
        "{\"architectures\": [\"DepthAnythingForDepthEstimation\"], "
        "\"backbone_config\": {\"model_type\": \"dinov2\", \"hidden_size\": %d, "
        "\"num_attention_heads\": %d, \"image_size\": %d}, "
        "\"fusion_hidden_size\": %d, \"neck_hidden_sizes\": %s}",
        e, heads, 14 * number_at(m, "grid", 37), features, list);
}

static struct ph_module *describe(struct golden_case *c, const char *text)
{
    struct ph_module *m = NULL;
    struct ph_fault fault = { 0 };
    if (ph_module_describe_text(text, strlen(text), c->dir, &m, &fault))
        golden_failure(c, NULL, "config", fault.message);
    return m;
}

static struct ph_weights *open_tensors(struct golden_case *c, const char *name)
{
    struct ph_weights *w = NULL;
    struct ph_fault fault = { 0 };
    ph_err ret = ph_weights_open(ph_tree_printf(c->mem, "%s/%s", c->dir, name), &w, &fault);
    if (ret && ret != PH_ENOENT) golden_failure(c, NULL, name, fault.message);
    return w;
}

// ------------------------------------------------------------------------------ the input
// The picture file's bytes, normalised as the manifest says.
static struct ph_tensor read_rgb(struct golden_case *c, const char *name, int h, int w)
{
    static const double mean[3] = { .485, .456, .406 }, deviation[3] = { .229, .224, .225 };
    struct ph_tensor t = { PH_F32, 4, { 1, 3, h, w }, NULL };
    size_t pixels = (size_t) h * (size_t) w;
    FILE *file = fopen(ph_tree_printf(c->mem, "%s/%s", c->dir, name), "rb");
    uint8_t *rgb = ph_new(c->mem, uint8_t, 3 * pixels);
    float *x = ph_new(c->mem, float, 3 * pixels);
    bool whole = file && fread(rgb, 1, 3 * pixels, file) == 3 * pixels;
    if (file) fclose(file);
    for (size_t i = 0; i < 3 * pixels && whole; i++)
        x[i % 3 * pixels + i / 3] = (float) ((rgb[i] / 255.0 - mean[i % 3]) / deviation[i % 3]);
    if (whole) t.data = x;
    return t;
}

static struct ph_tensor input_of(const struct depth_run *r)
{
    const struct ph_tensor *x = golden_tensor(&r->file, "x");
    if (x) return golden_floats(r->c, x);
    return read_rgb(r->c, ph_tree_printf(r->c->mem, "%s.rgb", r->file.stem),
                    number_at(r->entry, "H", 0), number_at(r->entry, "W", 0));
}

// ------------------------------------------------------------------------------ verdicts
static double tolerance_of(const struct depth_run *r, const char *tensor)
{
    const struct ph_json *t = ph_json_get(ph_json_get(r->entry, "tensors"), tensor);
    const struct ph_json *tol = ph_json_get(t, "tol_fp32");
    return tol ? tol->number : 0;
}

static double largest_difference(const float *a, const float *b, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double) a[i] - (double) b[i]);
        if (!(d <= most)) most = d; // NaN sticks
    }
    return most;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return x < y ? -1 : x > y;
}

// Of values that are not nearly nothing.
static double median_error(struct golden_case *c, const float *got, const float *want,
                           int64_t n)
{
    double *e = ph_new(c->mem, double, (size_t) n), peak = 0;
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) peak = fmax(peak, fabs((double) want[i]));
    for (int64_t i = 0; i < n; i++)
        if (fabs((double) want[i]) > 1e-3 * peak)
            e[kept++] = fabs((double) got[i] - (double) want[i]) / fabs((double) want[i]);
    if (!kept) return 0;
    qsort(e, (size_t) kept, sizeof *e, by_size);
    return e[kept / 2];
}

// What rounding the weights to bf16 did to `tensor`: "max" or "median"; 0 when it is not told.
static double rounding_did(const struct depth_run *r, const char *tensor, const char *what)
{
    const struct ph_json *all = ph_json_get(
        r->entry, ph_json_get(r->entry, "change_if") ? "change_if" : "depth_change_if");
    const struct ph_json *v = ph_json_get(all, "weights rounded to bf16");
    if (r->da3) v = ph_json_get(v, tensor);
    v = ph_json_get(v, what);
    return v ? v->number : 0;
}

static void judge(const struct depth_run *r, const char *tensor, const struct ph_tensor *got,
                  const struct ph_tensor *want, double tolerance)
{
    struct golden_case *c = r->c;
    const char *label = ph_tree_printf(c->mem, "%s%s", tensor, r->suffix);
    if (!got->data || ph_tensor_count(got) != ph_tensor_count(want)) {
        golden_failure(c, &r->file, label, "the engine has no such value");
        return;
    }
    struct ph_tensor expected = golden_floats(c, want);
    int64_t n = ph_tensor_count(want);
    double most = largest_difference(got->data, expected.data, n);
    if (c->options->precision == PH_PRECISION_F32) {
        golden_compare_number(c, &r->file, label, most, 0, tolerance);
        return;
    }
    char text[160];
    double limit = rounding_did(r, tensor, "max"), median = rounding_did(r, tensor, "median");
    if (c->options->precision != PH_PRECISION_BF16 || limit == 0) return;
    golden_compare_number(c, &r->file, label, most, 0, 4 * limit);
    snprintf(text, sizeof text, "%s median of relative errors", label);
    golden_compare_number(c, &r->file, text, median_error(c, got->data, expected.data, n), 0,
                          4 * fmax(median, 1e-3));
}

static void compare(const struct depth_run *r, struct ph_plan *plan, const char *tensor,
                    const char *port)
{
    const struct ph_tensor *want = golden_tensor(&r->file, tensor);
    char best[64];
    snprintf(best, sizeof best, "%s.f64", tensor);
    if (golden_tensor(&r->file, best)) want = golden_tensor(&r->file, best);
    if (!want) return;
    struct ph_tensor got = golden_read(r->c, plan, port);
    judge(r, tensor, &got, want, tolerance_of(r, tensor));
}

// Inner values are judged in f32 alone: those after the views were put in another order are not.
static void compare_taps(const struct depth_run *r, struct ph_plan *plan)
{
    static const char *const outputs[] = { "x", "depth", "conf", "extrinsics", "intrinsics" };
    for (int i = 0; i < ph_weights_count(r->file.tensors); i++) {
        const struct ph_weight *w = ph_weights_at(r->file.tensors, i);
        bool inner = !strstr(w->name, ".f64") && !strstr(w->name, ".hf") &&
                     !strstr(w->name, ".pos_by_size") && !strstr(w->name, ".metric") &&
                     !strstr(w->name, ".first");
        for (size_t k = 0; k < sizeof outputs / sizeof *outputs && inner; k++)
            inner = strcmp(w->name, outputs[k]) != 0;
        if (inner) compare(r, plan, w->name, w->name);
    }
}

// Per view; `what` of each is compared with the file's.
static void compare_cameras(const struct depth_run *r, struct ph_plan *plan, const char *suffix)
{
    struct ph_tensor pose = golden_read(r->c, plan, "pose");
    const struct ph_tensor *k =
        golden_tensor(&r->file, ph_tree_printf(r->c->mem, "intrinsics%s", suffix));
    const struct ph_tensor *w2c =
        golden_tensor(&r->file, ph_tree_printf(r->c->mem, "extrinsics%s", suffix));
    if (!pose.data || !k || !w2c) {
        golden_failure(r->c, &r->file, "pose", "not there");
        return;
    }
    int64_t views = k->dim[0];
    struct ph_tensor ks = { PH_F32, 3, { views, 3, 3 }, ph_new(r->c->mem, float, 9 * views) };
    struct ph_tensor es = { PH_F32, 3, { views, 3, 4 }, ph_new(r->c->mem, float, 12 * views) };
    for (int64_t v = 0; v < views; v++) {
        struct ph_depth_camera camera;
        float *to = (float *) ks.data + 9 * v;
        ph_depth_camera_of((float *) pose.data + 9 * v, number_at(r->entry, "W", 0),
                           number_at(r->entry, "H", 0), &camera);
        to[0] = camera.k[0], to[4] = camera.k[1], to[2] = camera.k[2], to[5] = camera.k[3];
        to[8] = 1;
        memcpy((float *) es.data + 12 * v, camera.w2c, sizeof camera.w2c);
    }
    judge(r, "intrinsics", &ks, k, tolerance_of(r, "intrinsics"));
    if (r->c->options->precision == PH_PRECISION_F32)
        judge(r, "extrinsics", &es, w2c, tolerance_of(r, "extrinsics"));
}

static void compare_outputs(const struct depth_run *r, struct ph_plan *plan)
{
    bool ordered = golden_tensor(&r->file, "depth.first") != NULL;
    if (!ordered) {
        compare(r, plan, "depth", "depth");
        if (r->da3) compare(r, plan, "conf", "confidence");
        if (r->da3) compare_cameras(r, plan, ".f64");
        return;
    }
    struct ph_tensor got = golden_read(r->c, plan, "depth");
    judge(r, "depth", &got, golden_tensor(&r->file, "depth.first"), tolerance_of(r, "depth"));
    compare_cameras(r, plan, ".first");
}

// ------------------------------------------------------------------------------ runs
static struct ph_plan *make(const struct depth_run *r, const struct ph_tensor *x)
{
    struct ph_module_size size = { x->dim[0], (int) x->dim[2], (int) x->dim[3], 0 };
    const struct golden_input inputs[] = { { "picture", *x }, { 0 } };
    struct ph_prog *p = NULL;
    if (ph_prog_create(&p) < 0) return NULL;
    ph_module_record(p, r->module, 0, &size, r->weights);
    bool taps = r->c->options->precision == PH_PRECISION_F32;
    return golden_plan(r->c, &r->file, p, inputs, taps ? PH_PLAN_TAPS : 0);
}

static void run_once(const struct depth_run *r)
{
    struct ph_tensor x = input_of(r);
    if (!x.data) {
        golden_failure(r->c, &r->file, "x", "not there");
        return;
    }
    struct ph_plan *plan = make(r, &x);
    if (!plan) return;
    bool reordered = golden_tensor(&r->file, "depth.first") != NULL;
    if (r->c->options->precision == PH_PRECISION_F32 && !reordered) compare_taps(r, plan);
    compare_outputs(r, plan);
    ph_plan_destroy(&plan);
}

// Without taps everything is fused; that is what runs live.
static void run_fused(const struct depth_run *r)
{
    struct golden_options fused = *r->c->options;
    struct ph_tensor x = input_of(r);
    struct ph_module_size size = { x.dim[0], (int) x.dim[2], (int) x.dim[3], 0 };
    const struct golden_input inputs[] = { { "picture", x }, { 0 } };
    struct ph_prog *p = NULL;
    if (fused.precision != PH_PRECISION_F32 || !x.data || ph_prog_create(&p) < 0) return;
    ph_module_record(p, r->module, 0, &size, r->weights);
    struct ph_plan *plan = golden_plan(r->c, &r->file, p, inputs, 0);
    if (plan) compare_outputs(r, plan);
    ph_plan_destroy(&plan);
}

// The metric variant: the same weights, another end.
static void run_metric(struct depth_run *r)
{
    const struct ph_tensor *want = golden_tensor(&r->file, "depth.metric20");
    if (!want || r->c->options->precision != PH_PRECISION_F32) return;
    const char *text = config_text(r->c);
    text = ph_tree_printf(r->c->mem,
                          "%.*s, \"depth_estimation_type\": \"metric\", \"max_depth\": 20}",
                          (int) strlen(text) - 1, text);
    struct depth_run metric = *r;
    metric.module = describe(r->c, text);
    struct ph_tensor x = input_of(r), got = { 0 };
    struct ph_plan *plan = metric.module && x.data ? make(&metric, &x) : NULL;
    if (plan) got = golden_read(r->c, plan, "depth");
    judge(&metric, "depth.metric20", &got, want, tolerance_of(r, "depth.metric20"));
    ph_plan_destroy(&plan);
    ph_module_close(&metric.module);
}

static void run_case(struct depth_run *r)
{
    const char *name = ph_json_string(ph_json_get(r->entry, "file"), "");
    r->file = (struct golden_file){ .name = name, .tensors = open_tensors(r->c, name) };
    r->file.stem = ph_tree_text(r->c->mem, name, strcspn(name, "."));
    if (!r->file.tensors) return;
    run_once(r);
    run_fused(r);
    if (!r->da3) run_metric(r);
    ph_weights_unref(&r->file.tensors);
}

static void run_names(struct golden_case *c, struct ph_module *m, const char *weights,
                      const char *suffix)
{
    struct depth_run r = { .c = c, .module = m, .suffix = suffix, .da3 = is_da3(c) };
    const struct ph_json *cases = ph_json_get(c->manifest, "cases");
    r.weights = open_tensors(c, weights);
    if (!r.weights) return;
    for (const struct ph_json *e = cases->child; e; e = e->next) {
        r.entry = e;
        run_case(&r);
    }
    ph_weights_unref(&r.weights);
}

// ------------------------------------------------------------------------------ end to end
static struct ph_frame *read_picture(struct golden_case *c, int h, int w)
{
    struct ph_frame *f = NULL;
    FILE *file = fopen(ph_tree_printf(c->mem, "%s/e2e_rgb.rgb", c->dir), "rb");
    if (!file || ph_frame_picture(NULL, PH_RGBA, w, h, &f) < 0) {
        if (file) fclose(file);
        return NULL;
    }
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            uint8_t *to = f->picture.data[0] + y * f->picture.stride[0] + 4 * x;
            if (fread(to, 1, 3, file) != 3) ph_frame_unref(&f);
            if (!f) break;
            to[3] = 255;
        }
    fclose(file);
    return f;
}

// The depth of a run in the picture's own size.
static void restore(struct depth_run *r, const struct ph_tensor *depth,
                    struct ph_depth_size size, const struct ph_tensor *want)
{
    struct ph_frame *small = NULL, *whole = NULL;
    struct ph_tensor got = *want;
    got.data = ph_new(r->c->mem, float, (size_t) ph_tensor_count(want));
    int h = (int) want->dim[0], w = (int) want->dim[1];
    if (ph_frame_picture(NULL, PH_INVERSEF, size.width, size.height, &small) < 0 ||
        ph_frame_picture(NULL, PH_INVERSEF, w, h, &whole) < 0)
        got.data = NULL;
    for (int y = 0; got.data && y < size.height; y++)
        memcpy(small->picture.data[0] + y * small->picture.stride[0],
               (float *) depth->data + y * size.width, sizeof(float) * (size_t) size.width);
    if (got.data && ph_image_stretch(&whole->picture, &small->picture) < 0) got.data = NULL;
    for (int y = 0; got.data && y < h; y++)
        memcpy((float *) got.data + y * w,
               whole->picture.data[0] + y * whole->picture.stride[0],
               sizeof(float) * (size_t) w);
    judge(r, "depth", &got, want, 0.003);
    ph_frame_unref(&small);
    ph_frame_unref(&whole);
}

// From the bytes of a picture to depth in its own size.
static void run_whole(struct golden_case *c, struct ph_module *m)
{
    struct depth_run r = { .c = c, .module = m, .suffix = " (picture to depth)" };
    r.file =
        (struct golden_file){ "e2e.safetensors", "e2e", open_tensors(c, "e2e.safetensors") };
    r.weights = open_tensors(c, "weights.orig.safetensors");
    const struct ph_tensor *want = r.file.tensors ? golden_tensor(&r.file, "depth") : NULL;
    if (!want || !r.weights) return;
    struct ph_frame *f = read_picture(c, (int) want->dim[0], (int) want->dim[1]);
    struct ph_depth_input in = { 0 };
    struct ph_depth_size s = ph_depth_size_v2((int) want->dim[1], (int) want->dim[0], 98);
    struct ph_tensor x = { PH_F32, 4, { 1, 3, s.height, s.width }, NULL };
    x.data = ph_new(c->mem, float, 3 * (size_t) s.width * (size_t) s.height);
    if (!f || ph_depth_input_v2(&in, &f->picture, s, x.data) < 0) {
        golden_failure(c, &r.file, "picture", "cannot be read");
    } else {
        if (c->options->precision == PH_PRECISION_F32)
            judge(&r, "x", &x, golden_tensor(&r.file, "x"), 2e-4);
        struct ph_plan *plan = make(&r, &x);
        struct ph_tensor depth = plan ? golden_read(c, plan, "depth") : (struct ph_tensor){ 0 };
        if (depth.data)
            judge(&r, "depth_model", &depth, golden_tensor(&r.file, "depth_model"), 0.003);
        if (depth.data) restore(&r, &depth, s, want);
        ph_plan_destroy(&plan);
    }
    ph_depth_input_finish(&in);
    ph_frame_unref(&f);
    ph_weights_unref(&r.weights);
    ph_weights_unref(&r.file.tensors);
}

static void run(struct golden_case *c)
{
    struct ph_fault fault = { 0 };
    struct ph_module *m = describe(c, config_text(c)), *hf = NULL;
    if (!m) return;
    if (is_da3(c)) {
        run_names(c, m, "model.safetensors", "");
    } else {
        run_names(c, m, "weights.orig.safetensors", "");
        if (ph_json_get(ph_json_get(c->manifest, "e2e"), "file")) run_whole(c, m);
        ph_err ret = ph_module_open(ph_tree_printf(c->mem, "%s/hf", c->dir), &hf, &fault);
        if (ret && ret != PH_ENOENT) golden_failure(c, NULL, "hf", fault.message);
        if (hf) run_names(c, hf, "hf/model.safetensors", " (hf)");
    }
    ph_module_close(&hf);
    ph_module_close(&m);
}

const struct golden_kind golden_depth = { "depth", applies, run };
