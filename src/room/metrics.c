// SPDX-License-Identifier: MIT
// Numbers for people and machines: the plain dialect's metrics, the viewers of the room document,
// Prometheus.
#include "room/room_priv.h"

#include "core/cpu.h"
#include "core/number.h"
#include "server/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- before each picture

static double sane(double v)
{
    return v == v && v < 1e9 && v > -1e9 ? v : 0;
}

// Of folders and devices: what JSON would need an escape for becomes "?", and what is no UTF-8, as a
// name that was cut: a browser ends a connection that brings such a text.
static const char *plain(const char *text, char out[64])
{
    size_t n = 0;
    for (; text[n] && n < 63; n++) {
        bool odd = (unsigned char) text[n] < 32 || text[n] == '"' || text[n] == '\\';
        out[n] = odd ? '?' : text[n];
    }
    out[n] = 0;
    for (size_t i = 0; i < n && !ph_utf8_valid(out, n); i++)
        if ((unsigned char) out[i] >= 0x80) out[i] = '?';
    return out;
}

struct model_text {
    char name[64], backend[64];
};

static struct model_text model_text(const struct ph_model_report *m)
{
    struct model_text t = { .name = "none" };
    if (m->model[0]) plain(m->model, t.name);
    if (m->backend[0])
        plain(m->backend, t.backend);
    else
        snprintf(t.backend, sizeof t.backend, "cpu-%s", ph_cpu_level());
    return t;
}

// Names and order as in docs/protocol.md. A graph without a model has no device time to tell: 0.
int ph_metrics_text(const struct ph_room *room, const struct ph_frame *f, uint64_t dropped,
                    int64_t now_ns, char text[PH_METRICS_MAX])
{
    const struct ph_graph_rates *r = &room->rates;
    const struct ph_model_report *m = &room->report;
    const struct model_text t = model_text(m);
    double latency_ms = f->capture_ns ? (double) (now_ns - f->capture_ns) * 1e-6 : 0;
    double device_ms = (double) (m->encode_ns + m->model_ns + m->decode_ns) * 1e-6;
    int n = ph_snprintf(
        text, PH_METRICS_MAX,
        "{\"type\":\"metrics\",\"data\":{\"frame\":%llu,\"inferenceTimeMs\":%.2f,"
        "\"inferenceTimeEmaMs\":%.2f,\"throughputFps\":%.1f,\"denoisingSteps\":%d,"
        "\"frameWidth\":%d,\"frameHeight\":%d,\"modelName\":\"%s\",\"guidanceScale\":%.2f,"
        "\"inputFps\":%.1f,\"pipelineFps\":%.1f,\"outputFps\":%.1f,"
        "\"dropped\":{\"input\":%llu,\"output\":%llu},\"bottleneck\":\"%s\","
        "\"backend\":\"%s\",\"latencyMs\":%.1f,\"epoch\":%u,"
        "\"encodeMs\":%.2f,\"modelMs\":%.2f,\"decodeMs\":%.2f,\"batchRows\":%d,"
        "\"skipped\":%llu,\"limiter\":\"%s\"}}",
        (unsigned long long) f->id, device_ms, (double) m->mean_ns * 1e-6,
        sane(r->pipeline_fps), m->steps, f->packet.width, f->packet.height, t.name,
        m->guidance_scale, sane(r->input_fps), sane(r->pipeline_fps), sane(r->output_fps),
        (unsigned long long) r->dropped_input,
        (unsigned long long) (r->dropped_output + dropped), r->bottleneck, t.backend,
        sane(latency_ms), f->epoch, (double) m->encode_ns * 1e-6, (double) m->model_ns * 1e-6,
        (double) m->decode_ns * 1e-6, m->rows, (unsigned long long) m->skipped,
        r->limiter ? r->limiter : "none");
    return n < PH_METRICS_MAX ? n : 0;
}

// --- in the room document

static const char *dialect(const struct ph_viewer *v)
{
    return v->mjpeg ? "mjpeg" : v->v1 ? "phosphene.v1" : "plain";
}

static void viewer_json(struct ph_buf *b, const struct ph_viewer *v)
{
    static const double q[] = { 0.5, 0.95 };
    int64_t now = ph_now_ns();
    struct ph_conn_stats s;
    double latency[2];
    ph_conn_stats(v->conn, &s);
    ph_hist_quantiles(&v->latency, q, 2, latency);
    ph_json_sep(b);
    ph_buf_printf(b, "{\"id\":%llu,\"dialect\":\"%s\",\"codec\":\"%s\"",
                  (unsigned long long) v->id, dialect(v),
                  v->feed < 0 ? "none" : ph_codec_name(ph_feed_codecs[v->feed]));
    ph_buf_printf(b, ",\"sentFps\":%.4g,\"shownFps\":%.4g", s.sent_fps,
                  ph_rate_get(&v->shown, now));
    if (ph_hist_count(&v->latency))
        ph_buf_printf(b, ",\"latencyMs\":{\"p50\":%.4g,\"p95\":%.4g}", latency[0] * 1e-6,
                      latency[1] * 1e-6);
    else
        ph_buf_puts(b, ",\"latencyMs\":null");
    ph_buf_printf(
        b, ",\"sent\":%llu,\"dropped\":%llu,\"ageMs\":%.4g}", (unsigned long long) s.sent,
        (unsigned long long) (s.dropped[PH_SENT_REPLACED] + s.dropped[PH_SENT_NO_KEY]),
        (double) s.queue_age_ns * 1e-6);
}

void ph_viewers_json(struct ph_room *room, struct ph_buf *b)
{
    pthread_mutex_lock(&room->view_lock);
    ph_json_key(b, "viewers");
    ph_buf_printf(b, "%d", room->viewer_count);
    ph_json_key(b, "clients");
    ph_buf_puts(b, "[");
    for (const struct ph_viewer *v = room->viewers; v; v = v->next) viewer_json(b, v);
    ph_buf_puts(b, "]");
    pthread_mutex_unlock(&room->view_lock);
}

// --- Prometheus: every sample of a family stands together below its # HELP and # TYPE

static const struct family {
    const char *name, *type, *help;
} families[] = {
    { "phosphene_build_info", "gauge", "1; the label is this build's version" },
    { "phosphene_rooms", "gauge", "rooms that are open" },
    { "phosphene_room_viewers", "gauge", "connections that watch the room" },
    { "phosphene_room_recording", "gauge", "1 while the room is recorded" },
    { "phosphene_room_fps", "gauge", "frames per second over the last two seconds" },
    { "phosphene_room_epoch", "gauge", "rises with every hard cut" },
    { "phosphene_room_latency_seconds", "gauge", "from capture to the sink, by quantile" },
    { "phosphene_frames_total", "counter", "frames a node made; of a sink, frames it took" },
    { "phosphene_errors_total", "counter", "runs of a node that failed" },
    { "phosphene_dropped_frames_total", "counter", "frames that a node threw away" },
    { "phosphene_node_seconds", "summary", "time of one run of a node" },
    { "phosphene_model_device_seconds", "gauge",
      "of the newest frame, on the device, by part" },
    { "phosphene_model_skipped_total", "counter",
      "frames that a filter answered with the one before" },
    { "phosphene_link_queued", "gauge", "frames that wait in a link" },
    { "phosphene_link_dropped_total", "counter", "frames that a link dropped, by reason" },
    { "phosphene_viewer_sent_total", "counter", "pictures sent to a viewer" },
    { "phosphene_viewer_sent_bytes_total", "counter", "bytes sent to a viewer" },
    { "phosphene_viewer_dropped_total", "counter",
      "pictures a viewer was too slow for, by reason" },
    { "phosphene_viewer_fps", "gauge",
      "pictures per second that a viewer was sent and has shown" },
    { "phosphene_viewer_latency_seconds", "gauge", "from capture to the viewer's screen" },
    { "phosphene_viewer_queue_age_seconds", "gauge", "age of the oldest picture that waits" },
    { "phosphene_server_connections", "gauge", "open sockets" },
    { "phosphene_server_viewers", "gauge", "WebSocket and MJPEG connections" },
    { "phosphene_server_accepted_total", "counter", "sockets accepted" },
    { "phosphene_server_requests_total", "counter", "HTTP requests" },
    { "phosphene_server_upgrades_total", "counter", "requests that became WebSockets" },
    { "phosphene_server_refused_total", "counter",
      "requests and messages turned away, by reason" },
    { "phosphene_server_sent_bytes_total", "counter", "bytes sent" },
    { "phosphene_server_received_bytes_total", "counter", "bytes received" },
};
#define FAMILIES (int) (sizeof families / sizeof *families)

typedef unsigned long long count;

static void viewer_samples(struct ph_buf *b, const struct ph_room *room,
                           const struct ph_viewer *v)
{
    static const double half = 0.5;
    struct ph_conn_stats s;
    double latency;
    char who[128];
    ph_conn_stats(v->conn, &s);
    ph_hist_quantiles(&v->latency, &half, 1, &latency);
    snprintf(who, sizeof who, "room=\"%s\",viewer=\"%llu\"", room->name, (count) v->id);
    ph_buf_printf(b, "phosphene_viewer_sent_total{%s} %llu\n", who, (count) s.sent);
    ph_buf_printf(b, "phosphene_viewer_sent_bytes_total{%s} %llu\n", who, (count) s.sent_bytes);
    for (int i = 0; i < PH_SENT_DROPS; i++)
        ph_buf_printf(b, "phosphene_viewer_dropped_total{%s,reason=\"%s\"} %llu\n", who,
                      ph_send_drop_name[i], (count) s.dropped[i]);
    ph_buf_printf(b, "phosphene_viewer_fps{%s,of=\"sent\"} %.4g\n", who, s.sent_fps);
    ph_buf_printf(b, "phosphene_viewer_fps{%s,of=\"shown\"} %.4g\n", who,
                  ph_rate_get(&v->shown, ph_now_ns()));
    if (ph_hist_count(&v->latency))
        ph_buf_printf(b, "phosphene_viewer_latency_seconds{%s,quantile=\"0.5\"} %.6g\n", who,
                      latency * 1e-9);
    ph_buf_printf(b, "phosphene_viewer_queue_age_seconds{%s} %.6g\n", who,
                  (double) s.queue_age_ns * 1e-9);
}

static void room_samples(struct ph_buf *b, struct ph_room *room)
{
    pthread_rwlock_rdlock(&room->graph_lock);
    char *text = room->graph ? ph_graph_metrics_text(room->graph, room->name) : NULL;
    pthread_rwlock_unlock(&room->graph_lock);
    if (text) ph_buf_puts(b, text);
    free(text);
    pthread_mutex_lock(&room->view_lock);
    ph_buf_printf(b, "phosphene_room_viewers{room=\"%s\"} %d\n", room->name,
                  room->viewer_count);
    ph_buf_printf(b, "phosphene_room_recording{room=\"%s\"} %d\n", room->name,
                  atomic_load(&room->recording_on));
    for (const struct ph_viewer *v = room->viewers; v; v = v->next) viewer_samples(b, room, v);
    pthread_mutex_unlock(&room->view_lock);
}

static void server_samples(struct ph_buf *b, struct ph_rooms *house, int rooms)
{
    struct ph_server_stats s;
    ph_server_stats(house->server, &s);
    ph_buf_printf(b, "phosphene_build_info{version=\"%s\"} 1\n", ph_version());
    ph_buf_printf(b, "phosphene_rooms %d\n", rooms);
    ph_buf_printf(b, "phosphene_server_connections %d\n", s.connections);
    ph_buf_printf(b, "phosphene_server_viewers %d\n", s.viewers);
    ph_buf_printf(b, "phosphene_server_accepted_total %llu\n", (count) s.accepted);
    ph_buf_printf(b, "phosphene_server_requests_total %llu\n", (count) s.requests);
    ph_buf_printf(b, "phosphene_server_upgrades_total %llu\n", (count) s.upgrades);
    for (int i = 0; i < PH_REFUSALS; i++)
        ph_buf_printf(b, "phosphene_server_refused_total{reason=\"%s\"} %llu\n",
                      ph_server_refusal_name[i], (count) s.refused[i]);
    ph_buf_printf(b, "phosphene_server_sent_bytes_total %llu\n", (count) s.sent_bytes);
    ph_buf_printf(b, "phosphene_server_received_bytes_total %llu\n", (count) s.received_bytes);
}

// A summary's _sum and _count belong to its family.
static bool belongs(const char *line, const struct family *f)
{
    size_t len = strlen(f->name);
    if (strncmp(line, f->name, len)) return false;
    const char *rest = line + len;
    if (*rest == '{' || *rest == ' ') return true;
    return !strcmp(f->type, "summary") &&
           (!strncmp(rest, "_sum{", 5) || !strncmp(rest, "_count{", 7));
}

static void put_family(struct ph_buf *out, const struct family *f, const char *samples)
{
    bool any = false;
    for (const char *line = samples; *line;) {
        size_t len = strcspn(line, "\n") + 1;
        if (belongs(line, f)) {
            if (!any)
                ph_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name,
                              f->type);
            any = true;
            ph_buf_put(out, line, len);
        }
        line += len;
    }
}

char *ph_metrics_prometheus(struct ph_rooms *house)
{
    struct ph_buf samples = { 0 }, out = { 0 };
    int rooms = 0;
    pthread_mutex_lock(&house->lock);
    for (struct ph_room *r = house->rooms; r; r = r->next, rooms++) room_samples(&samples, r);
    if (house->test) room_samples(&samples, house->test);
    pthread_mutex_unlock(&house->lock);
    server_samples(&samples, house, rooms);
    for (int i = 0; i < FAMILIES && !samples.failed; i++)
        put_family(&out, &families[i], samples.data);
    out.failed = out.failed || samples.failed;
    ph_buf_free(&samples);
    return ph_buf_steal(&out);
}
