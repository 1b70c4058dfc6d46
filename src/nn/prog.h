// SPDX-License-Identifier: MIT
// A prog is the record of a model: operations on values, for one batch and one picture size. Models
// write it through these builders; plan.h makes it run. It holds no memory of values, so building
// takes milliseconds and another size is another prog.
//
// Shapes are logical: pictures and latents [n, c, h, w], tokens [n, t, c], vectors [n, c]; where the
// channels lie in memory is the backend's business. Builders never return an error: the first one
// sticks, its message names the scope and the tensor, and every later builder does nothing and
// gives PH_NONE. Ask once, with ph_prog_error.                                    thread: one
#ifndef PH_NN_PROG_H
#define PH_NN_PROG_H

#include <phosphene/tensor.h>

#include "nn/weights.h"

typedef int ph_val; // of one prog
enum { PH_NONE = -1 };

struct ph_prog;
ph_err ph_prog_create(struct ph_prog **out);
void ph_prog_free(struct ph_prog **p);
ph_err ph_prog_error(const struct ph_prog *p, struct ph_fault *fault); // the first, or PH_OK
// For checks a model makes itself ("config says 3 levels, block_out_channels has 4").
void ph_prog_fail(struct ph_prog *p, ph_err code, const char *fmt, ...) PH_PRINTF(3, 4);

// ------------------------------------------------------------------------- weights and names
// Layers are named as in the file, relative to the scope: ph_enter(p, "down_blocks.%d", i),
// ph_linear(p, x, "to_q", ...), ph_leave(p). Names of steps in tables and goldens are the same.
// The set is referenced until the prog and all its plans are gone; a second call replaces it for
// what follows (a UNet and a ControlNet in one prog).
void ph_prog_use(struct ph_prog *p, struct ph_weights *w);
void ph_enter(struct ph_prog *p, const char *fmt, ...) PH_PRINTF(2, 3);
void ph_leave(struct ph_prog *p);
const char *ph_scope(const struct ph_prog *p); // "down_blocks.0", "" outside; until it changes
bool ph_has(const struct ph_prog *p, const char *name); // a tensor of that name in scope
// The tensor itself as a value, of exactly this shape; a dim of 0 takes any.
ph_val ph_param(struct ph_prog *p, const char *name, int rank, const int64_t *dim);
// What the file must hold under this name in scope, as config.json has it: a tensor that is absent
// or of another shape is an error naming it, its file and both shapes. Ones at the end of a shape
// do not count: a linear layer may be stored as a 1x1 convolution.
void ph_expect(struct ph_prog *p, const char *name, int rank, const int64_t *dim);
// From here on p only collects: tensors are what ph_expect says, none need exist, and a set in use
// answers ph_has alone. For lists of tensors, checks and costs; it cannot be planned.
void ph_prog_collect(struct ph_prog *p);
// What was expected so far, in order of use; the list lives until the next builder is called.
int ph_prog_expected(const struct ph_prog *p, const struct ph_weight *const **list);
// Tensors of `w` that no builder asked for: calls each(name) in order; returns how many.
int ph_prog_unused(const struct ph_prog *p, const struct ph_weights *w,
                   void (*each)(void *arg, const char *name), void *arg);

// ------------------------------------------------------------------------- what goes in and out
// RARE inputs change now and then (prompt, timesteps, guidance): what depends on nothing else is
// computed when one of them was written and kept, so cross-attention keys and time embeddings
// cost nothing per frame. EACH inputs change with every run.
enum ph_rate { PH_EACH, PH_RARE };
ph_val ph_input(struct ph_prog *p, const char *name, enum ph_rate rate, enum ph_dtype dtype,
                int rank, const int64_t *dim);
// A value that outlives the run: starts as zeros, reads what ph_store put there in the run before.
ph_val ph_state(struct ph_prog *p, const char *name, int rank, const int64_t *dim);
void ph_store(struct ph_prog *p, ph_val state, ph_val x); // takes effect when the run ends
void ph_output(struct ph_prog *p, const char *name, ph_val x);
// Also keeps an inner value readable under its name, for goldens; free unless PH_PLAN_TAPS. A name
// that is taken stays with the first: a model may be in a prog twice.
void ph_tap(struct ph_prog *p, const char *name, ph_val x);

int ph_rank(const struct ph_prog *p, ph_val x);
int64_t ph_dim(const struct ph_prog *p, ph_val x, int i); // 0 when x is PH_NONE, after an error

// ------------------------------------------------------------------------- layers
enum ph_act {
    PH_ACT_NONE,
    PH_ACT_RELU,
    PH_ACT_SILU,
    PH_ACT_GELU,       // x/2 (1 + erf(x/sqrt 2))
    PH_ACT_GELU_TANH,  // the tanh form
    PH_ACT_QUICK_GELU, // x sigmoid(1.702 x)
    PH_ACT_SIGMOID,
    PH_ACT_TANH,
    PH_ACT_EXP
};
enum { PH_NO_BIAS = 1 }; // flags: else a missing "name.bias" is an error

struct ph_conv {
    int stride;                   // 0 = 1
    int top, left, bottom, right; // zero padding
    int flags;
};
// "name.weight" [out, in, kh, kw]. x [n, c, h, w].
ph_val ph_conv2d(struct ph_prog *p, ph_val x, const char *name, struct ph_conv conv);
// "name.weight" [out, in], also stored as a 1x1 convolution [out, in, 1, 1]. x [..., in].
ph_val ph_linear(struct ph_prog *p, ph_val x, const char *name, int flags);
// Rows [first, first + count) of that layer alone: queries of a matrix that is stored with keys and
// values.
ph_val ph_linear_rows(struct ph_prog *p, ph_val x, const char *name, int64_t first,
                      int64_t count, int flags);
// Transposed convolution whose stride is its kernel k: "name.weight" [in, out, k, k].
// x [n, in, h, w] -> [n, out, k h, k w]: one product, and each pixel's outputs to their places.
ph_val ph_conv_up(struct ph_prog *p, ph_val x, const char *name);
// "name.weight", "name.bias" [c]. x [n, c, h, w] or [n, t, c]; statistics over c/groups and space.
ph_val ph_group_norm(struct ph_prog *p, ph_val x, const char *name, int groups, float eps);
// Over the last axis. name NULL = without weight and bias.
ph_val ph_layer_norm(struct ph_prog *p, ph_val x, const char *name, float eps);
// Rows of "name.weight" [entries, c] for ids [n, t] (I32). An id out of range reads row 0.
ph_val ph_embed(struct ph_prog *p, ph_val ids, const char *name);

// ------------------------------------------------------------------------- attention
struct ph_attention {
    int heads;
    bool causal;
    float scale; // 0 = 1/sqrt(c / heads)
};
// q [n, t, c]; k, v [n, s, c]. softmax(q k' * scale) v for each head; scores are never stored.
ph_val ph_attend(struct ph_prog *p, ph_val q, ph_val k, ph_val v, struct ph_attention a);

// Turns pairs of channels by an angle of their token (RoPE in two dimensions). x [n, t, c] of heads
// of d = c / heads channels; table [t, d]: cosines of d/4 angles for the first half of a head's
// channels and of d/4 for the second, then their sines. In a half, channel i pairs with i + d/4.
ph_val ph_rotary(struct ph_prog *p, ph_val x, ph_val table, int heads);

// ------------------------------------------------------------------------- elementwise
ph_val ph_activate(struct ph_prog *p, ph_val x, enum ph_act act);
// Same shape, or b spreads over x: [n, c] over [n, c, h, w] and [n, t, c]; [c] or [t, c] over
// [n, t, c] and [n, c]; [n] (one number a row) and [1] over anything.
ph_val ph_add(struct ph_prog *p, ph_val a, ph_val b);
ph_val ph_mul(struct ph_prog *p, ph_val a, ph_val b);
ph_val ph_affine(struct ph_prog *p, ph_val x, float scale, float offset); // scale x + offset
// a[n] x + b[n] y: one coefficient a row; the whole arithmetic of samplers.
ph_val ph_axpby(struct ph_prog *p, ph_val a, ph_val x, ph_val b, ph_val y);
// x [..., 2 f] -> [..., f]: first half times gelu(second half).
ph_val ph_geglu(struct ph_prog *p, ph_val x);
ph_val ph_clamp(struct ph_prog *p, ph_val x, float low, float high);

// ------------------------------------------------------------------------- shape
ph_val ph_tokens(struct ph_prog *p, ph_val x);              // [n, c, h, w] -> [n, h w, c]
ph_val ph_image(struct ph_prog *p, ph_val x, int h, int w); // and back
// As many elements in another shape, in the order of memory: tokens and vectors, no pictures.
ph_val ph_reshape(struct ph_prog *p, ph_val x, int rank, const int64_t *dim);
// Numbers that the model's size gives (tables of angles); copied. Pictures as [n, c, h, w].
ph_val ph_constant(struct ph_prog *p, const char *name, int rank, const int64_t *dim,
                   const float *data);
ph_val ph_concat(struct ph_prog *p, int axis, ph_val a, ph_val b);
ph_val ph_slice(struct ph_prog *p, ph_val x, int axis, int64_t first, int64_t count);
ph_val ph_upsample(struct ph_prog *p, ph_val x, int h,
                   int w); // nearest: src = floor(dst * in/out)
// Bilinear, corners on corners: src = dst (in - 1)/(out - 1), 0 where out is 1. x [n, c, h, w].
ph_val ph_stretch(struct ph_prog *p, ph_val x, int h, int w);
// Bicubic (a = -0.75), borders repeated: src = (dst + 0.5)/scale - 0.5, whatever h and w are; for
// tables of positions, so without a quick kernel.
ph_val ph_bicubic(struct ph_prog *p, ph_val x, int h, int w, float scale_y, float scale_x);
ph_val ph_repeat(struct ph_prog *p, ph_val x, int64_t n); // [1, ...] -> [n, ...]
// x [n, t, c], index [n] (I32) -> [n, c]: the token at that place.
ph_val ph_pick(struct ph_prog *p, ph_val x, ph_val index);
// t [n] -> [n, c]: cos of t * max_period^(-i/(c/2)) first, then sin (diffusers' flip_sin_to_cos,
// freq_shift 0). t [n, m] gives [n, m c].
ph_val ph_sinusoid(struct ph_prog *p, ph_val t, int c, float max_period);

// ------------------------------------------------------------------------- pictures
// RGBA bytes [n, h, w, 4] (U8) -> [n, 3, h, w] = scale * v/255 + offset; and back with alpha 255,
// rounding to nearest even, clamped.
ph_val ph_from_pixels(struct ph_prog *p, ph_val rgba, float scale, float offset);
ph_val ph_to_pixels(struct ph_prog *p, ph_val x, float scale, float offset); // of x, into 0..1

// Nominal floating-point operations of one run: 2 per multiply-add of convolutions, linear layers
// and attention; RARE parts apart.
struct ph_prog_cost {
    double each, rare;    // operations
    int64_t params;       // elements of the weights used
    int64_t weight_bytes; // as stored
};
void ph_prog_cost(const struct ph_prog *p, struct ph_prog_cost *cost);

#endif
