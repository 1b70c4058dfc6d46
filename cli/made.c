// SPDX-License-Identifier: MIT
#include "made.h"
#include "cli.h"

#include "core/json.h"

#include <stdlib.h>
#include <string.h>

#define CONFIG_LIMIT (1 << 20)

static struct ph_json_doc *read_config(const char *folder, const char *file)
{
    char path[4200];
    struct ph_json_doc *doc = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    char *text = cli_read_file(path, CONFIG_LIMIT, NULL);
    if (text) ph_json_parse(&doc, text, strlen(text), 0, NULL);
    free(text);
    return doc;
}

static void read_unet(struct cli_made *made, const struct ph_json *unet)
{
    const struct ph_json *mid = ph_json_get(unet, "mid_block_type");
    int64_t side = ph_json_int(ph_json_get(unet, "sample_size"), 0);
    if (side >= 2 && side <= 512) made->side = (int) side * 8;
    if (mid && mid->type == PH_JSON_NULL) made->steps = 1; // SDXS, distilled for one step
}

// LCM and TCD are made for a few steps; Turbo models come with trailing timesteps and paint in one.
static void read_scheduler(struct cli_made *made, const struct ph_json *scheduler)
{
    const char *class = ph_json_string(ph_json_get(scheduler, "_class_name"), "");
    const char *spacing = ph_json_string(ph_json_get(scheduler, "timestep_spacing"), "");
    if (made->steps == 1) return;
    if (!strncmp(class, "LCM", 3) || !strncmp(class, "TCD", 3))
        made->steps = 4;
    else if (!strcmp(spacing, "trailing"))
        made->steps = 1;
}

struct cli_made cli_made_for(const char *folder)
{
    struct cli_made made = { .side = 512, .steps = 20 };
    struct ph_json_doc *unet = read_config(folder, "unet/config.json");
    struct ph_json_doc *scheduler = read_config(folder, "scheduler/scheduler_config.json");
    if (unet) read_unet(&made, ph_json_root(unet));
    if (scheduler) read_scheduler(&made, ph_json_root(scheduler));
    made.guidance = made.steps == 20 ? 7.5f : 1;
    ph_json_free(&unet);
    ph_json_free(&scheduler);
    return made;
}
