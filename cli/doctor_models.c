// SPDX-License-Identifier: MIT
// What runs models here, what each precision costs in quality, and what models there are.
#include "cli.h"
#include "doctor.h"

#include <stdlib.h>

#include "config.h"
#include "core/share.h"
#include "core/tree.h"
#include "models/gate.h"
#include "models/shelf.h"

static const char *why_auto(enum ph_precision precision)
{
    return precision == PH_PRECISION_BF16 ? "the processor multiplies bf16"
                                          : "the processor has no bf16";
}

// The model that comes with the program, which is trained; without it there are made-up ones alone.
static void probe_trained(struct doctor *d, struct ph_gate gates[PH_GATES])
{
    char path[PH_SHARE_PATH_MAX];
    struct ph_fault fault = { 0 };
    if (ph_share_find("models/spark", path, NULL) < 0) return;
    if (ph_gate_trained(path, NULL, gates, PH_GATES, &fault) < 0)
        doctor_add(d, "models", "quality", DOCTOR_MISSING, NULL, "not measured: %s",
                   fault.message);
}

static void probe_gates(struct doctor *d, struct ph_device *device)
{
    struct ph_gate gates[PH_GATES];
    struct ph_fault fault = { 0 };
    setenv("PH_KERNELS", "", 1); // what a precision costs is the same every time
    enum ph_precision taken = ph_precision_resolve(PH_PRECISION_AUTO);
    if (ph_gates_run(device, gates, &fault) < 0) {
        doctor_add(d, "models", "quality", DOCTOR_MISSING, NULL, "not measured: %s",
                   fault.message);
        return;
    }
    probe_trained(d, gates);
    for (int i = 0; i < PH_GATES; i++) {
        char depth[48] = "", trained[48] = "";
        if (gates[i].trained_db > 0)
            snprintf(trained, sizeof trained, ", of a trained model %.0f", gates[i].trained_db);
        if (gates[i].depth_gate_db > 0)
            snprintf(depth, sizeof depth, ", depth %.0f dB (%.0f)", gates[i].depth_db,
                     gates[i].depth_gate_db);
        doctor_add(d, "models", ph_precision_name(gates[i].precision),
                   gates[i].passed ? DOCTOR_OK : DOCTOR_MISSING, NULL,
                   "PSNR %.0f dB against f32%s (gate %.0f)%s%s", gates[i].psnr_db, trained,
                   gates[i].gate_db, depth,
                   gates[i].passed ? "" : ": choose another precision");
    }
    doctor_add(d, "models", "auto", DOCTOR_OK, NULL, "takes %s: %s", ph_precision_name(taken),
               why_auto(taken));
}

static void probe_shelf(struct doctor *d)
{
    void *tree = ph_tree_alloc(NULL, 1);
    const struct ph_shelved *list = tree ? ph_shelf_list(tree) : NULL;
    int count = 0;
    while (list && list[count].name) count++;
    if (count)
        doctor_add(d, "models", "folder", DOCTOR_OK, NULL, "%d model%s in %s", count,
                   count == 1 ? "" : "s", ph_shelf_folder());
    else
        doctor_add(d, "models", "folder", DOCTOR_NONE, NULL,
                   "none yet: phosphene models pull sd-turbo");
    ph_tree_free(tree);
}

void doctor_probe_models(struct doctor *d)
{
    struct ph_fault fault = { 0 };
    struct ph_device *device = NULL;
    if (ph_device_open(NULL, &device, &fault) < 0) {
        doctor_add(d, "models", "device", DOCTOR_MISSING, NULL, "%s", fault.message);
    } else {
        bool slow = !PH_HAVE_ONEDNN;
        doctor_add(d, "models", "device", slow ? DOCTOR_MISSING : DOCTOR_OK, "libdnnl-dev",
                   "%s%s", ph_device_name(device), slow ? ": slow without oneDNN" : "");
        if (d->gates) probe_gates(d, device);
    }
    ph_device_unref(&device);
#if PH_HAVE_CURL
    doctor_add(d, "models", "pull", DOCTOR_OK, NULL, "libcurl");
#else
    doctor_add(d, "models", "pull", DOCTOR_MISSING, "libcurl4-openssl-dev",
               "built without libcurl: models must be fetched by other means");
#endif
    probe_shelf(d);
}
