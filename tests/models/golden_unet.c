// SPDX-License-Identifier: MIT
// UNets, alone and steered by a ControlNet.
#include <stdio.h>
#include <string.h>

#include "golden.h"
#include "models/controlnet/controlnet.h"

static bool is_denoiser(const struct golden_case *c)
{
    return golden_all_have(c, "in.sample") && golden_all_have(c, "in.timestep") &&
           golden_all_have(c, "in.encoder_hidden_states") && golden_all_have(c, "out.sample");
}

static bool unet_applies(const struct golden_case *c)
{
    return c->models == 1 && golden_module(c, PH_MODULE_UNET) && is_denoiser(c);
}

static bool controlnet_applies(const struct golden_case *c)
{
    return c->models == 2 && golden_module(c, PH_MODULE_UNET) &&
           golden_module(c, PH_MODULE_CONTROLNET) && is_denoiser(c);
}

static struct ph_tensor in(struct golden_case *c, const struct golden_file *f, const char *name)
{
    const struct ph_tensor *t = golden_tensor(f, name);
    return t ? golden_floats(c, t) : (struct ph_tensor){ 0 };
}

// The inputs of a UNet's class; gives how many.
static int unet_inputs(struct golden_case *c, const struct golden_file *f,
                       struct golden_input *out)
{
    int n = 0;
    out[n++] = (struct golden_input){ "sample", in(c, f, "in.sample") };
    out[n++] = (struct golden_input){ "timestep", in(c, f, "in.timestep") };
    out[n++] = (struct golden_input){ "text", in(c, f, "in.encoder_hidden_states") };
    if (golden_tensor(f, "in.time_ids")) {
        out[n++] = (struct golden_input){ "pooled", in(c, f, "in.text_embeds") };
        out[n++] = (struct golden_input){ "time_ids", in(c, f, "in.time_ids") };
    }
    return n;
}

static struct ph_module_size size_of(const struct golden_file *f)
{
    const struct ph_tensor *t = golden_tensor(f, "in.sample");
    const struct ph_tensor *text = golden_tensor(f, "in.encoder_hidden_states");
    return (struct ph_module_size){ t->dim[0], (int) t->dim[2] * 8, (int) t->dim[3] * 8,
                                    (int) text->dim[1] };
}

// A UNet alone against out.<tensor>; with the inner values when asked.
static void run_unet(struct golden_case *c, const struct golden_file *f, const char *tensor,
                     bool taps)
{
    struct golden_input inputs[6] = { 0 };
    unet_inputs(c, f, inputs);
    struct ph_module_size size = size_of(f);
    struct ph_prog *p;
    if (ph_prog_create(&p)) return;
    ph_module_record(p, golden_module(c, PH_MODULE_UNET), 0, &size, NULL);
    struct ph_plan *plan = golden_plan(c, f, p, inputs, taps ? PH_PLAN_TAPS : 0);
    if (!plan) return;
    if (taps) {
        golden_compare_taps(c, f, plan, "");
    } else {
        char label[64];
        snprintf(label, sizeof label, "out.%s", tensor);
        struct ph_tensor got = golden_read(c, plan, "prediction");
        struct golden_check check = { .tensor = "sample", .label = label };
        golden_compare(c, f, check, &got, golden_tensor(f, label));
    }
    ph_plan_destroy(&plan);
}

static void unet_run(struct golden_case *c)
{
    for (int i = 0; i < c->files; i++) {
        run_unet(c, &c->file[i], "sample", false);
        if (golden_has_taps(&c->file[i], "")) run_unet(c, &c->file[i], "sample", true);
    }
}

// ------------------------------------------------------------------------------ controlnet
// Both networks in one prog, as a frame runs them.
static void record_both(struct ph_prog *p, const struct golden_case *c,
                        const struct golden_input *inputs)
{
    const struct ph_module *unet = golden_module(c, PH_MODULE_UNET);
    const struct ph_module *net = golden_module(c, PH_MODULE_CONTROLNET);
    const struct ph_controlnet_config *config = net->config;
    ph_val value[8];
    for (int i = 0; inputs[i].name; i++)
        value[i] = ph_input(p, inputs[i].name, i == 0 || i == 3 ? PH_EACH : PH_RARE, PH_F32,
                            inputs[i].tensor.rank, inputs[i].tensor.dim);
    struct ph_controlnet_in steer = { .unet = { value[0], value[1], value[2], PH_NONE, PH_NONE,
                                                NULL },
                                      .condition = value[3],
                                      .scale = value[4] };
    struct ph_residuals residuals = { 0 };
    ph_prog_use(p, net->weights[0]);
    ph_controlnet_steer(p, config, &steer, &residuals);
    for (int i = 0; i < residuals.count; i++) {
        char name[16];
        snprintf(name, sizeof name, "down%02d", i);
        ph_output(p, name, residuals.down[i]);
    }
    ph_output(p, "mid", residuals.mid);
    struct ph_unet_in plain = steer.unet;
    plain.control = &residuals;
    ph_prog_use(p, unet->weights[0]);
    ph_output(p, "prediction", ph_unet_predict(p, unet->config, &plain));
}

static void compare_residuals(struct golden_case *c, const struct golden_file *f,
                              struct ph_plan *plan)
{
    for (int i = 0; i < ph_weights_count(f->tensors); i++) {
        const struct ph_weight *w = ph_weights_at(f->tensors, i);
        bool down = strncmp(w->name, "out.down", 8) == 0;
        if (!down && strcmp(w->name, "out.mid") != 0) continue;
        struct ph_tensor got = golden_read(c, plan, w->name + 4);
        struct golden_check check = { .tensor = "residuals", .label = w->name };
        golden_compare(c, f, check, &got, &w->disk);
    }
}

static void run_steered(struct golden_case *c, const struct golden_file *f, bool taps)
{
    const struct ph_module *net = golden_module(c, PH_MODULE_CONTROLNET);
    struct golden_input inputs[8] = { 0 };
    int n = unet_inputs(c, f, inputs);
    inputs[n++] =
        (struct golden_input){ "condition",
                               golden_picture(c, golden_tensor(f, "in.cond_u8"), 1, 0) };
    int count = ph_controlnet_residuals(net->config);
    struct ph_tensor scale = { .dtype = PH_F32, .rank = 1, .dim = { count } };
    scale.data = ph_new(c->mem, float, (size_t) count);
    double conditioning = ph_json_double(ph_json_get(c->manifest, "conditioning_scale"), 1);
    ph_controlnet_scales(count, (float) conditioning, strstr(f->stem, "guess") != NULL,
                         scale.data);
    inputs[n] = (struct golden_input){ "scale", scale };
    struct ph_prog *p;
    if (ph_prog_create(&p)) return;
    record_both(p, c, inputs);
    struct ph_plan *plan = golden_plan(c, f, p, inputs, taps ? PH_PLAN_TAPS : 0);
    if (!plan) return;
    if (taps) {
        golden_compare_taps(c, f, plan, "");
    } else {
        compare_residuals(c, f, plan);
        struct ph_tensor got = golden_read(c, plan, "prediction");
        golden_compare(c, f, (struct golden_check){ .tensor = "sample" }, &got, NULL);
    }
    ph_plan_destroy(&plan);
}

static void controlnet_run(struct golden_case *c)
{
    for (int i = 0; i < c->files; i++) {
        const struct golden_file *f = &c->file[i];
        run_steered(c, f, false);
        if (golden_has_taps(f, "")) run_steered(c, f, true);
        if (golden_tensor(f, "out.sample_without_controlnet"))
            run_unet(c, f, "sample_without_controlnet", false);
    }
}

const struct golden_kind golden_unet = { "unet", unet_applies, unet_run };
const struct golden_kind golden_controlnet = { "controlnet", controlnet_applies,
                                               controlnet_run };
