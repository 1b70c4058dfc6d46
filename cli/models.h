// SPDX-License-Identifier: MIT
// phosphene models: what its subcommands share.
#ifndef PH_CLI_MODELS_H
#define PH_CLI_MODELS_H

#include "cli.h"

#include "models/model.h"

#include "core/buf.h"

// The modules of a model folder, in the order of a picture's way: a pipeline's, or the folder's own
// (name ""). Ends when each() returns something else than CLI_OK, which is the result. CLI_INPUT,
// with a word, when there is none.
int cli_modules_each(const char *folder,
                     int (*each)(void *arg, const char *name, const char *path), void *arg);
// "f16", "f32+bf16": element types of all its weights. Returns text.
const char *cli_module_types(const struct ph_module *m, char *text, size_t size);
double cli_module_bytes(const struct ph_module *m);   // of all its weights, as stored
int64_t cli_module_params(const struct ph_module *m); // elements of its tensors; -1 on failure

int cli_models_inspect(const struct cli_args *args, const char *folder);
int cli_models_pull(const struct cli_args *args, const char *what);
// Compares every tensor of the folder with what its configs want; says all that is wrong.
int cli_models_check(const struct cli_args *args, const char *folder);

#endif
