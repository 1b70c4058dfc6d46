// SPDX-License-Identifier: MIT
// /api/v1/rooms and below: each request becomes a job of its room, and its answer comes from there.
#include "room/room_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_NS (10 * PH_SECOND_NS) // an edit may open devices
#define ACK_NS    PH_SECOND_NS

static const char too_late[] =
    "{\"error\":{\"code\":\"ETIMEOUT\",\"field\":\"room\",\"message\":"
    "\"the room did not answer within 10 s\"}}";
static const char pending[] = "{\"type\":\"pending\"}";

// The room of the path, or 404.
static struct ph_room *room_of(struct ph_rooms *house, struct ph_request *req)
{
    char near[64];
    const char *name = ph_request_param(req, "name");
    struct ph_room *room = ph_rooms_find(house, name);
    if (room) return room;
    if (ph_rooms_nearest(house, name, near))
        ph_reply_error(req, 404, "room", "there is no room \"%.60s\", did you mean \"%s\"?",
                       name, near);
    else
        ph_reply_error(req, 404, "room", "there is no room \"%.60s\"", name);
    return NULL;
}

// NULL = answered already.
static struct ph_room_job *defer(struct ph_room *room, struct ph_request *req,
                                 void (*act)(struct ph_room *room, struct ph_room_job *j),
                                 const char *text)
{
    struct ph_asker asker = { .deferred = ph_request_defer(req, ANSWER_NS, 503, too_late) };
    return asker.deferred ? ph_room_job(room, &asker, act, text) : NULL;
}

static void defer_simple(struct ph_rooms *house, struct ph_request *req,
                         void (*act)(struct ph_room *room, struct ph_room_job *j),
                         const char *text)
{
    struct ph_room *room = room_of(house, req);
    struct ph_room_job *j = room ? defer(room, req, act, text) : NULL;
    if (j) ph_room_post(j);
    ph_room_unref(&room);
}

// The body as an object that has these members only; NULL = answered.
static const struct ph_json *body_of(struct ph_request *req, const char *const *members)
{
    struct ph_fault fault;
    const struct ph_json *body = ph_request_json(req);
    if (!body || ph_json_only(body, members, &fault) == PH_OK) return body;
    ph_reply_fault(req, 400, &fault);
    return NULL;
}

// A member that must be a text; NULL = missing; *wrong = there, but no text (answered).
static const char *text_of(struct ph_request *req, const struct ph_json *body, const char *name,
                           bool *wrong)
{
    const struct ph_json *v = ph_json_get(body, name);
    if (!v || *wrong) return NULL;
    if (v->type == PH_JSON_STRING) return v->text;
    *wrong = true;
    ph_reply_error(req, 400, name, "%s is a text", name);
    return NULL;
}

// --- the list

static void put_room(struct ph_buf *b, struct ph_room *room)
{
    static const char *const states[] = { "opening", "live", "closed" };
    struct ph_graph_rates r = { 0 };
    pthread_rwlock_rdlock(&room->graph_lock);
    bool open = room->graph != NULL, over = open && ph_graph_wait(room->graph, 0) == PH_EOF;
    if (open) ph_graph_get_rates(room->graph, &r);
    pthread_rwlock_unlock(&room->graph_lock);
    pthread_mutex_lock(&room->view_lock);
    int viewers = room->viewer_count;
    pthread_mutex_unlock(&room->view_lock);
    ph_json_sep(b);
    ph_buf_puts(b, "{\"name\":");
    ph_json_str(b, room->name);
    ph_json_key(b, "state");
    ph_json_str(b, over ? "ended" : r.asleep ? "asleep" : states[atomic_load(&room->state)]);
    ph_buf_printf(b, ",\"viewers\":%d,\"recording\":%s", viewers,
                  atomic_load(&room->recording_on) ? "true" : "false");
    ph_buf_printf(b, ",\"rates\":{\"input\":%.4g,\"pipeline\":%.4g,\"output\":%.4g}}",
                  r.input_fps, r.pipeline_fps, r.output_fps);
}

static void list_rooms(struct ph_rooms *house, struct ph_request *req)
{
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, "{\"rooms\":[");
    pthread_mutex_lock(&house->lock);
    for (struct ph_room *r = house->rooms; r; r = r->next) put_room(&b, r);
    pthread_mutex_unlock(&house->lock);
    ph_buf_puts(&b, "]}");
    if (b.failed)
        ph_reply_error(req, 503, "", "out of memory");
    else
        ph_reply_json(req, 200, b.data, b.len);
    ph_buf_free(&b);
}

static void create_room(struct ph_rooms *house, struct ph_request *req)
{
    static const char *const members[] = { "name", "graph", "preset", NULL };
    const struct ph_json *body = body_of(req, members);
    bool wrong = false;
    if (!body) return;
    struct ph_room_params par = { .name = text_of(req, body, "name", &wrong),
                                  .graph = text_of(req, body, "graph", &wrong),
                                  .preset = text_of(req, body, "preset", &wrong) };
    if (wrong) return;
    if (!par.name) {
        ph_reply_error(req, 400, "name", "name is missing");
        return;
    }
    struct ph_asker asker = { .deferred = ph_request_defer(req, ANSWER_NS, 503, too_late) };
    if (asker.deferred) ph_rooms_add(house, &par, true, &asker);
}

static void rooms(void *opaque, struct ph_request *req)
{
    if (ph_request_method(req) == PH_GET)
        list_rooms(opaque, req);
    else
        create_room(opaque, req);
}

// --- one room

static void edit_room(struct ph_rooms *house, struct ph_request *req)
{
    static const char *const members[] = { "graph", "preset", NULL };
    const struct ph_json *body = body_of(req, members);
    struct ph_fault fault;
    bool wrong = false;
    if (!body) return;
    const char *graph = text_of(req, body, "graph", &wrong);
    const char *preset = text_of(req, body, "preset", &wrong);
    if (wrong) return;
    if (!graph == !preset) {
        ph_reply_error(req, 400, "graph", "{\"graph\":text} or {\"preset\":name}");
        return;
    }
    const char *text = graph ? graph : ph_rooms_preset(house, preset, &fault);
    if (!text) {
        ph_reply_fault(req, 404, &fault);
        return;
    }
    struct ph_room *room = room_of(house, req);
    struct ph_room_job *j = room ? defer(room, req, ph_room_act_edit, text) : NULL;
    if (j) j->trusted = preset != NULL;
    if (j) ph_room_post(j);
    ph_room_unref(&room);
}

static void remove_room(struct ph_rooms *house, struct ph_request *req)
{
    struct ph_room *room = room_of(house, req);
    if (!room) return;
    struct ph_asker asker = { .deferred = ph_request_defer(req, ANSWER_NS, 503, too_late) };
    if (asker.deferred) ph_rooms_remove(house, room, &asker);
    ph_room_unref(&room);
}

static void room(void *opaque, struct ph_request *req)
{
    switch (ph_request_method(req)) {
    case PH_PATCH: edit_room(opaque, req); break;
    case PH_DELETE: remove_room(opaque, req); break;
    default: defer_simple(opaque, req, ph_room_act_doc, NULL); break;
    }
}

// --- control

// Waits up to a second for the frame.
static void control(struct ph_rooms *house, struct ph_request *req, enum ph_message_type type,
                    void (*act)(struct ph_room *room, struct ph_room_job *j))
{
    struct ph_message *m = NULL;
    struct ph_fault fault = { 0 };
    const struct ph_json *body = ph_request_json(req);
    if (!body) return;
    if (ph_message_body(&m, type, body, &fault) < 0) {
        ph_reply_fault(req, 0, &fault);
        return;
    }
    struct ph_room *at = room_of(house, req);
    struct ph_asker asker = { 0 };
    if (at) asker.deferred = ph_request_defer(req, ACK_NS, 202, pending);
    struct ph_room_job *j = asker.deferred ? ph_room_job(at, &asker, act, NULL) : NULL;
    if (j) {
        j->message = m;
        j->job.bytes += m->bytes;
        ph_room_post(j);
    } else {
        free(m);
    }
    ph_room_unref(&at);
}

static void params(void *opaque, struct ph_request *req)
{
    if (ph_request_method(req) == PH_GET)
        defer_simple(opaque, req, ph_room_act_params, NULL);
    else
        control(opaque, req, PH_MESSAGE_SET, ph_room_act_set);
}

static void cut(void *opaque, struct ph_request *req)
{
    control(opaque, req, PH_MESSAGE_CUT, ph_room_act_cut);
}

static void source(void *opaque, struct ph_request *req)
{
    static const char *const members[] = { "source", NULL };
    const struct ph_json *body = body_of(req, members);
    bool wrong = false;
    if (!body) return;
    const char *name = text_of(req, body, "source", &wrong);
    if (wrong) return;
    if (name)
        defer_simple(opaque, req, ph_room_act_source, name);
    else
        ph_reply_error(req, 400, "source", "source is the name of one of /api/v1/sources");
}

// --- taking away

static void record(void *opaque, struct ph_request *req)
{
    static const char *const members[] = { "action", "what", NULL };
    if (ph_request_method(req) == PH_GET) {
        defer_simple(opaque, req, ph_room_act_record, "");
        return;
    }
    const struct ph_json *body = body_of(req, members);
    const char *action = ph_json_string(ph_json_get(body, "action"), "");
    const struct ph_json *what = ph_json_get(body, "what");
    bool start = !strcmp(action, "start"), depth = !strcmp(ph_json_string(what, ""), "depth");
    if (!body) return;
    if (!start && strcmp(action, "stop"))
        ph_reply_error(req, 400, "action", "action is \"start\" or \"stop\"");
    else if (what && (!start || (!depth && strcmp(ph_json_string(what, ""), "picture"))))
        ph_reply_error(req, 400, "what", "what is started: \"picture\" or \"depth\"");
    else
        defer_simple(opaque, req, ph_room_act_record, start && depth ? "tape" : action);
}

static void calibrate(void *opaque, struct ph_request *req)
{
    size_t size;
    if (ph_request_method(req) == PH_GET)
        defer_simple(opaque, req, ph_room_act_calibration, NULL);
    else if (ph_request_json(req))
        defer_simple(opaque, req, ph_room_act_calibrate, ph_request_body(req, &size));
}

static void recordings(void *opaque, struct ph_request *req)
{
    const struct ph_rooms *house = opaque;
    char *json = ph_record_list(house->recordings);
    if (json)
        ph_reply_json(req, 200, json, strlen(json));
    else
        ph_reply_error(req, 503, "", "out of memory");
    free(json);
}

static void recording_file(void *opaque, struct ph_request *req)
{
    struct ph_rooms *house = opaque;
    const char *file = ph_request_param(req, "file"), *type = ph_record_type(file);
    if (!type) // whatever else its owner keeps in that folder
        ph_reply_error(req, 404, NULL, "there is no recording \"%.60s\"", file);
    else
        ph_reply_file(req, house->recordings, file, type, file);
}

static void trace(void *opaque, struct ph_request *req)
{
    defer_simple(opaque, req, ph_room_act_trace, NULL);
}

static void journal(void *opaque, struct ph_request *req)
{
    struct ph_room *at = room_of(opaque, req);
    if (!at) return;
    const char *path = at->journal, *slash = path ? strrchr(path, '/') : NULL;
    char dir[1024] = ".";
    if (slash) snprintf(dir, sizeof dir, "%.*s", (int) (slash - path), path);
    if (!path)
        ph_reply_error(req, 404, "journal",
                       "this room keeps no journal: start the server with --journal FILE");
    else
        ph_reply_file(req, slash == path ? "/" : dir, slash ? slash + 1 : path,
                      "application/octet-stream", slash ? slash + 1 : path);
    ph_room_unref(&at);
}

static void frame(void *opaque, struct ph_request *req)
{
    struct ph_rooms *house = opaque;
    struct ph_room *at = room_of(house, req);
    if (at) ph_view_reply_frame(at, req);
    ph_room_unref(&at);
}

ph_err ph_api_rooms_routes(struct ph_rooms *house)
{
    const struct ph_route routes[] = {
        { PH_GET | PH_POST, "/api/v1/rooms", rooms, house, false },
        { PH_GET | PH_PATCH | PH_DELETE, "/api/v1/rooms/{name}", room, house, false },
        { PH_GET | PH_PATCH, "/api/v1/rooms/{name}/params", params, house, false },
        { PH_POST, "/api/v1/rooms/{name}/cut", cut, house, false },
        { PH_POST, "/api/v1/rooms/{name}/source", source, house, false },
        { PH_GET | PH_POST, "/api/v1/rooms/{name}/record", record, house, false },
        { PH_GET, "/api/v1/rooms/{name}/trace", trace, house, false },
        { PH_GET, "/api/v1/rooms/{name}/journal", journal, house, false },
        { PH_GET, "/api/v1/rooms/{name}/frame.jpg", frame, house, false },
        { PH_GET | PH_POST, "/api/v1/rooms/{name}/calibrate", calibrate, house, false },
        { PH_GET, "/api/v1/phone", ph_phone, house, false },
        { PH_GET, "/api/v1/recordings", recordings, house, false },
        { PH_GET, "/api/v1/recordings/{file}", recording_file, house, false },
    };
    ph_err ret = PH_OK;
    for (size_t i = 0; i < sizeof routes / sizeof *routes && ret == PH_OK; i++)
        ret = ph_server_route(house->server, &routes[i]);
    return ret;
}
