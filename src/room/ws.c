// SPDX-License-Identifier: MIT
// WebSocket and MJPEG connections: what each message asks for goes to the room.
#include "room/room_priv.h"

#include "server/jpeg_check.h"
#include "server/protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLISH_NS (5 * PH_SECOND_NS) // without a picture a publisher's place is free again

// --- coming and going

static struct ph_viewer *new_viewer(struct ph_rooms *house, struct ph_room *room)
{
    struct ph_viewer *v = calloc(1, sizeof *v);
    if (!v) return NULL;
    v->room = ph_room_ref(room);
    v->id = ++house->next_viewer;
    return v;
}

static void free_viewer(struct ph_viewer *v)
{
    ph_conn_unref(&v->conn);
    ph_room_unref(&v->room);
    free(v);
}

static void not_found(struct ph_rooms *house, struct ph_request *req, const char *name)
{
    char near[64];
    if (!ph_request_authorized(req)) // a stranger is not told how the rooms are called
        ph_reply_error(req, 401, "token", "a token is needed: Authorization: Bearer …");
    else if (!name || !*name)
        ph_reply_error(req, 404, "room", "there is no room yet");
    else if (ph_rooms_nearest(house, name, near))
        ph_reply_error(req, 404, "room", "there is no room \"%.60s\", did you mean \"%s\"?",
                       name, near);
    else
        ph_reply_error(req, 404, "room", "there is no room \"%.60s\"", name);
}

static ph_err accept_in(struct ph_rooms *house, struct ph_room *room, struct ph_request *req,
                        bool clouds, struct ph_ws_accept *accept)
{
    struct ph_viewer *v = new_viewer(house, room);
    if (!v) {
        ph_reply_error(req, 503, "", "out of memory");
        return PH_ENOMEM;
    }
    v->clouds = clouds;
    v->v1 = !clouds && ph_request_offers(req, PH_WIRE_SUBPROTOCOL);
    accept->subprotocol = v->v1 ? PH_WIRE_SUBPROTOCOL : NULL;
    accept->user = v;
    accept->mode = PH_SEND_LATEST;
    return PH_OK;
}

static ph_err accept_named(struct ph_rooms *house, struct ph_request *req, bool clouds,
                           struct ph_ws_accept *accept)
{
    const char *name = ph_request_query(req, "room");
    struct ph_room *room = ph_rooms_find(house, name);
    if (!room) {
        not_found(house, req, name);
        return PH_ENOENT;
    }
    ph_err ret = accept_in(house, room, req, clouds, accept);
    ph_room_unref(&room);
    return ret;
}

static ph_err accept_stream(void *opaque, struct ph_request *req, struct ph_ws_accept *accept)
{
    return accept_named(opaque, req, false, accept);
}

static ph_err accept_depth(void *opaque, struct ph_request *req, struct ph_ws_accept *accept)
{
    return accept_named(opaque, req, true, accept);
}

static ph_err accept_test(void *opaque, struct ph_request *req, struct ph_ws_accept *accept)
{
    struct ph_fault fault;
    struct ph_room *room = ph_rooms_test(opaque, &fault);
    if (!room) {
        ph_reply_fault(req, 503, &fault);
        return fault.code;
    }
    ph_err ret = accept_in(opaque, room, req, false, accept);
    ph_room_unref(&room);
    return ret;
}

static void opened(void *user, struct ph_conn *conn)
{
    struct ph_viewer *v = user;
    v->conn = ph_conn_ref(conn);
    ph_view_join(v->room, v);
    if (atomic_load(&v->room->state) == PH_ROOM_CLOSED)
        ph_conn_close(conn, 1001, "the room was removed");
}

// Who has left sends no more pictures.
static void leave_publishers(struct ph_rooms *house, uint64_t viewer)
{
    for (int i = 0; i < house->par.limits.publishers; i++)
        if (house->publishers[i].viewer == viewer)
            house->publishers[i] = (struct ph_publisher){ 0 };
}

static void closed(void *user, struct ph_conn *conn, int code)
{
    struct ph_viewer *v = user;
    leave_publishers(v->room->house, v->id);
    if (v->conn) ph_view_leave(v->room, v);
    free_viewer(v);
}

// --- messages

// Takes the message.
static void ask(struct ph_viewer *v, struct ph_message *m, struct ph_message_id id,
                void (*act)(struct ph_room *room, struct ph_room_job *j))
{
    struct ph_asker asker = { ph_conn_ref(v->conn), id.given, id.value, NULL, NULL };
    struct ph_room_job *j = ph_room_job(v->room, &asker, act, NULL);
    if (!j) {
        free(m);
        return;
    }
    j->message = m;
    j->job.bytes += m->bytes;
    ph_room_post(j);
}

static void pong(struct ph_conn *conn, const struct ph_message *m)
{
    char text[160];
    int n = snprintf(text, sizeof text, "{\"type\":\"pong\"%s%.64s,\"server_ns\":%lld}",
                     m->t ? ",\"t\":" : "", m->t ? m->t : "", (long long) ph_now_ns());
    ph_ws_send_text(conn, text, (size_t) n);
}

static void only_v1(struct ph_conn *conn, struct ph_message_id id)
{
    struct ph_fault fault;
    ph_fail(&fault, PH_EINVAL, "type",
            "hello and codec belong to the subprotocol " PH_WIRE_SUBPROTOCOL
            "; here every picture is a JPEG");
    ph_ws_fault(conn, id.given, id.value, &fault);
}

static void only_depth(struct ph_conn *conn, struct ph_message_id id)
{
    struct ph_fault fault;
    ph_fail(&fault, PH_EINVAL, "type", "roles belong to /ws and /ws/depth");
    ph_ws_fault(conn, id.given, id.value, &fault);
}

static void heard(void *user, struct ph_conn *conn, const char *text, size_t len)
{
    struct ph_viewer *v = user;
    struct ph_message *m;
    struct ph_message_id id;
    struct ph_fault fault = { 0 };
    if (ph_message_parse(&m, &id, text, len, &fault) < 0) {
        ph_ws_fault(conn, id.given, id.value, &fault);
        return;
    }
    switch (m->type) {
    case PH_MESSAGE_SET: ask(v, m, id, ph_room_act_set); return;
    case PH_MESSAGE_CUT: ask(v, m, id, ph_room_act_cut); return;
    case PH_MESSAGE_PING:
        if (m->timed) ph_view_clock(v, m);
        pong(conn, m);
        break;
    case PH_MESSAGE_SUBSCRIBE: ph_view_subscribe(v, m); break;
    case PH_MESSAGE_SHOWN: ph_view_shown(v, m); break;
    case PH_MESSAGE_ROLE:
        if (v->clouds)
            ph_view_role(v, m->camera, m->inlet);
        else
            only_depth(conn, id);
        break;
    case PH_MESSAGE_HELLO:
    case PH_MESSAGE_CODEC:
        if (v->v1)
            ph_view_hello(v, m);
        else
            only_v1(conn, id);
        break;
    }
    free(m);
}

// --- pictures of a client's camera

// A place among the publishers; it is kept for as long as pictures come.
static bool may_publish(struct ph_rooms *house, uint64_t viewer, int64_t now)
{
    struct ph_publisher *place = NULL;
    for (int i = 0; i < house->par.limits.publishers; i++) {
        struct ph_publisher *p = &house->publishers[i];
        if (p->viewer == viewer) {
            place = p;
            break;
        }
        if (p->until_ns < now) place = p;
    }
    if (place) *place = (struct ph_publisher){ viewer, now + PUBLISH_NS };
    return place != NULL;
}

bool ph_ws_publishes(const struct ph_rooms *house, uint64_t viewer)
{
    int64_t now = ph_now_ns();
    for (int i = 0; i < house->par.limits.publishers; i++) {
        const struct ph_publisher *p = &house->publishers[i];
        if (p->viewer == viewer && p->until_ns >= now) return true;
    }
    return false;
}

static ph_err make_packet(const void *bytes, size_t size, int width, int height,
                          int64_t capture_ns, struct ph_frame **out)
{
    ph_err ret = ph_frame_packet(NULL, PH_JPEG, size, out);
    if (ret < 0) return ret;
    struct ph_packet *p = &(*out)->packet;
    memcpy(p->data, bytes, size);
    p->size = size;
    p->key = true;
    p->width = width;
    p->height = height;
    (*out)->capture_ns = capture_ns;
    return PH_OK;
}

// A room that nobody watches or records need not decode what comes in.
static bool asleep(struct ph_room *room)
{
    struct ph_graph_rates rates;
    if (atomic_load(&room->feeds_on)) return false;
    ph_graph_get_rates(room->graph, &rates);
    return rates.asleep;
}

static ph_err push(struct ph_room *room, const char *node, struct ph_frame **f,
                   struct ph_fault *fault)
{
    ph_err ret = PH_OK;
    pthread_rwlock_rdlock(&room->graph_lock);
    ph_view_keep_early(room, node, *f);
    if (room->graph && node[0] && !asleep(room)) ret = ph_graph_push(room->graph, node, f);
    pthread_rwlock_unlock(&room->graph_lock);
    // an edit took the node away this very moment: as if the picture had come a little later
    return ret < 0 && ret != PH_ENOENT ? ph_fail(fault, ret, "source", "%s", ph_strerror(ret))
                                       : PH_OK;
}

// A picture may have the header of phosphene.v1 before it, with the time of its sender's clock; a
// JPEG alone is dated as it comes in.
static ph_err take_head(struct ph_viewer *v, const void **bytes, size_t *size,
                        int64_t *capture_ns, struct ph_fault *fault)
{
    struct ph_wire head;
    *capture_ns = ph_now_ns();
    if (*size < 4 || memcmp(*bytes, "PHS1", 4)) return PH_OK;
    ph_err ret = ph_wire_unpack(*bytes, *size, &head, fault);
    if (ret < 0) return ret;
    if (head.kind != PH_WIRE_PICTURE || head.codec != PH_WIRE_JPEG)
        return ph_fail(fault, PH_EINVAL, "codec",
                       "a client sends JPEG pictures: kind 1, codec 1");
    *capture_ns = ph_view_captured(v, head.pts_ns);
    *bytes = (const uint8_t *) *bytes + PH_WIRE_BYTES;
    *size -= PH_WIRE_BYTES;
    return PH_OK;
}

static ph_err publish(struct ph_viewer *v, const void *bytes, size_t size,
                      struct ph_fault *fault)
{
    struct ph_rooms *house = v->room->house;
    const struct ph_rooms_limits *l = &house->par.limits;
    const struct ph_jpeg_limits limits = { l->picture_bytes, l->picture_side, l->picture_side,
                                           0 };
    struct ph_frame *f = NULL;
    char node[PH_NAME_MAX];
    int width, height;
    int64_t capture_ns;
    ph_err ret = take_head(v, &bytes, &size, &capture_ns, fault);
    if (ret == PH_OK) ret = ph_jpeg_check(bytes, size, &limits, &width, &height, fault);
    // who sends where nobody takes it keeps no place from others
    if (ret == PH_OK) ret = ph_view_inlet(v, node, fault);
    if (ret < 0) return ret;
    if (!may_publish(house, v->id, ph_now_ns()))
        return ph_fail(fault, PH_ELIMIT, "source",
                       "at most %d clients may send pictures at once", l->publishers);
    if ((ret = make_packet(bytes, size, width, height, capture_ns, &f)) < 0)
        return ph_fail(fault, ret, "source", "%s", ph_strerror(ret));
    ret = push(v->room, node, &f, fault);
    ph_frame_unref(&f);
    return ret;
}

// What is over a limit ends the connection; a picture that is merely bad does not.
static void received(void *user, struct ph_conn *conn, const void *bytes, size_t size)
{
    struct ph_viewer *v = user;
    struct ph_fault fault = { 0 };
    ph_err ret = publish(v, bytes, size, &fault);
    if (ret >= 0) return;
    ph_ws_fault(conn, false, 0, &fault);
    if (ret == PH_ELIMIT) ph_conn_close(conn, 1008, fault.message);
}

// --- MJPEG

static void mjpeg_closed(void *user, struct ph_conn *conn)
{
    closed(user, conn, 0);
}

static void stream_mjpeg(void *opaque, struct ph_request *req)
{
    struct ph_rooms *house = opaque;
    const char *name = ph_request_query(req, "room");
    struct ph_room *room = ph_rooms_find(house, name);
    if (!room) {
        not_found(house, req, name);
        return;
    }
    struct ph_viewer *v = new_viewer(house, room);
    ph_room_unref(&room);
    if (!v) {
        ph_reply_error(req, 503, "", "out of memory");
        return;
    }
    v->mjpeg = true;
    struct ph_conn *conn = ph_reply_mjpeg(req, mjpeg_closed, v);
    if (conn)
        opened(v, conn);
    else
        free_viewer(v);
}

ph_err ph_ws_routes(struct ph_rooms *house)
{
    static const struct ph_ws_hooks stream = { accept_stream, opened, heard, received, closed };
    static const struct ph_ws_hooks test = { accept_test, opened, heard, received, closed };
    const struct ph_route mjpeg = { PH_GET, "/stream.mjpg", stream_mjpeg, house, false };
    static const struct ph_ws_hooks depth = { accept_depth, opened, heard, received, closed };
    ph_err ret = ph_server_ws(house->server, "/ws/stream", &stream, house);
    if (ret == PH_OK) ret = ph_server_ws(house->server, "/ws/test", &test, house);
    if (ret == PH_OK) ret = ph_server_ws(house->server, "/ws/depth", &depth, house);
    if (ret == PH_OK) ret = ph_server_ws(house->server, "/ws", &depth, house);
    return ret < 0 ? ret : ph_server_route(house->server, &mjpeg);
}
