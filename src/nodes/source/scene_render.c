// SPDX-License-Identifier: MIT
#include "nodes/source/scene_render.h"

#include "nodes/source/vec4.h"
#include "nodes/util.h"

#include <math.h>
#include <string.h>

// What a ray met; kept in the alpha byte of the picture until the edges are done.
enum thing { SKY, GROUND, BLOB, RING, BOX, PILL, PEARL, THINGS };

static const float albedo[THINGS][3] = {
    // linear
    [BLOB] = { 0.90f, 0.17f, 0.06f },  [RING] = { 0.90f, 0.55f, 0.13f },
    [BOX] = { 0.04f, 0.20f, 0.55f },   [PILL] = { 0.05f, 0.45f, 0.32f },
    [PEARL] = { 0.85f, 0.83f, 0.80f },
};
static const float gloss[THINGS] = {
    [BLOB] = 0.7f, [RING] = 1.4f, [BOX] = 0.5f, [PILL] = 0.5f, [PEARL] = 1.0f
};

#define MIDDLE_Y 0.85f // everything but the ground lies in this sphere
#define REACH    2.25f
#define SUN                                                                                    \
    {                                                                                          \
        0.507f, 0.676f, 0.535f                                                                 \
    } // towards the light
static const float sun[3] = SUN;

struct turn { // rotation about the y axis
    float c, s;
};

struct world {
    struct turn ring, box;
    float tilt_c, tilt_s; // of the ring about its own x axis
    float moon[3];        // the part of the blob that goes round
};

static void world_at(struct world *w, double spin)
{
    w->ring = (struct turn){ ph_cos_turns(spin), ph_sin_turns(spin) };
    w->box = (struct turn){ ph_cos_turns(spin * 2), ph_sin_turns(spin * 2) };
    w->tilt_c = ph_cos_turns(0.19);
    w->tilt_s = ph_sin_turns(0.19);
    w->moon[0] = 0.62f * ph_cos_turns(-3 * spin);
    w->moon[1] = 1.02f + 0.28f * ph_sin_turns(2 * spin);
    w->moon[2] = 0.62f * ph_sin_turns(-3 * spin);
}

static struct p4 turned(struct p4 p, struct turn t)
{
    return (struct p4){ p.x * v4_all(t.c) - p.z * v4_all(t.s), p.y,
                        p.x * v4_all(t.s) + p.z * v4_all(t.c) };
}

// --- distances (Quilez, Distance functions: the usual forms)

static v4 to_sphere(struct p4 p, float x, float y, float z, float r)
{
    return p4_length(p4_sub(p, p4_all(x, y, z))) - v4_all(r);
}

// Two spheres that flow into each other: polynomial smooth minimum over k metres
static v4 to_blob(const struct world *w, struct p4 p)
{
    const float k = 0.30f;
    v4 a = to_sphere(p, 0, 0.90f, 0, 0.58f);
    v4 b = to_sphere(p, w->moon[0], w->moon[1], w->moon[2], 0.24f);
    v4 h = v4_clamp(v4_all(0.5f) + (b - a) * v4_all(0.5f / k), 0, 1);
    return v4_mix(b, a, h) - v4_all(k) * h * (v4_all(1) - h);
}

static v4 to_ring(const struct world *w, struct p4 p)
{
    struct p4 q = turned(p4_sub(p, p4_all(0, 1.02f, 0)), w->ring);
    v4 y = q.y * v4_all(w->tilt_c) - q.z * v4_all(w->tilt_s);
    v4 z = q.y * v4_all(w->tilt_s) + q.z * v4_all(w->tilt_c);
    v4 out = v4_sqrt(q.x * q.x + z * z) - v4_all(1.02f);
    return v4_sqrt(out * out + y * y) - v4_all(0.075f);
}

static v4 to_box(const struct world *w, struct p4 p)
{
    struct p4 q = turned(p4_sub(p, p4_all(-1.45f, 0.40f, 0.60f)), w->box);
    v4 side = v4_all(0.32f), zero = v4_all(0);
    v4 x = v4_abs(q.x) - side, y = v4_abs(q.y) - side, z = v4_abs(q.z) - side;
    struct p4 out = { v4_max(x, zero), v4_max(y, zero), v4_max(z, zero) };
    v4 in = v4_min(v4_max(x, v4_max(y, z)), zero);
    return p4_length(out) + in - v4_all(0.08f);
}

static v4 to_pill(struct p4 p)
{
    struct p4 q = p4_sub(p, p4_all(1.35f, 0.30f, -0.75f));
    q.y -= v4_clamp(q.y, 0, 0.75f);
    return p4_length(q) - v4_all(0.30f);
}

// Nearest thing above the ground
static v4 distance(const struct world *w, struct p4 p)
{
    v4 a = v4_min(to_blob(w, p), to_ring(w, p));
    v4 b = v4_min(to_box(w, p), to_pill(p));
    return v4_min(v4_min(a, b), to_sphere(p, 0.95f, 0.24f, 1.25f, 0.24f));
}

static m4 nearest_thing(const struct world *w, struct p4 p)
{
    v4 d[THINGS] = { [BLOB] = to_blob(w, p),
                     [RING] = to_ring(w, p),
                     [BOX] = to_box(w, p),
                     [PILL] = to_pill(p),
                     [PEARL] = to_sphere(p, 0.95f, 0.24f, 1.25f, 0.24f) };
    v4 best = d[BLOB];
    m4 which = { BLOB, BLOB, BLOB, BLOB };
    for (int i = BLOB + 1; i < THINGS; i++) {
        m4 nearer = d[i] < best, me = { i, i, i, i };
        best = v4_min(d[i], best);
        which = (nearer & me) | (~nearer & which);
    }
    return which;
}

// --- rays

struct ray {
    struct p4 from, dir; // dir is a unit vector
};

static struct p4 point_at(const struct ray *r, v4 t)
{
    return p4_add(r->from, p4_scale(r->dir, t));
}

// Where the ray is inside the sphere that holds all things: enter < leave, or nowhere.
static m4 within_reach(const struct ray *r, v4 *enter, v4 *leave)
{
    struct p4 o = p4_sub(r->from, p4_all(0, MIDDLE_Y, 0));
    v4 b = p4_dot(o, r->dir), c = p4_dot(o, o) - v4_all(REACH * REACH);
    v4 in = b * b - c, root = v4_sqrt(v4_max(in, v4_all(0)));
    *enter = v4_max(-b - root, v4_all(0));
    *leave = -b + root;
    return (in > v4_all(0)) & (*leave > v4_all(0));
}

// Distance at which the ray meets the ground; far off when it does not.
static v4 to_ground(const struct ray *r)
{
    m4 falls = r->dir.y < v4_all(-1e-6f);
    v4 t = -r->from.y / v4_pick(falls, r->dir.y, v4_all(-1));
    return v4_pick(falls, t, v4_all(1e30f));
}

// Secants from near a surface onto it, to a ten-thousandth of a metre; a ray that only grazes it
// keeps its *t.
static void settle(const struct world *w, const struct ray *r, m4 hit, v4 *t)
{
    v4 from = *t, far = distance(w, point_at(r, from)), at = from + far;
    for (int i = 0; i < 4; i++) {
        v4 d = distance(w, point_at(r, at)), slope = (d - far) / (at - from);
        v4 step = v4_pick(slope < v4_all(-0.03f), -d / slope, d);
        from = at;
        far = d;
        at += v4_clamp(step, -0.02f, 0.02f);
    }
    m4 there = v4_abs(distance(w, point_at(r, at))) < v4_all(5e-5f);
    *t = v4_pick(hit & there, at, *t);
}

// The first thing along the ray before *t; lanes that hit none keep their *t.
static m4 march(const struct world *w, const struct ray *r, v4 *t)
{
    v4 at, leave;
    m4 alive = within_reach(r, &at, &leave);
    v4 end = v4_min(leave, *t);
    m4 hit = { 0 };
    for (int i = 0; i < 72; i++) {
        alive &= at < end;
        if (!m4_bits(alive)) break;
        v4 d = distance(w, point_at(r, at));
        m4 close = alive & (d < v4_all(0.0008f) * at);
        hit |= close;
        *t = v4_pick(close, at, *t);
        alive &= ~close;
        at = v4_pick(alive, at + d, at);
    }
    if (m4_bits(hit)) settle(w, r, hit, t);
    return hit;
}

// How much of the sun is seen from p, 0..1: the nearest miss decides (Quilez, Soft shadows).
static v4 sunlight(const struct world *w, struct p4 p, m4 wanted)
{
    struct ray r = { p, p4_all(sun[0], sun[1], sun[2]) };
    v4 at, leave, light = v4_all(1);
    m4 alive = wanted & within_reach(&r, &at, &leave);
    at = v4_max(at, v4_all(0.03f));
    for (int i = 0; i < 28; i++) {
        alive &= (at < leave) & (light > v4_all(0.004f));
        if (!m4_bits(alive)) break;
        v4 d = distance(w, point_at(&r, at));
        light = v4_pick(alive, v4_min(light, v4_all(9) * d / at), light);
        at += v4_clamp(d, 0.03f, 0.5f);
    }
    light = v4_clamp(light, 0, 1);
    return light * light * (v4_all(3) - v4_all(2) * light);
}

// How open the sky is above a surface: distances along the normal that fall short of it.
static v4 openness(const struct world *w, struct p4 p, struct p4 normal)
{
    v4 closed = v4_all(0);
    const float step[] = { 0.08f, 0.24f, 0.52f }, weight[] = { 2.2f, 0.9f, 0.42f };
    for (int i = 0; i < 3; i++) {
        struct p4 q = p4_add(p, p4_scale(normal, v4_all(step[i])));
        v4 d = v4_min(distance(w, q), q.y);
        closed += v4_max(v4_all(step[i]) - d, v4_all(0)) * v4_all(weight[i]);
    }
    return v4_clamp(v4_all(1) - closed, 0.12f, 1);
}

// Gradient of the distance, from the corners of a tetrahedron
static struct p4 normal_at(const struct world *w, struct p4 p)
{
    static const float corner[4][3] = {
        { 1, -1, -1 }, { -1, -1, 1 }, { -1, 1, -1 }, { 1, 1, 1 }
    };
    struct p4 n = p4_all(0, 0, 0);
    for (int i = 0; i < 4; i++) {
        const float e = 0.0015f;
        struct p4 c = p4_all(corner[i][0], corner[i][1], corner[i][2]);
        v4 d = distance(w, p4_add(p, p4_scale(c, v4_all(e))));
        n = p4_add(n, p4_scale(c, d));
    }
    return p4_unit(n);
}

// --- colours, linear

static struct p4 sky_color(struct p4 dir)
{
    v4 up = v4_clamp(dir.y, 0, 1), low = v4_all(1) - up;
    v4 glow = low * low;
    glow = glow * glow * glow;
    v4 to_sun = v4_clamp(p4_dot(dir, p4_all(sun[0], sun[1], sun[2])), 0, 1);
    v4 halo = to_sun * to_sun;
    halo = halo * halo * halo * v4_all(0.22f);
    return (struct p4){ v4_all(0.012f) + glow * v4_all(0.31f) + halo,
                        v4_all(0.022f) + glow * v4_all(0.155f) + halo * v4_all(0.7f),
                        v4_all(0.075f) + glow * v4_all(0.17f) + halo * v4_all(0.45f) };
}

// Distance to the nearest line of a square grid of `cell` metres
static v4 to_line(v4 a, float cell)
{
    v4 s = a * v4_all(1 / cell);
    v4 whole = __builtin_convertvector(__builtin_convertvector(s, m4), v4); // towards zero
    v4 part = v4_abs(s - whole);
    return v4_min(part, v4_all(1) - part) * v4_all(cell);
}

// A dark floor with a fine grid that melts before it would flicker.
static struct p4 ground_color(struct p4 p, v4 pixel_m)
{
    v4 line = v4_min(to_line(p.x, 0.5f), to_line(p.z, 0.5f));
    v4 wide = v4_all(0.010f) + pixel_m;
    v4 cover = v4_clamp((wide - line) / pixel_m, 0, 1) * v4_all(0.010f) / wide;
    v4 v = v4_all(0.060f) + cover * v4_all(0.20f);
    return (struct p4){ v * v4_all(0.95f), v, v * v4_all(1.20f) };
}

static struct p4 thing_color(m4 what, v4 *shine)
{
    struct p4 c;
    for (int i = 0; i < 4; i++) {
        const float *a = albedo[what[i]];
        c.x[i] = a[0];
        c.y[i] = a[1];
        c.z[i] = a[2];
        (*shine)[i] = gloss[what[i]];
    }
    return c;
}

// Highlight of the sun and the sky seen at a flat angle
static struct p4 reflections(const struct ray *r, struct p4 normal, v4 shine, v4 sun_seen,
                             v4 open)
{
    v4 facing = p4_dot(r->dir, normal);
    struct p4 mirror = p4_sub(r->dir, p4_scale(normal, v4_all(2) * facing));
    v4 s = v4_clamp(p4_dot(mirror, p4_all(sun[0], sun[1], sun[2])), 0, 1);
    for (int i = 0; i < 5; i++) s = s * s;
    v4 f = v4_clamp(v4_all(1) + facing, 0, 1), f2 = f * f;
    v4 fresnel = (v4_all(0.05f) + v4_all(0.5f) * f2 * f2) * shine * open;
    struct p4 c = p4_scale(sky_color(mirror), fresnel);
    v4 spot = s * shine * sun_seen * v4_all(1.3f);
    return p4_add(c, (struct p4){ spot, spot * v4_all(0.92f), spot * v4_all(0.78f) });
}

static struct p4 lit(const struct world *w, const struct ray *r, struct p4 p, struct p4 normal,
                     m4 what, v4 pixel_m)
{
    m4 ground = what == (m4){ GROUND, GROUND, GROUND, GROUND };
    v4 shine = v4_all(0);
    struct p4 base = thing_color(what, &shine);
    base = p4_pick(ground, ground_color(p, pixel_m), base);
    shine = v4_pick(ground, v4_all(0.8f), shine);

    m4 near = p4_dot(p, p) < v4_all(36);
    v4 face = v4_max(p4_dot(normal, p4_all(sun[0], sun[1], sun[2])), v4_all(0));
    struct p4 above = p4_add(p, p4_scale(normal, v4_all(0.004f)));
    v4 seen = v4_all(1), open = v4_all(1);
    if (m4_bits(near)) {
        seen = sunlight(w, above, near & (face > v4_all(0)));
        open = v4_pick(near, openness(w, p, normal), open);
    }
    v4 direct = face * seen * v4_all(1.55f);
    v4 up = v4_all(0.5f) + v4_all(0.5f) * normal.y, down = v4_all(1) - up;
    struct p4 light = {
        direct + open * (up * v4_all(0.20f) + down * v4_all(0.10f)),
        direct * v4_all(0.87f) + open * (up * v4_all(0.27f) + down * v4_all(0.07f)),
        direct * v4_all(0.68f) + open * (up * v4_all(0.46f) + down * v4_all(0.07f))
    };
    struct p4 c = { base.x * light.x, base.y * light.y, base.z * light.z };
    return p4_add(c, reflections(r, normal, shine, seen, open));
}

struct hits {
    struct p4 color;
    v4 t;    // metres along the ray; 1e30 = sky
    m4 what; // enum thing
};

// pixel_angle: radians that a pixel spans
static struct hits trace(const struct world *w, const struct ray *r, float pixel_angle)
{
    struct hits h = { .color = sky_color(r->dir), .t = to_ground(r) };
    m4 ground = h.t < v4_all(1e6f), hit = march(w, r, &h.t);
    m4 solid = ground | hit;
    h.what = ground & (m4){ GROUND, GROUND, GROUND, GROUND };
    if (!m4_bits(solid)) return h;
    struct p4 p = point_at(r, v4_min(h.t, v4_all(1e5f))), normal = p4_all(0, 1, 0);
    if (m4_bits(hit)) {
        h.what = (hit & nearest_thing(w, p)) | (~hit & h.what);
        normal = p4_pick(hit, normal_at(w, p), normal);
    }
    v4 slant = v4_max(-p4_dot(normal, r->dir), v4_all(0.02f));
    struct p4 c = lit(w, r, p, normal, h.what, h.t * v4_all(pixel_angle) / slant);
    // mist hides where the ground ends
    v4 away = h.t * v4_all(0.045f), mist = away * away;
    mist = mist / (v4_all(1) + mist);
    struct p4 flat = { r->dir.x, v4_all(0), r->dir.z };
    c = p4_mix(c, sky_color(p4_unit(flat)), mist);
    h.color = p4_pick(solid, c, h.color);
    return h;
}

// --- pictures

static struct ray ray_at(const struct ph_scene_camera *c, v4 x, v4 y)
{
    const struct ph_intrinsics *k = &c->lens;
    v4 u = (x - v4_all(k->cx)) * v4_all(1 / k->fx), v = (y - v4_all(k->cy)) * v4_all(1 / k->fy);
    struct p4 d = p4_all(c->forward[0], c->forward[1], c->forward[2]);
    d = p4_add(d, p4_scale(p4_all(c->right[0], c->right[1], c->right[2]), u));
    d = p4_add(d, p4_scale(p4_all(c->down[0], c->down[1], c->down[2]), v));
    return (struct ray){ p4_all(c->eye[0], c->eye[1], c->eye[2]), p4_unit(d) };
}

// Filmic curve (Narkowicz, ACES fitted) and the display's gamma of about 2
static v4 display(v4 c)
{
    c = c * v4_all(0.66f);
    v4 n = c * (v4_all(2.51f) * c + v4_all(0.03f));
    v4 d = c * (v4_all(2.43f) * c + v4_all(0.59f)) + v4_all(0.14f);
    return v4_sqrt(v4_clamp(n / d, 0, 1)) * v4_all(255);
}

static m4 to_int(v4 a)
{
    return __builtin_convertvector(a + v4_all(0.5f), m4);
}

static void store_block(const struct ph_picture *color, const struct ph_picture *depth, int x,
                        int y, const struct hits *h, v4 along)
{
    m4 r = to_int(display(h->color.x)), g = to_int(display(h->color.y)),
       b = to_int(display(h->color.z));
    for (int i = 0; i < 4; i++) {
        int px = x + (i & 1), py = y + (i >> 1);
        if (px >= color->width || py >= color->height) continue;
        uint8_t *d = color->data[0] + py * color->stride[0] + 4 * px;
        d[0] = (uint8_t) r[i];
        d[1] = (uint8_t) g[i];
        d[2] = (uint8_t) b[i];
        d[3] = (uint8_t) h->what[i];
        if (!depth) continue;
        float z = h->what[i] == SKY ? INFINITY : h->t[i] * along[i];
        memcpy(depth->data[0] + py * depth->stride[0] + 4 * px, &z, 4);
    }
}

static void render_row_pair(const struct ph_picture *color, const struct ph_picture *depth,
                            const struct ph_scene_camera *c, const struct world *w, int y)
{
    const v4 dx = { 0.5f, 1.5f, 0.5f, 1.5f }, dy = { 0.5f, 0.5f, 1.5f, 1.5f };
    struct p4 ahead = p4_all(c->forward[0], c->forward[1], c->forward[2]);
    for (int x = 0; x < color->width; x += 2) {
        struct ray r = ray_at(c, dx + v4_all((float) x), dy + v4_all((float) y));
        struct hits h = trace(w, &r, 1 / c->lens.fx);
        store_block(color, depth, x, y, &h, p4_dot(r.dir, ahead));
    }
}

static bool is_edge(const struct ph_picture *p, int x, int y)
{
    const uint8_t *d = p->data[0] + y * p->stride[0] + 4 * x + 3;
    return (x > 0 && d[-4] != *d) || (x + 1 < p->width && d[4] != *d) ||
           (y > 0 && d[-p->stride[0]] != *d) || (y + 1 < p->height && d[p->stride[0]] != *d);
}

// Four rays through one pixel, mixed as the eye would: after the display's curve
static void smooth_pixel(const struct ph_picture *color, const struct ph_scene_camera *c,
                         const struct world *w, int x, int y)
{
    const v4 dx = { 0.375f, 0.875f, 0.125f, 0.625f }, dy = { 0.125f, 0.375f, 0.625f, 0.875f };
    struct ray r = ray_at(c, dx + v4_all((float) x), dy + v4_all((float) y));
    struct hits h = trace(w, &r, 1 / c->lens.fx);
    v4 shown[3] = { display(h.color.x), display(h.color.y), display(h.color.z) };
    uint8_t *d = color->data[0] + y * color->stride[0] + 4 * x;
    for (int i = 0; i < 3; i++) {
        float sum = (shown[i][0] + shown[i][1]) + (shown[i][2] + shown[i][3]);
        d[i] = (uint8_t) (sum * 0.25f + 0.5f);
    }
}

void ph_scene_render(const struct ph_picture *color, const struct ph_picture *depth,
                     const struct ph_scene_camera *c, double spin, bool smooth)
{
    struct world w;
    world_at(&w, spin);
    for (int y = 0; y < color->height; y += 2) render_row_pair(color, depth, c, &w, y);
    for (int y = 0; smooth && y < color->height; y++)
        for (int x = 0; x < color->width; x++)
            if (is_edge(color, x, y)) smooth_pixel(color, c, &w, x, y);
    for (int y = 0; y < color->height; y++)
        for (int x = 0; x < color->width; x++)
            color->data[0][y * color->stride[0] + 4 * x + 3] = 255;
}

// --- the camera

static void unit(float v[3])
{
    float l = sqrtf(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (int i = 0; i < 3; i++) v[i] /= l;
}

static void cross(float out[3], const float a[3], const float b[3])
{
    for (int i = 0; i < 3; i++) {
        int j = (i + 1) % 3, k = (i + 2) % 3;
        out[i] = a[j] * b[k] - a[k] * b[j];
    }
}

void ph_scene_camera(struct ph_scene_camera *c, int64_t pts_ns, int width, int height,
                     double orbit_s, double height_m, double distance_m, double fov_deg)
{
    ph_scene_camera_at(c, 0, orbit_s > 0 ? (double) pts_ns * 1e-9 / orbit_s : 0, width, height,
                       height_m, distance_m, fov_deg);
}

void ph_scene_camera_at(struct ph_scene_camera *c, double angle, double turns, int width,
                        int height, double height_m, double distance_m, double fov_deg)
{
    float a = ph_cos_turns(turns + 0.16 + angle), b = ph_sin_turns(turns + 0.16 + angle);
    c->eye[0] = (float) distance_m * a;
    c->eye[1] = (float) height_m * (1 + 0.22f * ph_sin_turns(2 * turns));
    c->eye[2] = (float) distance_m * b;
    const float up[3] = { 0, 1, 0 }, look_at[3] = { 0, 0.72f, 0 };
    for (int i = 0; i < 3; i++) c->forward[i] = look_at[i] - c->eye[i];
    unit(c->forward);
    cross(c->right, c->forward, up);
    unit(c->right);
    cross(c->down, c->forward, c->right);
    float tan_half = ph_sin_turns(fov_deg / 720) / ph_cos_turns(fov_deg / 720);
    float f = (float) width / (2 * tan_half);
    c->lens = (struct ph_intrinsics){ f, f, (float) width / 2, (float) height / 2 };
}

// --- what could be trusted of it

static bool point_of(float out[3], const struct ph_picture *depth,
                     const struct ph_intrinsics *k, int x, int y)
{
    float z;
    memcpy(&z, depth->data[0] + y * depth->stride[0] + 4 * x, sizeof z);
    out[0] = ((float) x + 0.5f - k->cx) * z / k->fx;
    out[1] = ((float) y + 0.5f - k->cy) * z / k->fy;
    out[2] = z;
    return z > 0 && z < INFINITY;
}

static float squareness(const struct ph_picture *depth, const struct ph_intrinsics *k, int x,
                        int y)
{
    float p[3], left[3], right[3], up[3], down[3], normal[3];
    bool known = x > 0 && y > 0 && x + 1 < depth->width && y + 1 < depth->height &&
                 point_of(p, depth, k, x, y) && point_of(left, depth, k, x - 1, y) &&
                 point_of(right, depth, k, x + 1, y) && point_of(up, depth, k, x, y - 1) &&
                 point_of(down, depth, k, x, y + 1);
    if (!known) return 0;
    for (int i = 0; i < 3; i++) {
        right[i] -= left[i];
        down[i] -= up[i];
    }
    if (fabsf(right[2]) > 0.1f * p[2] || fabsf(down[2]) > 0.1f * p[2]) return 0;
    cross(normal, right, down);
    unit(normal);
    unit(p);
    return fabsf(normal[0] * p[0] + normal[1] * p[1] + normal[2] * p[2]);
}

void ph_scene_confidence(const struct ph_picture *out, const struct ph_picture *depth,
                         const struct ph_intrinsics *lens)
{
    for (int y = 0; y < out->height; y++)
        for (int x = 0; x < out->width; x++) {
            float c = 1 + squareness(depth, lens, x, y);
            memcpy(out->data[0] + y * out->stride[0] + 4 * x, &c, sizeof c);
        }
}

float ph_scene_distance(const float at[3], double spin)
{
    struct world w;
    world_at(&w, spin);
    float things = distance(&w, p4_all(at[0], at[1], at[2]))[0], ground = fabsf(at[1]);
    return fabsf(things) < ground ? fabsf(things) : ground;
}
