// SPDX-License-Identifier: MIT
#include "room/allow.h"

#include "core/buf.h"
#include "core/nearest.h"
#include "core/tree.h"
#include "models/shelf.h"
#include "room/edit.h"
#include "room/hide.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- what an input is

static const struct ph_node_info *source_type(const char *input)
{
    char word[PH_NAME_MAX];
    snprintf(word, sizeof word, "%.*s", (int) strcspn(input, " \t"), input);
    for (const struct ph_node_info *const *t = ph_nodes(); *t; t++)
        if (!strcmp((*t)->name, word) && !strcmp((*t)->group, "source")) return *t;
    return NULL;
}

static bool has_param(const char *type, const char *param)
{
    const struct ph_node_info *info = source_type(type);
    return info && ph_param_find(info->params, param, NULL);
}

static bool is_url(const char *input)
{
    return strstr(input, "://") != NULL;
}

// A file begins again at its end, so that a room of it stays alive.
static char *node_text(void *tree, const char *input)
{
    struct ph_buf b = { 0 };
    if (source_type(input) && access(input, F_OK)) return ph_tree_printf(tree, "%s", input);
    bool camera = !strncmp(input, "/dev/video", 10);
    ph_buf_puts(&b, camera ? "camera \"" : "file \"");
    for (const char *c = input; *c; c++) {
        if (*c == '"' || *c == '\\') ph_buf_puts(&b, "\\");
        ph_buf_printf(&b, "%c", *c);
    }
    ph_buf_puts(&b,
                !camera && !is_url(input) && has_param("file", "loop") ? "\" loop=on" : "\"");
    char *text = b.failed ? NULL : ph_tree_text(tree, b.data, b.len);
    ph_buf_free(&b);
    return text;
}

static const char *kind_of(const struct ph_ast *ast, const char *input)
{
    const char *type = ast->nodes[0].info->name;
    return !strcmp(type, "file") && is_url(input) ? "url" : type;
}

static char *label_of(void *tree, const char *input)
{
    char *label = source_type(input) ? strdup(input) : ph_hide_label(input);
    char *copy = label ? ph_tree_text(tree, label, strlen(label)) : NULL;
    free(label);
    return copy;
}

// "clip.mp4" → "clip", "/dev/video0" → "video0", "scene fps=30" → "scene"; then "clip-2".
static char *name_of(const struct ph_allow *a, void *tree, const char *label)
{
    const char *ends = source_type(label) ? ". " : "."; // a node's parameters are no part of it
    char name[PH_NAME_MAX], unique[PH_NAME_MAX + 16];
    const char *from = strrchr(label, '/');
    from = from && from[1] ? from + 1 : label;
    size_t n = 0;
    for (; *from && !strchr(ends, *from) && n + 1 < sizeof name; from++)
        name[n++] = isalnum((unsigned char) *from) ? *from : '-';
    if (!n) name[n++] = 'x';
    name[n] = 0;
    snprintf(unique, sizeof unique, "%s", name);
    for (int i = 2; ph_allow_find(a, unique); i++)
        snprintf(unique, sizeof unique, "%s-%d", name, i);
    return ph_tree_printf(tree, "%s", unique);
}

// "stage=rtsp://…": the length of the name and its "=", 0 = none is given.
static size_t name_given(const char *input)
{
    size_t n = 0;
    while (isalnum((unsigned char) input[n]) || input[n] == '-' || input[n] == '_') n++;
    return n && input[n] == '=' ? n + 1 : 0;
}

static ph_err add_source(struct ph_allow *a, void *tree, const char *input,
                         struct ph_fault *fault)
{
    size_t given = name_given(input);
    const char *what = input + given;
    struct ph_source s = { .node = node_text(tree, what), .label = label_of(tree, what) };
    if (!s.node || !s.label) return ph_fail(fault, PH_ENOMEM, "source", "out of memory");
    s.name = given ? ph_tree_text(tree, input, given - 1) : name_of(a, tree, s.label);
    char *line = ph_tree_printf(tree, "%s -> null", s.node);
    if (!s.name || !line) return ph_fail(fault, PH_ENOMEM, "source", "out of memory");
    if (ph_allow_find(a, s.name))
        return ph_fail(fault, PH_EINVAL, "source", "two sources are called \"%s\"", s.name);
    ph_err ret = ph_ast_parse(&s.ast, line, ph_nodes(), fault);
    if (ret < 0) return ret;
    s.kind = kind_of(s.ast, what);
    if (ph_append(tree, a->sources, a->source_count, s))
        return ph_hide_graph(&a->hidden, s.ast);
    ph_tree_free(s.ast);
    return ph_fail(fault, PH_ENOMEM, "source", "out of memory");
}

ph_err ph_allow_init(struct ph_allow *a, void *tree, const char *const *inputs,
                     const struct ph_preset *presets, struct ph_fault *fault)
{
    static const char *const always[] = { "pattern", "scene", "browser", NULL };
    ph_err ret = PH_OK;
    *a = (struct ph_allow){ 0 };
    for (int i = 0; always[i] && ret == PH_OK; i++)
        if (source_type(always[i])) ret = add_source(a, tree, always[i], fault);
    for (int i = 0; inputs && inputs[i] && ret == PH_OK; i++)
        ret = add_source(a, tree, inputs[i], fault);
    for (int i = 0; presets[i].name && ret == PH_OK; i++) {
        struct ph_ast *ast = NULL;
        if (ph_ast_parse(&ast, presets[i].text, ph_nodes(), NULL) < 0) continue;
        if (ph_append(tree, a->presets, a->preset_count, ast)) {
            ret = ph_hide_graph(&a->hidden, ast);
            continue;
        }
        ph_tree_free(ast);
        ret = ph_fail(fault, PH_ENOMEM, "preset", "out of memory");
    }
    if (ret < 0) {
        if (!fault->message[0]) ph_fail(fault, ret, "source", "%s", ph_strerror(ret));
        ph_allow_finish(a);
    }
    return ret;
}

void ph_allow_finish(struct ph_allow *a)
{
    for (int i = 0; i < a->source_count; i++) ph_tree_free(a->sources[i].ast);
    for (int i = 0; i < a->preset_count; i++) ph_tree_free(a->presets[i]);
    ph_hide_free(&a->hidden);
    *a = (struct ph_allow){ 0 };
}

const struct ph_source *ph_allow_find(const struct ph_allow *a, const char *name)
{
    for (int i = 0; i < a->source_count; i++)
        if (!strcmp(a->sources[i].name, name)) return &a->sources[i];
    return NULL;
}

const char *ph_allow_nearest(const struct ph_allow *a, const char *name)
{
    const char *best = NULL;
    int least = PH_NEAREST_LIMIT;
    for (int i = 0; i < a->source_count; i++) {
        int d = ph_edit_distance(name, a->sources[i].name);
        if (d >= least) continue;
        least = d;
        best = a->sources[i].name;
    }
    return best;
}

// --- checking

static bool same(const struct ph_ast_node *n, const struct ph_node_info *info,
                 const struct ph_param *p, const char *text)
{
    return n->info == info && !strcmp(ph_edit_value(n, p), text);
}

static bool listed(const struct ph_allow *a, const struct ph_node_info *info,
                   const struct ph_param *p, const char *text)
{
    // a path that may be read must not become one that is written
    for (int i = 0; i < a->source_count; i++)
        if (same(&a->sources[i].ast->nodes[0], info, p, text)) return true;
    for (int i = 0; i < a->preset_count; i++)
        for (int k = 0; k < a->presets[i]->node_count; k++)
            if (same(&a->presets[i]->nodes[k], info, p, text)) return true;
    return false;
}

// By its name alone, as /api/v1/models has it.
static bool is_model(const struct ph_node_info *info, const char *text)
{
    return !strcmp(info->group, "model") && ph_shelf_has(text);
}

static ph_err refuse(const struct ph_ast_node *n, const struct ph_param *p, const char *text,
                     struct ph_fault *fault)
{
    bool source = !strcmp(n->info->group, "source"), model = !strcmp(n->info->group, "model");
    ph_fail(fault, PH_EINVAL, p->name,
            "%s of %s names a file, device or URL, and a client may not name \"%.120s\"%s",
            p->name, n->info->name, text,
            source  ? ": choose one of /api/v1/sources"
            : model ? ": choose one of /api/v1/models"
                    : "; the server's owner can, in a preset");
    if (fault) fault->line = n->line, fault->column = n->column;
    return PH_EINVAL;
}

static ph_err check_path(const struct ph_allow *a, const struct ph_ast_node *n,
                         const struct ph_param *p, const char *text, struct ph_fault *fault)
{
    // "" opens nothing, except in a source, where it is some default device
    if (!text[0] && strcmp(n->info->group, "source")) return PH_OK;
    if (is_model(n->info, text) || listed(a, n->info, p, text)) return PH_OK;
    return refuse(n, p, text, fault);
}

// --- what was shown without its folder

static const char *if_shown(const struct ph_ast_node *n, const struct ph_node_info *info,
                            const struct ph_param *p, const char *text)
{
    if (!n || n->info != info) return NULL;
    const char *value = ph_edit_value(n, p);
    char *label = ph_hide_label(value);
    bool equal = label && !strcmp(label, text);
    free(label);
    return equal ? value : NULL;
}

static const char *meant(const struct ph_allow *a, const struct ph_ast_node *was,
                         const struct ph_node_info *info, const struct ph_param *p,
                         const char *text)
{
    const char *value = if_shown(was, info, p, text);
    if (listed(a, info, p, text)) return NULL;
    for (int i = 0; i < a->source_count && !value; i++)
        value = if_shown(&a->sources[i].ast->nodes[0], info, p, text);
    for (int i = 0; i < a->preset_count; i++)
        for (int k = 0; k < a->presets[i]->node_count && !value; k++)
            value = if_shown(&a->presets[i]->nodes[k], info, p, text);
    return value && strcmp(value, text) != 0 ? value : NULL;
}

ph_err ph_allow_resolve(const struct ph_allow *a, struct ph_ast *graph,
                        const struct ph_ast *present, bool *changed, struct ph_fault *fault)
{
    *changed = false;
    for (int i = 0; i < graph->node_count; i++) {
        struct ph_ast_node *n = &graph->nodes[i];
        const struct ph_ast_node *was = present ? ph_ast_find(present, n->name) : NULL;
        for (int k = 0; k < n->param_count; k++) {
            const struct ph_param *p = n->params[k].info;
            const char *value =
                p->flags & PH_PARAM_PATH ? meant(a, was, n->info, p, n->params[k].value) : NULL;
            if (!value) continue;
            ph_err ret = ph_ast_set(graph, n, p->name, value, fault);
            if (ret < 0) return ret;
            *changed = true;
        }
    }
    return PH_OK;
}

ph_err ph_allow_value(const struct ph_allow *a, const struct ph_ast_node *node,
                      const struct ph_param *param, const char *text, struct ph_fault *fault)
{
    if (!(param->flags & PH_PARAM_PATH)) return PH_OK;
    if (same(node, node->info, param, text)) return PH_OK;
    return check_path(a, node, param, text, fault);
}

ph_err ph_allow_graph(const struct ph_allow *a, const struct ph_ast *graph,
                      const struct ph_ast *present, struct ph_fault *fault)
{
    for (int i = 0; i < graph->node_count; i++) {
        const struct ph_ast_node *n = &graph->nodes[i];
        const struct ph_ast_node *was = present ? ph_ast_find(present, n->name) : NULL;
        for (const struct ph_param *p = n->info->params; p && p->name; p++) {
            const char *text = ph_edit_value(n, p);
            if (!(p->flags & PH_PARAM_PATH) || (was && same(was, n->info, p, text))) continue;
            ph_err ret = check_path(a, n, p, text, fault);
            if (ret < 0) return ret;
        }
    }
    return PH_OK;
}
