// SPDX-License-Identifier: MIT
// The house: one server, its rooms, and the public functions of room.h.
#include "room/room_priv.h"

#include "core/nearest.h"
#include "core/tree.h"
#include "room/presets.h"
#include "room/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

// --- the list of rooms

struct ph_room *ph_rooms_find(struct ph_rooms *house, const char *name)
{
    pthread_mutex_lock(&house->lock);
    struct ph_room *room = house->rooms;
    while (name && *name && room && strcmp(room->name, name)) room = room->next;
    if (room) ph_room_ref(room);
    pthread_mutex_unlock(&house->lock);
    return room;
}

const char *ph_rooms_nearest(struct ph_rooms *house, const char *name, char text[64])
{
    int least = PH_NEAREST_LIMIT;
    text[0] = 0;
    pthread_mutex_lock(&house->lock);
    for (const struct ph_room *r = house->rooms; r; r = r->next) {
        int d = ph_edit_distance(name, r->name);
        if (d >= least) continue;
        least = d;
        snprintf(text, 64, "%s", r->name);
    }
    pthread_mutex_unlock(&house->lock);
    return text[0] ? text : NULL;
}

// With house->lock held. False when it was not on the list any more.
static bool unlist(struct ph_rooms *house, struct ph_room *room)
{
    struct ph_room **at = &house->rooms;
    if (house->test == room) {
        house->test = NULL;
        return true;
    }
    while (*at && *at != room) at = &(*at)->next;
    if (!*at) return false;
    *at = room->next;
    return true;
}

void ph_rooms_forget(struct ph_rooms *house, struct ph_room *room)
{
    pthread_mutex_lock(&house->lock);
    bool listed = unlist(house, room);
    pthread_mutex_unlock(&house->lock);
    if (listed) ph_room_unref(&room); // the list's reference
}

// --- threads

// The last thing that a room's thread does: after it the house may go.
static void thread_ended(void *opaque)
{
    struct ph_room *room = opaque;
    struct ph_rooms *house = room->house;
    ph_room_unref(&room); // the thread's reference
    pthread_mutex_lock(&house->lock);
    house->alive--;
    pthread_cond_signal(&house->changed);
    pthread_mutex_unlock(&house->lock);
}

void ph_rooms_reap(struct ph_room *room)
{
    ph_worker_end(&room->worker);
}

// With house->lock held. Two references: the list's and the thread's.
static ph_err start_room(struct ph_rooms *house, struct ph_room *room)
{
    char name[32];
    room->house = house;
    atomic_store(&room->refs, 2);
    pthread_rwlock_init(&room->graph_lock, NULL);
    pthread_mutex_init(&room->view_lock, NULL);
    ph_view_init(room);
    snprintf(name, sizeof name, "ph-room:%.7s", room->name);
    ph_err ret = ph_acks_init(&room->acks);
    if (ret == PH_OK)
        ret = ph_worker_start(&room->worker, name, ph_view_tick, thread_ended, room);
    if (ret == PH_OK) {
        house->alive++;
        return PH_OK;
    }
    ph_acks_finish(&room->acks);
    pthread_rwlock_destroy(&room->graph_lock);
    pthread_mutex_destroy(&room->view_lock);
    return PH_ENOMEM;
}

static void free_unstarted(struct ph_room *room)
{
    if (room) free(room->journal);
    free(room);
}

// --- adding and removing

static ph_err check_name(const char *name, struct ph_fault *fault)
{
    size_t n = strlen(name);
    if (n && n < 64 && name[0] != '.' && strspn(name, NAME_CHARS) == n) return PH_OK;
    return ph_fail(fault, PH_EINVAL, "name",
                   "a room's name is 1 to 63 of A-Z a-z 0-9 - _ . and does not begin with a "
                   "dot, got \"%.80s\"",
                   name);
}

static ph_err may_add(struct ph_rooms *house, const char *name, bool by_client,
                      struct ph_fault *fault)
{
    int count = 0;
    for (const struct ph_room *r = house->rooms; r; r = r->next) {
        count += r->by_client;
        if (!strcmp(r->name, name))
            return ph_fail(fault, PH_EBUSY, "name", "there is a room \"%s\" already", name);
    }
    if (house->closing) return ph_fail(fault, PH_ESTOPPED, "room", "the server is stopping");
    if (by_client && count >= house->par.limits.rooms)
        return ph_fail(fault, PH_ELIMIT, "room", "at most %d rooms may be made by clients",
                       house->par.limits.rooms);
    return PH_OK;
}

static struct ph_room *new_room(const struct ph_room_params *par, const char *name,
                                bool by_client)
{
    struct ph_room *room = calloc(1, sizeof *room);
    if (!room) return NULL;
    snprintf(room->name, sizeof room->name, "%s", name);
    room->by_client = by_client;
    if (!par->journal || (room->journal = strdup(par->journal))) return room;
    free(room);
    return NULL;
}

static ph_err list_room(struct ph_rooms *house, struct ph_room *room, struct ph_fault *fault)
{
    pthread_mutex_lock(&house->lock);
    ph_err ret = may_add(house, room->name, room->by_client, fault);
    if (ret == PH_OK && (ret = start_room(house, room)) < 0)
        ph_fail(fault, ret, "room", "no thread for the room: out of memory");
    if (ret == PH_OK) {
        struct ph_room **at = &house->rooms;
        while (*at) at = &(*at)->next;
        *at = room;
        ph_room_ref(room); // the caller's
    }
    pthread_mutex_unlock(&house->lock);
    return ret;
}

static void post_opening(struct ph_room *room, const char *text, uint64_t seed, bool trusted,
                         struct ph_asker *asker)
{
    struct ph_room_job *j = ph_room_job(room, asker, ph_room_act_open, text);
    struct ph_asker nobody = { 0 };
    if (!j) { // the asker has been told
        ph_rooms_remove(room->house, room, &nobody);
        return;
    }
    j->seed = seed;
    j->trusted = trusted;
    j->status = 201;
    ph_room_post(j);
}

static ph_err graph_text(struct ph_rooms *house, const struct ph_room_params *par,
                         const char **text, struct ph_fault *fault)
{
    if (!par->graph == !par->preset)
        return ph_fail(fault, PH_EINVAL, "graph", "a room needs a graph text or a preset, %s",
                       par->graph ? "not both" : "and has neither");
    *text = par->graph ? par->graph : ph_rooms_preset(house, par->preset, fault);
    return *text ? PH_OK : PH_ENOENT;
}

void ph_rooms_add(struct ph_rooms *house, const struct ph_room_params *par, bool by_client,
                  struct ph_asker *asker)
{
    struct ph_fault fault = { 0 };
    const char *text = NULL, *name = par->name ? par->name : "demo";
    struct ph_room *room = NULL;
    ph_err ret = check_name(name, &fault);
    if (ret == PH_OK) ret = graph_text(house, par, &text, &fault);
    if (ret == PH_OK && !(room = new_room(par, name, by_client)))
        ret = ph_fail(&fault, PH_ENOMEM, "room", "out of memory");
    if (ret == PH_OK) ret = list_room(house, room, &fault);
    if (ret < 0) {
        free_unstarted(room);
        ph_asker_fault(asker, &fault);
        return;
    }
    post_opening(room, text, par->seed, !by_client || par->preset, asker);
    ph_room_unref(&room);
}

void ph_rooms_remove(struct ph_rooms *house, struct ph_room *room, struct ph_asker *asker)
{
    struct ph_fault fault;
    pthread_mutex_lock(&house->lock);
    bool listed = unlist(house, room);
    pthread_mutex_unlock(&house->lock);
    if (!listed) {
        ph_fail(&fault, PH_ENOENT, "room", "there is no room \"%s\" any more", room->name);
        ph_asker_fault(asker, &fault);
        return;
    }
    ph_view_close_all(room, "the room was removed");
    ph_room_post_closing(room, asker);
    ph_room_unref(&room); // the list's
}

struct ph_room *ph_rooms_test(struct ph_rooms *house, struct ph_fault *fault)
{
    static const char text[] =
        "pattern: pattern kind=ball size=640x480 fps=30 id=on => jpeg: jpeg -> live: live";
    static const struct ph_room_params par;
    struct ph_asker nobody = { 0 };
    struct ph_room *room = NULL;
    bool made = false;
    ph_err ret = PH_OK;
    pthread_mutex_lock(&house->lock);
    if (house->closing) {
        ret = ph_fail(fault, PH_ESTOPPED, "room", "the server is stopping");
    } else if (house->test) {
        room = ph_room_ref(house->test);
    } else if (!(room = new_room(&par, "ws-test", false)) || start_room(house, room) < 0) {
        free_unstarted(room);
        room = NULL;
        ret = ph_fail(fault, PH_ENOMEM, "room", "out of memory");
    } else {
        made = room->hidden = true;
        house->test = ph_room_ref(room);
    }
    pthread_mutex_unlock(&house->lock);
    if (made) post_opening(room, text, 0, true, &nobody);
    return ret < 0 ? NULL : room;
}

const char *ph_rooms_preset(struct ph_rooms *house, const char *name, struct ph_fault *fault)
{
    const struct ph_preset *p = ph_preset_find(house->presets, name);
    const char *best = NULL;
    int least = PH_NEAREST_LIMIT;
    if (p) return p->text;
    for (p = house->presets; p->name; p++) {
        int d = ph_edit_distance(name, p->name);
        if (d < least) least = d, best = p->name;
    }
    ph_fail(fault, PH_ENOENT, "preset", "there is no preset \"%.60s\"%s%s%s", name,
            best ? ", did you mean \"" : "", best ? best : "", best ? "\"?" : "");
    return NULL;
}

// --- the house

static const char *copy(void *tree, const char *text, bool *ok)
{
    char *own = text ? ph_tree_text(tree, text, strlen(text)) : NULL;
    if (text && !own) *ok = false;
    return own;
}

static void default_limits(struct ph_rooms_limits *l)
{
    if (!l->rooms) l->rooms = 16;
    if (!l->publishers) l->publishers = 8;
    if (!l->picture_side) l->picture_side = 4096;
    if (!l->picture_bytes) l->picture_bytes = 4u << 20;
}

static const char *recordings_folder(void *tree, const char *given)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (given) return ph_tree_printf(tree, "%s", given);
    if (state && state[0] == '/') return ph_tree_printf(tree, "%s/phosphene/recordings", state);
    if (home && home[0] == '/')
        return ph_tree_printf(tree, "%s/.local/state/phosphene/recordings", home);
    return ph_tree_printf(tree, "recordings");
}

static char *nodes_json(void *tree)
{
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, "[");
    for (const struct ph_node_info *const *n = ph_nodes(); *n; n++) {
        char *json = ph_node_info_json(*n);
        ph_json_sep(&b);
        if (json) ph_buf_puts(&b, json);
        b.failed = b.failed || !json;
        free(json);
    }
    ph_buf_puts(&b, "]");
    char *text = b.failed ? NULL : ph_tree_text(tree, b.data, b.len);
    ph_buf_free(&b);
    return text;
}

static ph_err learn(struct ph_rooms *house, const struct ph_rooms_params *par,
                    struct ph_fault *fault)
{
    bool ok = true;
    void *tree = house->tree;
    house->par = *par;
    default_limits(&house->par.limits);
    house->par.web_root = copy(tree, par->web_root, &ok);
    house->par.presets_dir = copy(tree, par->presets_dir, &ok);
    if (par->log) house->log = *par->log;
    house->recordings = recordings_folder(tree, par->recordings_dir);
    house->nodes_json = nodes_json(tree);
    house->publishers =
        ph_new(tree, struct ph_publisher, (size_t) house->par.limits.publishers);
    if (!ok || !house->recordings || !house->nodes_json || !house->publishers)
        return ph_fail(fault, PH_ENOMEM, "rooms", "out of memory");
    ph_err ret = ph_presets_load(tree, par->presets_dir, &house->presets, fault);
    if (ret < 0) return ret;
    ret = ph_allow_init(&house->allow, tree, par->sources, house->presets, fault);
    if (ret == PH_OK) ret = ph_hide_folder(&house->allow.hidden, house->recordings);
    return ret;
}

static ph_err make_server(struct ph_rooms *house, const struct ph_rooms_params *par,
                          struct ph_fault *fault)
{
    const struct ph_rooms_limits *l = &house->par.limits;
    ph_err ret = ph_server_create(
        &house->server,
        ph_server_params(.bind = par->bind, .port = par->port, .tls_cert = par->tls_cert,
                         .tls_key = par->tls_key, .token = par->token,
                         .token_path = par->token_path,
                         .insecure_no_auth = par->insecure_no_auth, .hosts = par->hosts,
                         .origins = par->origins,
                         .limits = { .connections = l->connections,
                                     .viewers = l->viewers,
                                     .viewers_per_address = l->viewers_per_address,
                                     .header_bytes = l->header_bytes,
                                     .text_bytes = l->text_bytes,
                                     .binary_bytes = l->picture_bytes,
                                     .messages_per_s = l->messages_per_s,
                                     .request_ns = l->request_ms * PH_MS_NS,
                                     .ping_ns = l->ping_ms * PH_MS_NS,
                                     .stall_ns = l->stall_ms * PH_MS_NS },
                         .log = par->log),
        fault);
    if (ret == PH_OK) ret = ph_ws_routes(house);
    if (ret == PH_OK) ret = ph_api_rooms_routes(house);
    if (ret == PH_OK) ret = ph_api_routes(house);
    if (ret == PH_OK) ret = ph_web_routes(house->server, house->par.web_root);
    return ret;
}

static void prober_ended(void *opaque)
{
    ph_worker_finish(opaque);
    free(opaque);
}

static ph_err start_prober(struct ph_rooms *house)
{
    struct ph_worker *w = malloc(sizeof *w);
    if (!w) return PH_ENOMEM;
    ph_err ret = ph_worker_start(w, "ph-devices", NULL, prober_ended, w);
    if (ret == PH_OK)
        house->prober = w;
    else
        free(w);
    return ret;
}

ph_err ph_rooms_create(struct ph_rooms **out, const struct ph_rooms_params *par,
                       struct ph_fault *fault)
{
    static const struct ph_rooms_params defaults;
    struct ph_rooms *house = calloc(1, sizeof *house);
    struct ph_fault local;
    ph_err ret;
    *out = NULL;
    if (!fault) fault = &local;
    *fault = (struct ph_fault){ 0 };
    if (!par) par = &defaults;
    if (!house) return ph_fail(fault, PH_ENOMEM, "rooms", "out of memory");
    pthread_mutex_init(&house->lock, NULL);
    pthread_cond_init(&house->changed, NULL);
    if (!(house->tree = ph_tree_alloc(NULL, 1))) {
        ret = ph_fail(fault, PH_ENOMEM, "rooms", "out of memory");
        goto fail;
    }
    PH_TRY(learn(house, par, fault));
    PH_TRY(make_server(house, par, fault));
    PH_TRY(start_prober(house));
    *out = house;
    return PH_OK;
fail:
    if (!fault->message[0]) ph_fail(fault, ret, "rooms", "%s", ph_strerror(ret));
    ph_rooms_destroy(&house);
    return ret;
}

ph_err ph_rooms_start(struct ph_rooms *house, struct ph_fault *fault)
{
    ph_err ret = ph_server_start(house->server, fault);
    if (ret == PH_OK) house->started = true;
    return ret;
}

// All rooms close at once, each on its own thread, while the server says goodbye.
static void close_rooms(struct ph_rooms *house)
{
    struct ph_asker nobody = { 0 };
    for (;;) {
        pthread_mutex_lock(&house->lock);
        house->closing = true;
        struct ph_room *room = house->rooms ? house->rooms : house->test;
        if (room) ph_room_ref(room);
        pthread_mutex_unlock(&house->lock);
        if (!room) return;
        ph_rooms_remove(house, room, &nobody);
        ph_room_unref(&room);
    }
}

void ph_rooms_stop(struct ph_rooms *house)
{
    if (house->stopped) return;
    house->stopped = true;
    close_rooms(house);
    if (house->server) ph_server_stop(house->server);
    if (house->prober) ph_worker_end(house->prober);
    pthread_mutex_lock(&house->lock);
    while (house->alive) pthread_cond_wait(&house->changed, &house->lock);
    pthread_mutex_unlock(&house->lock);
}

void ph_rooms_destroy(struct ph_rooms **out)
{
    struct ph_rooms *house = *out;
    *out = NULL;
    if (!house) return;
    ph_rooms_stop(house);
    ph_server_destroy(&house->server);
    ph_allow_finish(&house->allow);
    ph_tree_free(house->tree);
    pthread_mutex_destroy(&house->lock);
    pthread_cond_destroy(&house->changed);
    free(house);
}

int ph_rooms_port(const struct ph_rooms *house)
{
    return ph_server_port(house->server);
}

int ph_rooms_url(const struct ph_rooms *house, char *text, size_t size)
{
    return ph_server_url(house->server, text, size);
}

// --- rooms, for C callers: the same jobs, waited for

ph_err ph_room_create(struct ph_rooms *house, const struct ph_room_params *par,
                      struct ph_fault *fault)
{
    struct ph_waiter w;
    struct ph_asker asker = { .waiter = &w };
    ph_waiter_init(&w, fault);
    ph_rooms_add(house, par, false, &asker);
    ph_err ret = ph_waiter_wait(&w);
    free(w.json);
    return ret;
}

static ph_err ask(struct ph_rooms *house, const char *name, const char *text,
                  void (*act)(struct ph_room *room, struct ph_room_job *j), char **json,
                  struct ph_fault *fault)
{
    struct ph_waiter w;
    struct ph_asker asker = { .waiter = &w };
    struct ph_room *room = ph_rooms_find(house, name);
    if (!room) return ph_fail(fault, PH_ENOENT, "room", "there is no room \"%.60s\"", name);
    ph_waiter_init(&w, fault);
    if (act == ph_room_act_close) {
        ph_rooms_remove(house, room, &asker);
    } else {
        struct ph_room_job *j = ph_room_job(room, &asker, act, text);
        if (j) j->trusted = true;
        if (j) ph_room_post(j);
    }
    ph_room_unref(&room);
    ph_err ret = ph_waiter_wait(&w);
    if (json)
        *json = w.json;
    else
        free(w.json);
    return ret;
}

ph_err ph_room_edit(struct ph_rooms *house, const char *name, const char *graph,
                    struct ph_fault *fault)
{
    return ask(house, name, graph, ph_room_act_edit, NULL, fault);
}

ph_err ph_room_destroy(struct ph_rooms *house, const char *name)
{
    return ask(house, name, NULL, ph_room_act_close, NULL, NULL);
}

char *ph_room_json(struct ph_rooms *house, const char *name)
{
    char *json = NULL;
    ask(house, name, NULL, ph_room_act_doc, &json, NULL);
    return json;
}
