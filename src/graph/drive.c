// SPDX-License-Identifier: MIT
// Parameters that signals drive: evaluated once before each run of their node, from the signals
// that its hidden port holds. Offline those are the newest that are not later than the frame, so
// the result is the same on every run; live they are the newest that have come, and which these
// were is in the journal as for every held port.
#include "graph/graph_priv.h"

#include "core/tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RELAXED     memory_order_relaxed
#define DEFAULT_BPM 120

// --- life

static double number_of(const struct ph_param *p, union ph_value v)
{
    switch (p->type) {
    case PH_TYPE_FLOAT: return (double) v.f;
    case PH_TYPE_INT: return (double) v.i;
    case PH_TYPE_BOOL: return v.b;
    case PH_TYPE_ENUM: return v.e;
    default: return 0;
    }
}

static ph_err fill(struct drives *all, struct drive *d, const struct ph_ast_drive *ast)
{
    size_t bytes = (size_t) ast->expr.count * sizeof *ast->expr.ops;
    d->param = ast->param;
    d->expr = ast->expr;
    d->text = ph_tree_text(all, ast->text, strlen(ast->text));
    d->expr.ops = ph_tree_alloc(all, bytes + 1);
    d->states = ph_new(all, struct ph_expr_state, (size_t) ast->expr.states + 1);
    if (!d->text || !d->expr.ops || !d->states) return PH_ENOMEM;
    memcpy(d->expr.ops, ast->expr.ops, bytes);
    all->counts |= d->expr.beat;
    return PH_OK;
}

// FNV-1a of the names, mixed with the graph's seed: the same in every run of the same text.
static uint64_t seed_of(const struct ph_graph *g, const char *node, const char *param)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) + g->seed * UINT64_C(0x9e3779b97f4a7c15);
    for (const char *c = node; *c; c++) h = (h ^ (unsigned char) *c) * UINT64_C(0x100000001b3);
    h = (h ^ '.') * UINT64_C(0x100000001b3);
    for (const char *c = param; *c; c++) h = (h ^ (unsigned char) *c) * UINT64_C(0x100000001b3);
    return h;
}

ph_err ph_drives_create(struct drives **out, const struct ph_ast *ast, int node,
                        const struct ph_graph *g)
{
    int count = 0;
    *out = NULL;
    for (int i = 0; i < ast->drive_count; i++) count += ast->drives[i].node == node;
    if (!count) return PH_OK;
    struct drives *all = *out = ph_new(NULL, struct drives, 1);
    if (!all || !(all->of = ph_new(all, struct drive, (size_t) count))) return PH_ENOMEM;
    for (int i = 0; i < ast->drive_count; i++) {
        const struct ph_ast_drive *d = &ast->drives[i];
        if (d->node != node) continue;
        all->of[all->count].seed = seed_of(g, ast->nodes[node].name, d->param->name);
        if (fill(all, &all->of[all->count++], d) < 0) return PH_ENOMEM;
    }
    return PH_OK;
}

void ph_drives_destroy(struct drives **d)
{
    ph_tree_free(*d);
    *d = NULL;
}

static struct drive *find(const struct drives *all, const struct ph_param *p)
{
    for (int i = 0; all && i < all->count; i++)
        if (all->of[i].param == p) return &all->of[i];
    return NULL;
}

// What it remembers goes on when it says the same.
static void go_on(struct drive *now, const struct drive *was)
{
    atomic_store_explicit(&now->shows, atomic_load_explicit(&was->shows, RELAXED), RELAXED);
    atomic_store_explicit(&now->known, atomic_load_explicit(&was->known, RELAXED), RELAXED);
    if (!strcmp(now->text, was->text))
        memcpy(now->states, was->states, (size_t) now->expr.states * sizeof *now->states);
}

// number_of's way back.
static union ph_value value_of(const struct ph_param *p, double x)
{
    union ph_value v = { 0 };
    switch (p->type) {
    case PH_TYPE_FLOAT: v.f = (float) x; break;
    case PH_TYPE_INT: v.i = (int64_t) x; break;
    case PH_TYPE_BOOL: v.b = x > 0; break;
    case PH_TYPE_ENUM: v.e = (int) x; break;
    default: break;
    }
    return v;
}

union ph_value ph_drives_by_hand(const struct ph_node *n, const struct ph_param *p)
{
    const struct drive *d = find(n->drives, p);
    return d ? value_of(p, d->by_hand) : ph_node_value(n, p);
}

void ph_drives_swap(struct ph_node *n, struct drives **fresh)
{
    struct drives *was = n->drives, *now = *fresh;
    n->drives = now;
    *fresh = was;
    for (int i = 0; was && i < was->count; i++)
        if (!find(now, was->of[i].param))
            ph_node_put(n, was->of[i].param, value_of(was->of[i].param, was->of[i].by_hand));
    if (was && now) {
        now->pts_ns = was->pts_ns;
        now->began = was->began;
        now->has_beat = was->has_beat;
        now->beat = was->beat;
        now->bpm = was->bpm;
        now->per_bar = was->per_bar;
    }
    for (int i = 0; now && i < now->count; i++) {
        const struct drive *old = find(was, now->of[i].param);
        if (!old) {
            ph_drives_set_by_hand(n, now->of[i].param); // nothing drove it until now
            continue;
        }
        now->of[i].by_hand = old->by_hand;
        go_on(&now->of[i], old);
    }
}

void ph_drives_set_by_hand(struct ph_node *n, const struct ph_param *p)
{
    struct drive *d = find(n->drives, p);
    if (d) d->by_hand = number_of(p, ph_node_value(n, p));
}

void ph_drives_reset(struct ph_node *n)
{
    for (int i = 0; n->drives && i < n->drives->count; i++) {
        struct drive *d = &n->drives->of[i];
        memset(d->states, 0, (size_t) d->expr.states * sizeof *d->states);
    }
    if (n->drives) n->drives->began = n->drives->has_beat = false;
}

// --- one evaluation

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static int last_name(const struct ph_param *p)
{
    int n = 0;
    while (p->names[n] && p->names[n + 1]) n++;
    return n;
}

// As the parameter can take it; false when it cannot.
static bool fit(const struct ph_param *p, double x, union ph_value *v)
{
    if (isnan(x) || (isinf(x) && p->flags & PH_PARAM_RING)) return false;
    if (p->flags & PH_PARAM_RING)
        x -= floor((x - p->min) / (p->max - p->min)) * (p->max - p->min);
    if (p->min != 0 || p->max != 0) x = clamp(x, p->min, p->max);
    *v = (union ph_value){ 0 };
    switch (p->type) {
    case PH_TYPE_FLOAT: v->f = (float) x; return isfinite(v->f);
    case PH_TYPE_INT: v->i = (int64_t) floor(clamp(x, -9e15, 9e15) + 0.5); return true;
    case PH_TYPE_BOOL: v->b = x >= 0.5; return true;
    case PH_TYPE_ENUM: v->e = (int) floor(clamp(x, 0, last_name(p)) + 0.5); return true;
    default: return false;
    }
}

static void drive_one(struct ph_node *n, struct drive *d, struct ph_expr_now *now)
{
    union ph_value v;
    now->value = d->by_hand;
    now->seed = d->seed;
    if (!fit(d->param, ph_expr_value(&d->expr, now, d->states), &v)) return;
    double number = number_of(d->param, v);
    if (number != number_of(d->param, ph_node_value(n, d->param))) ph_node_put(n, d->param, v);
    atomic_store_explicit(&d->shows, number, RELAXED);
    atomic_store_explicit(&d->known, true, RELAXED);
}

// The frame that this run is about: false when it is about none (the end of one).
static bool about(struct ph_node *n, int64_t *pts_ns, int64_t *capture_ns)
{
    *capture_ns = n->lane->now_ns;
    *pts_ns = n->in_pts_ns;
    for (int p = 0; p < n->in_count && !n->source; p++) {
        const struct node_port *port = &n->in[p];
        if (port->info->flags & PH_PORT_HOLD) continue;
        for (int i = 0; i < port->count; i++) {
            const struct ph_link *l = port->links[(port->next + i) % port->count];
            const struct ph_frame *f = l->inbox.frame;
            if (!l->queue && l->ring.count) f = l->ring.items[l->ring.head].frame;
            if (!f) continue;
            *pts_ns = f->pts_ns;
            *capture_ns = f->capture_ns;
            return true;
        }
    }
    return n->source;
}

// How long after these signals the frame will be seen. Offline, at its own time. Live, the one clock
// that both know is that of capture, and a picture is on its way for a while: that is measured, so
// it is chance, and comes from the journal when a run is repeated.
static int64_t lead_ns(struct ph_node *n, const struct ph_frame *signals, int64_t pts_ns,
                       int64_t capture_ns)
{
    struct ph_graph *g = n->graph;
    if (g->par.mode != PH_LIVE) return ph_node_chance(n, "lead", pts_ns - signals->pts_ns);
    struct drives *all = n->drives; // what the journal keeps, it keeps once a run of the lane
    if (all->lead_pass != n->lane->pass) {
        int64_t late = atomic_load_explicit(&g->latency_ns, RELAXED);
        all->lead_ns = ph_node_chance(n, "lead", capture_ns - signals->capture_ns + late);
    }
    all->lead_pass = n->lane->pass;
    return all->lead_ns;
}

// Where the music is: said by the first node of the text that knows. While nobody does it goes on as it last went,
// and before anybody did, at 120 a minute.
static void find_beat(struct ph_node *n, struct drives *all, int slots, int64_t pts_ns,
                      int64_t capture_ns, double dt_s)
{
    const struct ph_link *first = NULL;
    for (int i = 0; i < slots; i++) {
        const struct ph_link *l = n->in[n->in_count - 1].links[i];
        if (!l->held || !(l->held->signals.beat.bpm > 0)) continue;
        if (!first || l->from->index < first->from->index) first = l;
    }
    if (first) {
        const struct ph_beat *b = &first->held->signals.beat;
        double s = (double) lead_ns(n, first->held, pts_ns, capture_ns) * 1e-9;
        all->bpm = b->bpm;
        all->beat = b->beat + s * b->bpm / 60;
        all->per_bar = b->per_bar;
        all->has_beat = true;
        return;
    }
    if (all->has_beat) {
        all->beat += dt_s * all->bpm / 60;
        return;
    }
    all->bpm = DEFAULT_BPM;
    all->per_bar = 4;
    all->beat = (double) pts_ns * 1e-9 * DEFAULT_BPM / 60;
}

static bool all_held(const struct drive *d, const struct ph_signals *const *slots)
{
    for (int i = 0; i < d->expr.count; i++)
        if (ph_expr_slot(&d->expr.ops[i]) >= 0 && !slots[ph_expr_slot(&d->expr.ops[i])])
            return false;
    return true;
}

void ph_drives_run(struct ph_node *n)
{
    struct drives *all = n->drives;
    const struct node_port *port = &n->in[n->in_count - 1];
    const struct ph_signals *slots[PH_MAX_NODES] = { 0 };
    int64_t pts_ns, capture_ns, kept_ns = n->in_pts_ns;
    if (!about(n, &pts_ns, &capture_ns)) return;
    n->in_pts_ns = pts_ns; // what held ports go by
    for (int i = 0; i < port->count && i < PH_MAX_NODES; i++) {
        const struct ph_frame *f = ph_node_held(n, port->links[i]);
        if (f) slots[i] = &f->signals;
    }
    n->in_pts_ns = kept_ns;
    int64_t dt_ns = all->began ? pts_ns - all->pts_ns : 0;
    struct ph_expr_now now = { .slots = slots, .time_s = (double) pts_ns * 1e-9 };
    now.dt_s = dt_ns > 0 ? (double) dt_ns * 1e-9 : 0; // a film that begins again goes back
    if (all->counts) find_beat(n, all, port->count, pts_ns, capture_ns, now.dt_s);
    all->began = true;
    all->pts_ns = pts_ns;
    now.beat = all->beat;
    now.bpm = all->bpm;
    now.per_bar = all->per_bar;
    for (int i = 0; i < all->count; i++)
        if (all_held(&all->of[i], slots)) drive_one(n, &all->of[i], &now);
}

// --- what signals say, for who looks on

ph_err ph_meters_create(struct ph_node *n)
{
    int count = 0;
    while (n->info->signals && n->info->signals[count].name) count++;
    if (!count) return PH_OK;
    n->meters = calloc(1, sizeof *n->meters + (size_t) count * sizeof n->meters->value[0]);
    if (!n->meters) return PH_ENOMEM;
    n->meters->count = count;
    return PH_OK;
}

#define FORGET_NS (5 * PH_SECOND_NS) // a tempo that nobody has confirmed for so long is none

static void set_clock(struct ph_node *n, const struct ph_frame *f)
{
    struct beat_clock *c = &n->graph->clock;
    const struct ph_beat *b = &f->signals.beat;
    pthread_mutex_lock(&c->lock);
    bool free = !c->at_ns || f->capture_ns - c->at_ns > FORGET_NS;
    if (b->bpm > 0 && (free || n->index <= c->node)) {
        c->node = n->index;
        c->at_ns = f->capture_ns ? f->capture_ns : 1; // a virtual clock begins at 0
        c->beat = b->beat;
        c->bpm = b->bpm;
        c->per_bar = b->per_bar > 0 ? b->per_bar : 4;
    } else if (n->index == c->node && !(b->bpm > 0)) {
        c->at_ns = 0;
    }
    pthread_mutex_unlock(&c->lock);
}

bool ph_graph_beat(struct ph_graph *g, int64_t now_ns, double *beat, int *per_bar)
{
    struct beat_clock *c = &g->clock;
    pthread_mutex_lock(&c->lock);
    bool known = c->at_ns && now_ns - c->at_ns < FORGET_NS;
    int64_t lead_ns = now_ns - c->at_ns + atomic_load_explicit(&g->latency_ns, RELAXED);
    *beat = c->beat + (double) lead_ns * 1e-9 * c->bpm / 60;
    *per_bar = c->per_bar;
    pthread_mutex_unlock(&c->lock);
    return known;
}

void ph_meters_show(struct ph_node *n, const struct ph_frame *f)
{
    struct meters *m = n->meters;
    if (!m) return;
    set_clock(n, f);
    for (int i = 0; i < m->count && i < f->signals.count; i++)
        atomic_store_explicit(&m->value[i], f->signals.value[i], RELAXED);
    atomic_store_explicit(&m->beat, (float) f->signals.beat.beat, RELAXED);
    atomic_store_explicit(&m->bpm, (float) f->signals.beat.bpm, RELAXED);
    atomic_store_explicit(&m->confidence, f->signals.beat.confidence, RELAXED);
}
