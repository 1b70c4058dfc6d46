// SPDX-License-Identifier: MIT
#include "room/edit.h"

#include "core/buf.h"
#include "core/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const enum ph_codec ph_feed_codecs[PH_FEEDS] = { PH_JPEG, PH_H264,  PH_VP8,
                                                 PH_VP9,  PH_CLOUD, PH_DEPTH16 };

// --- reading

static bool is_type(const struct ph_ast_node *n, const char *type)
{
    return !strcmp(n->info->name, type);
}

const char *ph_edit_default(const struct ph_param *p)
{
    static const char *const empty[] = { "", "0", "0", "off", "", "", "0x0", "#000000" };
    if (p->def) return p->def;
    return p->type == PH_TYPE_ENUM ? p->names[0] : empty[p->type];
}

const char *ph_edit_value(const struct ph_ast_node *n, const struct ph_param *p)
{
    for (int i = 0; i < n->param_count; i++)
        if (n->params[i].info == p) return n->params[i].value;
    return ph_edit_default(p);
}

static const struct ph_ast_link *link_into(const struct ph_ast *ast, int node, int after)
{
    for (int i = 0; i < ast->link_count; i++)
        if (ast->links[i].to == node && !ast->links[i].drive && after-- == 0)
            return &ast->links[i];
    return NULL;
}

static bool makes(const struct ph_ast_node *n, enum ph_codec codec)
{
    static const struct {
        const char *type;
        enum ph_codec codec;
    } encoders[] = { { "jpeg", PH_JPEG }, { "msgpack", PH_CLOUD }, { "depth16", PH_DEPTH16 } };
    for (size_t i = 0; i < sizeof encoders / sizeof *encoders; i++)
        if (is_type(n, encoders[i].type)) return codec == encoders[i].codec;
    const struct ph_param *p = ph_param_find(n->info->params, "codec", NULL);
    return p && (!strcmp(n->info->group, "encode") || is_type(n, "play")) &&
           !strcmp(ph_edit_value(n, p), ph_codec_name(codec));
}

// The node that makes such packets for `node`. They pass through others (rate, delay) as they are.
static const struct ph_ast_node *maker(const struct ph_ast *ast, int node, enum ph_codec codec)
{
    const struct ph_ast_link *l;
    for (int i = 0; (l = link_into(ast, node, i)); i++) {
        const struct ph_ast_node *from = &ast->nodes[l->from];
        if (makes(from, codec)) return from;
        if (strcmp(from->info->group, "encode") && (from = maker(ast, l->from, codec)))
            return from;
    }
    return NULL;
}

void ph_edit_outlets(const struct ph_ast *ast, struct ph_outlet outlet[PH_FEEDS])
{
    for (int k = 0; k < PH_FEEDS; k++) {
        outlet[k] = (struct ph_outlet){ "", "" };
        for (int i = 0; i < ast->node_count && !outlet[k].live[0]; i++) {
            const struct ph_ast_node *from =
                is_type(&ast->nodes[i], "live") ? maker(ast, i, ph_feed_codecs[k]) : NULL;
            if (!from) continue;
            snprintf(outlet[k].live, PH_NAME_MAX, "%s", ast->nodes[i].name);
            snprintf(outlet[k].encoder, PH_NAME_MAX, "%s", from->name);
        }
    }
}

int ph_edit_browsers(const struct ph_ast *ast, char names[PH_INLETS][PH_NAME_MAX])
{
    int n = 0;
    for (int i = 0; i < ast->node_count && n < PH_INLETS; i++)
        if (is_type(&ast->nodes[i], "browser"))
            snprintf(names[n++], PH_NAME_MAX, "%s", ast->nodes[i].name);
    return n;
}

static int source_index(const struct ph_ast *ast)
{
    for (int i = 0; i < ast->node_count; i++)
        if (!strcmp(ast->nodes[i].info->group, "source") && !link_into(ast, i, 0)) return i;
    return -1;
}

const struct ph_ast_node *ph_edit_source_of(const struct ph_ast *ast)
{
    int i = source_index(ast);
    return i < 0 ? NULL : &ast->nodes[i];
}

static void quote(struct ph_buf *b, const char *value)
{
    ph_buf_puts(b, "\"");
    for (const char *c = value; *c; c++) {
        if (*c == '\n')
            ph_buf_puts(b, "\\n");
        else
            ph_buf_printf(b, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    }
    ph_buf_puts(b, "\"");
}

char *ph_edit_print(const struct ph_ast_node *n)
{
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, n->info->name);
    for (int i = 0; i < n->param_count; i++) {
        ph_buf_printf(&b, " %s=", n->params[i].info->name);
        quote(&b, n->params[i].value);
    }
    return ph_buf_steal(&b);
}

// --- writing

static ph_err print(const struct ph_ast *ast, char **out, struct ph_fault *fault)
{
    *out = ph_ast_print(ast);
    return *out ? PH_OK : ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
}

static bool name_taken(const struct ph_ast *ast, const char *name)
{
    return ph_ast_find(ast, name) != NULL;
}

// "pattern2" is a name that follows its type; "stage" is one that somebody gave.
static bool name_follows_type(const struct ph_ast_node *n)
{
    size_t len = strlen(n->info->name);
    const char *rest = n->name + len;
    return !strncmp(n->name, n->info->name, len) && strspn(rest, "0123456789") == strlen(rest);
}

static ph_err become(struct ph_ast *ast, struct ph_ast_node *n, const struct ph_ast_node *like,
                     struct ph_fault *fault)
{
    bool rename =
        n->info != like->info && name_follows_type(n) && !name_taken(ast, like->info->name);
    if (rename) n->name = ph_tree_text(ast, like->info->name, strlen(like->info->name));
    if (!n->name) return ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
    n->info = like->info;
    n->params = NULL;
    n->param_count = 0;
    for (int i = 0; i < like->param_count; i++) {
        ph_err ret =
            ph_ast_set(ast, n, like->params[i].info->name, like->params[i].value, fault);
        if (ret < 0) return ret;
    }
    return PH_OK;
}

static ph_err replace_source(struct ph_ast *ast, const struct ph_ast_node *like,
                             struct ph_fault *fault)
{
    int at = source_index(ast);
    if (at < 0)
        return ph_fail(fault, PH_ENOENT, "source", "this graph has no source to replace");
    for (int i = 0; i < ast->link_count; i++) {
        struct ph_ast_link *l = &ast->links[i];
        // the picture is the first port of every source; a second one may not be there any more
        if (l->from == at && l->from_port >= ph_port_count(like->info->out)) l->from_port = 0;
    }
    ph_err ret = become(ast, &ast->nodes[at], like, fault);
    ph_ast_keep_drives(ast, at);
    return ret;
}

ph_err ph_edit_source(const char *text, const char *source, char **out, struct ph_fault *fault)
{
    struct ph_ast *ast = NULL, *item = NULL;
    struct ph_buf line = { 0 };
    ph_buf_printf(&line, "%s -> null", source);
    ph_err ret = line.failed ? ph_fail(fault, PH_ENOMEM, "graph", "out of memory") : PH_OK;
    *out = NULL;
    if (ret == PH_OK) ret = ph_ast_parse(&item, line.data, ph_nodes(), fault);
    if (ret == PH_OK) ret = ph_ast_parse(&ast, text, ph_nodes(), fault);
    if (ret == PH_OK) ret = replace_source(ast, &item->nodes[0], fault);
    if (ret == PH_OK) ret = print(ast, out, fault);
    ph_tree_free(ast);
    ph_tree_free(item);
    ph_buf_free(&line);
    return ret;
}

// --- recording

static const struct ph_ast_link *first_encoded(const struct ph_ast *ast)
{
    for (int i = 0; i < ast->link_count; i++)
        if (!ast->links[i].drive && !strcmp(ast->nodes[ast->links[i].to].info->group, "encode"))
            return &ast->links[i];
    return NULL;
}

static const struct ph_param *record_path(const char *type, struct ph_fault *fault)
{
    for (const struct ph_node_info *const *t = ph_nodes(); *t; t++)
        for (const struct ph_param *p = (*t)->params; p && p->name; p++)
            if (!strcmp((*t)->name, type) && p->flags & PH_PARAM_PATH) return p;
    ph_fail(fault, PH_ENOTSUP, "record", "this build has no record node (it needs FFmpeg)");
    return NULL;
}

static const struct ph_ast_node *first_of_type(const struct ph_ast *ast, const char *type)
{
    for (int i = 0; i < ast->node_count; i++)
        if (is_type(&ast->nodes[i], type)) return &ast->nodes[i];
    return NULL;
}

// What depth16 gives, as it is; the points of a graph that has none.
static ph_err add_tape(const struct ph_ast *ast, const char *path, const char *name,
                       struct ph_buf *b, struct ph_fault *fault)
{
    const struct ph_ast_node *from = first_of_type(ast, "depth16");
    if (!from) from = first_of_type(ast, "msgpack");
    if (!from)
        return ph_fail(
            fault, PH_EINVAL, "what",
            "this graph makes no depth for viewers, so there is none to record: it needs "
            "a depth16 or msgpack node");
    ph_buf_printf(b, "%s =>[drop_oldest 30] %s: tape path=", from->name, name);
    quote(b, path);
    ph_buf_puts(b, "\n");
    return PH_OK;
}

static bool is_tape(const char *path)
{
    const char *end = strrchr(path, '.');
    return end && !strcmp(end, ".phs");
}

static ph_err add_record(const struct ph_ast *ast, const char *path, char name[PH_NAME_MAX],
                         struct ph_buf *b, struct ph_fault *fault)
{
    snprintf(name, PH_NAME_MAX, "rec");
    for (int i = 2; name_taken(ast, name); i++) snprintf(name, PH_NAME_MAX, "rec%d", i);
    if (is_tape(path)) return add_tape(ast, path, name, b, fault);
    const struct ph_param *p = record_path("record", fault);
    const struct ph_ast_link *fed = first_encoded(ast);
    if (!p) return PH_ENOTSUP;
    if (!fed)
        return ph_fail(fault, PH_EINVAL, "record",
                       "nothing in this graph is encoded, so there is nothing to record: it "
                       "needs a jpeg or video node");
    const struct ph_ast_node *from = &ast->nodes[fed->from];
    ph_buf_printf(b, "%s.%s =>[drop_oldest 30] %s: record %s=", from->name,
                  from->info->out[fed->from_port].name, name, p->name);
    quote(b, path);
    ph_buf_puts(b, "\n");
    return PH_OK;
}

ph_err ph_edit_record(const char *text, const char *path, char name[PH_NAME_MAX], char **out,
                      struct ph_fault *fault)
{
    struct ph_ast *ast = NULL;
    struct ph_buf b = { 0 };
    *out = NULL;
    ph_err ret = ph_ast_parse(&ast, text, ph_nodes(), fault);
    char *before = ret == PH_OK ? ph_ast_print(ast) : NULL; // every node has its name in it
    if (before) ph_buf_puts(&b, before);
    if (ret == PH_OK && !before) ret = ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
    if (ret == PH_OK) ret = add_record(ast, path, name, &b, fault);
    if (ret == PH_OK && !(*out = ph_buf_steal(&b)))
        ret = ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
    ph_buf_free(&b);
    free(before);
    ph_tree_free(ast);
    return ret;
}

ph_err ph_edit_remove(const char *text, const char *node, char **out, struct ph_fault *fault)
{
    struct ph_ast *ast = NULL;
    *out = NULL;
    ph_err ret = ph_ast_parse(&ast, text, ph_nodes(), fault);
    const struct ph_ast_node *n = ret == PH_OK ? ph_ast_find(ast, node) : NULL;
    if (ret == PH_OK && !n)
        ret = ph_fail(fault, PH_ENOENT, "node", "this graph has no node \"%.60s\"", node);
    if (ret == PH_OK) ph_ast_remove(ast, (int) (n - ast->nodes));
    if (ret == PH_OK) ret = print(ast, out, fault);
    ph_tree_free(ast);
    return ret;
}
