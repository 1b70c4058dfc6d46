// SPDX-License-Identifier: MIT
// Clients that send pictures: who they are, which node theirs go to, and what their clocks say.
#include "room/room_priv.h"

#include <stdio.h>
#include <string.h>

#define CAPTURED_AGO (5 * PH_SECOND_NS) // older pictures have a clock that is wrong

static void put_camera(struct ph_buf *b, const struct ph_room *room, const struct ph_viewer *v,
                       bool more)
{
    struct ph_offset_report clock = ph_offset_get(&v->clock);
    ph_buf_printf(b, "%s{\"client_id\":%llu,\"buffer_size\":%d", more ? "," : "",
                  (unsigned long long) v->id, ph_ws_publishes(room->house, v->id));
    if (v->inlet[0]) {
        ph_json_key(b, "node");
        ph_json_str(b, v->inlet);
    }
    if (clock.known)
        ph_buf_printf(b, ",\"offsetMs\":%.3f,\"rttMs\":%.3f", (double) clock.offset_ns * 1e-6,
                      (double) clock.rtt_ns * 1e-6);
    ph_buf_puts(b, "}");
}

// buffer_size: whether it has sent a picture. view_lock is held.
void ph_view_tell_cameras(struct ph_room *room)
{
    struct ph_buf b = { 0 };
    int count = 0;
    ph_buf_puts(&b, "{\"type\":\"camera_list\",\"cameras\":[");
    for (const struct ph_viewer *v = room->viewers; v; v = v->next)
        if (v->camera) put_camera(&b, room, v, count++ > 0);
    ph_buf_printf(&b, "],\"count\":%d}", count);
    for (const struct ph_viewer *v = room->viewers; v && !b.failed; v = v->next)
        if (v->viewer) ph_ws_send_text(v->conn, b.data, b.len);
    ph_buf_free(&b);
}

// Its own while there is such a node; else the one it asked for, the first that nobody else has, or
// the first. view_lock is held.
static void choose_inlet(const struct ph_room *room, struct ph_viewer *v)
{
    const char *own = v->asked_inlet[0] ? v->asked_inlet : v->inlet;
    int free = -1;
    for (int i = 0; i < room->inlet_count; i++) {
        if (!strcmp(room->inlets[i], own)) {
            memmove(v->inlet, room->inlets[i], sizeof v->inlet);
            return;
        }
        bool taken = false;
        for (const struct ph_viewer *o = room->viewers; o; o = o->next)
            taken = taken || (o != v && !strcmp(o->inlet, room->inlets[i]));
        if (!taken && free < 0) free = i;
    }
    v->inlet[0] = 0;
    if (!v->asked_inlet[0] && room->inlet_count)
        memcpy(v->inlet, room->inlets[free < 0 ? 0 : free], sizeof v->inlet);
}

ph_err ph_view_inlet(struct ph_viewer *v, char node[PH_NAME_MAX], struct ph_fault *fault)
{
    struct ph_room *room = v->room;
    char was[PH_NAME_MAX], asked[PH_NAME_MAX];
    pthread_mutex_lock(&room->view_lock);
    memcpy(was, v->inlet, sizeof was);
    choose_inlet(room, v);
    memcpy(node, v->inlet, sizeof v->inlet);
    memcpy(asked, v->asked_inlet, sizeof asked);
    if (v->camera && strcmp(was, node)) ph_view_tell_cameras(room);
    pthread_mutex_unlock(&room->view_lock);
    if (node[0] || atomic_load(&room->state) != PH_ROOM_OPEN) return PH_OK;
    if (asked[0])
        return ph_fail(fault, PH_ENOENT, "node", "the room \"%s\" has no browser node \"%s\"",
                       room->name, asked);
    return ph_fail(fault, PH_ENOENT, "source",
                   "the room \"%s\" takes no pictures: its source is not \"browser\"",
                   room->name);
}

void ph_view_clock(struct ph_viewer *v, const struct ph_message *m)
{
    pthread_mutex_lock(&v->room->view_lock);
    bool known = ph_offset_get(&v->clock).known;
    ph_offset_add(&v->clock, (int64_t) (m->sent_ms * 1e6), m->server_ns,
                  (int64_t) (m->heard_ms * 1e6), ph_now_ns());
    if (v->camera && !known) ph_view_tell_cameras(v->room);
    pthread_mutex_unlock(&v->room->view_lock);
}

int64_t ph_view_captured(struct ph_viewer *v, int64_t theirs_ns)
{
    int64_t now = ph_now_ns();
    pthread_mutex_lock(&v->room->view_lock);
    struct ph_offset_report clock = ph_offset_get(&v->clock);
    pthread_mutex_unlock(&v->room->view_lock);
    if (!clock.known || theirs_ns > INT64_MAX / 4 || theirs_ns < -INT64_MAX / 4) return now;
    int64_t at = theirs_ns + clock.offset_ns;
    return at > now || at < now - CAPTURED_AGO ? now : at;
}

void ph_view_role(struct ph_viewer *v, bool camera, const char *inlet)
{
    struct ph_room *room = v->room;
    pthread_mutex_lock(&room->view_lock);
    v->camera = camera;
    snprintf(v->asked_inlet, sizeof v->asked_inlet, "%s", camera && inlet ? inlet : "");
    v->inlet[0] = 0;
    if (camera) choose_inlet(room, v);
    v->viewer = !camera;
    v->wants_count = camera ? 0 : 1;
    ph_view_assign(room, v, false);
    ph_view_tell_cameras(room);
    pthread_mutex_unlock(&room->view_lock);
    ph_worker_poke(&room->worker);
}
