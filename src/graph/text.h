// SPDX-License-Identifier: MIT
// The graph text and what it says: nodes with parameters, links with policies. Parsing checks
// everything that needs no running node: types, ports, parameters, ranges, cycles, feeds.
#ifndef PH_GRAPH_TEXT_H
#define PH_GRAPH_TEXT_H

#include "graph/expr.h"

#include <phosphene/node.h>

struct ph_ast_param {
    const struct ph_param *info;
    char *value; // text that ph_param_parse has accepted
};

struct ph_ast_node {
    char *name;
    bool named; // "name:" was written, other lines may refer to it
    const struct ph_node_info *info;
    struct ph_ast_param *params; // only those given
    int param_count;
    int line, column;
};

struct ph_ast_link {
    int from, to; // indices of nodes
    int from_port, to_port;
    bool queue; // "=>"
    enum ph_drop drop;
    int depth;
    bool drive; // no link of the text: brings signals to the node that a drive is of
    int line, column;
};

// `node.param <- expression`
struct ph_ast_drive {
    int node;
    const struct ph_param *param;
    char *text;          // of the expression, blanks made single
    struct ph_expr expr; // its slots: the drive links that arrive at the node, by their order
    int line, column;
};

// A tree block (core/tree.h): ph_tree_free frees all of it.
struct ph_ast {
    struct ph_ast_node *nodes;
    int node_count;
    struct ph_ast_link *links;
    int link_count;
    struct ph_ast_drive *drives;
    int drive_count;
    int *lane; // of each node: nodes joined by "->" share one; numbered in order of appearance
    int lanes;
    int *order; // nodes in topological order, ties in order of the text
};

#define PH_MAX_NODES       256
#define PH_MAX_DRIVES      256
#define PH_MAX_DRIVE_LINKS 1024

ph_err ph_ast_parse(struct ph_ast **out, const char *text,
                    const struct ph_node_info *const *types, struct ph_fault *fault);
struct ph_ast_node *ph_ast_find(const struct ph_ast *ast, const char *name);
// Sets a parameter's text (checked); replaces or adds.
ph_err ph_ast_set(struct ph_ast *ast, struct ph_ast_node *node, const char *param,
                  const char *value, struct ph_fault *fault);
// Takes a node away, with its links and drives; nodes behind it move up. What names its signals stays.
void ph_ast_remove(struct ph_ast *ast, int node);
// After a node has become one of another type: drives of parameters that this does not have go.
void ph_ast_keep_drives(struct ph_ast *ast, int node);
// Canonical text that parses to the same thing; malloc'ed.
char *ph_ast_print(const struct ph_ast *ast);
const char *ph_drop_name(enum ph_drop drop);
int ph_port_find(const struct ph_port_info *ports, const char *name); // -1 = none
int ph_port_count(const struct ph_port_info *ports);
// An input by number. Behind those of its table every node has one more, which holds the signals
// that its parameters are driven by; no link of the text leads there.
const struct ph_port_info *ph_port_in(const struct ph_node_info *info, int port);
bool ph_link_drives(const struct ph_node_info *to, int to_port);

// drives.c: what lines such as `glow.amount <- kick * 0.3` say. They are found while the text is
// read and understood when all nodes are known, so that a drive may stand above its nodes.
struct ph_drive_line {
    const char *node, *param, *expr; // in the text
    int node_len, param_len, expr_len;
};
// Whether a drive begins here; then *line says what it is made of and *p is behind it.
bool ph_drive_read(const char **p, struct ph_drive_line *line);
// Checks one and adds it, with the links it needs. On failure *at is the place of the mistake.
ph_err ph_drive_add(struct ph_ast *ast, const struct ph_drive_line *line, const char **at,
                    struct ph_fault *fault);
// As a line would: for one parameter; expr NULL or "" takes its drive away. The links are left as
// they are: print the ast and parse it again.
ph_err ph_drive_set(struct ph_ast *ast, struct ph_ast_node *node, const char *param,
                    const char *expr, struct ph_fault *fault);
bool ph_drive_can(const struct ph_param *p);
const struct ph_ast_drive *ph_drive_of(const struct ph_ast *ast, int node,
                                       const struct ph_param *p);

// transfer.c: the rule for memory kinds. What a link moves: the lowest kind that both ports know;
// 0 = a transfer node is needed, which ph_transfer_insert puts into the ast.
unsigned ph_transfer_common(const struct ph_port_info *out, const struct ph_port_info *in);
ph_err ph_transfer_insert(struct ph_ast *ast, const struct ph_node_info *const *types,
                          struct ph_fault *fault);

#endif
