// SPDX-License-Identifier: MIT
// What a precision costs at true widths: a UNet and TAESD of the true shapes paint one step from noise, each
// precision beside f32. The weights are random: their rows are normal, so this shows what rounding does to
// layers of these widths and to their sums, but not what outliers of trained weights do, and not how
// much of an answer a trained model cancels with the noise (one step multiplies its error by 14 there).
#include "lab.h"

#include "models/gate.h"
#include "models/gate_paint.h"

#include <stdio.h>

static const struct {
    enum ph_precision precision;
    double bar;
} rows[] = { { PH_PRECISION_BF16, PH_GATE_BF16_DB },
             { PH_PRECISION_I8, PH_GATE_INT8_DB },
             { PH_PRECISION_Q4, PH_GATE_Q4_DB } };
enum { ROWS = sizeof rows / sizeof *rows };

static void add(struct bench *b, const char *name, double db, double bar)
{
    if (bench_begin(b, name))
        bench_add(b, (struct bench_result){ .value = db, .unit = "dB", .bar = bar });
}

static ph_err measure(struct bench_lab *lab, enum bench_model unet, int side,
                      struct ph_gate_figures out[ROWS])
{
    struct ph_gate_models models = { .side = side, .steps = 1 };
    struct ph_module *m, *vae;
    enum ph_precision precision[ROWS];
    ph_err ret;
    for (int i = 0; i < ROWS; i++) precision[i] = rows[i].precision;
    PH_TRY(bench_lab_module(lab, unet, &m));
    PH_TRY(bench_lab_module(lab, BENCH_TAESD, &vae));
    models.unet = m;
    models.vae = vae;
    PH_TRY(ph_gate_paint(lab->device, &models, precision, ROWS, out, &lab->fault));
fail:
    return ret;
}

void bench_quality(struct bench_lab *lab)
{
    static const struct {
        const char *name;
        enum bench_model unet;
    } of[] = { { "sd-turbo", BENCH_SD_TURBO }, { "sdxs", BENCH_SDXS } };
    for (int m = 0; m < 2 && !bench_stopped(lab->b); m++) {
        char name[ROWS][2][64];
        struct ph_gate_figures figure[ROWS] = { 0 };
        bool wanted = false;
        for (int i = 0; i < ROWS; i++) {
            const char *p = ph_precision_name(rows[i].precision);
            snprintf(name[i][0], sizeof name[i][0], "models/quality-%s-%s", of[m].name, p);
            snprintf(name[i][1], sizeof name[i][1], "%.50s-unet", name[i][0]);
            for (int k = 0; k < 2; k++) wanted = bench_wants(lab->b, name[i][k]) || wanted;
        }
        if (wanted && !bench_counting(lab->b) && measure(lab, of[m].unet, 64, figure) < 0) {
            bench_skip(lab->b, name[0][0], "%s", lab->fault.message);
            continue;
        }
        for (int i = 0; i < ROWS; i++) {
            add(lab->b, name[i][0], figure[i].psnr_db, rows[i].bar);
            add(lab->b, name[i][1], figure[i].model_db, 0);
        }
    }
}
