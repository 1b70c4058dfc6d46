// SPDX-License-Identifier: MIT
// A model on a hub, and which of its files a model folder needs. A hub speaks as huggingface.co
// does: GET /api/models/OWNER/NAME/tree/REVISION lists, GET /OWNER/NAME/resolve/REVISION/PATH gives
// a file. Any other web server does as well: its files are tried by name, and checked against a
// SHA256SUMS beside them where there is one.
#ifndef PH_CLI_HUB_H
#define PH_CLI_HUB_H

#include "fetch.h"

struct cli_hub_file {
    const char *path; // "unet/config.json"; never leads out of the folder
    int64_t size;     // -1 = unknown
    char sha256[65];  // "" = unknown
};

struct cli_hub {
    void *tree;        // all below
    const char *name;  // "sd-turbo": what its folder is called
    const char *files; // URL that a path is put behind
    bool listed;       // `all` is everything there is
    struct cli_hub_file *all, *wanted;
    int all_count, wanted_count;
};

struct cli_hub_params {
    const char *hub;  // "https://huggingface.co"
    const char *what; // "sd-turbo", "stabilityai/sd-turbo", "OWNER/NAME@REVISION", a URL
    bool full;        // f32 where the hub has f16, too
};
// Finds the model and what of it is needed; wanted[0] makes the folder a model, so it is written
// last. Free with ph_tree_free(hub->tree), also after a failure.
ph_err cli_hub_open(struct cli_fetch *f, const struct cli_hub_params *par, struct cli_hub *hub,
                    struct ph_fault *fault);
char *cli_hub_url(struct cli_hub *hub, const char *path); // below hub->tree

// Names for which no owner need be given.
extern const struct cli_hub_known {
    const char *name, *repository, *help;
} cli_hub_known[]; // name NULL ends it

#endif
