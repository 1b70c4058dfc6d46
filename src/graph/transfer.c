// SPDX-License-Identifier: MIT
// Memory kinds meet at ports. The rule, the same on every run: a link moves frames in the lowest
// kind (host before device) that both ports know; where they know none in common, the node
// "upload" (host to device) or "download" (device to host) is put between them.
#include "graph/text.h"

#include "core/tree.h"

#include <stdio.h>
#include <string.h>

static unsigned kinds_of(const struct ph_port_info *p)
{
    return p->mem ? p->mem : PH_HOST;
}

unsigned ph_transfer_common(const struct ph_port_info *out, const struct ph_port_info *in)
{
    unsigned both = kinds_of(out) & kinds_of(in);
    return both & -both;
}

static const struct ph_node_info *find_type(const struct ph_node_info *const *types,
                                            const char *name)
{
    for (int i = 0; types[i]; i++)
        if (!strcmp(types[i]->name, name)) return types[i];
    return NULL;
}

static bool is_taken(const struct ph_ast *ast, const char *name)
{
    for (int i = 0; i < ast->node_count; i++)
        if (!strcmp(ast->nodes[i].name, name)) return true;
    return false;
}

// "mix_upload", "mix_upload2" …, cut to the length of a name
static char *make_name(struct ph_ast *ast, const char *node, const char *type)
{
    char name[64];
    snprintf(name, sizeof name, "%.40s_%s", node, type);
    for (int k = 2; is_taken(ast, name); k++)
        snprintf(name, sizeof name, "%.40s_%s%d", node, type, k);
    return ph_tree_text(ast, name, strlen(name));
}

// The transfer runs in the consumer's lane: the copy is paid where the frame is wanted, and a
// frame that a link drops was never copied.
static ph_err insert_at(struct ph_ast *ast, int index, const struct ph_node_info *info,
                        struct ph_fault *fault)
{
    struct ph_ast_link *l = &ast->links[index];
    if (ast->node_count >= PH_MAX_NODES) {
        ph_fail(fault, PH_ELIMIT, info->name,
                "a graph has at most %d nodes, with those that move frames between memories",
                PH_MAX_NODES);
        if (fault) fault->line = l->line, fault->column = l->column;
        return PH_ELIMIT;
    }
    struct ph_ast_node node = {
        .info = info, .named = true, .line = l->line, .column = l->column
    };
    node.name = make_name(ast, ast->nodes[l->to].name, info->name);
    if (!node.name || !ph_append(ast, ast->nodes, ast->node_count, node)) return PH_ENOMEM;
    struct ph_ast_link second = *l;
    second.from = ast->node_count - 1;
    second.from_port = 0;
    second.queue = false;
    l->to = ast->node_count - 1;
    l->to_port = 0;
    return ph_append(ast, ast->links, ast->link_count, second) ? PH_OK : PH_ENOMEM;
}

static ph_err insert(struct ph_ast *ast, int index, const struct ph_node_info *const *types,
                     struct ph_fault *fault)
{
    const struct ph_ast_link *l = &ast->links[index];
    const struct ph_ast_node *from = &ast->nodes[l->from], *to = &ast->nodes[l->to];
    const struct ph_port_info *out = &from->info->out[l->from_port];
    const struct ph_port_info *in = &to->info->in[l->to_port];
    bool down = kinds_of(in) & PH_HOST;
    const char *name = down ? "download" : "upload";
    const struct ph_node_info *info = find_type(types, name);
    if (info) return insert_at(ast, index, info, fault);
    ph_fail(
        fault, PH_ENOTSUP, from->name,
        "%s.%s gives pictures in %s memory and %s.%s takes them in %s memory: this build has "
        "no node \"%s\" to bring them over",
        from->name, out->name, down ? "device" : "host", to->name, in->name,
        down ? "host" : "device", name);
    if (fault) fault->line = l->line, fault->column = l->column;
    return PH_ENOTSUP;
}

ph_err ph_transfer_insert(struct ph_ast *ast, const struct ph_node_info *const *types,
                          struct ph_fault *fault)
{
    int count = ast->link_count; // those added here need no look
    for (int i = 0; i < count; i++) {
        const struct ph_ast_link *l = &ast->links[i];
        const struct ph_port_info *out = &ast->nodes[l->from].info->out[l->from_port];
        const struct ph_port_info *in = &ast->nodes[l->to].info->in[l->to_port];
        if (ph_transfer_common(out, in)) continue;
        ph_err ret = insert(ast, i, types, fault);
        if (ret < 0) return ret;
    }
    return PH_OK;
}
