// SPDX-License-Identifier: MIT
#include "models/gate.h"

#include "core/tree.h"
#include "models/gate_paint.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIDE   64 // pixels
#define STEPS  4
#define TOKENS 16

// A TAESD and a UNet of SD-Turbo's kind, thin and short; its inner level is wide enough for int8
// convolutions.
static const char tiny_autoencoder[] =
    "{\"_class_name\": \"AutoencoderTiny\", \"act_fn\": \"relu\", \"in_channels\": 3,"
    " \"out_channels\": 3, \"latent_channels\": 4, \"latent_magnitude\": 3,"
    " \"latent_shift\": 0.5, \"scaling_factor\": 1.0, \"upsampling_scaling_factor\": 2,"
    " \"encoder_block_out_channels\": [32, 32, 32, 32], \"num_encoder_blocks\": [1, 1, 1, 1],"
    " \"decoder_block_out_channels\": [32, 32, 32, 32], \"num_decoder_blocks\": [1, 1, 1, 1]}";
static const char tiny_unet[] =
    "{\"_class_name\": \"UNet2DConditionModel\", \"act_fn\": \"silu\", \"in_channels\": 4,"
    " \"out_channels\": 4, \"sample_size\": 8, \"block_out_channels\": [32, 128],"
    " \"down_block_types\": [\"CrossAttnDownBlock2D\", \"DownBlock2D\"],"
    " \"up_block_types\": [\"UpBlock2D\", \"CrossAttnUpBlock2D\"],"
    " \"attention_head_dim\": [1, 2], \"cross_attention_dim\": 64, \"norm_num_groups\": 8,"
    " \"norm_eps\": 1e-05, \"layers_per_block\": 1, \"flip_sin_to_cos\": true,"
    " \"freq_shift\": 0, \"downsample_padding\": 1, \"use_linear_projection\": true}";

static const char tiny_depth[] =
    "{\"architectures\": [\"DepthAnythingForDepthEstimation\"], \"backbone_config\":"
    " {\"model_type\": \"dinov2\", \"hidden_size\": 64, \"num_attention_heads\": 2,"
    " \"num_hidden_layers\": 4, \"out_indices\": [1, 2, 3, 4], \"image_size\": 112},"
    " \"fusion_hidden_size\": 32, \"head_hidden_size\": 32,"
    " \"neck_hidden_sizes\": [32, 32, 64, 64], \"depth_estimation_type\": \"metric\"}";

#define DEPTH_SIDE 84 // pixels of the picture whose depth is asked for

struct gating {
    struct ph_device *device;
    struct ph_module *autoencoder, *unet, *depth;
    void *tree; // of all below
    float *view;
    struct ph_fault *fault;
};

// ------------------------------------------------------------------------------ models
static ph_err write_config(const char *path, const char *text, struct ph_fault *fault)
{
    FILE *f = fopen(path, "we");
    bool ok = f && fputs(text, f) >= 0;
    if (f && fclose(f)) ok = false;
    return ok ? PH_OK : ph_fail(fault, PH_EIO, "path", "%s: %s", path, strerror(errno));
}

// Files that are gone from the folder stay readable through their mapping.
static ph_err make_module(const char *folder, const char *config, const char *file,
                          uint64_t seed, struct ph_module **out, struct ph_fault *fault)
{
    struct ph_module *described = NULL;
    char path[512], weights[512];
    snprintf(path, sizeof path, "%s/config.json", folder);
    snprintf(weights, sizeof weights, "%s/%s", folder, file);
    ph_err ret;
    PH_TRY(write_config(path, config, fault));
    PH_TRY(ph_module_describe(folder, &described, fault));
    PH_TRY(ph_module_write_random(described, folder, PH_F32, seed, fault));
    PH_TRY(ph_module_open(folder, out, fault));
fail:
    ph_module_close(&described);
    unlink(path);
    unlink(weights);
    return ret;
}

static ph_err make_models(struct gating *g)
{
    const char *tmp = getenv("TMPDIR");
    char folder[400];
    snprintf(folder, sizeof folder, "%.300s/phosphene-gate-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        return ph_fail(g->fault, PH_EIO, "path", "%s: %s", folder, strerror(errno));
    const char *file = "diffusion_pytorch_model.safetensors";
    ph_err ret = make_module(folder, tiny_autoencoder, file, 11, &g->autoencoder, g->fault);
    if (ret >= 0) ret = make_module(folder, tiny_unet, file, 12, &g->unet, g->fault);
    if (ret >= 0)
        ret = make_module(folder, tiny_depth, "model.safetensors", 13, &g->depth, g->fault);
    rmdir(folder);
    return ret;
}

// ------------------------------------------------------------------------------ inputs
// Soft shapes and edges, in [-1, 1].
static float *draw_image(void *tree, int side)
{
    float *x = ph_new(tree, float, (size_t) (3 * side * side));
    for (int i = 0; x && i < 3 * side * side; i++) {
        int c = i / (side * side), row = i / side % side, column = i % side;
        float wave = sinf((float) (row * (c + 1)) * 0.11f) * cosf((float) column * 0.07f);
        bool inside = row > 20 && row < 44 && column > 24 && column < 52;
        x[i] = inside ? 0.6f - 0.5f * (float) c : 0.8f * wave;
    }
    return x;
}

static bool make_inputs(struct gating *g)
{
    g->tree = ph_tree_alloc(NULL, 1);
    g->view = g->tree ? draw_image(g->tree, DEPTH_SIDE) : NULL;
    return g->view;
}

// ------------------------------------------------------------------------------ runs
static ph_err run_depth(struct gating *g, enum ph_precision precision, float **out)
{
    const int64_t pixels = DEPTH_SIDE * DEPTH_SIDE;
    const struct ph_module_size size = { .height = DEPTH_SIDE, .width = DEPTH_SIDE };
    struct ph_tensor in = { .dtype = PH_F32,
                            .rank = 1,
                            .dim = { 3 * pixels },
                            .data = g->view },
                     t = { .dtype = PH_F32, .rank = 1, .dim = { pixels } };
    struct ph_plan_params params = { g->device, precision, 0 };
    struct ph_plan *plan = NULL;
    struct ph_prog *p = NULL;
    ph_err ret;
    t.data = *out = ph_new(g->tree, float, pixels);
    if (!*out) return PH_ENOMEM;
    PH_TRY(ph_prog_create(&p));
    ph_module_record(p, g->depth, 0, &size, NULL);
    PH_TRY(ph_plan_create(p, &params, &plan, g->fault));
    PH_TRY(ph_plan_write(plan, "picture", &in));
    PH_TRY(ph_plan_run(plan));
    PH_TRY(ph_plan_read(plan, "depth", &t));
fail:
    ph_plan_destroy(&plan);
    ph_prog_free(&p);
    return ret;
}

static ph_err measure(struct gating *g, struct ph_gate gates[PH_GATES])
{
    const struct ph_gate_models models = {
        .unet = g->unet, .vae = g->autoencoder, .side = SIDE, .steps = STEPS, .tokens = TOKENS
    };
    enum ph_precision precision[PH_GATES];
    struct ph_gate_figures figure[PH_GATES];
    float *want, *got;
    ph_err ret;
    for (int i = 0; i < PH_GATES; i++) precision[i] = gates[i].precision;
    PH_TRY(ph_gate_paint(g->device, &models, precision, PH_GATES, figure, g->fault));
    PH_TRY(run_depth(g, PH_PRECISION_F32, &want));
    for (int i = 0; i < PH_GATES; i++) {
        struct ph_gate *gate = &gates[i];
        PH_TRY(run_depth(g, gate->precision, &got));
        gate->psnr_db = figure[i].psnr_db;
        gate->rel_l2 = pow(10, -figure[i].model_db / 20);
        gate->depth_db = ph_gate_psnr(want, got, DEPTH_SIDE * DEPTH_SIDE);
        // Not when one is no number.
        gate->passed = gate->psnr_db >= gate->gate_db && gate->depth_db >= gate->depth_gate_db;
    }
fail:
    return ret;
}

ph_err ph_gates_run(struct ph_device *device, struct ph_gate gates[PH_GATES],
                    struct ph_fault *fault)
{
    static const struct ph_gate all[PH_GATES] = {
        { .precision = PH_PRECISION_BF16,
          .gate_db = PH_GATE_BF16_DB,
          .depth_gate_db = PH_GATE_BF16_DB },
        { .precision = PH_PRECISION_I8,
          .gate_db = PH_GATE_INT8_DB,
          .depth_gate_db = PH_GATE_INT8_DB },
        { .precision = PH_PRECISION_Q4, .gate_db = PH_GATE_Q4_DB },
    };
    struct ph_fault own;
    struct gating g = { .device = device, .fault = fault ? fault : &own };
    ph_err ret;
    memcpy(gates, all, sizeof all);
    g.fault->code = PH_OK;
    PH_TRY(make_models(&g));
    PH_TRY(make_inputs(&g) ? PH_OK : PH_ENOMEM);
    PH_TRY(measure(&g, gates));
fail:
    if (ret < 0 && !g.fault->code) ph_fail(g.fault, ret, "", "%s", ph_strerror(ret));
    ph_module_close(&g.autoencoder);
    ph_module_close(&g.unet);
    ph_module_close(&g.depth);
    ph_tree_free(g.tree);
    return ret;
}
