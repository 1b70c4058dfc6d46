// SPDX-License-Identifier: MIT
// What does not belong to one room: health, metrics, and what this build and machine have.
#include "room/room_priv.h"

#include "core/tree.h"
#include "models/shelf.h"
#include "room/presets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reply_buf(struct ph_request *req, struct ph_buf *b)
{
    if (b->failed)
        ph_reply_error(req, 503, "", "out of memory");
    else
        ph_reply_json(req, 200, b->data, b->len);
    ph_buf_free(b);
}

// --- health

static void healthz(void *opaque, struct ph_request *req)
{
    ph_reply_text(req, 200, "ok\n");
}

static void readyz(void *opaque, struct ph_request *req)
{
    char why[512] = "there is no room yet";
    struct ph_room *room = ph_rooms_find(opaque, NULL);
    bool ready = room && ph_room_not_ready(room, why, sizeof why) == 0;
    if (ready && ph_view_waits_for_camera(room))
        snprintf(why, sizeof why,
                 "ready: the room \"%s\" takes a visitor's webcam, and none sends yet\n",
                 room->name);
    ph_room_unref(&room);
    if (ready)
        ph_reply_text(req, 200, why[0] ? why : "ready\n");
    else
        ph_reply_error(req, 503, "room", "%s", why);
}

static void metrics(void *opaque, struct ph_request *req)
{
    char *text = ph_metrics_prometheus(opaque);
    if (text)
        ph_reply_bytes(req, 200, "text/plain; version=0.0.4; charset=utf-8", text,
                       strlen(text));
    else
        ph_reply_error(req, 503, "", "out of memory");
    free(text);
}

static void frame(void *opaque, struct ph_request *req)
{
    const char *name = ph_request_query(req, "room");
    struct ph_room *room = ph_rooms_find(opaque, name);
    if (room)
        ph_view_reply_frame(room, req);
    else
        ph_reply_error(req, 404, "room",
                       name ? "there is no room \"%.60s\"" : "there is no room", name);
    ph_room_unref(&room);
}

// --- lists

static void nodes(void *opaque, struct ph_request *req)
{
    const struct ph_rooms *house = opaque;
    ph_reply_json(req, 200, house->nodes_json, strlen(house->nodes_json));
}

static void presets(void *opaque, struct ph_request *req)
{
    const struct ph_rooms *house = opaque;
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, "{\"presets\":[");
    for (const struct ph_preset *p = house->presets; p->name; p++) {
        ph_json_sep(&b);
        ph_buf_puts(&b, "{\"name\":");
        ph_json_str(&b, p->name);
        ph_json_key(&b, "title");
        ph_json_str(&b, p->title);
        char *text = ph_hide(house->allow.hidden, NULL, p->text);
        ph_json_key(&b, "text");
        ph_json_str(&b, text ? text : "");
        b.failed = b.failed || !text;
        free(text);
        ph_buf_puts(&b, "}");
    }
    ph_buf_puts(&b, "]}");
    reply_buf(req, &b);
}

static void sources(void *opaque, struct ph_request *req)
{
    const struct ph_rooms *house = opaque;
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, "{\"sources\":[");
    for (int i = 0; i < house->allow.source_count; i++) {
        const struct ph_source *s = &house->allow.sources[i];
        ph_json_sep(&b);
        ph_buf_puts(&b, "{\"name\":");
        ph_json_str(&b, s->name);
        ph_json_key(&b, "kind");
        ph_json_str(&b, s->kind);
        char *label = ph_hide(house->allow.hidden, NULL, s->label);
        ph_json_key(&b, "label");
        ph_json_str(&b, label ? label : "");
        b.failed = b.failed || !label;
        free(label);
        ph_buf_puts(&b, "}");
    }
    ph_buf_puts(&b, "]}");
    reply_buf(req, &b);
}

// --- devices and models: probing takes its time

struct probe {
    struct ph_job job;
    struct ph_deferred *deferred;
    const char *what;
    char *(*list)(void *opaque);
    void *opaque;
};

static void run_probe(struct ph_job *job)
{
    struct probe *p = (struct probe *) job;
    char *json = p->list(p->opaque);
    struct ph_fault fault;
    ph_fail(&fault, PH_EDEVICE, p->what, "the %s could not be listed", p->what);
    if (json)
        ph_deferred_reply(&p->deferred, 200, json, strlen(json));
    else
        ph_deferred_fault(&p->deferred, 503, &fault);
    free(json);
    free(p);
}

#define LATE(what)                                                                             \
    "{\"error\":{\"code\":\"ETIMEOUT\",\"field\":\"" what "\",\"message\":\"the " what         \
    " did not answer within 10 s\"}}"

static void probe(struct ph_rooms *house, struct ph_request *req, const char *what,
                  const char *late, char *(*list)(void *opaque), void *list_opaque)
{
    struct probe *p = calloc(1, sizeof *p);
    if (!p) {
        ph_reply_error(req, 503, "", "out of memory");
        return;
    }
    *p = (struct probe){ .job = { .bytes = sizeof *p, .run = run_probe },
                         .what = what,
                         .list = list,
                         .opaque = list_opaque };
    p->deferred = ph_request_defer(req, 10 * PH_SECOND_NS, 503, late);
    if (!p->deferred) {
        free(p);
        return;
    }
    if (ph_worker_post(house->prober, &p->job) == PH_OK) return;
    struct ph_fault fault;
    ph_fail(&fault, PH_EBUSY, what, "too many ask for the %s", what);
    ph_deferred_fault(&p->deferred, 503, &fault);
    free(p);
}

static void devices(void *opaque, struct ph_request *req)
{
    struct ph_rooms *house = opaque;
    if (house->par.devices)
        probe(house, req, "devices", LATE("devices"), house->par.devices, house->par.opaque);
    else
        ph_reply_error(req, 404, "devices", "this program does not list devices");
}

// Where they lie on this machine is not told.
static char *list_models(void *opaque)
{
    struct ph_buf b = { 0 };
    void *tree = ph_tree_alloc(NULL, 1);
    const struct ph_shelved *m = tree ? ph_shelf_list(tree) : NULL;
    b.failed = !m;
    ph_buf_puts(&b, "{\"models\":[");
    for (; m && m->name; m++) {
        ph_json_sep(&b);
        ph_buf_puts(&b, "{\"name\":");
        ph_json_str(&b, m->name);
        ph_json_key(&b, "class");
        ph_json_str(&b, m->class);
        ph_json_key(&b, "kind");
        ph_json_str(&b, m->pipeline ? "pipeline" : "module");
        ph_buf_printf(&b, ",\"bytes\":%lld}", (long long) m->bytes);
    }
    ph_buf_puts(&b, "]}");
    ph_tree_free(tree);
    return ph_buf_steal(&b);
}

static void models(void *opaque, struct ph_request *req)
{
    probe(opaque, req, "models", LATE("models"), list_models, NULL);
}

ph_err ph_api_routes(struct ph_rooms *house)
{
    const struct ph_route routes[] = {
        { PH_GET, "/healthz", healthz, house, true },
        { PH_GET, "/readyz", readyz, house, true },
        { PH_GET, "/metrics", metrics, house, false },
        { PH_GET, "/frame.jpg", frame, house, false },
        { PH_GET, "/api/v1/nodes", nodes, house, false },
        { PH_GET, "/api/v1/presets", presets, house, false },
        { PH_GET, "/api/v1/sources", sources, house, false },
        { PH_GET, "/api/v1/devices", devices, house, false },
        { PH_GET, "/api/v1/models", models, house, false },
    };
    ph_err ret = PH_OK;
    for (size_t i = 0; i < sizeof routes / sizeof *routes && ret == PH_OK; i++)
        ret = ph_server_route(house->server, &routes[i]);
    return ret;
}
