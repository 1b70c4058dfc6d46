// SPDX-License-Identifier: MIT
// What a room reads out of a graph text, and how it rewrites one: text in, text out.
#ifndef PH_ROOM_EDIT_H
#define PH_ROOM_EDIT_H

#include "graph/text.h"

#define PH_NAME_MAX 64 // of a node, with its NUL

// Packets that viewers can be sent; indices of a room's feeds.
enum ph_feed_codec {
    PH_FEED_JPEG,
    PH_FEED_H264,
    PH_FEED_VP8,
    PH_FEED_VP9,
    PH_FEED_CLOUD,
    PH_FEED_DEPTH16,
    PH_FEEDS
};
extern const enum ph_codec ph_feed_codecs[PH_FEEDS];

struct ph_outlet {
    char live[PH_NAME_MAX];    // the node that viewers watch; "" = none
    char encoder[PH_NAME_MAX]; // the node that makes the packets
};
// The first live node that packets of each codec reach.                             thread: any
void ph_edit_outlets(const struct ph_ast *ast, struct ph_outlet outlet[PH_FEEDS]);
// The names of the nodes that take pictures of a browser, in their order; returns how many.
#define PH_INLETS 8
int ph_edit_browsers(const struct ph_ast *ast, char names[PH_INLETS][PH_NAME_MAX]);
// The first source; NULL = none.
const struct ph_ast_node *ph_edit_source_of(const struct ph_ast *ast);
// Value of a parameter as text: as written, else its default.
const char *ph_edit_value(const struct ph_ast_node *n, const struct ph_param *p);
const char *ph_edit_default(const struct ph_param *p);
// A node's type and parameters as graph text, malloc'ed; NULL = out of memory.
char *ph_edit_print(const struct ph_ast_node *n);

// Each makes a new graph text in *out (malloc'ed) from one that parses.

// The first source becomes `source` ("file \"a.mp4\" loop=on"); all else stays. PH_ENOENT: there
// is no source.
ph_err ph_edit_source(const char *text, const char *source, char **out, struct ph_fault *fault);
// Adds a record node that gets what the first encoder gets; where path ends in .phs, a tape of what
// the first depth16 node gives. Its name goes to `name`. PH_EINVAL:
// nothing is encoded; PH_ENOTSUP: this build records nothing.
ph_err ph_edit_record(const char *text, const char *path, char name[PH_NAME_MAX], char **out,
                      struct ph_fault *fault);
// Without that node and its links.
ph_err ph_edit_remove(const char *text, const char *node, char **out, struct ph_fault *fault);

#endif
