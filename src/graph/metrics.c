// SPDX-License-Identifier: MIT
// What a running graph tells about itself. Counters are written by lanes and read here, lock-free.
#include "graph/graph_priv.h"

#include "core/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELAXED memory_order_relaxed

static uint64_t get(const _Atomic uint64_t *c)
{
    return atomic_load_explicit(c, RELAXED);
}

static double ms(double ns)
{
    return ns * 1e-6;
}

static void quantiles_ms(const struct ph_hist *h, double out[3])
{
    static const double q[] = { 0.5, 0.95, 0.99 };
    ph_hist_quantiles(h, q, 3, out);
    for (int i = 0; i < 3; i++) out[i] = ms(out[i]);
}

// --- the three rates: what comes in, what the picture work makes, what goes out

static bool delivers(const struct ph_node *n)
{
    return !strcmp(n->info->group, "encode") || ph_node_is_sink(n);
}

static const struct ph_node *first_sink(const struct ph_graph *g)
{
    const struct ph_node *first = NULL;
    for (int i = 0; i < g->node_count; i++) {
        const struct ph_node *n = g->nodes[i];
        if (!ph_node_is_sink(n)) continue;
        if (!strcmp(n->info->name, "live")) return n;
        if (!first) first = n;
    }
    return first;
}

static const struct ph_node *upstream(const struct ph_node *n)
{
    for (int p = 0; p < n->in_count; p++)
        for (int i = 0; i < n->in[p].count; i++)
            if (n->in[p].links[i]->from && !ph_link_drives(n->info, p))
                return n->in[p].links[i]->from;
    return NULL;
}

// The last node before encoding: what it makes is the rate of the pipeline.
static const struct ph_node *worker(const struct ph_graph *g)
{
    const struct ph_node *n = first_sink(g);
    while (n && delivers(n) && upstream(n)) n = upstream(n);
    return n;
}

static const struct ph_node *first_source(const struct ph_graph *g)
{
    const struct ph_node *n = worker(g);
    while (n && upstream(n)) n = upstream(n);
    return n;
}

static uint64_t link_drops(const struct ph_link *l)
{
    return get(&l->dropped_full) + get(&l->dropped_epoch) + get(&l->dropped_stale);
}

static uint64_t port_drops(const struct ph_node *n)
{
    uint64_t sum = get(&n->drops);
    for (int p = 0; p < n->in_count; p++)
        for (int i = 0; i < n->in[p].count; i++) sum += link_drops(n->in[p].links[i]);
    return sum;
}

// Busiest lane at work for most of its time: its slowest node. Otherwise the source sets the pace.
static const struct ph_node *bottleneck(const struct ph_graph *g)
{
    const struct ph_lane *busiest = NULL;
    double most = 0.8;
    for (int i = 0; i < g->lane_count; i++) {
        double busy = ph_lane_busy(g->lanes[i]);
        if (busy <= most) continue;
        most = busy;
        busiest = g->lanes[i];
    }
    if (!busiest) return first_source(g);
    const struct ph_node *slowest = NULL;
    double longest = -1, half = 0.5, t;
    for (int i = 0; i < busiest->node_count; i++) {
        ph_hist_quantiles(&busiest->nodes[i]->busy, &half, 1, &t);
        if (t <= longest) continue;
        longest = t;
        slowest = busiest->nodes[i];
    }
    return slowest;
}

static const char *const limiter_names[] = { "none", "off", "on", "holding" };

static const char *limiter_state(const struct ph_graph *g)
{
    bool seen[PH_LIMITER_HOLDING + 1] = { false };
    for (int i = 0; i < g->node_count; i++)
        seen[atomic_load_explicit(&g->nodes[i]->limiter, RELAXED)] = true;
    return limiter_names[seen[PH_LIMITER_HOLDING] ? PH_LIMITER_HOLDING
                         : seen[PH_LIMITER_OFF]   ? PH_LIMITER_OFF
                         : seen[PH_LIMITER_ON]    ? PH_LIMITER_ON
                                                  : PH_LIMITER_NONE];
}

static void rates_locked(struct ph_graph *g, struct ph_graph_rates *out)
{
    int64_t now = ph_now_ns();
    const struct ph_node *in = first_source(g), *work = worker(g), *sink = first_sink(g);
    *out = (struct ph_graph_rates){ .epoch = atomic_load(&g->epoch),
                                    .asleep = !ph_graph_awake(g),
                                    .limiter = limiter_state(g) };
    if (in) {
        out->input_fps = ph_rate_get(&in->rate, now);
        out->input = get(&in->frames_out);
    }
    if (work) out->pipeline_fps = ph_rate_get(&work->rate, now);
    if (sink) {
        double q[3];
        out->output_fps = ph_rate_get(&sink->rate, now);
        out->output = get(&sink->frames_in);
        quantiles_ms(&sink->latency, q);
        out->latency_p50_ms = q[0];
        out->latency_p95_ms = q[1];
    }
    for (int i = 0; i < g->node_count; i++) {
        uint64_t drops = port_drops(g->nodes[i]);
        if (delivers(g->nodes[i]))
            out->dropped_output += drops;
        else
            out->dropped_input += drops;
    }
    const struct ph_node *slow = bottleneck(g);
    if (slow) snprintf(out->bottleneck, sizeof out->bottleneck, "%s", slow->name);
}

void ph_graph_get_rates(struct ph_graph *g, struct ph_graph_rates *out)
{
    pthread_rwlock_rdlock(&g->topo);
    rates_locked(g, out);
    pthread_rwlock_unlock(&g->topo);
}

// --- one metric by name, for texts drawn into the picture

static int node_metric(struct ph_graph *g, const char *name, const char *what, char *text,
                       size_t size)
{
    char node[64];
    snprintf(node, sizeof node, "%.*s", (int) (what - 1 - name), name);
    const struct ph_node *n = ph_graph_find(g, node);
    double q[3];
    if (!n) return -1;
    quantiles_ms(&n->busy, q);
    if (!strcmp(what, "p50")) return ph_snprintf(text, size, "%.1f", q[0]);
    if (!strcmp(what, "p95")) return ph_snprintf(text, size, "%.1f", q[1]);
    if (!strcmp(what, "p99")) return ph_snprintf(text, size, "%.1f", q[2]);
    if (!strcmp(what, "fps"))
        return ph_snprintf(text, size, "%.1f", ph_rate_get(&n->rate, ph_now_ns()));
    if (!strcmp(what, "drops"))
        return snprintf(text, size, "%llu", (unsigned long long) port_drops(n));
    if (!strcmp(what, "errors"))
        return snprintf(text, size, "%llu", (unsigned long long) get(&n->errors));
    const struct ph_ast_node *ast = ph_ast_find(g->ast, node);
    const struct ph_param *p = ph_param_find(n->info->params, what, NULL);
    if (!p || p->flags & PH_PARAM_SECRET) return -1;
    for (int i = 0; i < ast->param_count; i++)
        if (ast->params[i].info == p) return snprintf(text, size, "%s", ast->params[i].value);
    return snprintf(text, size, "%s", p->def ? p->def : "");
}

static int measure(struct ph_node *n, const char *name, char *text, size_t size)
{
    struct ph_graph *g = n->graph;
    struct ph_graph_rates r;
    const char *dot = strchr(name, '.');
    if (dot) return node_metric(g, name, dot + 1, text, size);
    if (!strcmp(name, "frame"))
        return snprintf(text, size, "%llu", (unsigned long long) n->last_id);
    if (!strcmp(name, "epoch")) return snprintf(text, size, "%u", n->last_epoch);
    if (!strcmp(name, "time"))
        return ph_snprintf(text, size, "%.2f", (double) n->in_pts_ns * 1e-9);
    rates_locked(g, &r);
    if (!strcmp(name, "fps") || !strcmp(name, "pipeline_fps"))
        return ph_snprintf(text, size, "%.1f", r.pipeline_fps);
    if (!strcmp(name, "input_fps")) return ph_snprintf(text, size, "%.1f", r.input_fps);
    if (!strcmp(name, "output_fps")) return ph_snprintf(text, size, "%.1f", r.output_fps);
    if (!strcmp(name, "latency_ms")) return ph_snprintf(text, size, "%.1f", r.latency_p50_ms);
    if (!strcmp(name, "dropped"))
        return snprintf(text, size, "%llu",
                        (unsigned long long) (r.dropped_input + r.dropped_output));
    if (!strcmp(name, "bottleneck")) return snprintf(text, size, "%s", r.bottleneck);
    return -1;
}

int ph_node_metric(struct ph_node *n, const char *name, char *text, size_t size)
{
    int recalled = ph_journal_recall(n, name, text, size);
    if (recalled >= 0) return recalled;
    pthread_rwlock_rdlock(&n->graph->topo);
    int len = measure(n, name, text, size);
    pthread_rwlock_unlock(&n->graph->topo);
    if (len >= 0) ph_journal_metric(n, name, text);
    return len;
}

// --- models

// The first node that tells.
static struct ph_node *reporter(const struct ph_graph *g, uint64_t frame,
                                struct ph_model_report *out)
{
    for (int i = 0; i < g->node_count; i++)
        if (ph_node_reported(g->nodes[i], frame, out)) return g->nodes[i];
    return NULL;
}

bool ph_graph_report(struct ph_graph *g, uint64_t frame, struct ph_model_report *out)
{
    // subscribers ask from within deliver(), and who unsubscribes waits for that with topo held
    if (pthread_rwlock_tryrdlock(&g->topo)) return true;
    bool any = reporter(g, frame, out) != NULL;
    pthread_rwlock_unlock(&g->topo);
    if (!any) *out = (struct ph_model_report){ 0 };
    return any;
}

static void json_model(struct ph_buf *b, struct ph_node *n)
{
    struct ph_model_report r;
    if (!ph_node_reported(n, UINT64_MAX, &r)) return;
    ph_json_key(b, "model");
    ph_buf_puts(b, "{\"name\":");
    ph_json_str(b, r.model);
    ph_json_key(b, "backend");
    ph_json_str(b, r.backend);
    ph_buf_printf(b, ",\"steps\":%d,\"rows\":%d,\"guidanceScale\":%.4g", r.steps, r.rows,
                  r.guidance_scale);
    ph_buf_printf(
        b, ",\"deviceMs\":{\"encode\":%.4g,\"model\":%.4g,\"decode\":%.4g,\"mean\":%.4g}",
        ms((double) r.encode_ns), ms((double) r.model_ns), ms((double) r.decode_ns),
        ms((double) r.mean_ns));
    if (r.weights_gate_db > 0)
        ph_buf_printf(b, ",\"weightsDb\":%.4g,\"weightsGateDb\":%.4g", r.weights_db,
                      r.weights_gate_db);
    ph_buf_printf(b, ",\"skipped\":%llu,\"landed\":%llu}", (unsigned long long) r.skipped,
                  (unsigned long long) r.landed);
}

// --- the room document

static void json_times(struct ph_buf *b, const char *key, const struct ph_hist *h)
{
    double q[3];
    quantiles_ms(h, q);
    ph_json_key(b, key);
    ph_buf_printf(b, "{\"p50\":%.4g,\"p95\":%.4g,\"p99\":%.4g}", q[0], q[1], q[2]);
}

static void json_count(struct ph_buf *b, const char *key, uint64_t v)
{
    ph_json_key(b, key);
    ph_buf_printf(b, "%llu", (unsigned long long) v);
}

static void json_value(struct ph_buf *b, const struct ph_param *p, const char *text)
{
    union ph_value v = { 0 };
    struct ph_param any = *p;
    char number[32];
    any.min = any.max = 0; // a default may lie outside
    if (p->type == PH_TYPE_FLOAT || p->type == PH_TYPE_INT) {
        // written as ".5" or "+5" it would be no JSON
        ph_param_parse(&any, text, &v, NULL);
        ph_param_print(p, v, number, sizeof number);
        ph_buf_puts(b, number);
    } else if (p->type == PH_TYPE_BOOL) {
        ph_param_parse(p, text, &v, NULL);
        ph_buf_puts(b, v.b ? "true" : "false");
    } else {
        ph_json_str(b, p->flags & PH_PARAM_SECRET ? "" : text);
    }
}

// From the ast and not from the node's private struct, which is its lane's.
static void json_params(struct ph_buf *b, const struct ph_ast_node *ast)
{
    ph_json_key(b, "params");
    ph_buf_puts(b, "{");
    for (const struct ph_param *p = ast->info->params; p && p->name; p++) {
        const char *text = p->def;
        for (int i = 0; i < ast->param_count; i++)
            if (ast->params[i].info == p) text = ast->params[i].value;
        if (!text) {
            static const char *const empty[] = {
                "", "0", "0", "off", "", "", "0x0", "#000000"
            };
            text = p->type == PH_TYPE_ENUM ? p->names[0] : empty[p->type];
        }
        ph_json_key(b, p->name);
        json_value(b, p, text);
    }
    ph_buf_puts(b, "}");
}

static void json_drives(struct ph_buf *b, const struct ph_node *n)
{
    if (!n->drives) return;
    ph_json_key(b, "drives");
    ph_buf_puts(b, "[");
    for (int i = 0; i < n->drives->count; i++) {
        const struct drive *d = &n->drives->of[i];
        ph_json_sep(b);
        ph_buf_puts(b, "{\"param\":");
        ph_json_str(b, d->param->name);
        ph_json_key(b, "text");
        ph_json_str(b, d->text);
        ph_json_key(b, "value");
        if (atomic_load_explicit(&d->known, RELAXED))
            ph_json_num(b, atomic_load_explicit(&d->shows, RELAXED));
        else
            ph_buf_puts(b, "null"); // no signals have come yet
        ph_buf_puts(b, "}");
    }
    ph_buf_puts(b, "]");
}

static void json_meters(struct ph_buf *b, const struct ph_node *n)
{
    const struct meters *m = n->meters;
    if (!m) return;
    ph_json_key(b, "signals");
    ph_buf_puts(b, "{");
    for (int i = 0; i < m->count; i++) {
        ph_json_key(b, n->info->signals[i].name);
        ph_json_num(b, (double) atomic_load_explicit(&m->value[i], RELAXED));
    }
    ph_buf_puts(b, "}");
    ph_json_key(b, "beat");
    ph_buf_puts(b, "{");
    ph_json_key(b, "bpm");
    ph_json_num(b, (double) atomic_load_explicit(&m->bpm, RELAXED));
    ph_json_key(b, "beat");
    ph_json_num(b, (double) atomic_load_explicit(&m->beat, RELAXED));
    ph_json_key(b, "confidence");
    ph_json_num(b, (double) atomic_load_explicit(&m->confidence, RELAXED));
    ph_buf_puts(b, "}");
}

#define FOUND 64

static void json_found(struct ph_buf *b, struct ph_node *n)
{
    struct ph_found found[FOUND];
    if (!n->info->found) return;
    int count = n->info->found(n, found, FOUND);
    ph_json_key(b, "found");
    ph_buf_puts(b, "[");
    for (int i = 0; i < count; i++) {
        const struct ph_found *f = &found[i];
        ph_json_sep(b);
        ph_buf_puts(b, "{\"name\":");
        ph_json_str(b, f->name);
        ph_json_key(b, "value");
        ph_json_num(b, (double) f->value);
        json_count(b, "count", f->count);
        ph_json_key(b, "signal");
        if (f->signal >= 0)
            ph_json_str(b, n->info->signals[f->signal].name);
        else
            ph_buf_puts(b, "null");
        ph_buf_puts(b, "}");
    }
    ph_buf_puts(b, "]");
}

static void json_node(struct ph_buf *b, struct ph_graph *g, int i)
{
    struct ph_node *n = g->nodes[i];
    ph_json_sep(b);
    ph_buf_puts(b, "{\"name\":");
    ph_json_str(b, n->name);
    ph_json_key(b, "type");
    ph_json_str(b, n->info->name);
    ph_json_key(b, "lane");
    ph_buf_printf(b, "%d", n->lane->index);
    json_count(b, "runs", get(&n->runs));
    ph_json_key(b, "fps");
    ph_json_num(b, ph_rate_get(&n->rate, ph_now_ns()));
    json_count(b, "errors", get(&n->errors));
    json_count(b, "dropped", get(&n->drops));
    ph_json_key(b, "problem");
    pthread_mutex_lock(&n->problem_lock);
    if (n->problem[0])
        ph_json_str(b, n->problem);
    else
        ph_buf_puts(b, "null");
    pthread_mutex_unlock(&n->problem_lock);
    json_times(b, "busyMs", &n->busy);
    json_times(b, "waitMs", &n->wait);
    json_model(b, n);
    int limiter = atomic_load_explicit(&n->limiter, RELAXED);
    if (limiter) ph_buf_printf(b, ",\"limiter\":\"%s\"", limiter_names[limiter]);
    json_params(b, &g->ast->nodes[i]);
    json_drives(b, n);
    json_meters(b, n);
    json_found(b, n);
    ph_buf_puts(b, "}");
}

static void json_link(struct ph_buf *b, struct ph_link *l)
{
    char from[140], to[140];
    snprintf(from, sizeof from, "%s.%s", l->from ? l->from->name : "",
             l->from ? l->from->info->out[l->from_port].name : "outside");
    snprintf(to, sizeof to, "%s.%s", l->to->name, ph_port_in(l->to->info, l->to_port)->name);
    ph_json_sep(b);
    ph_buf_puts(b, "{\"from\":");
    ph_json_str(b, from);
    ph_json_key(b, "to");
    ph_json_str(b, to);
    ph_buf_printf(b, ",\"queue\":%s", l->queue ? "true" : "false");
    if (ph_link_drives(l->to->info, l->to_port)) ph_buf_puts(b, ",\"drive\":true");
    if (l->queue) {
        int queued = atomic_load_explicit(&l->queued, RELAXED);
        int64_t oldest = atomic_load_explicit(&l->oldest_ns, RELAXED);
        pthread_mutex_lock(&l->lock); // offline, a standstill makes links deeper (still.c)
        int depth = l->depth;
        pthread_mutex_unlock(&l->lock);
        ph_buf_printf(b, ",\"policy\":\"%s\",\"depth\":%d,\"queued\":%d", ph_drop_name(l->drop),
                      depth, queued);
        ph_json_key(b, "ageMs");
        ph_json_num(b, queued && oldest ? ms((double) (ph_now_ns() - oldest)) : 0);
    }
    json_count(b, "passed", get(&l->passed));
    ph_buf_printf(b, ",\"dropped\":{\"full\":%llu,\"epoch\":%llu,\"stale\":%llu}}",
                  (unsigned long long) get(&l->dropped_full),
                  (unsigned long long) get(&l->dropped_epoch),
                  (unsigned long long) get(&l->dropped_stale));
}

static void json_lane(struct ph_buf *b, const struct ph_lane *lane)
{
    ph_json_sep(b);
    ph_buf_puts(b, "{\"name\":");
    ph_json_str(b, lane->name);
    ph_json_key(b, "nodes");
    ph_buf_puts(b, "[");
    for (int i = 0; i < lane->node_count; i++) {
        ph_json_sep(b);
        ph_json_str(b, lane->nodes[i]->name);
    }
    ph_buf_puts(b, "]");
    json_count(b, "runs", get(&lane->run));
    ph_json_key(b, "busy");
    ph_json_num(b, ph_lane_busy(lane));
    ph_buf_puts(b, "}");
}

static const char *state_of(struct ph_graph *g, const struct ph_graph_rates *r)
{
    if (g->started && atomic_load(&g->open_ends) <= 0) return "ended";
    return r->asleep ? "asleep" : "live";
}

static void json_head(struct ph_buf *b, struct ph_graph *g)
{
    struct ph_graph_rates r;
    const struct ph_node *work = worker(g);
    rates_locked(g, &r);
    ph_json_key(b, "state");
    ph_json_str(b, state_of(g, &r));
    json_count(b, "epoch", r.epoch);
    json_count(b, "frame", work ? get(&work->frames_out) : 0);
    ph_json_key(b, "time");
    ph_json_num(b, g->started ? (double) (ph_now_ns() - g->started_ns) * 1e-9 : 0);
    ph_buf_printf(b, ",\"rates\":{\"input\":%.4g,\"pipeline\":%.4g,\"output\":%.4g}",
                  r.input_fps, r.pipeline_fps, r.output_fps);
    ph_buf_printf(b, ",\"latencyMs\":{\"p50\":%.4g,\"p95\":%.4g}", r.latency_p50_ms,
                  r.latency_p95_ms);
    ph_buf_printf(b, ",\"dropped\":{\"input\":%llu,\"output\":%llu}",
                  (unsigned long long) r.dropped_input, (unsigned long long) r.dropped_output);
    ph_json_key(b, "bottleneck");
    ph_json_str(b, r.bottleneck);
    ph_json_key(b, "limiter");
    ph_json_str(b, r.limiter);
}

char *ph_graph_status_json(struct ph_graph *g)
{
    struct ph_buf b = { 0 };
    char *text = ph_graph_text(g);
    ph_buf_puts(&b, "{");
    pthread_rwlock_rdlock(&g->topo);
    json_head(&b, g);
    ph_json_key(&b, "text");
    ph_json_str(&b, text ? text : "");
    ph_json_key(&b, "lanes");
    ph_buf_puts(&b, "[");
    for (int i = 0; i < g->lane_count; i++) json_lane(&b, g->lanes[i]);
    ph_buf_puts(&b, "],\"nodes\":[");
    for (int i = 0; i < g->node_count; i++) json_node(&b, g, i);
    ph_buf_puts(&b, "],\"links\":[");
    for (int i = 0; i < g->link_count; i++) json_link(&b, g->links[i]);
    ph_buf_puts(&b, "]}");
    pthread_rwlock_unlock(&g->topo);
    free(text);
    return ph_buf_steal(&b);
}

// --- what moves

// Four digits: a meter has fewer pixels.
static void json_short(struct ph_buf *b, double v)
{
    ph_json_sep(b);
    if (isfinite(v))
        ph_buf_printf(b, "%.4g", v);
    else
        ph_buf_puts(b, "null");
}

static void short_meters(struct ph_buf *b, const struct ph_node *n)
{
    const struct meters *m = n->meters;
    ph_json_key(b, n->name);
    ph_buf_puts(b, "{\"values\":[");
    for (int i = 0; i < m->count; i++)
        json_short(b, (double) atomic_load_explicit(&m->value[i], RELAXED));
    ph_buf_puts(b, "],\"beat\":{\"bpm\":");
    ph_json_num(b, (double) atomic_load_explicit(&m->bpm, RELAXED));
    ph_json_key(b, "beat");
    ph_json_num(b, (double) atomic_load_explicit(&m->beat, RELAXED));
    ph_json_key(b, "confidence");
    ph_json_num(b, (double) atomic_load_explicit(&m->confidence, RELAXED));
    ph_buf_puts(b, "}}");
}

static void short_drives(struct ph_buf *b, const struct ph_node *n)
{
    ph_json_key(b, n->name);
    ph_buf_puts(b, "{");
    for (int i = 0; i < n->drives->count; i++) {
        const struct drive *d = &n->drives->of[i];
        if (!atomic_load_explicit(&d->known, RELAXED)) continue;
        ph_json_key(b, d->param->name);
        ph_json_num(b, (double) atomic_load_explicit(&d->shows, RELAXED));
    }
    ph_buf_puts(b, "}");
}

char *ph_graph_signals_json(struct ph_graph *g)
{
    struct ph_buf b = { 0 };
    pthread_rwlock_rdlock(&g->topo);
    ph_buf_puts(&b, "{\"nodes\":{");
    for (int i = 0; i < g->node_count; i++)
        if (g->nodes[i]->meters) short_meters(&b, g->nodes[i]);
    ph_buf_puts(&b, "},\"drives\":{");
    for (int i = 0; i < g->node_count; i++)
        if (g->nodes[i]->drives) short_drives(&b, g->nodes[i]);
    pthread_rwlock_unlock(&g->topo);
    ph_buf_puts(&b, "}}");
    return ph_buf_steal(&b);
}

// --- Prometheus

// In quotes: \\ for \, \" for ", \n for a newline.
static void escape_label(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; *text && n + 3 < size; text++) {
        if (*text == '\\' || *text == '"' || *text == '\n') out[n++] = '\\';
        out[n++] = *text == '\n' ? 'n' : *text;
    }
    out[n] = 0;
}

// Which of the links of a port that takes several; 0 is not said.
static int number_of(const struct ph_link *l)
{
    const struct node_port *p = &l->to->in[l->to_port];
    for (int i = 0; i < p->count; i++)
        if (p->links[i] == l) return i;
    return 0;
}

static void prom_links(struct ph_buf *b, const struct ph_graph *g, const char *room)
{
    for (int i = 0; i < g->link_count; i++) {
        const struct ph_link *l = g->links[i];
        char name[140];
        if (!l->queue) continue;
        int k = number_of(l);
        int len = snprintf(name, sizeof name, "%s.%s", l->to->name,
                           ph_port_in(l->to->info, l->to_port)->name);
        if (k) snprintf(name + len, sizeof name - (size_t) len, "#%d", k + 1);
        ph_buf_printf(b, "phosphene_link_queued{room=\"%s\",link=\"%s\"} %d\n", room, name,
                      atomic_load_explicit(&l->queued, RELAXED));
        ph_buf_printf(
            b, "phosphene_link_dropped_total{room=\"%s\",link=\"%s\",reason=\"full\"} %llu\n",
            room, name, (unsigned long long) get(&l->dropped_full));
        ph_buf_printf(
            b, "phosphene_link_dropped_total{room=\"%s\",link=\"%s\",reason=\"epoch\"} %llu\n",
            room, name, (unsigned long long) get(&l->dropped_epoch));
    }
}

static void prom_nodes(struct ph_buf *b, struct ph_graph *g, const char *room)
{
    static const double q[] = { 0.5, 0.95, 0.99 };
    for (int i = 0; i < g->node_count; i++) {
        const struct ph_node *n = g->nodes[i];
        double t[3];
        ph_hist_quantiles(&n->busy, q, 3, t);
        for (int k = 0; k < 3; k++)
            ph_buf_printf(
                b, "phosphene_node_seconds{room=\"%s\",node=\"%s\",quantile=\"%g\"} %.9g\n",
                room, n->name, q[k], t[k] * 1e-9);
        ph_buf_printf(b, "phosphene_node_seconds_sum{room=\"%s\",node=\"%s\"} %.9g\n", room,
                      n->name, (double) get(&n->busy.sum_ns) * 1e-9);
        ph_buf_printf(b, "phosphene_node_seconds_count{room=\"%s\",node=\"%s\"} %llu\n", room,
                      n->name, (unsigned long long) get(&n->busy.total));
    }
}

static void prom_models(struct ph_buf *b, struct ph_graph *g, const char *room)
{
    for (int i = 0; i < g->node_count; i++) {
        struct ph_node *n = g->nodes[i];
        struct ph_model_report r;
        if (!ph_node_reported(n, UINT64_MAX, &r)) continue;
        const struct {
            const char *name;
            int64_t ns;
        } part[] = { { "encode", r.encode_ns },
                     { "model", r.model_ns },
                     { "decode", r.decode_ns } };
        for (int k = 0; k < 3; k++)
            ph_buf_printf(
                b, "phosphene_model_device_seconds{room=\"%s\",node=\"%s\",part=\"%s\"} %.9g\n",
                room, n->name, part[k].name, (double) part[k].ns * 1e-9);
        ph_buf_printf(b, "phosphene_model_skipped_total{room=\"%s\",node=\"%s\"} %llu\n", room,
                      n->name, (unsigned long long) r.skipped);
    }
}

char *ph_graph_metrics_text(struct ph_graph *g, const char *room_name)
{
    struct ph_buf b = { 0 };
    struct ph_graph_rates r;
    char room[256];
    escape_label(room_name, room, sizeof room);
    pthread_rwlock_rdlock(&g->topo);
    rates_locked(g, &r);
    ph_buf_printf(&b, "phosphene_room_fps{room=\"%s\",rate=\"input\"} %.4g\n", room,
                  r.input_fps);
    ph_buf_printf(&b, "phosphene_room_fps{room=\"%s\",rate=\"pipeline\"} %.4g\n", room,
                  r.pipeline_fps);
    ph_buf_printf(&b, "phosphene_room_fps{room=\"%s\",rate=\"output\"} %.4g\n", room,
                  r.output_fps);
    ph_buf_printf(&b, "phosphene_room_epoch{room=\"%s\"} %u\n", room, r.epoch);
    ph_buf_printf(&b, "phosphene_room_latency_seconds{room=\"%s\",quantile=\"0.5\"} %.6g\n",
                  room, r.latency_p50_ms * 1e-3);
    ph_buf_printf(&b, "phosphene_room_latency_seconds{room=\"%s\",quantile=\"0.95\"} %.6g\n",
                  room, r.latency_p95_ms * 1e-3);
    for (int i = 0; i < g->node_count; i++) {
        const struct ph_node *n = g->nodes[i];
        ph_buf_printf(&b, "phosphene_frames_total{room=\"%s\",node=\"%s\"} %llu\n", room,
                      n->name,
                      (unsigned long long) get(n->out_count ? &n->frames_out : &n->frames_in));
        ph_buf_printf(&b, "phosphene_errors_total{room=\"%s\",node=\"%s\"} %llu\n", room,
                      n->name, (unsigned long long) get(&n->errors));
        ph_buf_printf(
            &b,
            "phosphene_dropped_frames_total{room=\"%s\",node=\"%s\",reason=\"node\"} %llu\n",
            room, n->name, (unsigned long long) get(&n->drops));
    }
    prom_nodes(&b, g, room);
    prom_models(&b, g, room);
    prom_links(&b, g, room);
    pthread_rwlock_unlock(&g->topo);
    return ph_buf_steal(&b);
}

// --- Chrome trace event format: one "thread" a lane, one complete event a run of a node

char *ph_graph_trace_json(struct ph_graph *g)
{
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
    pthread_rwlock_rdlock(&g->topo);
    for (int k = 0; k < g->lane_count; k++) {
        const struct ph_lane *lane = g->lanes[k];
        ph_json_sep(&b);
        ph_buf_printf(
            &b,
            "{\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"name\":\"thread_name\",\"args\":{\"name\":",
            k);
        ph_json_str(&b, lane->name);
        ph_buf_puts(&b, "}}");
        uint64_t end = atomic_load_explicit(&lane->trace_count, memory_order_acquire);
        // the oldest eighth may be overwritten while it is read
        uint64_t keep = TRACE_EVENTS - TRACE_EVENTS / 8;
        for (uint64_t i = end > keep ? end - keep : 0; i < end; i++) {
            const struct trace_event *e = &lane->trace[i % TRACE_EVENTS];
            ph_buf_printf(&b, ",\n{\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"name\":", k);
            ph_json_str(&b, e->name);
            ph_buf_printf(
                &b, ",\"cat\":\"%s\",\"ts\":%.3f,\"dur\":%.3f,\"args\":{\"frame\":%llu}}",
                e->info->group, (double) e->begin_ns * 1e-3,
                (double) (e->end_ns - e->begin_ns) * 1e-3, (unsigned long long) e->frame);
        }
    }
    pthread_rwlock_unlock(&g->topo);
    ph_buf_puts(&b, "]}\n");
    return ph_buf_steal(&b);
}
