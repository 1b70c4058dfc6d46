// SPDX-License-Identifier: MIT
#include "torch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The first that has torch, with its version; false when none has.
static bool find_python(const char **python, char version[32])
{
    static const char *const names[] = { "python3",
                                         "/usr/bin/python3" }; // Debian's has its torch
    const char *own = getenv("PH_PYTHON");
    char command[1024];
    for (int i = 0; i < (own ? 1 : 2); i++) {
        *python = own ? own : names[i];
        snprintf(command, sizeof command,
                 "'%s' -c 'import torch; print(torch.__version__)' 2>/dev/null", *python);
        FILE *f = popen(command, "re");
        bool found = f && fscanf(f, "%31[0-9.]", version) == 1;
        if (f) pclose(f);
        if (found) return true;
    }
    return false;
}

static const char *python;

const char *bench_torch(void)
{
    static char name[64];
    static bool asked;
    char version[32] = "";
    if (!asked && find_python(&python, version))
        snprintf(name, sizeof name, "pytorch %s", version);
    asked = true;
    return *name ? name : NULL;
}

// The script and the config hold no single quote. The peer waits as it would by itself.
double bench_torch_ms(struct bench *b, enum bench_model model, int part, int side,
                      enum ph_precision precision, int threads)
{
    enum { SIZE = 8192 };
    char *command = malloc(SIZE);
    const char *device = bench_device(b);
    bool gpu = device && !strncmp(device, "cuda", 4);
    double ms = 0;
    if (!command) return 0;
    setenv("PH_BENCH_SCRIPT", bench_torch_script, 1);
    snprintf(command, SIZE,
             "env -u OMP_WAIT_POLICY timeout %d '%s' -c \"$PH_BENCH_SCRIPT\" '%s' %d %d %d %d "
             "%d %s 2>/dev/null",
             gpu ? 240 : 90, python, bench_model_configs[model].json, part, side,
             precision == PH_PRECISION_BF16, (int) bench_seconds(b, gpu ? 3 : 10), threads,
             gpu ? "cuda" : "cpu");
    FILE *f = popen(command, "re");
    if (!f || fscanf(f, "%lf", &ms) != 1) ms = 0;
    if (f) pclose(f);
    free(command);
    return ms;
}
