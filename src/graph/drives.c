// SPDX-License-Identifier: MIT
// Drives in the graph text. A drive becomes a compiled expression and hidden links that bring the
// signals it names to the node it is of; what runs them is drive.c.
#include "graph/text.h"

#include "core/nearest.h"
#include "core/tree.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool is_name(char c)
{
    return isalnum((unsigned char) c) || c == '_';
}

static int word_at(const char *p)
{
    int n = 0;
    while (is_name(p[n])) n++;
    return n;
}

static int blanks_at(const char *p)
{
    int n = 0;
    while (p[n] == ' ' || p[n] == '\t' || p[n] == '\r' || (p[n] == '\\' && p[n + 1] == '\n'))
        n += p[n] == '\\' ? 2 : 1;
    return n;
}

// --- reading

bool ph_drive_read(const char **p, struct ph_drive_line *line)
{
    const char *q = *p;
    *line = (struct ph_drive_line){ .node = q, .node_len = word_at(q) };
    q += line->node_len;
    if (!line->node_len || *q != '.') return false;
    line->param = ++q;
    line->param_len = word_at(q);
    q += line->param_len;
    q += blanks_at(q);
    if (strncmp(q, "<-", 2)) return false;
    q += 2;
    q += blanks_at(q);
    line->expr = q;
    while (*q && *q != '\n' && *q != ';' && *q != '#') q += *q == '\\' && q[1] == '\n' ? 2 : 1;
    line->expr_len = (int) (q - line->expr);
    *p = q;
    return true;
}

// One blank for several, none at the ends: what is printed reads back to the same print.
static char *tidy(struct ph_ast *ast, const char *text, int len)
{
    char *out = ph_tree_alloc(ast, (size_t) len + 1), *o = out;
    for (int i = 0; out && i < len; i++) {
        bool blank = strchr(" \t\r\n\\", text[i]) != NULL;
        if (!blank)
            *o++ = text[i];
        else if (o > out && o[-1] != ' ')
            *o++ = ' ';
    }
    while (out && o > out && o[-1] == ' ') *--o = 0;
    return out;
}

// --- names

struct naming {
    struct ph_ast *ast;
    int node; // that is driven
};

static const struct ph_signal_info *signals_of(const struct ph_ast_node *n)
{
    static const struct ph_signal_info none[1];
    return n->info->signals ? n->info->signals : none;
}

static int find_signal(const struct ph_ast_node *n, const char *name)
{
    const struct ph_signal_info *s = signals_of(n);
    for (int i = 0; s[i].name; i++)
        if (!strcmp(s[i].name, name)) return i;
    return -1;
}

static int signals_port(const struct ph_node_info *info)
{
    for (int i = 0; i < ph_port_count(info->out); i++)
        if (info->out[i].kinds & PH_SIGNALS) return i;
    return -1;
}

static ph_err add_link(const struct naming *na, int from, struct ph_fault *fault)
{
    struct ph_ast *ast = na->ast;
    struct ph_ast_link l = { .from = from,
                             .to = na->node,
                             .from_port = signals_port(ast->nodes[from].info),
                             .to_port = ph_port_count(ast->nodes[na->node].info->in),
                             .queue = true,
                             .drop = PH_DROP_LATEST,
                             .depth = 1,
                             .drive = true,
                             .line = ast->nodes[na->node].line,
                             .column = ast->nodes[na->node].column };
    return ph_append(ast, ast->links, ast->link_count, l)
               ? PH_OK
               : ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
}

// The number of the drive link from there to the driven node, made when there is none.
static ph_err slot_of(const struct naming *na, int from, int *slot, struct ph_fault *fault)
{
    const struct ph_ast *ast = na->ast;
    int links = 0;
    *slot = 0;
    for (int i = 0; i < ast->link_count; i++) {
        const struct ph_ast_link *l = &ast->links[i];
        links += l->drive;
        if (!l->drive || l->to != na->node) continue;
        if (l->from == from) return PH_OK;
        ++*slot;
    }
    if (links < PH_MAX_DRIVE_LINKS) return add_link(na, from, fault);
    return ph_fail(fault, PH_EINVAL, "graph",
                   "a graph has at most %d links that bring signals to what they drive; %s to "
                   "%s is one more (what counts beats hears every node with signals)",
                   PH_MAX_DRIVE_LINKS, ast->nodes[from].name, ast->nodes[na->node].name);
}

static ph_err wrong_signal(const struct ph_ast_node *n, const char *name,
                           struct ph_fault *fault)
{
    const char *best = NULL;
    int limit = PH_NEAREST_LIMIT;
    for (const struct ph_signal_info *s = signals_of(n); s->name; s++) {
        int d = ph_edit_distance(name, s->name);
        if (d < limit) limit = d, best = s->name;
    }
    if (!signals_of(n)->name)
        return ph_fail(fault, PH_EINVAL, "graph", "%s has no signals", n->name);
    return ph_fail(fault, PH_EINVAL, "graph", "%s has no signal \"%s\"%s%s%s", n->name, name,
                   best ? ", did you mean \"" : "", best ? best : "", best ? "\"?" : "");
}

static const char *nearest_node(const struct ph_ast *ast, const char *name)
{
    const char *names[PH_MAX_NODES + 1] = { 0 };
    for (int i = 0; i < ast->node_count; i++) names[i] = ast->nodes[i].name;
    return ph_nearest(name, names);
}

static ph_err no_such_node(const struct ph_ast *ast, const char *name, struct ph_fault *fault)
{
    const char *near = nearest_node(ast, name);
    return ph_fail(fault, PH_EINVAL, "graph", "no node is called \"%s\"%s%s%s", name,
                   near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static ph_err take_slot(const struct naming *na, int from, int *slot, struct ph_fault *fault)
{
    if (from == na->node)
        return ph_fail(fault, PH_EINVAL, "graph", "%s cannot be driven by its own signals",
                       na->ast->nodes[from].name);
    return slot_of(na, from, slot, fault);
}

static ph_err named_signal(const struct naming *na, const char *node, const char *name,
                           int *slot, int *index, int *offset, struct ph_fault *fault)
{
    const struct ph_ast_node *n = ph_ast_find(na->ast, node);
    if (!n) return no_such_node(na->ast, node, fault);
    if ((*index = find_signal(n, name)) < 0) {
        *offset = (int) strlen(node) + 1;
        return wrong_signal(n, name, fault);
    }
    return take_slot(na, (int) (n - na->ast->nodes), slot, fault);
}

// A signal's name alone is enough when only one node has it.
static ph_err signal(void *opaque, const char *node, const char *name, int *slot, int *index,
                     int *offset, struct ph_fault *fault)
{
    const struct naming *na = opaque;
    const struct ph_ast *ast = na->ast;
    int from = -1;
    if (node) return named_signal(na, node, name, slot, index, offset, fault);
    for (int i = 0; i < ast->node_count; i++) {
        if (find_signal(&ast->nodes[i], name) < 0) continue;
        if (from >= 0)
            return ph_fail(
                fault, PH_EINVAL, "graph", "%s and %s both have a signal \"%s\": write %s.%s",
                ast->nodes[from].name, ast->nodes[i].name, name, ast->nodes[from].name, name);
        from = i;
    }
    if (from < 0) return PH_MORE;
    *index = find_signal(&ast->nodes[from], name);
    return take_slot(na, from, slot, fault);
}

static const char *nearest_signal(void *opaque, const char *word)
{
    const struct naming *na = opaque;
    const char *best = NULL;
    int limit = PH_NEAREST_LIMIT;
    for (int i = 0; i < na->ast->node_count; i++)
        for (const struct ph_signal_info *s = signals_of(&na->ast->nodes[i]); s->name; s++) {
            int d = ph_edit_distance(word, s->name);
            if (d < limit) limit = d, best = s->name;
        }
    return best;
}

// --- checks

static ph_err check_param(const struct ph_ast_node *n, const struct ph_param *p,
                          struct ph_fault *fault)
{
    static const char *const words[] = { "",       NULL, NULL,     NULL,
                                         "a text", NULL, "a size", "a colour" };
    if (words[p->type])
        return ph_fail(fault, PH_EINVAL, "graph",
                       "%s.%s is %s: only numbers, switches and choices can be driven", n->name,
                       p->name, words[p->type]);
    if (p->flags & PH_PARAM_SETUP)
        return ph_fail(fault, PH_EINVAL, "graph",
                       "%s.%s cannot be driven: a change of it builds the node anew", n->name,
                       p->name);
    return PH_OK;
}

bool ph_drive_can(const struct ph_param *p)
{
    bool number = p->type == PH_TYPE_FLOAT || p->type == PH_TYPE_INT ||
                  p->type == PH_TYPE_BOOL || p->type == PH_TYPE_ENUM;
    return number && !(p->flags & PH_PARAM_SETUP);
}

const struct ph_ast_drive *ph_drive_of(const struct ph_ast *ast, int node,
                                       const struct ph_param *p)
{
    for (int i = 0; i < ast->drive_count; i++)
        if (ast->drives[i].node == node && ast->drives[i].param == p) return &ast->drives[i];
    return NULL;
}

static ph_err find_param(const struct ph_ast_node *n, const char *name,
                         const struct ph_param **out, struct ph_fault *fault)
{
    const char *near = NULL;
    *out = ph_param_find(n->info->params, name, &near);
    if (*out) return check_param(n, *out, fault);
    return ph_fail(fault, PH_EINVAL, "graph", "%s has no parameter \"%s\"%s%s%s", n->name, name,
                   near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

struct ways {
    bool next[PH_MAX_NODES][PH_MAX_NODES]; // a link leads from the first to the second
    bool behind[PH_MAX_NODES];             // of where the walk began, which counts
};

static void walk(struct ways *w, int count, int node)
{
    w->behind[node] = true;
    for (int i = 0; i < count; i++)
        if (w->next[node][i] && !w->behind[i]) walk(w, count, i);
}

static ph_err find_behind(struct ph_ast *ast, int node, struct ways **out,
                          struct ph_fault *fault)
{
    struct ways *w = *out = ph_new(ast, struct ways, 1);
    if (!w) return ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
    for (int i = 0; i < ast->link_count; i++)
        w->next[ast->links[i].from][ast->links[i].to] = true;
    walk(w, ast->node_count, node);
    return PH_OK;
}

static bool hears_beats(const struct naming *na)
{
    for (int i = 0; i < na->ast->drive_count; i++)
        if (na->ast->drives[i].node == na->node && na->ast->drives[i].expr.beat) return true;
    return false;
}

// Whoever counts beats hears every node that has signals and lies not behind it: which of them
// knows a tempo is only known while it runs. A second drive of a node finds all links there: only
// drives add any by now, and one that put more behind the node would close a loop.
static ph_err hear_beats(const struct naming *na, struct ph_fault *fault)
{
    int slot;
    struct ways *w;
    if (hears_beats(na)) return PH_OK;
    ph_err ret = find_behind(na->ast, na->node, &w, fault);
    for (int i = 0; i < na->ast->node_count && ret == PH_OK; i++)
        if (signals_of(&na->ast->nodes[i])->name && !w->behind[i])
            ret = take_slot(na, i, &slot, fault);
    ph_tree_free(w);
    return ret;
}

ph_err ph_drive_add(struct ph_ast *ast, const struct ph_drive_line *line, const char **at,
                    struct ph_fault *fault)
{
    char node[64], param[64];
    *at = line->node;
    if (line->node_len >= (int) sizeof node || line->param_len >= (int) sizeof param)
        return ph_fail(fault, PH_EINVAL, "graph", "a name has at most 63 characters");
    snprintf(node, sizeof node, "%.*s", line->node_len, line->node);
    snprintf(param, sizeof param, "%.*s", line->param_len, line->param);
    const struct ph_ast_node *n = ph_ast_find(ast, node);
    if (!n) return no_such_node(ast, node, fault);
    *at = line->param;
    struct ph_ast_drive d = { .node = (int) (n - ast->nodes) };
    ph_err ret = find_param(n, param, &d.param, fault);
    if (ret < 0) return ret;
    if (ph_drive_of(ast, d.node, d.param))
        return ph_fail(fault, PH_EINVAL, "graph", "%s.%s is driven twice", node, param);
    struct naming na = { ast, d.node };
    size_t wrong;
    ret =
        ph_expr_compile(&d.expr, ast, line->expr, (size_t) line->expr_len,
                        &(struct ph_expr_names){ signal, nearest_signal, &na }, &wrong, fault);
    *at = line->expr + wrong;
    if (ret < 0) return ret;
    *at = line->expr;
    if (d.expr.beat && (ret = hear_beats(&na, fault)) < 0) return ret;
    d.text = tidy(ast, line->expr, line->expr_len);
    if (!d.text || !ph_append(ast, ast->drives, ast->drive_count, d))
        return ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
    return PH_OK;
}

ph_err ph_drive_set(struct ph_ast *ast, struct ph_ast_node *node, const char *param,
                    const char *expr, struct ph_fault *fault)
{
    const struct ph_param *p;
    const char *at;
    int index = (int) (node - ast->nodes);
    ph_err ret = find_param(node, param, &p, fault);
    if (ret < 0) return ret;
    for (int i = 0; i < ast->drive_count; i++) {
        if (ast->drives[i].node != index || ast->drives[i].param != p) continue;
        ast->drive_count--;
        memmove(&ast->drives[i], &ast->drives[i + 1],
                (size_t) (ast->drive_count - i) * sizeof *ast->drives);
        break;
    }
    if (!expr || !*expr) return PH_OK;
    if (strpbrk(expr, "\n;#"))
        return ph_fail(fault, PH_EINVAL, "graph", "an expression is one line, without ; and #");
    if (strlen(expr) > PH_EXPR_MAX_TEXT)
        return ph_fail(fault, PH_EINVAL, "graph", "at most %d characters", PH_EXPR_MAX_TEXT);
    struct ph_drive_line line = {
        node->name,        param, expr, (int) strlen(node->name), (int) strlen(param),
        (int) strlen(expr)
    };
    ret = ph_drive_add(ast, &line, &at, fault);
    if (ret < 0 && fault) fault->line = 1, fault->column = 1 + (int) (at - expr);
    return ret;
}

// --- edits

void ph_ast_keep_drives(struct ph_ast *ast, int node)
{
    int kept = 0;
    for (int i = 0; i < ast->drive_count; i++) {
        struct ph_ast_drive d = ast->drives[i];
        if (d.node == node)
            d.param = ph_param_find(ast->nodes[node].info->params, d.param->name, NULL);
        if (d.param && ph_drive_can(d.param)) ast->drives[kept++] = d;
    }
    ast->drive_count = kept;
}

void ph_ast_remove(struct ph_ast *ast, int node)
{
    int links = 0, drives = 0;
    for (int i = 0; i < ast->link_count; i++) {
        struct ph_ast_link l = ast->links[i];
        if (l.from == node || l.to == node) continue;
        l.from -= l.from > node;
        l.to -= l.to > node;
        ast->links[links++] = l;
    }
    for (int i = 0; i < ast->drive_count; i++) {
        struct ph_ast_drive d = ast->drives[i];
        if (d.node == node) continue;
        d.node -= d.node > node;
        ast->drives[drives++] = d;
    }
    ast->link_count = links;
    ast->drive_count = drives;
    ast->node_count--;
    memmove(&ast->nodes[node], &ast->nodes[node + 1],
            (size_t) (ast->node_count - node) * sizeof *ast->nodes);
}
