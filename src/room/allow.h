// SPDX-License-Identifier: MIT
// What a network client may make the server open: the sources that the server was told of and
// what presets name; nothing else (docs/protocol.md, "Limits and safety").
#ifndef PH_ROOM_ALLOW_H
#define PH_ROOM_ALLOW_H

#include <phosphene/room.h>

#include "graph/text.h"

struct ph_hidden;

struct ph_source {
    const char *name, *kind, *label;
    const char *node;   // as graph text
    struct ph_ast *ast; // of "node -> null"
};

struct ph_allow {
    struct ph_source *sources;
    int source_count;
    struct ph_ast **presets; // parsed; those that this build cannot run are left out
    int preset_count;
    struct ph_hidden *hidden; // the paths of all of them
};

// `tree` owns all of it; ph_allow_finish frees the parsed graphs. inputs may be NULL. PH_EINVAL: an
// input that cannot be one, the fault says which.                                  thread: ctl
ph_err ph_allow_init(struct ph_allow *a, void *tree, const char *const *inputs,
                     const struct ph_preset *presets, struct ph_fault *fault);
void ph_allow_finish(struct ph_allow *a);

const struct ph_source *ph_allow_find(const struct ph_allow *a, const char *name);
const char *ph_allow_nearest(const struct ph_allow *a,
                             const char *name); // NULL = none is like it

// A client was shown "clip.mp4": where it names that, the path is put back which the same node of
// `present` (may be NULL), a source or a preset has.                                thread: any
ph_err ph_allow_resolve(const struct ph_allow *a, struct ph_ast *graph,
                        const struct ph_ast *present, bool *changed, struct ph_fault *fault);
// Whether a client may have this graph. present: what the room runs now, whose own paths it may
// keep; NULL = a new room. PH_EINVAL, with line and column.                         thread: any
ph_err ph_allow_graph(const struct ph_allow *a, const struct ph_ast *graph,
                      const struct ph_ast *present, struct ph_fault *fault);
// Whether a client may set this parameter of that node to this text.
ph_err ph_allow_value(const struct ph_allow *a, const struct ph_ast_node *node,
                      const struct ph_param *param, const char *text, struct ph_fault *fault);

#endif
