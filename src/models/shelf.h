// SPDX-License-Identifier: MIT
// Where models lie: the folders of PH_MODELS (separated by ':'), else
// ~/.local/share/phosphene/models, else ./models; and, after these, those that come with the program
// (core/share.h, its folder "models"). A model is a folder with a model_index.json (a
// pipeline) or a config.json (one module), at most two levels below: "sd-turbo",
// "stabilityai/sd-turbo".
#ifndef PH_MODELS_SHELF_H
#define PH_MODELS_SHELF_H

#include <phosphene/common.h>

#define PH_SHELF_PATH_MAX 4096

// Which of the folders serves for models of one's own: the first that exists, else the first. Valid until the next call of
// the thread.                                                                       thread: any
const char *ph_shelf_folder(void);

// The folder that a name means: a path is taken as it is (it begins with '/', '.' or '~/'),
// anything else is looked for on the shelf, then from here. "" = the first pipeline of the shelf by
// name, one of one's own before one that comes with the program.
// PH_ENOENT says where was looked, and how to get one.                              thread: any
ph_err ph_shelf_find(const char *name, char path[PH_SHELF_PATH_MAX], struct ph_fault *fault);
// The same for a depth model: "" = the first Depth-Anything of the shelf.
ph_err ph_shelf_find_depth(const char *name, char path[PH_SHELF_PATH_MAX],
                           struct ph_fault *fault);
// Whether that is the name of a model on the shelf, and no path that leads elsewhere.
bool ph_shelf_has(const char *name);
// A file of the shelf, or of its folders "styles" and "loras", by a name that leads nowhere else;
// ".safetensors" may be left out. folder NULL = the shelf.                          thread: any
ph_err ph_shelf_style(const char *name, const char *folder, char path[PH_SHELF_PATH_MAX],
                      struct ph_fault *fault);

struct ph_shelved {
    const char *name, *path;
    const char *class; // "StableDiffusionPipeline", "AutoencoderTiny"; "" when it does not say
    bool pipeline;
    bool bundled;  // it comes with the program
    int64_t bytes; // of all its files
};
// All models by name, a block of `tree`; NULL name ends the list. NULL: out of memory.
struct ph_shelved *ph_shelf_list(void *tree);

#endif
