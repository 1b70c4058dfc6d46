// SPDX-License-Identifier: MIT
// Clouds of several cameras become one: each moved by its camera's pose, those that belong together
// found by when the light fell in.
#include <phosphene/node.h>

#include "image/cloud.h"
#include "image/pose.h"
#include "nodes/compose/voxels.h"

#include <stdio.h>
#include <string.h>

enum { VIEWS = 8, KEPT = 6 };

struct view {
    struct ph_frame *kept[KEPT]; // the oldest first
    int64_t at_ns[KEPT];
    bool ended; // of a film: nothing more will come
    int count;
};

struct fuse {
    const char *pose[VIEWS];
    float window, voxel;
    int64_t most;

    float moves[VIEWS][12];
    struct view views[VIEWS];
    int64_t last_ns, first_ns, pts_ns; // capture of the last and first that was made; its pts
    uint64_t made;
    bool in_trouble;
    struct ph_voxels voxels;
};

static void forget(struct fuse *p)
{
    for (int v = 0; v < VIEWS; v++) {
        for (int i = 0; i < p->views[v].count; i++) ph_frame_unref(&p->views[v].kept[i]);
        p->views[v].count = 0;
    }
}

static void fuse_close(struct ph_node *n)
{
    struct fuse *p = ph_priv(n);
    forget(p);
    ph_voxels_finish(&p->voxels);
}

static ph_err fuse_cut(struct ph_node *n, const struct ph_cut *cut)
{
    if (cut->hard) forget(ph_priv(n));
    return PH_OK;
}

// A pose that cannot be read leaves that camera where it was.
static ph_err fuse_apply(struct ph_node *n)
{
    struct fuse *p = ph_priv(n);
    int wrong = -1;
    for (int v = 0; v < VIEWS; v++) {
        struct ph_pose pose;
        if (ph_pose_parse(&pose, p->pose[v]) == PH_OK)
            ph_pose_rows(&pose, p->moves[v]);
        else if (wrong < 0)
            wrong = v;
        if (!p->moves[v][0] && !p->moves[v][1] && !p->moves[v][2]) {
            pose = ph_pose_none();
            ph_pose_rows(&pose, p->moves[v]);
        }
    }
    if (wrong >= 0)
        ph_node_problem(n,
                        "pose%d is six numbers, \"x y z rx ry rz\" in metres and degrees, got "
                        "\"%.60s\"",
                        wrong + 1, p->pose[wrong]);
    else if (p->in_trouble)
        ph_node_problem(n, NULL);
    p->in_trouble = wrong >= 0;
    return PH_OK;
}

// --- what belongs together

static int64_t newest(const struct view *v)
{
    return v->count ? v->at_ns[v->count - 1] : INT64_MIN;
}

// Offline, what belongs together goes by pts: capture is when a lane happened to run.
static bool is_film(const struct ph_node *n)
{
    return ph_node_rendering(n) && !ph_node_replaying(n);
}

// A clock that was set back begins the view anew.
static void keep(struct view *v, struct ph_frame *f, int64_t at_ns)
{
    if (v->count && at_ns < newest(v)) {
        for (int i = 0; i < v->count; i++) ph_frame_unref(&v->kept[i]);
        v->count = 0;
    }
    if (v->count == KEPT) {
        ph_frame_unref(&v->kept[0]);
        memmove(v->kept, v->kept + 1, (KEPT - 1) * sizeof *v->kept);
        memmove(v->at_ns, v->at_ns + 1, (KEPT - 1) * sizeof *v->at_ns);
        v->count--;
    }
    v->at_ns[v->count] = at_ns;
    v->kept[v->count++] = f;
}

// Of a film whoever is behind comes next, and is waited for: the order is that of the film's time,
// however the lanes ran.
static ph_err take_next(struct ph_node *n, struct fuse *p)
{
    struct ph_frame *f;
    int v = -1;
    for (int i = 0; i < VIEWS; i++) {
        struct view *view = &p->views[i];
        if (!ph_node_linked(n, false, i) || view->ended) continue;
        if (v < 0 || newest(view) < newest(&p->views[v])) v = i;
    }
    if (v < 0) return PH_EOF;
    ph_err ret = ph_node_read(n, v, &f);
    if (ret == PH_OK) keep(&p->views[v], f, f->pts_ns);
    if (ret != PH_EOF) return ret;
    p->views[v].ended = true;
    return PH_OK;
}

// When a frame was captured decides what belongs together. Where it is a lane's own clock, a replay
// has others: the journal keeps those of the live run, by their place in this node's run.
static int64_t captured(struct ph_node *n, int v, int place, const struct ph_frame *f)
{
    char name[32];
    snprintf(name, sizeof name, "captured%d.%d", v + 1, place);
    return ph_node_chance(n, name, f->capture_ns);
}

// PH_OK: something came. PH_EOF: nothing will come from anybody.
static ph_err take_in(struct ph_node *n, struct fuse *p)
{
    bool came = false, open = false;
    for (int v = 0; v < VIEWS; v++) {
        struct ph_frame *f;
        ph_err ret = PH_EOF;
        for (int i = 0; ph_node_linked(n, false, v) && (ret = ph_node_read(n, v, &f)) == PH_OK;
             i++) {
            keep(&p->views[v], f, captured(n, v, i, f));
            came = true;
        }
        open = open || ret == PH_OK || ret == PH_MORE;
    }
    return came ? PH_OK : open ? PH_MORE : PH_EOF;
}

// A camera that has sent nothing for longer than the window is not waited for.
static bool alive(const struct fuse *p, int v, int64_t newest_of_all, bool film)
{
    const struct view *view = &p->views[v];
    if (film) return view->count && !view->ended;
    return view->count && newest_of_all - newest(view) <= (int64_t) ((double) p->window * 1e9);
}

// The moment that all who are alive have reached.
static int64_t common_moment(const struct ph_node *n, const struct fuse *p)
{
    bool film = is_film(n);
    int64_t last = INT64_MIN, moment = INT64_MAX;
    for (int v = 0; v < VIEWS; v++)
        if (newest(&p->views[v]) > last) last = newest(&p->views[v]);
    if (last == INT64_MIN) return INT64_MIN;
    for (int v = 0; v < VIEWS; v++) {
        const struct view *view = &p->views[v];
        if (film && !view->count && !view->ended && ph_node_linked(n, false, v))
            return INT64_MIN; // its first is yet to come
        if (alive(p, v, last, film) && newest(view) < moment) moment = newest(view);
    }
    return moment == INT64_MAX ? INT64_MIN : moment;
}

static int64_t apart(int64_t a, int64_t b)
{
    return a > b ? a - b : b - a;
}

static const struct ph_frame *nearest(const struct fuse *p, int v, int64_t moment)
{
    const struct view *view = &p->views[v];
    int best = 0;
    for (int i = 1; i < view->count; i++)
        if (apart(view->at_ns[i], moment) < apart(view->at_ns[best], moment)) best = i;
    bool near =
        view->count && apart(view->at_ns[best], moment) <= (int64_t) ((double) p->window * 1e9);
    return near ? view->kept[best] : NULL;
}

// --- one world

// Every so-many-th point, the same ones each time: what stays does not shimmer.
static void limit(struct ph_points *points, int most)
{
    if (points->count <= most) return;
    for (int i = 0; i < most; i++) {
        size_t from = (size_t) ((int64_t) i * points->count / most);
        memmove(points->xyz + 3 * (size_t) i, points->xyz + 3 * from, 3 * sizeof *points->xyz);
        memmove(points->rgb + 3 * (size_t) i, points->rgb + 3 * from, 3);
    }
    points->count = most;
}

static void add(struct ph_points *to, const struct ph_points *from, const float move[12])
{
    float *xyz = to->xyz + 3 * (size_t) to->count;
    memcpy(xyz, from->xyz, 3 * sizeof *xyz * (size_t) from->count);
    memcpy(to->rgb + 3 * (size_t) to->count, from->rgb, 3 * (size_t) from->count);
    ph_cloud_move(xyz, from->count, move);
    to->count += from->count;
    to->views++;
}

static void stamp(struct fuse *p, struct ph_frame *out, int64_t moment)
{
    if (!p->made) p->first_ns = moment;
    if (moment - p->first_ns < p->pts_ns - PH_SECOND_NS) // a clock began anew: pts go on
        p->first_ns = moment - p->pts_ns - 1;
    int64_t pts_ns = moment - p->first_ns;
    out->pts_ns = p->made && pts_ns <= p->pts_ns ? p->pts_ns + 1 : pts_ns;
    out->capture_ns = moment;
    out->id = ++p->made;
    p->pts_ns = out->pts_ns;
}

static ph_err join(struct ph_node *n, struct fuse *p, int64_t moment, struct ph_frame **out)
{
    const struct ph_frame *chosen[VIEWS], *like = NULL;
    int count = 0;
    for (int v = 0; v < VIEWS; v++) {
        chosen[v] = nearest(p, v, moment);
        if (!chosen[v]) continue;
        if (!like || (int32_t) (chosen[v]->epoch - like->epoch) > 0) like = chosen[v];
        count += chosen[v]->points.count;
    }
    ph_err ret = ph_node_points(n, like, count + PH_CLOUD_SLACK, out);
    if (ret < 0) return ret;
    struct ph_points *points = &(*out)->points;
    points->count = points->views = 0;
    for (int v = 0; v < VIEWS; v++)
        if (chosen[v]) add(points, &chosen[v]->points, p->moves[v]);
    if (p->voxel > 0) ret = ph_voxels_thin(&p->voxels, points, p->voxel);
    limit(points, (int) p->most);
    stamp(p, *out, moment);
    return ret;
}

static ph_err fuse_process(struct ph_node *n)
{
    struct fuse *p = ph_priv(n);
    struct ph_frame *out = NULL;
    ph_err ret = is_film(n) ? take_next(n, p) : take_in(n, p);
    if (ret != PH_OK) return ret;
    int64_t moment = common_moment(n, p);
    bool back = p->made && moment < p->last_ns - PH_SECOND_NS; // a clock began anew
    if (moment == INT64_MIN || (p->made && moment <= p->last_ns && !back)) return PH_OK;
    p->last_ns = moment;
    ret = join(n, p, moment, &out);
    if (ret < 0) ph_frame_unref(&out);
    return ret < 0 ? ret : ph_node_write(n, 0, out);
}

// clang-format off
#define POSE(i) { .name = "pose" #i, .type = PH_TYPE_STRING, .offset = offsetof(struct fuse, pose) + (i - 1) * sizeof(char *), .max = 200, \
                  .help = "camera " #i " in the world: \"x y z rx ry rz\", metres (x right, y down, z forward) and a rotation vector in degrees; empty = the world's own" }
static const struct ph_param params[] = {
    PH_FLOAT(struct fuse, voxel, 0, 10, .def = "0.01", .unit = "m", .flags = PH_PARAM_FIRST, .help = "at most one point for each cube of this side, the first camera's first; 0 = all"),
    PH_FLOAT(struct fuse, window, 0.001, 10, .def = "0.2", .unit = "s", .help = "clouds that are farther apart in time do not belong together; who is silent for longer is not waited for"),
    PH_INT(struct fuse, most, 1000, 10000000, .def = "1000000", .help = "points at most; of more, every so-many-th stays"),
    POSE(1), POSE(2), POSE(3), POSE(4), POSE(5), POSE(6), POSE(7), POSE(8),
    { 0 }
};
#define VIEW(i) { "in" #i, PH_POINTS, PH_PORT_OPTIONAL, .help = "points of camera " #i }
// clang-format on

const struct ph_node_info ph_node_fuse = {
    .name = "fuse",
    .group = "compose",
    .help = "joins the points of several cameras in one world",
    .in = PH_PORTS(VIEW(1), VIEW(2), VIEW(3), VIEW(4), VIEW(5), VIEW(6), VIEW(7), VIEW(8)),
    .out = PH_PORTS({ "out", PH_POINTS, .help = "points: x right, y up, z forward" }),
    .params = params,
    .priv_size = sizeof(struct fuse),
    .close = fuse_close,
    .process = fuse_process,
    .apply = fuse_apply,
    .cut = fuse_cut,
};
