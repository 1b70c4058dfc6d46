// SPDX-License-Identifier: MIT
// What a running graph can be told: parameters, cuts, another graph.
#include "graph/graph_priv.h"

#include "core/nearest.h"
#include "core/tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Replaces the running graph by `ast` (takes it), which the text has produced.
static ph_err replace(struct ph_graph *g, uint64_t id, struct ph_ast *ast,
                      struct ph_fault *fault)
{
    ph_err ret = ph_graph_build(g, ast, fault);
    if (ret < 0) return ret;
    ph_graph_event(
        g, &(struct ph_event){ PH_EVENT_EDITED, .id = id, .epoch = atomic_load(&g->epoch) });
    return PH_OK;
}

ph_err ph_graph_edit(struct ph_graph *g, uint64_t id, const char *text, struct ph_fault *fault)
{
    struct ph_ast *ast;
    struct ph_fault local;
    if (!fault) fault = &local;
    *fault = (struct ph_fault){ 0 };
    pthread_mutex_lock(&g->ctl);
    ph_err ret = ph_ast_parse(&ast, text, g->types, fault);
    if (ret == PH_OK) ret = replace(g, id, ast, fault);
    pthread_mutex_unlock(&g->ctl);
    return ret;
}

// The same text once more.
static ph_err parse_again(const struct ph_graph *g, const struct ph_ast *from,
                          struct ph_ast **ast, struct ph_fault *fault)
{
    char *text = ph_ast_print(from);
    if (!text) return ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
    ph_err ret = ph_ast_parse(ast, text, g->types, fault);
    free(text);
    return ret;
}

// Takes ast; the node's next frame acknowledges.
static ph_err replace_for(struct ph_graph *g, uint64_t id, const char *node, struct ph_ast *ast,
                          struct ph_fault *fault)
{
    ph_err ret = replace(g, 0, ast, fault);
    if (ret < 0) return ret;
    struct ph_node *n = ph_graph_find(g, node);
    return ph_node_post(n, (struct control){ .id = id, .cut.chunks = -1 }, NULL);
}

// A setup parameter rebuilds its node: the same text with that value changed.
static ph_err rebuild(struct ph_graph *g, uint64_t id, const char *node, const char *param,
                      const char *value, struct ph_fault *fault)
{
    struct ph_ast *ast = NULL;
    ph_err ret = parse_again(g, g->ast, &ast, fault);
    if (ret == PH_OK) ret = ph_ast_set(ast, ph_ast_find(ast, node), param, value, fault);
    if (ret == PH_OK) return replace_for(g, id, node, ast, fault);
    ph_tree_free(ast);
    return ret;
}

static const char *nearest_node(const struct ph_graph *g, const char *name)
{
    const char *names[PH_MAX_NODES + 1] = { 0 };
    for (int i = 0; i < g->ast->node_count; i++) names[i] = g->ast->nodes[i].name;
    return ph_nearest(name, names);
}

static ph_err no_such_node(const struct ph_graph *g, const char *name, struct ph_fault *fault)
{
    const char *near = nearest_node(g, name);
    return ph_fail(fault, PH_ENOENT, "node", "this graph has no node \"%s\"%s%s%s", name,
                   near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static void wait_for_beat(struct ph_graph *g, enum ph_when when, struct control *c)
{
    static const int bars[] = { [PH_AT_BAR] = 1, [PH_AT_2_BARS] = 2, [PH_AT_4_BARS] = 4 };
    double beat;
    int per_bar;
    if (when == PH_AT_ONCE || !ph_graph_beat(g, ph_graph_now_ns(g), &beat, &per_bar)) return;
    c->every = when == PH_AT_BEAT ? 1 : bars[when] * per_bar;
    c->until = ceil(beat / c->every) * c->every;
}

static ph_err set_locked(struct ph_graph *g, uint64_t id, const char *node, const char *param,
                         const char *value, enum ph_when when, struct ph_fault *fault)
{
    struct ph_ast_node *ast = ph_ast_find(g->ast, node);
    if (!ast) return no_such_node(g, node, fault);
    const struct ph_param *p = ph_param_find(ast->info->params, param, NULL);
    struct control c = { .id = id, .param = p };
    if (p) {
        ph_err ret = ph_param_parse(p, value, &c.value, fault);
        if (ret < 0) return ret;
        if (p->flags & PH_PARAM_SETUP && when != PH_AT_ONCE)
            return ph_fail(fault, PH_EINVAL, param,
                           "%s builds its node anew and cannot wait for a beat", param);
        if (p->flags & PH_PARAM_SETUP) return rebuild(g, id, node, param, value, fault);
    }
    wait_for_beat(g, when, &c);
    pthread_rwlock_wrlock(&g->topo);                           // others read the values
    ph_err ret = ph_ast_set(g->ast, ast, param, value, fault); // also refuses unknown names
    pthread_rwlock_unlock(&g->topo);
    if (ret < 0) return ret;
    return ph_node_post(ph_graph_find(g, node), c, p->type == PH_TYPE_STRING ? value : NULL);
}

ph_err ph_graph_set(struct ph_graph *g, uint64_t id, const char *node, const char *param,
                    const char *value, struct ph_fault *fault)
{
    return ph_graph_set_at(g, id, node, param, value, PH_AT_ONCE, fault);
}

ph_err ph_graph_set_at(struct ph_graph *g, uint64_t id, const char *node, const char *param,
                       const char *value, enum ph_when when, struct ph_fault *fault)
{
    pthread_mutex_lock(&g->ctl);
    ph_err ret = set_locked(g, id, node, param, value, when, fault);
    ph_graph_poke_all(g);
    pthread_mutex_unlock(&g->ctl);
    return ret;
}

// What is left out of the text leaves its links behind, so the changed text is read once more.
static ph_err drive_locked(struct ph_graph *g, uint64_t id, const char *node, const char *param,
                           const char *expr, struct ph_fault *fault)
{
    struct ph_ast *changed = NULL, *ast = NULL;
    if (!ph_ast_find(g->ast, node)) return no_such_node(g, node, fault);
    ph_err ret = parse_again(g, g->ast, &changed, fault);
    if (ret == PH_OK)
        ret = ph_drive_set(changed, ph_ast_find(changed, node), param, expr, fault);
    if (ret == PH_OK) ret = parse_again(g, changed, &ast, fault);
    ph_tree_free(changed);
    return ret == PH_OK ? replace_for(g, id, node, ast, fault) : ret;
}

ph_err ph_graph_drive(struct ph_graph *g, uint64_t id, const char *node, const char *param,
                      const char *expr, struct ph_fault *fault)
{
    struct ph_fault local;
    if (!fault) fault = &local;
    *fault = (struct ph_fault){ 0 };
    pthread_mutex_lock(&g->ctl);
    ph_err ret = drive_locked(g, id, node, param, expr, fault);
    ph_graph_poke_all(g);
    pthread_mutex_unlock(&g->ctl);
    return ret;
}

// --- cuts

static ph_err hard_cut(struct ph_graph *g, uint64_t id)
{
    struct cut_wait *w = malloc(sizeof *w);
    if (!w) return PH_ENOMEM;
    pthread_mutex_lock(&g->control_lock);
    uint32_t epoch = atomic_fetch_add(&g->epoch, 1) + 1;
    *w = (struct cut_wait){ g->cuts, id, epoch };
    g->cuts = w;
    atomic_fetch_add(&g->cuts_waiting, 1);
    pthread_mutex_unlock(&g->control_lock);
    return PH_OK;
}

// Acknowledged by the first node that knows cuts; without one, by the next frame of a sink.
static ph_err soft_cut(struct ph_graph *g, uint64_t id, struct ph_cut cut)
{
    struct ph_node *sink = NULL;
    bool known = false;
    for (int i = 0; i < g->node_count; i++) {
        struct ph_node *n = g->nodes[i];
        if (ph_node_is_sink(n) && !sink) sink = n;
        if (!n->info->cut) continue;
        ph_err ret =
            ph_node_post(n, (struct control){ .id = known ? 0 : id, .cut = cut }, NULL);
        if (ret < 0) return ret;
        known = true;
    }
    if (known || !sink) return PH_OK;
    return ph_node_post(sink, (struct control){ .id = id, .cut.chunks = -1 }, NULL);
}

ph_err ph_graph_cut(struct ph_graph *g, uint64_t id, struct ph_cut cut)
{
    pthread_mutex_lock(&g->ctl);
    if (!cut.hard && cut.chunks < 1) cut.chunks = 1;
    ph_err ret = cut.hard ? hard_cut(g, id) : soft_cut(g, id, cut);
    ph_graph_poke_all(g);
    pthread_mutex_unlock(&g->ctl);
    return ret;
}

// A sink has taken a frame: cuts whose epoch it shows are done.
void ph_graph_sink_frame(struct ph_graph *g, const struct ph_node *n)
{
    if (!atomic_load_explicit(&g->cuts_waiting, memory_order_acquire)) return;
    struct cut_wait *shown = NULL;
    pthread_mutex_lock(&g->control_lock);
    for (struct cut_wait **at = &g->cuts; *at;) {
        struct cut_wait *w = *at;
        if ((int32_t) (n->last_epoch - w->epoch) < 0) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->next = shown;
        shown = w;
        atomic_fetch_sub(&g->cuts_waiting, 1);
    }
    pthread_mutex_unlock(&g->control_lock);
    while (shown) {
        struct cut_wait *w = shown;
        shown = w->next;
        ph_graph_event(g, &(struct ph_event){ PH_EVENT_ACK, w->id, NULL, NULL, n->last_id,
                                              n->last_epoch });
        free(w);
    }
}
