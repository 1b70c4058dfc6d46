// SPDX-License-Identifier: MIT
// One node: life, changes, and its run inside a lane.
#include "graph/graph_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELAXED memory_order_relaxed

// --- life

static void *field(const struct ph_node *n, const struct ph_param *p)
{
    return (char *) n->priv + p->offset;
}

union ph_value ph_node_value(const struct ph_node *n, const struct ph_param *p)
{
    union ph_value v = { 0 };
    const void *at = field(n, p);
    switch (p->type) {
    case PH_TYPE_FLOAT: v.f = *(const float *) at; break;
    case PH_TYPE_INT: v.i = *(const int64_t *) at; break;
    case PH_TYPE_BOOL: v.b = *(const bool *) at; break;
    case PH_TYPE_STRING: v.s = *(const char *const *) at; break;
    case PH_TYPE_ENUM: v.e = *(const int *) at; break;
    case PH_TYPE_SIZE: v.size = *(const struct ph_size *) at; break;
    case PH_TYPE_COLOR: v.color = *(const uint32_t *) at; break;
    case PH_TYPE_NONE: break;
    }
    return v;
}

// Strings: the field owns a malloc'ed text, which is swapped with *text.
static void store_value(struct ph_node *n, const struct ph_param *p, union ph_value v,
                        char **text)
{
    void *at = field(n, p);
    switch (p->type) {
    case PH_TYPE_FLOAT: *(float *) at = v.f; break;
    case PH_TYPE_INT: *(int64_t *) at = v.i; break;
    case PH_TYPE_BOOL: *(bool *) at = v.b; break;
    case PH_TYPE_ENUM: *(int *) at = v.e; break;
    case PH_TYPE_SIZE: *(struct ph_size *) at = v.size; break;
    case PH_TYPE_COLOR: *(uint32_t *) at = v.color; break;
    case PH_TYPE_STRING: {
        char *old = *(char **) at;
        *(char **) at = *text;
        *text = old;
        break;
    }
    case PH_TYPE_NONE: break;
    }
}

static ph_err store_text(struct ph_node *n, const struct ph_param *p, const char *text,
                         struct ph_fault *fault)
{
    union ph_value v;
    ph_err ret = ph_param_parse(p, text, &v, fault);
    if (ret < 0) return ret;
    char *copy = p->type == PH_TYPE_STRING ? strdup(text) : NULL;
    if (p->type == PH_TYPE_STRING && !copy) return PH_ENOMEM;
    store_value(n, p, v, &copy);
    free(copy);
    return PH_OK;
}

static const char *default_text(const struct ph_param *p)
{
    if (p->def) return p->def;
    switch (p->type) {
    case PH_TYPE_FLOAT:
    case PH_TYPE_INT: return "0";
    case PH_TYPE_BOOL: return "off";
    case PH_TYPE_ENUM: return p->names[0];
    case PH_TYPE_SIZE: return "0x0";
    case PH_TYPE_COLOR: return "#000000";
    default: return "";
    }
}

static ph_err set_params(struct ph_node *n, const struct ph_ast_node *ast,
                         struct ph_fault *fault)
{
    ph_err ret;
    for (const struct ph_param *p = n->info->params; p && p->name; p++) {
        // a default may lie outside the range on purpose ("0 = automatic")
        struct ph_param any = *p;
        any.min = any.max = 0;
        if ((ret = store_text(n, &any, default_text(p), fault)) < 0) return ret;
    }
    for (int i = 0; i < ast->param_count; i++)
        if ((ret = store_text(n, ast->params[i].info, ast->params[i].value, fault)) < 0)
            return ret;
    return PH_OK;
}

static ph_err make_ports(const struct ph_node_info *info, bool input, int count,
                         struct node_port **ports)
{
    *ports = calloc((size_t) count + 1, sizeof **ports);
    for (int i = 0; *ports && i < count; i++)
        (*ports)[i].info = input ? ph_port_in(info, i) : &info->out[i];
    return *ports ? PH_OK : PH_ENOMEM;
}

static bool is_trigger(const struct ph_port_info *p)
{
    return !(p->flags & PH_PORT_HOLD);
}

bool ph_node_starts_itself(const struct ph_node *n, const struct node_port *in)
{
    for (int i = 0; i < n->in_count; i++) {
        const struct ph_port_info *p = in[i].info;
        bool spare = p->flags & PH_PORT_OPTIONAL && !in[i].count;
        // with due() of its own it is a source, whatever is pushed into it besides
        bool own = n->info->due && p->flags & PH_PORT_EXTERNAL;
        if (is_trigger(p) && !own && !spare) return false;
    }
    return true;
}

// External ports are fed by a link of their own, which exists before open() so that a node's
// thread can push at once.
static ph_err make_external(struct ph_node *n)
{
    for (int i = 0; i < n->in_count; i++) {
        struct node_port *p = &n->in[i];
        if (!(p->info->flags & PH_PORT_EXTERNAL)) continue;
        if (!(p->links = calloc(1, sizeof *p->links))) return PH_ENOMEM;
        if (ph_link_create(&p->links[0], n->graph) < 0) return PH_ENOMEM;
        p->count = 1;
        p->links[0]->to = n;
        p->links[0]->to_port = i;
        p->links[0]->queue = true;
        p->links[0]->depth = 1;
    }
    return PH_OK;
}

void ph_node_adopt_subscriptions(struct ph_node *n)
{
    struct subscription **at = &n->graph->orphans;
    while (*at) {
        struct subscription *s = *at;
        if (strcmp(s->node, n->name)) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        s->next = n->subs;
        n->subs = s;
    }
}

ph_err ph_node_create(struct ph_node **out, struct ph_graph *g, const struct ph_ast_node *ast,
                      struct ph_fault *fault)
{
    ph_err ret = PH_ENOMEM;
    struct ph_node *n = calloc(1, sizeof *n);
    *out = NULL;
    if (!n) return ph_fail(fault, PH_ENOMEM, ast->name, "out of memory");
    n->info = ast->info;
    n->graph = g;
    n->pending_tail = &n->pending;
    n->dirty = true;
    snprintf(n->name, sizeof n->name, "%s", ast->name);
    pthread_mutex_init(&n->sub_lock, NULL);
    pthread_mutex_init(&n->problem_lock, NULL);
    ph_ticker_init(&n->ticker, 0, 0, 1);
    if (!(n->priv = calloc(1, n->info->priv_size + 1))) goto fail;
    PH_TRY(ph_pool_create(&n->pool));
    n->in_count = ph_port_count(n->info->in) + 1; // and the signals that drive it
    n->out_count = ph_port_count(n->info->out);
    PH_TRY(make_ports(n->info, true, n->in_count, &n->in));
    PH_TRY(make_ports(n->info, false, n->out_count, &n->out));
    PH_TRY(make_external(n));
    PH_TRY(ph_meters_create(n));
    n->fed = n->in_count > 1;
    for (int i = 0; i < n->in_count - 1; i++)
        n->fed &= !!(n->in[i].info->flags & PH_PORT_EXTERNAL);
    n->source = ph_node_starts_itself(n, n->in);
    PH_TRY(set_params(n, ast, fault));
    n->opened = true;
    if (n->info->open) PH_TRY(n->info->open(n, fault));
    *out = n;
    return PH_OK;
fail:
    if (fault && !fault->message[0])
        ph_fail(fault, ret, ast->name, "%s: %s", ast->name, ph_strerror(ret));
    if (fault && !fault->line) fault->line = ast->line, fault->column = ast->column;
    ph_node_destroy(&n);
    return ret;
}

void ph_node_orphan_subscriptions(struct ph_node *n)
{
    while (n->subs) {
        struct subscription *s = n->subs;
        n->subs = s->next;
        s->next = n->graph->orphans;
        n->graph->orphans = s;
    }
}

static void free_controls(struct control *c)
{
    for (struct control *next; c; c = next) {
        next = c->next;
        free(c->text);
        free(c);
    }
}

void ph_node_close(struct ph_node *n)
{
    if (n->opened && n->info->close) n->info->close(n);
    n->opened = false;
}

void ph_node_destroy(struct ph_node **out)
{
    struct ph_node *n = *out;
    *out = NULL;
    if (!n) return;
    ph_node_close(n);
    for (const struct ph_param *p = n->info->params; n->priv && p && p->name; p++)
        if (p->type == PH_TYPE_STRING) free(*(char **) field(n, p));
    free_controls(n->pending);
    free_controls(n->landed);
    for (int i = 0; n->in && i < n->in_count; i++) {
        if (n->in[i].info->flags & PH_PORT_EXTERNAL && n->in[i].count)
            ph_link_destroy(&n->in[i].links[0]);
        free(n->in[i].links);
    }
    for (int i = 0; n->out && i < n->out_count; i++) free(n->out[i].links);
    free(n->in);
    free(n->out);
    free(n->report);
    free(n->meters);
    ph_drives_destroy(&n->drives);
    ph_journal_forget(n);
    ph_pool_destroy(&n->pool);
    pthread_mutex_destroy(&n->sub_lock);
    pthread_mutex_destroy(&n->problem_lock);
    free(n->priv);
    free(n);
}

bool ph_node_is_sink(const struct ph_node *n)
{
    return n->out_count == 0;
}

bool ph_node_is_end(const struct ph_node *n)
{
    for (int p = 0; p < n->out_count; p++)
        if (n->out[p].count) return false;
    return true;
}

bool ph_node_wants(struct ph_node *n, enum ph_codec codec)
{
    return n->info->wants ? n->info->wants(n, codec) : true;
}

bool ph_node_is_unread(const struct ph_node *n)
{
    int links = 0;
    if (n->done) return false;
    for (int p = 0; p < n->out_count; p++)
        for (int i = 0; i < n->out[p].count; i++, links++)
            if (!atomic_load_explicit(&n->out[p].links[i]->unread, RELAXED)) return false;
    return links > 0;
}

// --- control, between frames

static void acknowledge(struct ph_node *n, uint64_t up_to)
{
    for (struct control **at = &n->landed; *at;) {
        struct control *c = *at;
        if (c->number > up_to) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        struct ph_event e = { PH_EVENT_ACK, c->id, n->name, NULL, n->last_id, n->last_epoch };
        if (c->id) ph_graph_event(n->graph, &e);
        free(c->text);
        free(c);
    }
}

void ph_node_drop_controls(struct ph_node *n)
{
    ph_node_take_controls(n, true);
    acknowledge(n, UINT64_MAX);
}

ph_err ph_node_store(struct ph_node *n, const struct ph_param *p, const char *text)
{
    struct ph_param any = *p;
    if (!text) any.min = any.max = 0; // as in set_params
    n->dirty = true;
    ph_err ret = store_text(n, &any, text ? text : default_text(p), NULL);
    if (ret == PH_OK) ph_drives_set_by_hand(n, p);
    return ret;
}

void ph_node_put(struct ph_node *n, const struct ph_param *p, union ph_value v)
{
    store_value(n, p, v, NULL);
    n->dirty = true;
}

// With the lock held. Those that are due already, and those that wait for an earlier beat than what
// comes now, land before it anyway.
static void outdate(struct ph_node *n, const struct ph_param *p, double from_beat)
{
    for (struct control *c = n->pending; c; c = c->next) {
        if (c->param != p || c->every <= 0 || c->until < from_beat) continue;
        c->param = NULL;
        c->cut.chunks = -1;
        c->every = 0;
        atomic_fetch_sub(&n->graph->waiting, 1);
    }
    atomic_fetch_add(&n->graph->control_seq, 1); // else no lane looks for what waits no more
}

void ph_node_outdate(struct ph_node *n, const struct ph_param *p)
{
    pthread_mutex_lock(&n->graph->control_lock);
    outdate(n, p, -INFINITY);
    pthread_mutex_unlock(&n->graph->control_lock);
}

ph_err ph_node_post(struct ph_node *n, struct control c, const char *text)
{
    struct ph_graph *g = n->graph;
    struct control *copy = malloc(sizeof *copy);
    if (copy) *copy = c;
    if (copy && text && !(copy->text = strdup(text))) {
        free(copy);
        copy = NULL;
    }
    if (!copy) return PH_ENOMEM;
    pthread_mutex_lock(&g->control_lock);
    if (c.param) outdate(n, c.param, c.every > 0 ? c.until : -INFINITY);
    *n->pending_tail = copy;
    n->pending_tail = &copy->next;
    atomic_fetch_add(&g->control_seq, 1);
    if (c.every > 0) atomic_fetch_add(&g->waiting, 1);
    pthread_mutex_unlock(&g->control_lock);
    return PH_OK;
}

static void apply_one(struct ph_node *n, struct control *c)
{
    if (c->param) {
        ph_journal_set(n, c);
        store_value(n, c->param, c->value, &c->text);
        n->dirty = true;
        ph_drives_set_by_hand(n, c->param);
    } else if (c->cut.chunks >= 0 && n->info->cut) {
        ph_journal_cut(n, c->cut.chunks);
        n->cut = c->cut;
        n->cut_owed = true;
    }
}

// A beat that is further away than one of its kind can be has been left behind: the music began anew.
static bool is_time(struct ph_node *n, const struct control *c)
{
    double beat;
    int per_bar;
    if (c->every <= 0 || !ph_graph_beat(n->graph, n->lane->now_ns, &beat, &per_bar))
        return true;
    return beat >= c->until || beat < c->until - c->every - 1;
}

void ph_node_take_controls(struct ph_node *n, bool all)
{
    struct ph_graph *g = n->graph;
    struct control *list = NULL, **end = &list;
    pthread_mutex_lock(&g->control_lock);
    for (struct control **at = &n->pending; *at;) {
        struct control *c = *at;
        if (!all && !is_time(n, c)) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        c->next = NULL;
        *end = c;
        end = &c->next;
        if (c->every > 0) atomic_fetch_sub(&g->waiting, 1);
    }
    n->pending_tail = &n->pending;
    while (*n->pending_tail) n->pending_tail = &(*n->pending_tail)->next;
    pthread_mutex_unlock(&g->control_lock);
    struct control **tail = &n->landed;
    while (*tail) tail = &(*tail)->next;
    *tail = list;
    for (struct control *c = list; c; c = c->next) apply_one(n, c);
}

// --- running

static bool port_has(const struct node_port *p)
{
    for (int i = 0; i < p->count; i++)
        if (p->links[i]->queue ? p->links[i]->inbox.frame != NULL : ph_link_has(p->links[i]))
            return true;
    return false;
}

bool ph_port_ended(const struct node_port *p)
{
    if (!p->count) return !(p->info->flags & PH_PORT_EXTERNAL);
    for (int i = 0; i < p->count; i++)
        if (!ph_link_ended(p->links[i])) return false;
    return true;
}

// A trigger input has a frame, or has ended and the node does not know it yet.
static bool has_work(const struct ph_node *n)
{
    if (n->done) return false;
    if (n->source && n->due_now) return true;
    for (int i = 0; i < n->in_count; i++) {
        const struct node_port *p = &n->in[i];
        if (!is_trigger(p->info)) continue;
        if (port_has(p) || (p->count && !p->eof_told && ph_port_ended(p))) return true;
    }
    return false;
}

// All trigger inputs have ended, and the node has been told: it may have something left to write.
static bool all_ended(const struct ph_node *n)
{
    if (n->source) return false;
    for (int i = 0; i < n->in_count; i++) {
        const struct node_port *p = &n->in[i];
        if (!is_trigger(p->info)) continue;
        if (!ph_port_ended(p) || port_has(p) || (p->count && !p->eof_told)) return false;
    }
    return true;
}

void ph_node_finish(struct ph_node *n)
{
    if (n->done) return;
    n->done = true;
    if (ph_node_is_end(n)) ph_graph_end_done(n->graph);
    for (int p = 0; p < n->out_count; p++)
        for (int i = 0; i < n->out[p].count; i++) ph_link_close(n->out[p].links[i]);
    for (int p = 0; p < n->in_count; p++)
        for (int i = 0; i < n->in[p].count; i++) ph_link_abandon(n->in[p].links[i]);
}

// A source that keeps its own time has no ticker; only its frames are counted. It also runs when
// something was pushed into it: then it was not due.
static void begin_own_time(struct ph_node *n, bool due)
{
    uint64_t limit = n->graph->par.frames;
    if (due) ph_journal_tick(n, n->tick.index);
    n->tick.now_ns = n->lane->now_ns;
    if (limit && n->stamped >= limit) ph_node_finish(n);
}

static void begin_tick(struct ph_node *n)
{
    uint64_t expected = n->ticker.next;
    uint64_t limit = n->graph->par.frames;
    if (n->graph->par.mode == PH_OFFLINE)
        n->tick.index = n->ticker.next++;
    else
        n->tick.index = ph_ticker_take(&n->ticker, n->lane->now_ns);
    ph_journal_tick(n, expected);
    n->tick.pts_ns = ph_ticker_pts_ns(&n->ticker, n->tick.index);
    n->in_pts_ns = n->tick.pts_ns; // what its held inputs go by
    n->tick.now_ns = n->lane->now_ns;
    if (limit && n->tick.index >= limit) ph_node_finish(n);
}

// Parameters and cuts first; what they return is a failure of this run.
static ph_err prepare(struct ph_node *n)
{
    if (n->cut_owed) {
        ph_err ret = n->info->cut(n, &n->cut);
        if (ret < 0) return ret;
        n->cut_owed = false; // cleared only now: a cut that failed comes again
    }
    if (!n->dirty) return PH_OK;
    n->dirty = false;
    return n->info->apply ? n->info->apply(n) : PH_OK;
}

static bool has_problem(struct ph_node *n)
{
    pthread_mutex_lock(&n->problem_lock);
    bool yes = n->problem[0];
    pthread_mutex_unlock(&n->problem_lock);
    return yes;
}

static void count_run(struct ph_node *n, ph_err ret, int64_t begin, int64_t end)
{
    // one writer: plain adds on relaxed atomics
    atomic_store_explicit(&n->runs, atomic_load_explicit(&n->runs, RELAXED) + 1, RELAXED);
    ph_hist_add(&n->busy, end - begin, end);
    if (n->out_count ? n->gave : n->took) ph_rate_add(&n->rate, end);
    if (ret < 0) {
        atomic_fetch_add_explicit(&n->errors, 1, RELAXED);
        // a node that says more itself has already done so
        if (!has_problem(n)) ph_node_problem(n, "%s", ph_strerror(ret));
        n->problem_auto = true;
    } else if (n->problem_auto && ret == PH_OK) { // nothing to do is not well again
        n->problem_auto = false;
        ph_node_problem(n, NULL);
    }
}

static void trace(struct ph_node *n, int64_t begin, int64_t end)
{
    struct ph_lane *lane = n->lane;
    uint64_t at = atomic_load_explicit(&lane->trace_count, RELAXED);
    struct trace_event *e = &lane->trace[at % TRACE_EVENTS];
    e->info = n->info;
    memcpy(e->name, n->name, sizeof e->name - 1);
    e->begin_ns = begin;
    e->end_ns = end;
    e->frame = n->last_id;
    atomic_store_explicit(&lane->trace_count, at + 1, memory_order_release);
}

// To whoever asks for the time at which a picture will be seen: smoothed 0.9/0.1.
static void note_latency(struct ph_node *n, int64_t ns, int64_t now)
{
    _Atomic int64_t *mean = &n->graph->latency_ns;
    int64_t old = atomic_load_explicit(mean, RELAXED);
    ph_hist_add(&n->latency, ns, now);
    atomic_store_explicit(mean, old ? (old * 9 + ns) / 10 : ns, RELAXED);
}

static void sink_took(struct ph_node *n, int64_t now)
{
    if (!ph_node_is_sink(n) || !n->took) return;
    if (n->graph->par.mode == PH_LIVE && n->in_capture_ns)
        note_latency(n, now - n->in_capture_ns, now);
    ph_graph_sink_frame(n->graph, n);
}

// What is fed from outside has no tick that counts its frames.
static bool fed_enough(struct ph_node *n)
{
    uint64_t limit = n->graph->par.frames;
    if (n->fed && !n->source && n->gave) n->given++;
    return limit && n->given >= limit;
}

// One call of process(). True when it did something.
static bool run_once(struct ph_node *n, int64_t *clock_ns)
{
    bool due = n->due_now;
    n->due_now = false;
    n->took = n->gave = 0;
    if (n->source && n->info->due)
        begin_own_time(n, due);
    else if (n->source)
        begin_tick(n);
    if (n->done) return true;
    if (n->drives) ph_drives_run(n);
    ph_err ret = prepare(n);
    if (ret >= 0) ret = n->info->process(n);
    int64_t begin = *clock_ns, end = ph_now_ns();
    *clock_ns = end;
    if (ret == PH_EOF || all_ended(n) || fed_enough(n)) ph_node_finish(n);
    if (ret == PH_MORE && !n->took && !n->gave) return false;
    count_run(n, ret, begin, end);
    trace(n, begin, end);
    sink_took(n, end);
    if (n->landed && (n->took || n->gave)) acknowledge(n, n->shows);
    return true;
}

bool ph_node_run(struct ph_node *n)
{
    bool did = false;
    int64_t clock_ns = has_work(n) ? ph_now_ns() : 0;
    while (has_work(n)) {
        bool ok = run_once(n, &clock_ns);
        did |= ok;
        // a node that leaves its input alone is asked again in the next run, not now
        if (!ok || (!n->took && !n->gave)) break;
    }
    return did;
}

int64_t ph_node_due_ns(struct ph_node *n, int64_t now_ns)
{
    if (n->done) return PH_NEVER;
    if (n->graph->par.mode == PH_OFFLINE) return INT64_MIN;
    if (!ph_graph_awake(n->graph)) {
        n->was_asleep = true;
        return PH_NEVER;
    }
    if (n->info->due) return n->info->due(n, now_ns);
    if (!n->ticker_started || n->was_asleep) ph_ticker_restart(&n->ticker, now_ns);
    n->ticker_started = true;
    n->was_asleep = false;
    return ph_ticker_due_ns(&n->ticker);
}
