// SPDX-License-Identifier: MIT
// Before and after a depth model: sizes, pictures as cv2 resizes them, stretched maps, tables,
// cameras. The same file knows the end-to-end case of a model's folder.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"
#include "image/stretch.h"
#include "nodes/model/depth_input.h"

static bool applies(const struct golden_case *c)
{
    return ph_json_get(c->manifest, "sizes.json") &&
           ph_json_get(c->manifest, "ops.safetensors");
}

static int int_at(const struct ph_json *v, const char *key)
{
    return ph_json_get(v, key) ? (int) ph_json_get(v, key)->integer : 0;
}

static int item(const struct ph_json *v, const char *key, int i)
{
    const struct ph_json *n = ph_json_at(ph_json_get(v, key), i);
    return n ? (int) n->integer : 0;
}

static struct golden_file open_file(struct golden_case *c, const char *name)
{
    struct golden_file f = { .name = name,
                             .stem = ph_tree_text(c->mem, name, strcspn(name, ".")) };
    struct ph_fault fault = { 0 };
    if (ph_weights_open(ph_tree_printf(c->mem, "%s/%s", c->dir, name), &f.tensors, &fault))
        golden_failure(c, NULL, name, fault.message);
    return f;
}

static double largest(const float *a, const float *b, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double) a[i] - (double) b[i]);
        if (!(d <= most)) most = d; // NaN sticks
    }
    return most;
}

static void compare(struct golden_case *c, const struct golden_file *f, const char *name,
                    const float *got, double tolerance)
{
    const struct ph_tensor *want = golden_tensor(f, name);
    if (!want || !got) {
        golden_failure(c, f, name, "not there");
        return;
    }
    struct ph_tensor expected = golden_floats(c, want);
    golden_compare_number(c, f, name, largest(got, expected.data, ph_tensor_count(want)), 0,
                          tolerance);
}

// ------------------------------------------------------------------------------ sizes
static void run_sizes(struct golden_case *c)
{
    static char text[1 << 20];
    struct ph_json_doc *doc = NULL;
    FILE *file = fopen(ph_tree_printf(c->mem, "%s/sizes.json", c->dir), "rb");
    size_t len = file ? fread(text, 1, sizeof text, file) : 0;
    if (file) fclose(file);
    if (ph_json_parse(&doc, text, len, 0, NULL)) {
        golden_failure(c, NULL, "sizes.json", "cannot be read");
        return;
    }
    const struct ph_json *v2 = ph_json_get(ph_json_root(doc), "da2_and_hf");
    const struct ph_json *da3 = ph_json_get(ph_json_root(doc), "da3_upper_bound_resize");
    int wrong = 0, wrong_da3 = 0;
    for (const struct ph_json *e = v2 ? v2->child : NULL; e; e = e->next) {
        struct ph_depth_size s =
            ph_depth_size_v2(int_at(e, "w"), int_at(e, "h"), int_at(e, "input_size"));
        wrong += s.width != item(e, "da2_lower_bound_wh", 0) ||
                 s.height != item(e, "da2_lower_bound_wh", 1);
    }
    for (const struct ph_json *e = da3 ? da3->child : NULL; e; e = e->next) {
        struct ph_depth_size first, s = ph_depth_size_da3(int_at(e, "w"), int_at(e, "h"),
                                                          int_at(e, "process_res"), &first);
        wrong_da3 += s.width != item(e, "final_wh", 0) || s.height != item(e, "final_wh", 1) ||
                     first.width != item(e, "step1_wh", 0) ||
                     first.height != item(e, "step1_wh", 1);
    }
    golden_compare_number(c, NULL, "sizes of V2 that differ", v2 && v2->count ? wrong : 1, 0,
                          0.5);
    golden_compare_number(c, NULL, "sizes of DA3 that differ",
                          da3 && da3->count ? wrong_da3 : 1, 0, 0.5);
    ph_json_free(&doc);
}

// ------------------------------------------------------------------------------ pictures
static struct ph_frame *read_rgb(struct golden_case *c, const char *name, int h, int w)
{
    struct ph_frame *f = NULL;
    FILE *file = fopen(ph_tree_printf(c->mem, "%s/%s", c->dir, name), "rb");
    size_t pixels = (size_t) h * (size_t) w;
    uint8_t *rgb = ph_new(c->mem, uint8_t, 3 * pixels);
    bool whole = file && fread(rgb, 1, 3 * pixels, file) == 3 * pixels &&
                 ph_frame_picture(NULL, PH_RGBA, w, h, &f) == PH_OK;
    if (file) fclose(file);
    for (size_t i = 0; i < pixels && whole; i++) {
        uint8_t *to = f->picture.data[0] + i / (size_t) w * (size_t) f->picture.stride[0] +
                      i % (size_t) w * 4;
        memcpy(to, rgb + 3 * i, 3);
        to[3] = 255;
    }
    return f;
}

// Numbers of a model back to bytes, [h, w, 3].
static void to_levels(const float *x, int64_t pixels, float *out)
{
    static const float mean[3] = PH_DEPTH_MEAN, deviation[3] = PH_DEPTH_DEVIATION;
    for (int64_t i = 0; i < 3 * pixels; i++)
        out[i] = 255 * (x[i % 3 * pixels + i / 3] * deviation[i % 3] + mean[i % 3]);
}

static void run_da3_picture(struct golden_case *c, const struct golden_file *f,
                            const struct ph_picture *picture, int index, int side)
{
    struct ph_depth_input in = { 0 };
    struct ph_depth_size first,
        s = ph_depth_size_da3(picture->width, picture->height, side, &first);
    int64_t pixels = (int64_t) s.width * s.height;
    float *x = ph_new(c->mem, float, 3 * pixels), *levels = ph_new(c->mem, float, 3 * pixels);
    const char *name = ph_tree_printf(c->mem, "pic%d.da3_%d", index, side);
    if (ph_depth_input_da3(&in, picture, first, s, x) < 0)
        golden_failure(c, f, name, "cannot be made");
    to_levels(x, pixels, levels);
    compare(c, f, ph_tree_printf(c->mem, "%s_u8", name), levels, 2.01);
    if (golden_tensor(f, name)) compare(c, f, name, x, 0.04);
    ph_depth_input_finish(&in);
}

static void run_picture(struct golden_case *c, const struct golden_file *f,
                        const struct ph_json *e)
{
    int index = int_at(e, "pic"), h = item(e, "hw", 0), w = item(e, "hw", 1);
    struct ph_frame *picture =
        read_rgb(c, ph_tree_printf(c->mem, "pic%d_%dx%d.rgb", index, h, w), h, w);
    struct ph_depth_input in = { 0 };
    struct ph_depth_size s = ph_depth_size_v2(w, h, int_at(e, "input_size"));
    if (!picture) {
        golden_failure(c, f, "picture", "cannot be read");
        return;
    }
    float *x = ph_new(c->mem, float, 3 * (size_t) s.width * (size_t) s.height);
    if (ph_depth_input_v2(&in, &picture->picture, s, x) < 0)
        golden_failure(c, f, "picture", "cannot be made");
    compare(c, f, ph_tree_printf(c->mem, "pic%d.da2", index), x, 2e-4);
    const struct ph_json *sides = ph_json_get(e, "da3_hw_by_res");
    for (const struct ph_json *i = sides ? sides->child : NULL; i; i = i->next)
        run_da3_picture(c, f, &picture->picture, index, atoi(i->key));
    ph_depth_input_finish(&in);
    ph_frame_unref(&picture);
}

static void run_pictures(struct golden_case *c)
{
    struct golden_file f = open_file(c, "pictures.safetensors");
    const struct ph_json *list =
        ph_json_get(ph_json_get(c->manifest, "pictures.safetensors"), "pictures");
    for (const struct ph_json *e = list && f.tensors ? list->child : NULL; e; e = e->next)
        run_picture(c, &f, e);
    ph_weights_unref(&f.tensors);
}

// ------------------------------------------------------------------------------ one operation
typedef ph_val operation(struct ph_prog *p, ph_val x, const struct ph_json *e);

// Runs one operation over `in`; NULL after a failure.
static float *run_op(struct golden_case *c, const struct golden_file *f, struct ph_tensor in,
                     operation *op, const struct ph_json *e)
{
    struct ph_prog *p = NULL;
    const struct golden_input inputs[] = { { "in", in }, { 0 } };
    if (ph_prog_create(&p) < 0) return NULL;
    ph_output(p, "out", op(p, ph_input(p, "in", PH_EACH, PH_F32, in.rank, in.dim), e));
    struct ph_plan *plan = golden_plan(c, f, p, inputs, 0);
    float *out = plan ? golden_read(c, plan, "out").data : NULL;
    ph_plan_destroy(&plan);
    return out;
}

static ph_val stretch(struct ph_prog *p, ph_val x, const struct ph_json *e)
{
    return ph_stretch(p, x, item(e, "out_hw", 0), item(e, "out_hw", 1));
}

// Plane by plane through the picture function.
static float *stretch_map(struct golden_case *c, const struct ph_tensor *in, int h, int w)
{
    struct ph_frame *src = NULL, *dst = NULL;
    int64_t planes = in->dim[1];
    int ih = (int) in->dim[2], iw = (int) in->dim[3];
    float *out = ph_new(c->mem, float, (size_t) (planes * h * w));
    if (ph_frame_picture(NULL, PH_DEPTHF, iw, ih, &src) < 0 ||
        ph_frame_picture(NULL, PH_DEPTHF, w, h, &dst) < 0)
        return NULL;
    for (int64_t k = 0; k < planes; k++) {
        for (int y = 0; y < ih; y++)
            memcpy(src->picture.data[0] + y * src->picture.stride[0],
                   (float *) in->data + (k * ih + y) * iw, sizeof(float) * (size_t) iw);
        if (ph_image_stretch(&dst->picture, &src->picture) < 0) out = NULL;
        for (int y = 0; y < h && out; y++)
            memcpy(out + (k * h + y) * w, dst->picture.data[0] + y * dst->picture.stride[0],
                   sizeof(float) * (size_t) w);
    }
    ph_frame_unref(&src);
    ph_frame_unref(&dst);
    return out;
}

static void run_stretches(struct golden_case *c)
{
    struct golden_file f = open_file(c, "bilinear_ac.safetensors");
    const struct ph_json *list =
        ph_json_get(ph_json_get(c->manifest, "bilinear_ac.safetensors"), "cases");
    for (const struct ph_json *e = list && f.tensors ? list->child : NULL; e; e = e->next) {
        const char *id = ph_json_string(ph_json_get(e, "id"), "");
        const char *out = ph_tree_printf(c->mem, "%s.out", id);
        const struct ph_tensor *t = golden_tensor(&f, ph_tree_printf(c->mem, "%s.in", id));
        if (!t) continue;
        struct ph_tensor in = golden_floats(c, t);
        compare(c, &f, out, run_op(c, &f, in, stretch, e), 1e-4);
        compare(c, &f, out, stretch_map(c, &in, item(e, "out_hw", 0), item(e, "out_hw", 1)),
                1e-4);
    }
    ph_weights_unref(&f.tensors);
}

static ph_val places(struct ph_prog *p, ph_val x, const struct ph_json *e)
{
    int grid = int_at(e, "stored_grid"), h = int_at(e, "h"), w = int_at(e, "w");
    ph_val rest = ph_slice(p, x, 1, 1, (int64_t) grid * grid);
    float sy = ((float) h + 0.1f) / (float) grid, sx = ((float) w + 0.1f) / (float) grid;
    if (h != grid || w != grid)
        rest = ph_tokens(p, ph_bicubic(p, ph_image(p, rest, grid, grid), h, w, sy, sx));
    return ph_concat(p, 1, ph_slice(p, x, 1, 0, 1), rest);
}

static void run_places(struct golden_case *c)
{
    struct golden_file f = open_file(c, "posembed.safetensors");
    const struct ph_json *list =
        ph_json_get(ph_json_get(c->manifest, "posembed.safetensors"), "cases");
    for (const struct ph_json *e = list && f.tensors ? list->child : NULL; e; e = e->next) {
        const struct ph_tensor *t = golden_tensor(
            &f, ph_tree_printf(c->mem, "grid%d.pos_embed", int_at(e, "stored_grid")));
        const char *out =
            ph_tree_printf(c->mem, "%s.out", ph_json_string(ph_json_get(e, "id"), ""));
        if (t) compare(c, &f, out, run_op(c, &f, golden_floats(c, t), places, e), 2e-5);
    }
    ph_weights_unref(&f.tensors);
}

// ------------------------------------------------------------------------------ tables, cameras
static void run_place_tables(struct golden_case *c, const struct golden_file *f,
                             const struct ph_json *ops)
{
    const struct ph_json *list = ph_json_get(ops, "uv");
    for (const struct ph_json *e = list ? list->child : NULL; e; e = e->next) {
        int channels = int_at(e, "C"), h = int_at(e, "h"), w = int_at(e, "w");
        float *out = ph_new(c->mem, float, (size_t) (channels * h * w));
        ph_depth_place_table(channels, h, w, (double) int_at(e, "W") / int_at(e, "H"), out);
        compare(c, f,
                ph_tree_printf(c->mem, "%s.out", ph_json_string(ph_json_get(e, "id"), "")), out,
                2e-6);
    }
}

// [1, heads, t, d] to [1, t, heads d] and back.
static void swap_heads(const float *from, int64_t a, int64_t b, int64_t d, float *to)
{
    for (int64_t i = 0; i < a; i++)
        for (int64_t k = 0; k < b; k++)
            memcpy(to + (k * a + i) * d, from + (i * b + k) * d, sizeof *to * (size_t) d);
}

static bool across; // which of the two tables turn() takes

static ph_val turn(struct ph_prog *p, ph_val x, const struct ph_json *e)
{
    int d = int_at(e, "head_dim"), h = int_at(e, "h"), w = int_at(e, "w");
    static float table[64 * 64];
    int64_t dim[2] = { 1 + h * w, d };
    ph_depth_rotary_table(1, h, w, d, across, table);
    return ph_rotary(p, x, ph_constant(p, "table", 2, dim, table), (int) ph_dim(p, x, 2) / d);
}

static void run_rotary(struct golden_case *c, const struct golden_file *f,
                       const struct ph_json *ops)
{
    const struct ph_json *list = ph_json_get(ops, "rope");
    for (const struct ph_json *e = list ? list->child : NULL; e; e = e->next) {
        const char *id = ph_json_string(ph_json_get(e, "id"), "");
        const struct ph_tensor *q = golden_tensor(f, ph_tree_printf(c->mem, "%s.q", id));
        if (!q) continue;
        int64_t heads = q->dim[1], t = q->dim[2], d = q->dim[3];
        struct ph_tensor in = {
            PH_F32, 3, { 1, t, heads * d }, ph_new(c->mem, float, (size_t) ph_tensor_count(q))
        };
        float *back = ph_new(c->mem, float, (size_t) ph_tensor_count(q));
        swap_heads(golden_floats(c, q).data, heads, t, d, in.data);
        for (int i = 0; i < 2; i++) {
            across = i;
            float *out = run_op(c, f, in, turn, e);
            if (out) swap_heads(out, t, heads, d, back);
            compare(c, f, ph_tree_printf(c->mem, "%s.%s", id, i ? "global" : "local"),
                    out ? back : NULL, 1e-5);
        }
    }
}

static void run_cameras(struct golden_case *c, const struct golden_file *f)
{
    const struct ph_tensor *t = golden_tensor(f, "pose.enc");
    float c2w[3][12], w2c[3][12], k[3][9] = { { 0 } };
    if (!t) return;
    struct ph_tensor pose = golden_floats(c, t);
    for (int i = 0; i < 3; i++) {
        struct ph_depth_camera camera;
        ph_depth_camera_of((float *) pose.data + 9 * i, 504, 378, &camera);
        memcpy(c2w[i], camera.c2w, sizeof c2w[i]);
        memcpy(w2c[i], camera.w2c, sizeof w2c[i]);
        k[i][0] = camera.k[0], k[i][4] = camera.k[1], k[i][2] = camera.k[2];
        k[i][5] = camera.k[3], k[i][8] = 1;
    }
    compare(c, f, "pose.c2w", c2w[0], 1e-5);
    compare(c, f, "pose.w2c", w2c[0], 1e-5);
    const struct ph_tensor *lens = golden_tensor(f, "pose.K_378x504");
    if (!lens) return;
    const float *want = golden_floats(c, lens).data;
    double most = 0; // relative: one of them looks through a needle's eye
    for (int i = 0; i < 27; i++) {
        double d = fabs((double) k[i / 9][i % 9] - (double) want[i]);
        most = fmax(most, d / fmax(1, fabs((double) want[i])));
    }
    golden_compare_number(c, f, "pose.K_378x504, relative", most, 0, 1e-5);
}

static void run(struct golden_case *c)
{
    struct golden_file f = open_file(c, "ops.safetensors");
    const struct ph_json *ops = ph_json_get(c->manifest, "ops.safetensors");
    run_sizes(c);
    run_pictures(c);
    run_stretches(c);
    run_places(c);
    if (f.tensors) {
        run_place_tables(c, &f, ops);
        run_rotary(c, &f, ops);
        run_cameras(c, &f);
    }
    ph_weights_unref(&f.tensors);
}

const struct golden_kind golden_prepost = { "prepost", applies, run };
