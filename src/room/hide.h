// SPDX-License-Identifier: MIT
// Where the server keeps its files is nobody's business on the other side of the network: the paths
// of nodes are shown without their folders, URLs without user, password and query. A text that a
// client sends back is understood all the same (ph_allow_resolve).
#ifndef PH_ROOM_HIDE_H
#define PH_ROOM_HIDE_H

#include "graph/text.h"

struct ph_hidden; // a list; NULL is empty

// "clip.mp4" of "/home/me/clip.mp4", "rtsp://host/x" of "rtsp://me:secret@host/x?y"; devices as they
// are. malloc'ed, NULL = out of memory.                                            thread: any
char *ph_hide_label(const char *path);
// Adds the path, in each form in which a text or JSON may have it. PH_ENOMEM, nothing else.
ph_err ph_hide_path(struct ph_hidden **list, const char *path);
ph_err ph_hide_graph(struct ph_hidden **list, const struct ph_ast *graph); // all of its nodes
ph_err ph_hide_folder(struct ph_hidden **list, const char *folder);        // an absolute one
void ph_hide_free(struct ph_hidden **list);
// The text with labels for paths, malloc'ed; NULL = out of memory.
char *ph_hide(const struct ph_hidden *list, const struct ph_hidden *more, const char *text);
// In place: labels are not longer than paths.
void ph_hide_in(const struct ph_hidden *list, char *text);

#endif
