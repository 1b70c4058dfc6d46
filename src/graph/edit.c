// SPDX-License-Identifier: MIT
// From an ast to running nodes, links and lanes: for a new graph and for an edit of a running one.
// Everything that can fail (opening nodes, memory) happens beside the running graph; then the
// lanes pause between two frames, pointers are swapped, and they go on.
#include "graph/graph_priv.h"

#include "core/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct build {
    struct ph_graph *g;
    struct ph_ast *ast;
    struct ph_node **nodes;
    bool *fresh; // node was made for this build
    struct ph_link **links;
    int link_count; // of the ast, then external ones
    bool *kept;     // link comes from the old graph
    struct ph_lane **lanes;
    struct node_port **in, **out; // of each node, to be swapped in
    struct drives **drives;       // of each node, to be swapped in
};

// --- which nodes go on

static const char *param_text(const struct ph_ast_node *n, const struct ph_param *p)
{
    for (int i = 0; i < n->param_count; i++)
        if (n->params[i].info == p) return n->params[i].value;
    return NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static bool can_go_on(const struct ph_ast_node *was, const struct ph_ast_node *now)
{
    if (!was || was->info != now->info) return false;
    for (const struct ph_param *p = now->info->params; p && p->name; p++)
        if (p->flags & PH_PARAM_SETUP && !same_text(param_text(was, p), param_text(now, p)))
            return false;
    return true;
}

static ph_err make_nodes(struct build *b, struct ph_fault *fault)
{
    for (int i = 0; i < b->ast->node_count; i++) {
        const struct ph_ast_node *now = &b->ast->nodes[i];
        const struct ph_ast_node *was = b->g->ast ? ph_ast_find(b->g->ast, now->name) : NULL;
        if (can_go_on(was, now)) {
            b->nodes[i] = b->g->nodes[was - b->g->ast->nodes];
            continue;
        }
        b->fresh[i] = true;
        ph_err ret = ph_node_create(&b->nodes[i], b->g, now, fault);
        if (ret < 0) return ret;
    }
    return PH_OK;
}

// --- links

static bool link_in_build(const struct build *b, const struct ph_link *l)
{
    for (int i = 0; i < b->ast->link_count; i++)
        if (b->links[i] == l) return true;
    return false;
}

// Two links may have the same ends: each goes on once.
static struct ph_link *find_old(const struct build *b, const struct ph_ast_link *l, bool queue)
{
    for (int i = 0; i < b->g->link_count; i++) {
        struct ph_link *old = b->g->links[i];
        if (old->from == b->nodes[l->from] && old->to == b->nodes[l->to] &&
            old->from_port == l->from_port && old->to_port == l->to_port &&
            old->queue == queue && !link_in_build(b, old))
            return old;
    }
    return NULL;
}

static ph_err make_links(struct build *b)
{
    ph_err ret;
    for (int i = 0; i < b->ast->link_count; i++) {
        const struct ph_ast_link *l = &b->ast->links[i];
        bool queue = l->queue && b->ast->lane[l->from] != b->ast->lane[l->to];
        b->links[i] = find_old(b, l, queue);
        b->kept[i] = b->links[i] != NULL;
        if (b->kept[i]) continue;
        if ((ret = ph_link_create(&b->links[i], b->g)) < 0) return ret;
        struct ph_link *link = b->links[i];
        link->from = b->nodes[l->from];
        link->to = b->nodes[l->to];
        link->from_port = l->from_port;
        link->to_port = l->to_port;
        link->queue = queue;
        link->drop = l->drop;
        link->depth = l->depth;
    }
    return PH_OK;
}

// Offline nothing may be lost: every link blocks. A hold port must be able to run ahead of its
// trigger, else the two would wait for one another.
static void set_policy(struct build *b, int i)
{
    const struct ph_ast_link *l = &b->ast->links[i];
    struct ph_link *link = b->links[i];
    bool hold = ph_port_in(b->ast->nodes[l->to].info, l->to_port)->flags & PH_PORT_HOLD;
    bool offline = b->g->par.mode == PH_OFFLINE || (!link->queue && !l->drive);
    link->drop = offline ? PH_DROP_BLOCK : l->drop;
    link->depth = b->g->par.mode == PH_OFFLINE && l->depth < 4 ? 4 : l->depth;
    if (hold && offline && l->depth < 256) link->depth = 256;
    // Live, a lane went on beside a full link that drops: it must here, too.
    if (b->g->replaying && l->drop != PH_DROP_BLOCK) link->depth++;
    // Signals are small and may run ten minutes ahead of the pictures that they drive: a lane that
    // waited for room here might be the very one that those pictures come from.
    if (l->drive && offline) link->depth = 1 << 16;
}

static bool has_external(const struct ph_node_info *info)
{
    for (int i = 0; i < ph_port_count(info->in); i++)
        if (info->in[i].flags & PH_PORT_EXTERNAL) return true;
    return false;
}

// Marks the lanes on the ways to `node` from that lane; it is not looked beyond it. false: something
// from outside comes in on the way, of which nobody knows when.
static bool mark_feeders(const struct build *b, int node, int own, struct ph_link *link,
                         bool seen[PH_MAX_NODES])
{
    if (b->ast->lane[node] == own) {
        link->own_fed = true;
        return true;
    }
    if (seen[node]) return true;
    seen[node] = true;
    int lane = b->ast->lane[node];
    link->feeders[lane / 64] |= UINT64_C(1) << (lane % 64);
    if (has_external(b->ast->nodes[node].info)) return false;
    for (int i = 0; i < b->ast->link_count; i++)
        if (b->ast->links[i].to == node &&
            !mark_feeders(b, b->ast->links[i].from, own, link, seen))
            return false;
    return true;
}

static void find_feeders(struct build *b, int i)
{
    const struct ph_ast_link *l = &b->ast->links[i];
    struct ph_link *link = b->links[i];
    bool seen[PH_MAX_NODES] = { 0 };
    bool hold = ph_port_in(b->ast->nodes[l->to].info, l->to_port)->flags & PH_PORT_HOLD;
    link->own_fed = false;
    memset(link->feeders, 0, sizeof link->feeders);
    if (b->g->par.mode != PH_OFFLINE || !hold || !link->queue) return;
    if (!mark_feeders(b, l->from, b->ast->lane[l->to], link, seen)) link->own_fed = false;
    b->g->own_fed |= link->own_fed;
}

static struct node_port *copy_ports(const struct node_port *from, int count)
{
    struct node_port *ports = calloc((size_t) count + 1, sizeof *ports);
    for (int i = 0; ports && i < count; i++) ports[i].info = from[i].info;
    return ports;
}

static bool add_link(struct node_port *p, struct ph_link *l)
{
    struct ph_link **links = realloc(p->links, (size_t) (p->count + 1) * sizeof *links);
    if (!links) return false;
    p->links = links;
    p->links[p->count++] = l;
    return true;
}

static ph_err make_ports(struct build *b)
{
    bool ok = true;
    for (int i = 0; i < b->ast->node_count; i++) {
        struct ph_node *n = b->nodes[i];
        b->in[i] = copy_ports(n->in, n->in_count);
        b->out[i] = copy_ports(n->out, n->out_count);
        if (!b->in[i] || !b->out[i]) return PH_ENOMEM;
        for (int p = 0; p < n->in_count; p++) {
            if (!(n->in[p].info->flags & PH_PORT_EXTERNAL)) continue;
            ok = ok && add_link(&b->in[i][p], n->in[p].links[0]);
            b->links[b->link_count++] = n->in[p].links[0];
        }
    }
    for (int i = 0; i < b->ast->link_count; i++) {
        const struct ph_ast_link *l = &b->ast->links[i];
        ok = ok && add_link(&b->out[l->from][l->from_port], b->links[i]);
        ok = ok && add_link(&b->in[l->to][l->to_port], b->links[i]);
    }
    return ok ? PH_OK : PH_ENOMEM;
}

static ph_err make_drives(struct build *b)
{
    for (int i = 0; i < b->ast->node_count; i++) {
        ph_err ret = ph_drives_create(&b->drives[i], b->ast, i, b->g);
        if (ret < 0) return ret;
    }
    return PH_OK;
}

// --- lanes

static bool leads_in(const struct build *b, const struct ph_link *l, int lane)
{
    if (!l->queue) return false;
    for (int i = 0; i < b->ast->node_count; i++)
        if (b->nodes[i] == l->to) return b->ast->lane[i] == lane;
    return false;
}

static bool leads_out(const struct build *b, const struct ph_link *l, int lane)
{
    if (!l->queue || !l->from) return false;
    for (int i = 0; i < b->ast->node_count; i++)
        if (b->nodes[i] == l->from) return b->ast->lane[i] == lane;
    return false;
}

static ph_err fill_lane(struct build *b, struct ph_lane *lane)
{
    size_t nodes = (size_t) b->ast->node_count + 1, links = (size_t) b->link_count + 1;
    lane->nodes = calloc(nodes, sizeof *lane->nodes);
    lane->in = calloc(links, sizeof *lane->in);
    lane->blocking = calloc(links, sizeof *lane->blocking);
    lane->leaving = calloc(links, sizeof *lane->leaving);
    if (!lane->nodes || !lane->in || !lane->blocking || !lane->leaving) return PH_ENOMEM;
    for (int k = 0; k < b->ast->node_count; k++) {
        int i = b->ast->order[k];
        if (b->ast->lane[i] == lane->index) lane->nodes[lane->node_count++] = b->nodes[i];
    }
    for (int i = 0; i < b->link_count; i++) {
        struct ph_link *l = b->links[i];
        if (leads_in(b, l, lane->index)) lane->in[lane->in_count++] = l;
        if (!leads_out(b, l, lane->index)) continue;
        lane->leaving[lane->leaving_count++] = l;
        bool block = b->g->par.mode == PH_OFFLINE || b->ast->links[i].drop == PH_DROP_BLOCK;
        if (block) lane->blocking[lane->blocking_count++] = l;
    }
    return PH_OK;
}

static void count_starters(struct build *b, struct ph_lane *lane)
{
    int inputs = 0, sources = 0;
    for (int i = 0; i < lane->in_count; i++) {
        struct ph_link *l = lane->in[i];
        const struct ph_port_info *port = ph_port_in(l->to->info, l->to_port);
        if (port->flags & PH_PORT_HOLD) continue;
        inputs++;
        for (int k = 0; k < b->link_count; k++)
            if (b->links[k] == l) lane->input = k;
    }
    for (int i = 0; i < b->ast->node_count; i++)
        if (b->ast->lane[i] == lane->index)
            sources += ph_node_starts_itself(b->nodes[i], b->in[i]);
    lane->one_input = inputs == 1 && !sources;
    lane->one_source = sources == 1 && !inputs;
}

static ph_err make_lanes(struct build *b)
{
    ph_err ret;
    for (int k = 0; k < b->ast->lanes; k++) {
        const char *name = "";
        for (int i = b->ast->node_count - 1; i >= 0; i--)
            if (b->ast->lane[i] == k) name = b->ast->nodes[i].name;
        if ((ret = ph_lane_create(&b->lanes[k], b->g, k, name)) < 0) return ret;
        if ((ret = fill_lane(b, b->lanes[k])) < 0) return ret;
        count_starters(b, b->lanes[k]);
    }
    return PH_OK;
}

// --- the swap; nothing here fails

static void swap_ports(struct build *b, int i)
{
    struct ph_node *n = b->nodes[i];
    bool same_inputs = true, source = ph_node_starts_itself(n, b->in[i]);
    if (source && !n->source && n->frames_in) {
        n->ticker.next = n->last_id + 1; // ids only rise
        n->ticker_started = false;       // and the next one is due now
    }
    n->source = source;
    for (int p = 0; p < n->in_count; p++) {
        struct node_port *was = &n->in[p], *now = &b->in[i][p];
        bool same = was->count == now->count;
        for (int k = 0; same && k < now->count; k++) same = was->links[k] == now->links[k];
        if (same) now->eof_told = was->eof_told;
        now->next = same ? was->next : 0;
        same_inputs = same_inputs && same;
        free(was->links);
    }
    for (int p = 0; p < n->out_count; p++) free(n->out[p].links);
    free(n->in);
    free(n->out);
    n->in = b->in[i];
    n->out = b->out[i];
    b->in[i] = b->out[i] = NULL;
    // a node whose input had ended lives again with a new one
    if (!same_inputs && !n->source) n->done = false;
}

// Parameters that the new text changes on nodes that go on.
static void update_params(struct build *b, int i)
{
    const struct ph_ast_node *now = &b->ast->nodes[i];
    const struct ph_ast_node *was = ph_ast_find(b->g->ast, now->name);
    for (const struct ph_param *p = now->info->params; p && p->name; p++) {
        const char *text = param_text(now, p), *old = param_text(was, p);
        if (same_text(text, old)) continue;
        ph_node_outdate(b->nodes[i], p);
        ph_node_store(b->nodes[i], p, text); // NULL = its default
    }
}

static bool in_build(const struct build *b, const struct ph_node *n)
{
    for (int i = 0; i < b->ast->node_count; i++)
        if (b->nodes[i] == n) return true;
    return false;
}

static bool is_fed_again(const struct ph_node *n)
{
    for (int p = 0; p < n->in_count; p++)
        for (int k = 0; k < n->in[p].count; k++) {
            const struct ph_link *l = n->in[p].links[k];
            if (l->from && l->eof && !l->from->done) return true;
        }
    return false;
}

// Ends, once more: what ended because nobody read it may be read now, and what is fed again goes
// on, with all behind it. What a lane must not know any more follows from that.
static void revive(struct build *b)
{
    for (int k = 0; k < b->ast->node_count; k++) {
        struct ph_node *n = b->nodes[b->ast->order[k]];
        if (n->unread || (!n->source && is_fed_again(n))) n->done = n->unread = false;
        for (int p = 0; p < n->in_count; p++)
            for (int i = 0; i < n->in[p].count; i++) {
                struct ph_link *l = n->in[p].links[i];
                if (l->from) l->eof = l->from->done;
                atomic_store(&l->unread, n->done);
            }
        for (int p = 0; p < n->in_count; p++)
            n->in[p].eof_told = n->in[p].eof_told && ph_port_ended(&n->in[p]);
    }
}

static void enter_lanes(struct build *b)
{
    for (int i = 0; i < b->ast->node_count; i++) b->nodes[i]->lane = b->lanes[b->ast->lane[i]];
    revive(b);
    for (int k = 0; k < b->ast->lanes; k++) {
        struct ph_lane *lane = b->lanes[k];
        bool done = true;
        for (int i = 0; i < lane->node_count; i++) done = done && lane->nodes[i]->done;
        atomic_store(&lane->done, done);
    }
}

// A node that leaves: its own thread may ask about it until it is closed.
static void leave(struct ph_node *n)
{
    ph_node_drop_controls(n);
    ph_node_orphan_subscriptions(n);
    n->lane = NULL;
    for (int p = 0; p < n->out_count; p++) n->out[p].count = 0;
    for (int p = 0; p < n->in_count; p++)
        if (!(n->in[p].info->flags & PH_PORT_EXTERNAL)) n->in[p].count = 0;
}

// Old nodes and links that the new graph does not have are handed back to be destroyed later,
// because closing a node (a file, a device) may take its time.
static void swap_in(struct build *b, struct ph_node **gone, int *gone_count)
{
    struct ph_graph *g = b->g;
    for (int i = 0; i < b->ast->node_count; i++) {
        if (!b->fresh[i]) update_params(b, i);
        swap_ports(b, i);
        ph_drives_swap(b->nodes[i], &b->drives[i]);
    }
    g->own_fed = false;
    g->rings = g->par.mode == PH_OFFLINE && !g->replaying && ph_still_rings(b->ast);
    for (int i = 0; i < b->ast->link_count; i++) {
        set_policy(b, i);
        find_feeders(b, i);
    }
    for (int i = 0; i < g->link_count; i++)
        if (g->links[i]->from && !link_in_build(b, g->links[i])) ph_link_destroy(&g->links[i]);
    for (int i = 0; i < g->node_count; i++) {
        if (in_build(b, g->nodes[i])) continue;
        leave(g->nodes[i]);
        gone[(*gone_count)++] = g->nodes[i];
    }
    for (int i = 0; i < g->lane_count; i++) ph_lane_destroy(&g->lanes[i]);
    free(g->nodes);
    free(g->links);
    free(g->lanes);
    ph_tree_free(g->ast);
    g->ast = b->ast;
    g->nodes = b->nodes;
    g->node_count = b->ast->node_count;
    for (int i = 0; i < g->node_count; i++) g->nodes[i]->index = i;
    g->links = b->links;
    g->link_count = b->link_count;
    g->lanes = b->lanes;
    g->lane_count = b->ast->lanes;
    for (int i = 0; i < g->link_count; i++) {
        bool kept = i < b->ast->link_count && b->kept[i];
        g->links[i]->previous = kept ? g->links[i]->index : -1;
        g->links[i]->index = i;
    }
    enter_lanes(b);
    for (int i = 0; i < g->node_count; i++) ph_node_adopt_subscriptions(g->nodes[i]);
}

static void discard(struct build *b)
{
    for (int i = 0; b->fresh && i < b->ast->node_count; i++)
        if (b->fresh[i]) ph_node_destroy(&b->nodes[i]);
    for (int i = 0; b->links && b->kept && i < b->ast->link_count; i++)
        if (!b->kept[i]) ph_link_destroy(&b->links[i]);
    for (int k = 0; b->lanes && k < b->ast->lanes; k++) ph_lane_destroy(&b->lanes[k]);
    free(b->nodes);
    free(b->links);
    free(b->lanes);
    ph_tree_free(b->ast);
}

static void free_ports(struct node_port *ports)
{
    for (struct node_port *p = ports; p && p->info; p++) free(p->links);
    free(ports);
}

static void free_scratch(struct build *b, int nodes)
{
    for (int i = 0; b->in && b->out && i < nodes; i++) {
        free_ports(b->in[i]);
        free_ports(b->out[i]);
    }
    for (int i = 0; b->drives && i < nodes; i++) ph_drives_destroy(&b->drives[i]);
    free(b->drives);
    free(b->fresh);
    free(b->kept);
    free(b->in);
    free(b->out);
}

static ph_err prepare(struct build *b, struct ph_fault *fault)
{
    ph_err ret;
    size_t nodes = (size_t) b->ast->node_count + 1, links = (size_t) b->ast->link_count + 1;
    b->nodes = calloc(nodes, sizeof *b->nodes);
    b->fresh = calloc(nodes, sizeof *b->fresh);
    b->in = calloc(nodes, sizeof *b->in);
    b->out = calloc(nodes, sizeof *b->out);
    b->drives = calloc(nodes, sizeof *b->drives);
    b->kept = calloc(links, sizeof *b->kept);
    b->links = calloc(links + nodes * 8, sizeof *b->links); // at most 8 external ports a node
    b->lanes = calloc((size_t) b->ast->lanes + 1, sizeof *b->lanes);
    b->link_count = b->ast->link_count;
    if (!b->nodes || !b->fresh || !b->in || !b->out || !b->drives || !b->kept || !b->links ||
        !b->lanes)
        return ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
    if ((ret = make_nodes(b, fault)) < 0) return ret;
    if ((ret = make_links(b)) < 0 || (ret = make_ports(b)) < 0 || (ret = make_lanes(b)) < 0 ||
        (ret = make_drives(b)) < 0)
        return ph_fail(fault, ret, "graph", "out of memory");
    return PH_OK;
}

ph_err ph_graph_build(struct ph_graph *g, struct ph_ast *ast, struct ph_fault *fault)
{
    struct build b = { .g = g, .ast = ast };
    int nodes = ast->node_count, gone_count = 0;
    struct ph_node **gone = calloc((size_t) g->node_count + 1, sizeof *gone);
    ph_err ret =
        gone ? prepare(&b, fault) : ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
    if (ret < 0) {
        discard(&b);
        free_scratch(&b, nodes);
        free(gone);
        return ret;
    }
    if (g->started) {
        atomic_store(&g->pausing, true);
        ph_graph_join_lanes(g);
        atomic_store(&g->pausing, false);
    }
    // what was asked for before the edit comes before the edit
    for (int i = 0; i < g->lane_count && !g->replay; i++) ph_lane_settle(g->lanes[i]);
    ph_journal_edit_begin(g);
    pthread_rwlock_wrlock(&g->topo);
    swap_in(&b, gone, &gone_count);
    pthread_rwlock_unlock(&g->topo);
    ph_journal_edit_end(g);
    // the lanes of a replay are started by who prepared their scripts
    if (g->started && !g->replay && !atomic_load(&g->stopping)) ph_graph_start_lanes(g);
    free_scratch(&b, nodes);
    for (int i = 0; i < gone_count; i++) ph_node_destroy(&gone[i]);
    free(gone);
    return PH_OK;
}
