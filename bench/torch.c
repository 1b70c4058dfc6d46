// SPDX-License-Identifier: MIT
#include "torch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char script[] =
    "import json, sys, time, torch\n"
    "config, part, side, bf16, seconds = json.loads(sys.argv[1]), *map(int, sys.argv[2:6])\n"
    "kind = config.get('_class_name', '')\n"
    "torch.manual_seed(1)\n"
    "x = lambda *shape: torch.randn(shape, dtype=torch.bfloat16 if bf16 else torch.float32)\n"
    "if kind == 'UNet2DConditionModel':\n"
    "    from diffusers import UNet2DConditionModel as Model\n"
    "    inputs = (x(1, 4, side // 8, side // 8), torch.tensor([499]),\n"
    "              x(1, 77, config['cross_attention_dim']))\n"
    "elif kind == 'AutoencoderTiny':\n"
    "    from diffusers import AutoencoderTiny as Model\n"
    "    inputs = (x(1, 4, side // 8, side // 8) if part else x(1, 3, side, side),)\n"
    "else:\n"
    "    sys.exit(1)\n"
    "model = Model.from_config(config).eval()\n"
    "if bf16: model = model.to(torch.bfloat16)\n"
    "run = model if kind[0] == 'U' else model.decoder if part else model.encoder\n"
    "with torch.inference_mode():\n"
    "    run(*inputs)\n"
    "    times, end = [], time.monotonic() + seconds\n"
    "    while len(times) < (5 if seconds > 1 else 1) or time.monotonic() < end:\n"
    "        begin = time.monotonic()\n"
    "        run(*inputs)\n"
    "        times.append(time.monotonic() - begin)\n"
    "print(sorted(times)[len(times) // 2] * 1e3)\n";

static const char *python(void)
{
    const char *own = getenv("PH_PYTHON");
    return own && *own ? own : "python3";
}

const char *bench_torch(void)
{
    static char name[64];
    static bool asked;
    char command[1024], version[32] = "";
    if (asked) return *name ? name : NULL;
    asked = true;
    snprintf(command, sizeof command,
             "'%s' -c 'import torch, diffusers; print(torch.__version__)' 2>/dev/null",
             python());
    FILE *f = popen(command, "re");
    if (f && fscanf(f, "%31[0-9.]", version) == 1)
        snprintf(name, sizeof name, "pytorch %s", version);
    if (f) pclose(f);
    return *name ? name : NULL;
}

// The script and the config hold no single quote.
double bench_torch_ms(struct bench *b, enum bench_model model, int part, int side,
                      enum ph_precision precision)
{
    enum { SIZE = 8192 };
    char *command = malloc(SIZE);
    double ms = 0;
    if (!command) return 0;
    setenv("PH_BENCH_SCRIPT", script, 1);
    snprintf(command, SIZE, "'%s' -c \"$PH_BENCH_SCRIPT\" '%s' %d %d %d %d 2>/dev/null",
             python(), bench_model_configs[model].json, part, side,
             precision == PH_PRECISION_BF16, (int) bench_seconds(b, 10));
    FILE *f = popen(command, "re");
    if (!f || fscanf(f, "%lf", &ms) != 1) ms = 0;
    if (f) pclose(f);
    free(command);
    return ms;
}
