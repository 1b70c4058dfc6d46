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

struct eye {
    pthread_mutex_t lock;
    struct ph_subscriber sub;
    char name[PH_NAME_MAX];
    struct ph_frame *picture; // lock
    bool on;
    bool found;
    int corners;
    double rms_px;
    struct ph_pose pose; // board to camera, then camera to world
};

struct calibration {
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
    pthread_mutex_lock(&e->lock);
    if (!e->picture) e->picture = ph_frame_ref(f);
    pthread_mutex_unlock(&e->lock);
}

static bool has_picture(struct eye *e)
{
    pthread_mutex_lock(&e->lock);
    bool has = e->picture;
    pthread_mutex_unlock(&e->lock);
    return has;
}

static ph_err look(struct ph_room *room, struct calibration *c, struct ph_fault *fault)
{
    ph_err ret = PH_OK;
    int64_t until_ns = ph_now_ns() + PATIENCE;
    for (int i = 0; i < c->count && ret == PH_OK; i++) {
        struct eye *e = &c->eyes[i];
        const struct ph_ast_node *n = ph_ast_find(room->ast, e->name);
        e->sub = (struct ph_subscriber){ .deliver = keep_picture, .opaque = e };
        if (!n || strcmp(n->info->name, "live"))
            return ph_fail(fault, PH_ENOENT, "views", "this graph has no live node \"%s\"",
                           e->name);
        ret = ph_graph_subscribe(room->graph, e->name, &e->sub);
        e->on = ret == PH_OK;
        if (ret < 0) return ph_fail(fault, ret, "views", "%s", ph_strerror(ret));
    }
    for (int i = 0; i < c->count; i++)
        while (!has_picture(&c->eyes[i])) {
            if (ph_now_ns() > until_ns)
                return ph_fail(fault, PH_ETIMEOUT, "views", "\"%s\" shows no picture",
                               c->eyes[i].name);
            nanosleep(&(struct timespec){ .tv_nsec = 5 * PH_MS_NS }, NULL);
        }
    return PH_OK;
}

// The camera's own lens where it is known.
static struct ph_intrinsics lens_of(const struct ph_frame *f, double fov_deg)
{
    if (f->intrinsics.fx > 0) return f->intrinsics;
    float w = (float) f->picture.width, h = (float) f->picture.height;
    float focal = w / 2 / (float) tan(fov_deg * M_PI / 360);
    return (struct ph_intrinsics){ focal, focal, w / 2, h / 2 };
}

static ph_err find_board(const struct calibration *c, struct eye *e)
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

// From board to camera k to where camera k stands in the world of the first.
static ph_err place(struct ph_room *room, struct calibration *c, struct ph_fault *fault)
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

static char *report(const struct calibration *c)
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

static ph_err read_views(struct calibration *c, const struct ph_json *list,
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

static ph_err read_wish(struct calibration *c, const struct ph_json *body,
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

static ph_err calibrate(struct ph_room *room, struct calibration *c, const char *text,
                        struct ph_fault *fault)
{
    struct ph_json_doc *doc = NULL;
    ph_err ret;
    PH_TRY(ph_json_parse(&doc, text, strlen(text), 0, fault));
    PH_TRY(read_wish(c, ph_json_root(doc), fault));
    const struct ph_ast_node *n = ph_ast_find(room->ast, c->node);
    if (!n || strcmp(n->info->name, "fuse")) {
        ret = ph_fail(fault, PH_ENOENT, "node", "this graph has no fuse node \"%s\"", c->node);
        goto fail;
    }
    PH_TRY(look(room, c, fault));
    for (int i = 0; i < c->count; i++)
        if ((ret = find_board(c, &c->eyes[i])) < 0) {
            ph_fail(fault, ret, "views", "%s", ph_strerror(ret));
            goto fail;
        }
    PH_TRY(place(room, c, fault));
fail:
    ph_json_free(&doc);
    return ret;
}

void ph_room_act_calibrate(struct ph_room *room, struct ph_room_job *j)
{
    struct ph_fault fault = { 0 };
    if (!ph_room_is_open(room, &j->asker)) return;
    struct calibration *c = calloc(1, sizeof *c);
    for (int i = 0; c && i < EYES; i++) pthread_mutex_init(&c->eyes[i].lock, NULL);
    ph_err ret = c ? calibrate(room, c, j->text, &fault)
                   : ph_fail(&fault, PH_ENOMEM, "", "out of memory");
    char *json = ret == PH_OK ? report(c) : NULL;
    for (int i = 0; c && i < EYES; i++) {
        if (c->eyes[i].on) ph_graph_unsubscribe(room->graph, &c->eyes[i].sub);
        ph_frame_unref(&c->eyes[i].picture);
        pthread_mutex_destroy(&c->eyes[i].lock);
    }
    free(c);
    if (ret == PH_OK && !json) ret = ph_fail(&fault, PH_ENOMEM, "", "out of memory");
    if (ret < 0)
        ph_asker_fault(&j->asker, &fault);
    else
        ph_asker_json(&j->asker, 200, json);
    free(json);
}
