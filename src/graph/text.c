// SPDX-License-Identifier: MIT
// Grammar (docs/graph.md):
//   graph  = line { (newline | ";") line }          "#" starts a comment
//   line   = item { link item }
//   link   = "->" | "=>" [ "[" policy [ depth ] "]" ]
//          | name "." parameter "<-" expression    up to the end of the line; see expr.c
//   item   = [ name ":" ] type { param } | name [ "." port ]
//   param  = key "=" value | value                   value = word | "quoted \" text"
#include "graph/text.h"

#include "core/nearest.h"
#include "core/tree.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT  (64 * 1024)
#define MAX_DEPTH 1024

struct parser {
    const char *start, *p;
    struct ph_ast *ast;
    const struct ph_node_info *const *types;
    struct ph_fault *fault;
    struct ph_drive_line *drives; // as they stand in the text
    int drive_count;
};

// --- where we are

static void locate(const char *start, const char *at, int *line, int *column)
{
    *line = *column = 1;
    for (const char *q = start; q < at; q++) {
        if (*q == '\n')
            *line += 1, *column = 1;
        else if ((*q & 0xc0) != 0x80)
            *column += 1; // characters, not bytes
    }
}

static ph_err mark(struct parser *s, const char *at, ph_err code)
{
    if (s->fault) locate(s->start, at, &s->fault->line, &s->fault->column);
    return code;
}

PH_PRINTF(3, 4)
static ph_err wrong(struct parser *s, const char *at, const char *fmt, ...)
{
    char text[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    ph_fail(s->fault, PH_EINVAL, "graph", "%s", text);
    return mark(s, at, PH_EINVAL);
}

static ph_err no_memory(struct parser *s)
{
    return ph_fail(s->fault, PH_ENOMEM, "graph", "out of memory");
}

static bool is_name(char c)
{
    return isalnum((unsigned char) c) || c == '_';
}

// Spaces and line continuations ("\" before the newline, or a line that starts with a link).
static void skip_blank(struct parser *s)
{
    while (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' ||
           (s->p[0] == '\\' && s->p[1] == '\n'))
        s->p += *s->p == '\\' ? 2 : 1;
}

static void skip_comment(struct parser *s)
{
    if (*s->p == '#') s->p += strcspn(s->p, "\n");
}

// Between items: a newline is passed over when the next thing is a link.
static bool at_link(struct parser *s)
{
    skip_blank(s);
    const char *keep = s->p;
    for (;;) {
        skip_comment(s);
        if (*s->p != '\n') break;
        s->p++;
        skip_blank(s);
    }
    if (!strncmp(s->p, "->", 2) || !strncmp(s->p, "=>", 2)) return true;
    s->p = keep;
    return false;
}

static bool at_end_of_line(struct parser *s)
{
    skip_blank(s);
    return !*s->p || *s->p == '\n' || *s->p == ';' || *s->p == '#';
}

// --- values

// One value: a quoted text or a run up to a blank. Links end it, so that `q=85->live` works.
static ph_err read_value(struct parser *s, char **out)
{
    const char *begin = s->p;
    char *value = ph_tree_alloc(s->ast, strcspn(begin, "\n") + 1), *o = value;
    if (!value) return no_memory(s);
    if (*s->p != '"') {
        // a '#' inside or after a word starts a comment, at its start it is a colour
        while (*s->p && !strchr(" \t\r\n;", *s->p) && (*s->p != '#' || s->p == begin)) {
            if (!strncmp(s->p, "->", 2) || !strncmp(s->p, "=>", 2)) break;
            *o++ = *s->p++;
        }
        *out = value;
        return PH_OK;
    }
    for (s->p++; *s->p != '"'; s->p++) {
        if (!*s->p || *s->p == '\n')
            return wrong(s, begin, "this text is not closed: add a \"");
        if (*s->p != '\\') {
            *o++ = *s->p;
            continue;
        }
        s->p++;
        if (*s->p == 'n')
            *o++ = '\n';
        else if (*s->p == '"' || *s->p == '\\')
            *o++ = *s->p;
        else
            return wrong(s, s->p - 1, "after \\ comes n, \" or \\");
    }
    s->p++;
    *out = value;
    return PH_OK;
}

// --- nodes

struct ph_ast_node *ph_ast_find(const struct ph_ast *ast, const char *name)
{
    for (int i = 0; i < ast->node_count; i++)
        if (!strcmp(ast->nodes[i].name, name)) return &ast->nodes[i];
    return NULL;
}

static const struct ph_node_info *find_type(const struct parser *s, const char *name)
{
    for (int i = 0; s->types[i]; i++)
        if (!strcmp(s->types[i]->name, name)) return s->types[i];
    return NULL;
}

// Types and names that could stand where `word` stands.
static const char *nearest_name(const struct parser *s, const char *word)
{
    const char *best = NULL;
    int limit = PH_NEAREST_LIMIT;
    for (int i = 0; s->types[i]; i++) {
        int d = ph_edit_distance(word, s->types[i]->name);
        if (d < limit) limit = d, best = s->types[i]->name;
    }
    for (int i = 0; i < s->ast->node_count; i++) {
        int d = ph_edit_distance(word, s->ast->nodes[i].name);
        if (d < limit) limit = d, best = s->ast->nodes[i].name;
    }
    return best;
}

ph_err ph_ast_set(struct ph_ast *ast, struct ph_ast_node *node, const char *param,
                  const char *value, struct ph_fault *fault)
{
    const char *near;
    const struct ph_param *info = ph_param_find(node->info->params, param, &near);
    if (!info)
        return ph_fail(fault, PH_EINVAL, param,
                       "%s has no parameter \"%s\"%s%s%s (`phosphene nodes %s` lists them)",
                       node->info->name, param, near ? ", did you mean \"" : "",
                       near ? near : "", near ? "\"?" : "", node->info->name);
    union ph_value v;
    ph_err ret = ph_param_parse(info, value, &v, fault);
    if (ret < 0) return ret;
    char *copy = ph_tree_text(ast, value, strlen(value));
    if (!copy) return ph_fail(fault, PH_ENOMEM, param, "out of memory");
    for (int i = 0; i < node->param_count; i++) {
        if (node->params[i].info != info) continue;
        ph_tree_free(node->params[i].value);
        node->params[i].value = copy;
        return PH_OK;
    }
    struct ph_ast_param p = { info, copy };
    if (!ph_append(ast, node->params, node->param_count, p))
        return ph_fail(fault, PH_ENOMEM, param, "out of memory");
    return PH_OK;
}

static const struct ph_param *first_param(const struct ph_node_info *info)
{
    for (const struct ph_param *p = info->params; p && p->name; p++)
        if (p->flags & PH_PARAM_FIRST) return p;
    return NULL;
}

static bool has_param(const struct ph_ast_node *n, const struct ph_param *p)
{
    for (int i = 0; i < n->param_count; i++)
        if (n->params[i].info == p) return true;
    return false;
}

// `key=value` or, once, the value of the parameter that needs no name.
static ph_err read_param(struct parser *s, struct ph_ast_node *node)
{
    const char *begin = s->p;
    size_t n = 0;
    while (is_name(begin[n])) n++;
    char key[64] = "", *value = NULL;
    // "=>" after a bare word is a link, not an assignment
    bool keyed = n && n < sizeof key && begin[n] == '=' && begin[n + 1] != '>';
    const struct ph_param *first = first_param(node->info);
    if (keyed) {
        memcpy(key, begin, n);
        s->p += n + 1;
    } else if (first) {
        snprintf(key, sizeof key, "%s", first->name);
    } else {
        return wrong(s, begin, "expected a parameter such as name=value or a link (-> or =>)");
    }
    ph_err ret = read_value(s, &value);
    if (ret < 0) return ret;
    const struct ph_param *info = ph_param_find(node->info->params, key, NULL);
    if (info && has_param(node, info)) return wrong(s, begin, "%s is given twice", key);
    ret = ph_ast_set(s->ast, node, key, value, s->fault);
    return ret < 0 ? mark(s, begin, ret) : PH_OK;
}

// A name nobody has: the type, then type2, type3 …
static char *make_name(struct parser *s, const char *type)
{
    char name[80];
    snprintf(name, sizeof name, "%s", type);
    for (int k = 2; ph_ast_find(s->ast, name); k++)
        snprintf(name, sizeof name, "%s%d", type, k);
    return ph_tree_text(s->ast, name, strlen(name));
}

static ph_err add_node(struct parser *s, const char *name, const char *type, const char *at,
                       int *index)
{
    struct ph_ast *ast = s->ast;
    const struct ph_node_info *info = find_type(s, type);
    if (!info) {
        const char *near = nearest_name(s, type);
        return wrong(s, at, "there is no node \"%s\"%s%s%s (`phosphene nodes` lists them)",
                     type, near ? ", did you mean \"" : "", near ? near : "",
                     near ? "\"?" : "");
    }
    if (ast->node_count >= PH_MAX_NODES)
        return wrong(s, at, "a graph has at most %d nodes", PH_MAX_NODES);
    struct ph_ast_node node = { .info = info, .named = name != NULL };
    node.name = name ? ph_tree_text(ast, name, strlen(name)) : make_name(s, type);
    locate(s->start, at, &node.line, &node.column);
    if (!node.name || !ph_append(ast, ast->nodes, ast->node_count, node)) return no_memory(s);
    *index = ast->node_count - 1;
    while (!at_end_of_line(s) && strncmp(s->p, "->", 2) && strncmp(s->p, "=>", 2)) {
        ph_err ret = read_param(s, &ast->nodes[*index]);
        if (ret < 0) return ret;
    }
    return PH_OK;
}

// --- items and links

struct item {
    int node;
    char port[64]; // "" = not said
    const char *at;
};

static ph_err read_word(struct parser *s, char *word, size_t size)
{
    const char *begin = s->p;
    size_t n = 0;
    while (is_name(begin[n])) n++;
    if (!n) return wrong(s, begin, "expected the name of a node");
    if (n >= size) return wrong(s, begin, "a name has at most %zu characters", size - 1);
    memcpy(word, begin, n);
    word[n] = 0;
    s->p += n;
    return PH_OK;
}

// Only a node that has a name can be meant where a port follows.
static const char *nearest_node(const struct parser *s, const char *word)
{
    const char *best = NULL;
    int limit = PH_NEAREST_LIMIT;
    for (int i = 0; i < s->ast->node_count; i++) {
        int d = ph_edit_distance(word, s->ast->nodes[i].name);
        if (d < limit) limit = d, best = s->ast->nodes[i].name;
    }
    return best;
}

static bool named_below(const struct parser *s, const char *name)
{
    size_t n = strlen(name);
    for (const char *q = s->p; (q = strstr(q, name)); q += n)
        if (!is_name(q[-1]) && q[n] == ':') return true;
    return false;
}

static ph_err no_such_node(struct parser *s, const char *name, const char *at)
{
    const char *near = nearest_node(s, name);
    if (named_below(s, name))
        return wrong(s, at, "\"%s\" is made further down: move that line above this one", name);
    return wrong(s, at, "no node is called \"%s\"%s%s%s", name, near ? ", did you mean \"" : "",
                 near ? near : "", near ? "\"?" : "");
}

static ph_err read_reference(struct parser *s, const char *name, struct item *item)
{
    const struct ph_ast_node *n = ph_ast_find(s->ast, name);
    if (*s->p == '.') {
        s->p++;
        ph_err ret = read_word(s, item->port, sizeof item->port);
        if (ret < 0) return ret;
    }
    if (!n) return no_such_node(s, name, item->at);
    item->node = (int) (n - s->ast->nodes);
    return PH_OK;
}

static ph_err read_item(struct parser *s, struct item *item)
{
    char word[64], type[64];
    skip_blank(s);
    *item = (struct item){ .at = s->p };
    ph_err ret = read_word(s, word, sizeof word);
    if (ret < 0) return ret;
    const struct ph_ast_node *known = ph_ast_find(s->ast, word);
    if (*s->p == '.') return read_reference(s, word, item);
    if (*s->p != ':') {
        if (known && known->named) return read_reference(s, word, item);
        return add_node(s, NULL, word, item->at, &item->node);
    }
    if (known) return wrong(s, item->at, "two nodes are called \"%s\"", word);
    s->p++;
    skip_blank(s);
    const char *at = s->p;
    ret = read_word(s, type, sizeof type);
    return ret < 0 ? ret : add_node(s, word, type, at, &item->node);
}

static const char *const drop_names[] = { "latest", "block", "drop_oldest", "drop_to_key",
                                          NULL };

const char *ph_drop_name(enum ph_drop drop)
{
    return drop_names[drop];
}

static ph_err read_policy(struct parser *s, struct ph_ast_link *link)
{
    char word[64];
    skip_blank(s);
    const char *at = s->p;
    ph_err ret = read_word(s, word, sizeof word);
    if (ret < 0) return ret;
    int k = 0;
    while (drop_names[k] && strcmp(drop_names[k], word)) k++;
    if (!drop_names[k])
        return wrong(s, at, "a link is latest, block, drop_oldest or drop_to_key; got \"%s\"",
                     word);
    link->drop = (enum ph_drop) k;
    skip_blank(s);
    if (isdigit((unsigned char) *s->p)) {
        char *end;
        long depth = strtol(s->p, &end, 10);
        if (depth < 1 || depth > MAX_DEPTH)
            return wrong(s, s->p, "the depth of a link is 1 … %d", MAX_DEPTH);
        link->depth = (int) depth;
        s->p = end;
        skip_blank(s);
    }
    if (*s->p != ']') return wrong(s, s->p, "expected ] after the link's policy");
    s->p++;
    return PH_OK;
}

static ph_err read_link(struct parser *s, struct ph_ast_link *link)
{
    *link = (struct ph_ast_link){ .queue = *s->p == '=', .drop = (enum ph_drop) - 1 };
    locate(s->start, s->p, &link->line, &link->column);
    s->p += 2;
    if (*s->p != '[') return PH_OK;
    if (!link->queue) return wrong(s, s->p, "-> is a call and has no policy; use =>[…]");
    s->p++;
    return read_policy(s, link);
}

int ph_port_count(const struct ph_port_info *ports)
{
    int n = 0;
    while (ports && ports[n].name) n++;
    return n;
}

const struct ph_port_info *ph_port_in(const struct ph_node_info *info, int port)
{
    static const struct ph_port_info signals = {
        .name = "signals",
        .kinds = PH_SIGNALS,
        .flags = PH_PORT_HOLD | PH_PORT_MANY | PH_PORT_OPTIONAL,
        .help = "what drives its parameters",
    };
    return port < ph_port_count(info->in) ? &info->in[port] : &signals;
}

bool ph_link_drives(const struct ph_node_info *to, int to_port)
{
    return to_port >= ph_port_count(to->in);
}

int ph_port_find(const struct ph_port_info *ports, const char *name)
{
    for (int i = 0; ports && ports[i].name; i++)
        if (!strcmp(ports[i].name, name)) return i;
    return -1;
}

static bool port_taken(const struct ph_ast *ast, int node, int port)
{
    for (int i = 0; i < ast->link_count; i++)
        if (ast->links[i].to == node && ast->links[i].to_port == port) return true;
    return false;
}

static ph_err find_port(struct parser *s, const struct item *item, bool output, int *port)
{
    const struct ph_ast_node *n = &s->ast->nodes[item->node];
    const struct ph_port_info *ports = output ? n->info->out : n->info->in;
    int count = ph_port_count(ports);
    if (!count || (!output && count == 1 && ports[0].flags & PH_PORT_EXTERNAL))
        return wrong(s, item->at, "%s has no %s", n->name, output ? "output" : "input");
    *port = 0;
    if (!item->port[0]) return PH_OK;
    *port = ph_port_find(ports, item->port);
    // `a.depth => b.in -> c`: b's port names its input, its output is the first one
    if (*port < 0 && output && ph_port_find(n->info->in, item->port) >= 0) *port = 0;
    if (*port >= 0) return PH_OK;
    char list[200] = "";
    for (int i = 0, len = 0; i < count && len < (int) sizeof list; i++)
        len += snprintf(list + len, sizeof list - (size_t) len, "%s%s", i ? ", " : "",
                        ports[i].name);
    return wrong(s, item->at, "%s has no %s \"%s\"; it has %s", n->name,
                 output ? "output" : "input", item->port, list);
}

static const char *kind_name(unsigned kinds)
{
    return kinds & PH_PICTURE   ? "pictures"
           : kinds & PH_SAMPLES ? "audio samples"
           : kinds & PH_PACKET  ? "encoded packets"
           : kinds & PH_POINTS  ? "points"
                                : "signals";
}

static ph_err check_link(struct parser *s, struct ph_ast_link *l, const char *at)
{
    struct ph_ast_node *from = &s->ast->nodes[l->from], *to = &s->ast->nodes[l->to];
    const struct ph_port_info *out = &from->info->out[l->from_port];
    const struct ph_port_info *in = &to->info->in[l->to_port];
    if (in->flags & PH_PORT_EXTERNAL)
        return wrong(s, at, "%s.%s is fed from outside, not by a link", to->name, in->name);
    if (!(out->kinds & in->kinds))
        return wrong(s, at, "%s.%s gives %s but %s.%s takes %s", from->name, out->name,
                     kind_name(out->kinds), to->name, in->name, kind_name(in->kinds));
    if (!(in->flags & PH_PORT_MANY) && port_taken(s->ast, l->to, l->to_port))
        return wrong(s, at, "%s.%s is fed twice", to->name, in->name);
    bool keyed = out->flags & PH_PORT_KEYED;
    if ((int) l->drop < 0) {
        l->drop = keyed ? PH_DROP_TO_KEY : PH_DROP_LATEST;
        if (!l->depth) l->depth = keyed ? 30 : 1;
    }
    if (keyed && l->queue && (l->drop == PH_DROP_LATEST || l->drop == PH_DROP_OLDEST))
        return wrong(s, at,
                     "%s.%s is a stream whose packets need their predecessors: use "
                     "=>[drop_to_key 30] or =>[block 4]",
                     from->name, out->name);
    if (!l->depth) l->depth = l->drop == PH_DROP_LATEST ? 1 : 4;
    return PH_OK;
}

static ph_err add_link(struct parser *s, struct ph_ast_link *l, const struct item *from,
                       const struct item *to)
{
    ph_err ret;
    l->from = from->node;
    l->to = to->node;
    if ((ret = find_port(s, from, true, &l->from_port)) < 0) return ret;
    if ((ret = find_port(s, to, false, &l->to_port)) < 0) return ret;
    if ((ret = check_link(s, l, to->at)) < 0) return ret;
    if (!ph_append(s->ast, s->ast->links, s->ast->link_count, *l)) return no_memory(s);
    return PH_OK;
}

static ph_err read_line(struct parser *s)
{
    struct item from, to;
    ph_err ret = read_item(s, &from);
    if (ret < 0) return ret;
    while (at_link(s)) {
        struct ph_ast_link link;
        if ((ret = read_link(s, &link)) < 0) return ret;
        if ((ret = read_item(s, &to)) < 0) return ret;
        if ((ret = add_link(s, &link, &from, &to)) < 0) return ret;
        from = to;
    }
    if (!at_end_of_line(s))
        return wrong(s, s->p, "expected a link (-> or =>) or the end of the line");
    return PH_OK;
}

// --- the whole

static int root_of(int *lane, int i)
{
    while (lane[i] != i) i = lane[i] = lane[lane[i]];
    return i;
}

// "->" joins lanes; they are numbered in the order in which the text names them.
static ph_err find_lanes(struct parser *s)
{
    struct ph_ast *ast = s->ast;
    int n = ast->node_count;
    ast->lane = ph_new(ast, int, (size_t) n + 1);
    int *number = ph_new(ast, int, (size_t) n + 1);
    if (!ast->lane || !number) return no_memory(s);
    for (int i = 0; i < n; i++) ast->lane[i] = i;
    for (int i = 0; i < ast->link_count; i++) {
        if (ast->links[i].queue) continue;
        int a = root_of(ast->lane, ast->links[i].from),
            b = root_of(ast->lane, ast->links[i].to);
        ast->lane[a > b ? a : b] = a < b ? a : b; // the root is the first node of the text
    }
    for (int i = 0; i < n; i++) {
        int root = root_of(ast->lane, i);
        if (root == i) number[i] = ast->lanes++;
    }
    for (int i = n - 1; i >= 0; i--) number[i] = number[root_of(ast->lane, i)];
    memcpy(ast->lane, number, (size_t) n * sizeof *number);
    ph_tree_free(number);
    return PH_OK;
}

// Kahn's algorithm, always taking the first ready node of the text: one text, one order.
static ph_err find_order(struct parser *s)
{
    struct ph_ast *ast = s->ast;
    int n = ast->node_count, done = 0;
    ast->order = ph_new(ast, int, (size_t) n + 1);
    int *waits = ph_new(ast, int, (size_t) n + 1);
    if (!ast->order || !waits) return no_memory(s);
    for (int i = 0; i < ast->link_count; i++) waits[ast->links[i].to]++;
    while (done < n) {
        int i = 0;
        while (i < n && waits[i] != 0) i++;
        if (i == n) break;
        ast->order[done++] = i;
        waits[i] = -1;
        for (int k = 0; k < ast->link_count; k++)
            if (ast->links[k].from == i) waits[ast->links[k].to]--;
    }
    ph_err ret = PH_OK;
    for (int i = 0; i < n && done < n && ret == PH_OK; i++)
        if (waits[i] > 0) {
            ret = wrong(s, s->start,
                        "\"%s\" is part of a loop; links and drives must not lead back",
                        ast->nodes[i].name);
            if (s->fault)
                s->fault->line = ast->nodes[i].line, s->fault->column = ast->nodes[i].column;
        }
    ph_tree_free(waits);
    return ret;
}

// A node that waits for a picture nobody sends would hang silently.
static ph_err check_fed(struct parser *s)
{
    struct ph_ast *ast = s->ast;
    for (int i = 0; i < ast->node_count; i++) {
        const struct ph_ast_node *n = &ast->nodes[i];
        for (int p = 0; p < ph_port_count(n->info->in); p++) {
            const struct ph_port_info *in = &n->info->in[p];
            unsigned free_flags = PH_PORT_EXTERNAL | PH_PORT_OPTIONAL | PH_PORT_HOLD;
            if (in->flags & free_flags || port_taken(ast, i, p)) continue;
            wrong(s, s->start, "nothing feeds %s.%s: put a source and a link before it",
                  n->name, in->name);
            if (s->fault) s->fault->line = n->line, s->fault->column = n->column;
            return PH_EINVAL;
        }
    }
    return PH_OK;
}

static ph_err read_drive(struct parser *s, const struct ph_drive_line *line)
{
    if (s->drive_count >= PH_MAX_DRIVES)
        return wrong(s, line->node, "a graph has at most %d drives", PH_MAX_DRIVES);
    return ph_append(s->ast, s->drives, s->drive_count, *line) ? PH_OK : no_memory(s);
}

static ph_err add_drives(struct parser *s)
{
    for (int i = 0; i < s->drive_count; i++) {
        const char *at = s->drives[i].node;
        int before = s->ast->drive_count;
        ph_err ret = ph_drive_add(s->ast, &s->drives[i], &at, s->fault);
        if (ret < 0) return mark(s, at, ret);
        for (int k = before; k < s->ast->drive_count; k++)
            locate(s->start, s->drives[i].node, &s->ast->drives[k].line,
                   &s->ast->drives[k].column);
    }
    return PH_OK;
}

static ph_err parse(struct parser *s)
{
    ph_err ret;
    while (*s->p) {
        struct ph_drive_line drive;
        skip_blank(s);
        skip_comment(s);
        if (*s->p == '\n' || *s->p == ';') {
            s->p++;
            continue;
        }
        if (!*s->p) break;
        ret = ph_drive_read(&s->p, &drive) ? read_drive(s, &drive) : read_line(s);
        if (ret < 0) return ret;
    }
    if (!s->ast->node_count)
        return wrong(s, s->p, "the graph is empty: start with `pattern -> null`");
    if ((ret = ph_transfer_insert(s->ast, s->types, s->fault)) < 0) return ret;
    if ((ret = add_drives(s)) < 0) return ret;
    if ((ret = find_order(s)) < 0 || (ret = find_lanes(s)) < 0) return ret;
    return check_fed(s);
}

ph_err ph_ast_parse(struct ph_ast **out, const char *text,
                    const struct ph_node_info *const *types, struct ph_fault *fault)
{
    *out = NULL;
    if (strlen(text) > MAX_TEXT)
        return ph_fail(fault, PH_ELIMIT, "graph", "a graph text has at most %d bytes",
                       MAX_TEXT);
    struct ph_ast *ast = ph_new(NULL, struct ph_ast, 1);
    struct parser s = { text, text, ast, types, fault, NULL, 0 };
    ph_err ret = ast ? parse(&s) : no_memory(&s);
    if (ret < 0)
        ph_tree_free(ast);
    else
        *out = ast;
    return ret;
}
