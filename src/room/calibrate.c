// SPDX-License-Identifier: MIT
// Where cameras stand to one another, from one checkerboard that all of them see at this moment. The
// pictures are those of live nodes that the cameras are linked to; the first one's camera is the
// world. The poses go to the fuse node.
#include "room/room_priv.h"

#include "image/checkerboard.h"
#include "image/pose.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EYES = 8 };
#define PATIENCE (3 * PH_SECOND_NS)

enum eye_state { WAITS, HAS_PICTURE, FOUND, NOT_FOUND };
static const char *const eye_states[] = { "waiting", "looking", "found", "not found" };

struct eye {
    struct ph_calibration *all;
    struct ph_subscriber sub;
    char name[PH_NAME_MAX];
    bool on;                  // subscribed; worker
    enum eye_state state;     // lock
    struct ph_frame *picture; // lock; once it is there it stays
    // the thread's until it is joined
    bool found;
    int corners;
    double rms_px;
    struct ph_pose pose; // board to camera, then camera to world
};

// Waiting for pictures and looking at them is a thread's, so that the room's worker goes on: it
// begins it, and takes what came of it once it is poked.
struct ph_calibration {
    struct ph_room *room; // it joins the thread before it goes
    struct ph_asker asker;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool stop, done; // lock
    ph_err ret;      // the thread's, with its fault
    struct ph_fault fault;
    char node[PH_NAME_MAX];
    struct ph_board board;
    double square_m, fov_deg;
    struct eye eyes[EYES];
    int count;
};

static void keep_picture(void *opaque, struct ph_frame *f)
{
    struct eye *e = opaque;
    if (f->kind != PH_PICTURE || f->picture.format != PH_RGBA) return;
    pthread_mutex_lock(&e->all->lock);
    if (!e->picture) {
        e->picture = ph_frame_ref(f);
        e->state = HAS_PICTURE;
        pthread_cond_broadcast(&e->all->change);
    }
    pthread_mutex_unlock(&e->all->lock);
}

static ph_err open_eyes(struct ph_room *room, struct ph_calibration *c, struct ph_fault *fault)
{
    for (int i = 0; i < c->count; i++) {
        struct eye *e = &c->eyes[i];
        const struct ph_ast_node *n = ph_ast_find(room->ast, e->name);
        e->all = c;
        e->sub = (struct ph_subscriber){ .deliver = keep_picture, .opaque = e };
        if (!n || strcmp(n->info->name, "live"))
            return ph_fail(fault, PH_ENOENT, "views", "this graph has no live node \"%s\"",
                           e->name);
        ph_err ret = ph_graph_subscribe(room->graph, e->name, &e->sub);
        e->on = ret == PH_OK;
        if (ret < 0) return ph_fail(fault, ret, "views", "%s", ph_strerror(ret));
    }
    return PH_OK;
}

// --- the thread

static ph_err wait_for_pictures(struct ph_calibration *c)
{
    int64_t until_ns = ph_now_ns() + PATIENCE;
    const struct timespec until = { until_ns / PH_SECOND_NS, until_ns % PH_SECOND_NS };
    const struct eye *blind = NULL;
    int late = 0;
    pthread_mutex_lock(&c->lock);
    do {
        blind = NULL;
        for (int i = c->count - 1; i >= 0; i--)
            if (!c->eyes[i].picture) blind = &c->eyes[i];
        if (blind && !c->stop) late = pthread_cond_timedwait(&c->change, &c->lock, &until);
    } while (blind && !c->stop && !late);
    pthread_mutex_unlock(&c->lock);
    if (!blind) return PH_OK;
    return ph_fail(&c->fault, PH_ETIMEOUT, "views", "\"%s\" shows no picture", blind->name);
}

// The camera's own lens where it is known.
static struct ph_intrinsics lens_of(const struct ph_frame *f, double fov_deg)
{
    if (f->intrinsics.fx > 0) return f->intrinsics;
    float w = (float) f->picture.width, h = (float) f->picture.height;
    float focal = w / 2 / (float) tan(fov_deg * M_PI / 360);
    return (struct ph_intrinsics){ focal, focal, w / 2, h / 2 };
}

static ph_err find_board(const struct ph_calibration *c, struct eye *e)
{
    static const int most = PH_BOARD_MAX * PH_BOARD_MAX;
    double(*corners)[2] = malloc(2 * (size_t) most * sizeof *corners);
    if (!corners) return PH_ENOMEM;
    double(*flat)[2] = corners + most;
    int n = c->board.columns * c->board.rows;
    struct ph_intrinsics lens = lens_of(e->picture, c->fov_deg);
    ph_err ret = ph_board_find(corners, &e->corners, &e->picture->picture, &c->board);
    for (int i = 0; i < n; i++) {
        flat[i][0] = i % c->board.columns * c->square_m;
        flat[i][1] = i / c->board.columns * c->square_m;
    }
    if (ret == PH_OK)
        e->found = ph_pose_of_board(&e->pose, &e->rms_px, flat, corners, n, &lens) == PH_OK;
    free(corners);
    return ret < 0 ? ret : PH_OK;
}

// false: the room is closed, or there is no memory.
static bool look(struct ph_calibration *c, struct eye *e)
{
    pthread_mutex_lock(&c->lock);
    bool stop = c->stop;
    pthread_mutex_unlock(&c->lock);
    if (stop) return false;
    ph_err ret = find_board(c, e);
    if (ret < 0) c->ret = ph_fail(&c->fault, ret, "views", "%s", ph_strerror(ret));
    pthread_mutex_lock(&c->lock);
    e->state = e->found ? FOUND : NOT_FOUND;
    pthread_mutex_unlock(&c->lock);
    return ret == PH_OK;
}

static void *calibration_main(void *opaque)
{
    struct ph_calibration *c = opaque;
    pthread_setname_np(pthread_self(), "ph-calibrate");
    c->ret = wait_for_pictures(c);
    for (int i = 0; i < c->count && c->ret == PH_OK; i++)
        if (!look(c, &c->eyes[i])) break;
    pthread_mutex_lock(&c->lock);
    c->done = true;
    pthread_mutex_unlock(&c->lock);
    ph_worker_poke(&c->room->worker);
    return NULL;
}

// --- what comes of it

// From board to camera k to where camera k stands in the world of the first.
static ph_err place(struct ph_room *room, struct ph_calibration *c, struct ph_fault *fault)
{
    struct ph_pose first = c->eyes[0].pose;
    for (int i = 0; i < c->count; i++) {
        struct eye *e = &c->eyes[i];
        char param[16], text[PH_POSE_TEXT];
        if (!e->found || !c->eyes[0].found) continue;
        struct ph_pose back = ph_pose_inverse(&e->pose);
        e->pose = i ? ph_pose_after(&first, &back) : ph_pose_none();
        snprintf(param, sizeof param, "pose%d", i + 1);
        ph_pose_print(&e->pose, text);
        ph_err ret = ph_graph_set(room->graph, 0, c->node, param, text, fault);
        if (ret < 0) return ret;
    }
    return PH_OK;
}

static char *report(const struct ph_calibration *c)
{
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, "{\"views\":[");
    for (int i = 0; i < c->count; i++) {
        const struct eye *e = &c->eyes[i];
        char text[PH_POSE_TEXT];
        ph_json_sep(&b);
        ph_buf_puts(&b, "{\"view\":");
        ph_json_str(&b, e->name);
        ph_buf_printf(&b, ",\"found\":%s,\"corners\":%d", e->found ? "true" : "false",
                      e->corners);
        ph_json_key(&b, "errorPx");
        if (e->found)
            ph_json_num(&b, e->rms_px);
        else
            ph_buf_puts(&b, "null");
        ph_json_key(&b, "pose");
        if (e->found && c->eyes[0].found) {
            ph_pose_print(&e->pose, text);
            ph_json_str(&b, text);
        } else {
            ph_buf_puts(&b, "null");
        }
        ph_buf_puts(&b, "}");
    }
    ph_buf_puts(&b, "]}");
    return ph_buf_steal(&b);
}

// --- what is asked for

static ph_err number(const struct ph_json *body, const char *name, double low, double high,
                     double standard, double *out, struct ph_fault *fault)
{
    const struct ph_json *v = ph_json_get(body, name);
    *out = ph_json_double(v, standard);
    if ((!v || v->type == PH_JSON_NUMBER) && *out >= low && *out <= high) return PH_OK;
    return ph_fail(fault, PH_EINVAL, name, "%s is a number, %g … %g", name, low, high);
}

static ph_err read_views(struct ph_calibration *c, const struct ph_json *list,
                         struct ph_fault *fault)
{
    if (!list || list->type != PH_JSON_ARRAY || list->count < 1 || list->count > EYES)
        return ph_fail(fault, PH_EINVAL, "views",
                       "views is a list of 1 … %d live nodes, in the order of the inputs",
                       EYES);
    for (const struct ph_json *v = list->child; v; v = v->next) {
        if (v->type != PH_JSON_STRING || strlen(v->text) >= PH_NAME_MAX)
            return ph_fail(fault, PH_EINVAL, "views", "views is a list of names of nodes");
        strcpy(c->eyes[c->count++].name, v->text);
    }
    return PH_OK;
}

static ph_err read_wish(struct ph_calibration *c, const struct ph_json *body,
                        struct ph_fault *fault)
{
    static const char *const known[] = { "node",     "views", "columns", "rows",
                                         "squareMm", "fov",   NULL };
    double columns, rows, square_mm;
    const char *node = ph_json_string(ph_json_get(body, "node"), "fuse");
    ph_err ret;
    PH_TRY(ph_json_only(body, known, fault));
    PH_TRY(number(body, "columns", 3, PH_BOARD_MAX, 9, &columns, fault));
    PH_TRY(number(body, "rows", 3, PH_BOARD_MAX, 6, &rows, fault));
    PH_TRY(number(body, "squareMm", 1, 1000, 25, &square_mm, fault));
    PH_TRY(number(body, "fov", 10, 170, 60, &c->fov_deg, fault));
    PH_TRY(read_views(c, ph_json_get(body, "views"), fault));
    c->board = (struct ph_board){ (int) columns, (int) rows };
    c->square_m = square_mm / 1000;
    snprintf(c->node, sizeof c->node, "%s", node);
    if (!ph_board_valid(&c->board))
        return ph_fail(
            fault, PH_EINVAL, "columns",
            "inner corners: no fewer columns than rows, and one number even, the other "
            "odd, or the board looks the same upside down");
fail:
    return ret;
}

static ph_err read_text(struct ph_room *room, struct ph_calibration *c, const char *text,
                        struct ph_fault *fault)
{
    struct ph_json_doc *doc = NULL;
    ph_err ret = ph_json_parse(&doc, text, strlen(text), 0, fault);
    if (ret == PH_OK) ret = read_wish(c, ph_json_root(doc), fault);
    ph_json_free(&doc);
    if (ret < 0) return ret;
    const struct ph_ast_node *n = ph_ast_find(room->ast, c->node);
    if (n && !strcmp(n->info->name, "fuse")) return PH_OK;
    return ph_fail(fault, PH_ENOENT, "node", "this graph has no fuse node \"%s\"", c->node);
}

// --- the job's life; thread: worker

static struct ph_calibration *make(struct ph_room *room)
{
    pthread_condattr_t mono;
    struct ph_calibration *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->room = room;
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&c->change, &mono);
    pthread_condattr_destroy(&mono);
    return c;
}

static void drop(struct ph_calibration *c)
{
    for (int i = 0; i < c->count; i++) {
        if (c->eyes[i].on) ph_graph_unsubscribe(c->room->graph, &c->eyes[i].sub);
        ph_frame_unref(&c->eyes[i].picture);
    }
    pthread_cond_destroy(&c->change);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

// PH_OK: it runs, and has taken the asker.
static ph_err begin(struct ph_room *room, struct ph_room_job *j, struct ph_fault *fault)
{
    struct ph_calibration *c = room->calibration ? NULL : make(room);
    if (room->calibration)
        return ph_fail(fault, PH_ESTOPPED, "calibrate",
                       "a board is being looked for already: wait for it to be done");
    if (!c) return ph_fail(fault, PH_ENOMEM, "", "out of memory");
    ph_err ret = read_text(room, c, j->text, fault);
    if (ret == PH_OK) ret = open_eyes(room, c, fault);
    if (ret == PH_OK && pthread_create(&c->thread, NULL, calibration_main, c))
        ret = ph_fail(fault, PH_ENOMEM, "", "no thread can be had");
    if (ret < 0) {
        drop(c);
        return ret;
    }
    room->calibration = c;
    c->asker = j->asker;
    j->asker = (struct ph_asker){ 0 };
    return PH_OK;
}

void ph_room_act_calibrate(struct ph_room *room, struct ph_room_job *j)
{
    struct ph_fault fault = { 0 };
    if (ph_room_is_open(room, &j->asker) && begin(room, j, &fault) < 0)
        ph_asker_fault(&j->asker, &fault);
}

// Ends the thread, answers and forgets.
static void finish(struct ph_room *room, ph_err ret, struct ph_fault *fault)
{
    struct ph_calibration *c = room->calibration;
    room->calibration = NULL;
    char *json = ret == PH_OK ? report(c) : NULL;
    if (ret == PH_OK && !json) ph_fail(fault, PH_ENOMEM, "", "out of memory");
    if (json)
        ph_asker_json(&c->asker, 200, json);
    else
        ph_asker_fault(&c->asker, fault);
    free(json);
    drop(c);
}

void ph_calibrate_tick(struct ph_room *room)
{
    struct ph_calibration *c = room->calibration;
    if (!c) return;
    pthread_mutex_lock(&c->lock);
    bool done = c->done;
    pthread_mutex_unlock(&c->lock);
    if (!done) return;
    pthread_join(c->thread, NULL);
    struct ph_fault fault = c->fault;
    ph_err ret = c->ret == PH_OK ? place(room, c, &fault) : c->ret;
    finish(room, ret, &fault);
}

void ph_calibrate_end(struct ph_room *room)
{
    struct ph_calibration *c = room->calibration;
    struct ph_fault fault;
    if (!c) return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->change);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    finish(room, ph_fail(&fault, PH_ESTOPPED, "room", "the room was closed"), &fault);
}

void ph_room_act_calibration(struct ph_room *room, struct ph_room_job *j)
{
    struct ph_calibration *c = room->calibration;
    struct ph_buf b = { 0 };
    ph_buf_printf(&b, "{\"running\":%s,\"views\":[", c ? "true" : "false");
    for (int i = 0; c && i < c->count; i++) {
        ph_json_sep(&b);
        ph_buf_puts(&b, "{\"view\":");
        ph_json_str(&b, c->eyes[i].name);
        pthread_mutex_lock(&c->lock);
        ph_buf_printf(&b, ",\"state\":\"%s\"}", eye_states[c->eyes[i].state]);
        pthread_mutex_unlock(&c->lock);
    }
    ph_buf_puts(&b, "]}");
    char *json = ph_buf_steal(&b);
    ph_asker_json(&j->asker, 200, json ? json : "{\"running\":false,\"views\":[]}");
    free(json);
}
