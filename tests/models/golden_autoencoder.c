// SPDX-License-Identifier: MIT
// Autoencoders: AutoencoderTiny, TAEF2, AutoencoderKL.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "golden.h"
#include "models/taesd/taesd.h"

static bool is_autoencoder(const struct ph_module *m)
{
    return m && (m->class->kind == PH_MODULE_TAESD || m->class->kind == PH_MODULE_VAE);
}

static bool applies(const struct golden_case *c)
{
    for (int i = 0; i < c->models; i++)
        if (!is_autoencoder(c->model[i].module)) return false;
    return c->models > 0 && golden_all_have(c, "in.image_u8") &&
           golden_all_have(c, "out.recon");
}

struct run {
    struct golden_case *c;
    const struct golden_file *f;
    const struct ph_module *m;
    struct ph_weights *weights; // NULL = the module's own
    const char *suffix;         // of labels
    struct ph_module_size size;
};

static void compare(const struct run *r, const char *tensor, const struct ph_tensor *got,
                    float range)
{
    char label[160];
    snprintf(label, sizeof label, "out.%s%s", tensor, r->suffix);
    struct golden_check check = { .tensor = tensor, .label = label, .range = range };
    golden_compare(r->c, r->f, check, got, NULL);
}

// A plan of one half, with the inputs run through it; then, where the file has inner values, one
// more that keeps them (and fuses less).
static struct ph_plan *run_part(const struct run *r, int part,
                                const struct golden_input *inputs)
{
    const char *prefix = part ? "decoder." : "encoder.";
    struct ph_plan *plan = NULL;
    for (int taps = golden_has_taps(r->f, prefix); taps >= 0; taps--) {
        struct ph_prog *p;
        if (ph_prog_create(&p)) return NULL;
        ph_module_record(p, r->m, part, &r->size, r->weights);
        plan = golden_plan(r->c, r->f, p, inputs, taps ? PH_PLAN_TAPS : 0);
        if (!plan || !taps) return plan;
        golden_compare_taps(r->c, r->f, plan, prefix);
        ph_plan_destroy(&plan);
    }
    return plan;
}

static struct ph_tensor encode(const struct run *r, const struct ph_tensor *image)
{
    static const char *const moments[] = { "mean", "logvar", "std", "sample", NULL };
    struct golden_input inputs[3] = { { "image", *image } };
    const struct ph_tensor *noise = golden_tensor(r->f, "in.eps");
    if (noise) inputs[1] = (struct golden_input){ "noise", golden_floats(r->c, noise) };
    struct ph_plan *plan = run_part(r, 0, inputs);
    if (!plan) return (struct ph_tensor){ 0 };
    for (int i = 0; noise && moments[i]; i++) {
        struct ph_tensor got = golden_read(r->c, plan, moments[i]);
        compare(r, moments[i], &got, 0);
    }
    struct ph_tensor latent = golden_read(r->c, plan, "latent");
    compare(r, "latent", &latent, 0);
    ph_plan_destroy(&plan);
    return latent;
}

static struct ph_tensor decode(const struct run *r, const struct ph_tensor *latent)
{
    struct golden_input inputs[2] = { { "latent", *latent } };
    struct ph_plan *plan = run_part(r, 1, inputs);
    struct ph_tensor image = { 0 };
    if (plan) image = golden_read(r->c, plan, "image");
    ph_plan_destroy(&plan);
    return image;
}

// ------------------------------------------------------------------------------ real weights
// Of b, clamped and rounded to bytes when asked, against a, which are bytes over 255.
static double psnr_of(const float *a, const float *b, int64_t n, bool bytes)
{
    double error = 0;
    for (int64_t i = 0; i < n; i++) {
        float x = a[i], y = fminf(fmaxf(b[i], 0), 1);
        if (bytes) y = nearbyintf(255 * y) / 255;
        error += ((double) x - (double) y) * ((double) x - (double) y);
    }
    return 10 * log10((double) n / error);
}

// How much a round trip costs, which the manifest of trained weights says.
static void compare_psnr(const struct run *r, const struct ph_tensor *in,
                         const struct ph_tensor *out)
{
    static const char *const keys[] = { "psnr_db_recon_vs_input_float",
                                        "psnr_db_recon_u8_vs_input_u8" };
    static const char *const engine[] = { [PH_PRECISION_F32] = "fp32 engine",
                                          [PH_PRECISION_BF16] = "bf16 engine",
                                          [PH_PRECISION_Q4] = NULL };
    const struct ph_json *run = ph_json_get(ph_json_get(r->c->manifest, "runs"), r->f->stem);
    const char *key = engine[r->c->options->precision];
    const struct ph_json *tolerance =
        key ? ph_json_get(ph_json_get(r->c->manifest, "tolerance"), key) : NULL;
    double limit = ph_json_double(ph_json_get(tolerance, "psnr_db"), 0);
    for (int i = 0; i < 2 && run && out->data; i++)
        golden_compare_number(r->c, r->f, keys[i],
                              psnr_of(in->data, out->data, ph_tensor_count(in), i),
                              ph_json_double(ph_json_get(run, keys[i]), 0), limit);
}

// TAEF2's pictures are recorded in [0, 1], and it decodes what it encoded.
static void run_round_trip(const struct run *r)
{
    const struct ph_tensor *u8 = golden_tensor(r->f, "in.image_u8");
    struct ph_tensor image = golden_picture(r->c, u8, 2, -1);
    struct ph_tensor latent = encode(r, &image);
    if (!latent.data) return;
    struct ph_tensor out = decode(r, &latent);
    if (!out.data) return;
    for (int64_t i = 0; i < ph_tensor_count(&out); i++)
        ((float *) out.data)[i] = (((float *) out.data)[i] + 1) / 2;
    compare(r, "recon", &out, 1);
    image = golden_picture(r->c, u8, 1, 0);
    compare_psnr(r, &image, &out);
}

static void run_halves(const struct run *r)
{
    struct ph_tensor image = golden_picture(r->c, golden_tensor(r->f, "in.image_u8"), 2, -1);
    encode(r, &image);
    struct ph_tensor latent = golden_floats(r->c, golden_tensor(r->f, "in.z"));
    struct ph_tensor out = decode(r, &latent);
    compare(r, "recon", &out, 2);
}

static void run_file(struct golden_case *c, const struct golden_file *f,
                     struct ph_weights *weights, const char *suffix)
{
    const struct ph_tensor *u8 = golden_tensor(f, "in.image_u8");
    int skip = u8->rank == 4;
    struct run r = { c, f, golden_module_of(c, f), weights, suffix, { 0 } };
    r.size = (struct ph_module_size){ .batch = skip ? u8->dim[0] : 1,
                                      .height = (int) u8->dim[skip],
                                      .width = (int) u8->dim[skip + 1] };
    if (golden_tensor(f, "in.z"))
        run_halves(&r);
    else
        run_round_trip(&r);
}

// The same weights under the names that old files have, where the case comes with them.
static void run_old_names(struct golden_case *c)
{
    const struct ph_module *m = golden_module(c, PH_MODULE_VAE);
    struct ph_weights *old = NULL;
    struct ph_fault fault = { 0 };
    if (!m) return;
    const char *path =
        ph_tree_printf(c->mem, "%s/oldnames.diffusion_pytorch_model.safetensors", m->path);
    ph_err ret = ph_weights_open(path, &old, &fault);
    if (ret && ret != PH_ENOENT) golden_failure(c, NULL, path, fault.message);
    for (int i = 0; !ret && i < c->files; i++) run_file(c, &c->file[i], old, " (old names)");
    ph_weights_unref(&old);
}

static void run(struct golden_case *c)
{
    for (int i = 0; i < c->files; i++) run_file(c, &c->file[i], NULL, "");
    run_old_names(c);
}

const struct golden_kind golden_autoencoder = { "autoencoder", applies, run };
