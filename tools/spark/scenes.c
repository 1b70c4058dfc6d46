// SPDX-License-Identifier: MIT
// Random scenes with exact depth, for training: the kinds of things, light and camera of the
// `scene` source (src/nodes/source/scene_render.c), in random number, places, sizes, colours and
// patterns, on several floors, outdoors or in a room. scene.py compiles and calls it. Each step
// is a loop over N rays, which the compiler makes wide. Distances: Quilez, Distance functions.
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define N       32 // rays at once: 8 x 4 pixels
#define WIDE    8
#define HIGH    (N / WIDE)
#define FAR     1e30f
#define EACH(i) for (int i = 0; i < N; i++)

enum kind { BLOB, RING, BOX, PILL, BALL, CAN, KINDS };
enum pattern { PLAIN, GRID, CHECKS, STRIPES, DOTS, CLOUDS, PATTERNS };

struct thing {
    enum kind kind;
    enum pattern pattern;
    float at[3], size[3]; // the blob's: radius of the one, of the other, and unused
    float moon[3];        // the blob's other ball
    float c, s, tilt_c, tilt_s;
    float color[3], other[3], gloss, cell;
};

#define THINGS 10
struct world {
    struct thing thing[THINGS];
    int things;
    float sun[3], strength, ambient, exposure;
    float sky[3], zenith[3];
    enum pattern floor;
    float floor_color[3], floor_other[3], floor_gloss, turn_c, turn_s, cell;
    bool room;
    float wall[3], wall_color[3], wall_other[3]; // half widths of x and z, height
    enum pattern wall_pattern;
    float mist;
    float eye[3], right[3], down[3], ahead[3], focal; // focal in widths
};

// --- random numbers: splitmix64

static float draw(uint64_t *state, float low, float high)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return low + (high - low) * (float) ((x ^ x >> 31) >> 40) * 0x1p-24f;
}

static bool chance(uint64_t *state, float p)
{
    return draw(state, 0, 1) < p;
}

static float between(uint64_t *state, float low, float high) // as often small as large
{
    return low * powf(high / low, draw(state, 0, 1));
}

static void draw_color(uint64_t *state, float light, float out[3])
{
    float grey = draw(state, 0, 1), mix = draw(state, 0, 1);
    for (int i = 0; i < 3; i++) {
        float v = draw(state, 0, 1);
        v = grey + (v - grey) * mix;
        out[i] = 0.02f + light * v * v;
    }
}

static void unit(float v[3])
{
    float l = 1 / sqrtf(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (int i = 0; i < 3; i++) v[i] *= l;
}

static void cross(float out[3], const float a[3], const float b[3])
{
    for (int i = 0; i < 3; i++) {
        int j = (i + 1) % 3, k = (i + 2) % 3;
        out[i] = a[j] * b[k] - a[k] * b[j];
    }
}

// --- worlds

#define TAU 6.2831853f
static void turn(float angle, float *c, float *s)
{
    *c = cosf(angle);
    *s = sinf(angle);
}

// The source's own things; spin in turns.
static void own_things(struct world *w, float spin)
{
    static const struct thing own[] = {
        { BLOB,
          PLAIN,
          { 0, 0.90f, 0 },
          { 0.58f, 0.24f },
          .color = { 0.90f, 0.17f, 0.06f },
          .gloss = 0.7f },
        { RING,
          PLAIN,
          { 0, 1.02f, 0 },
          { 1.02f, 0.075f },
          .color = { 0.90f, 0.55f, 0.13f },
          .gloss = 1.4f },
        { BOX,
          PLAIN,
          { -1.45f, 0.40f, 0.60f },
          { 0.32f, 0.32f, 0.32f },
          .color = { 0.04f, 0.20f, 0.55f },
          .gloss = 0.5f },
        { PILL,
          PLAIN,
          { 1.35f, 0.30f, -0.75f },
          { 0.30f, 0.75f },
          .color = { 0.05f, 0.45f, 0.32f },
          .gloss = 0.5f },
        { BALL,
          PLAIN,
          { 0.95f, 0.24f, 1.25f },
          { 0.24f },
          .color = { 0.85f, 0.83f, 0.80f },
          .gloss = 1.0f },
    };
    w->things = 5;
    memcpy(w->thing, own, sizeof own);
    for (int i = 0; i < w->things; i++) w->thing[i].c = w->thing[i].tilt_c = 1;
    struct thing *t = w->thing;
    t[0].moon[0] = 0.62f * cosf(-3 * TAU * spin);
    t[0].moon[1] = 1.02f + 0.28f * sinf(2 * TAU * spin);
    t[0].moon[2] = 0.62f * sinf(-3 * TAU * spin);
    turn(TAU * spin, &t[1].c, &t[1].s);
    turn(0.19f * TAU, &t[1].tilt_c, &t[1].tilt_s);
    turn(2 * TAU * spin, &t[2].c, &t[2].s);
}

static void own_world(struct world *w)
{
    static const struct world own = {
        .sun = { 0.507f, 0.676f, 0.535f },
        .strength = 1.55f,
        .ambient = 1,
        .exposure = 0.66f,
        .sky = { 0.31f, 0.155f, 0.17f },
        .zenith = { 0.012f, 0.022f, 0.075f },
        .floor = GRID,
        .floor_color = { 0.057f, 0.060f, 0.072f },
        .floor_other = { 0.247f, 0.260f, 0.312f },
        .floor_gloss = 0.8f,
        .turn_c = 1,
        .cell = 0.5f,
        .mist = 0.045f,
    };
    *w = own;
}

static float place(uint64_t *r, struct thing *t, float reach)
{
    float a = draw(r, 0, TAU), far = reach * sqrtf(draw(r, 0, 1));
    t->at[0] = far * cosf(a);
    t->at[2] = far * sinf(a);
    return chance(r, 0.3f) ? draw(r, 0, 1) : 0; // metres above the floor
}

static void draw_thing(uint64_t *r, struct thing *t)
{
    static const float small[KINDS] = { 0.3f, 0.4f, 0.12f, 0.12f, 0.12f, 0.12f };
    static const float large[KINDS] = { 0.75f, 1.2f, 0.7f, 0.4f, 0.7f, 0.5f };
    t->kind = (enum kind) draw(r, 0, KINDS - 0.01f);
    float size = between(r, small[t->kind], large[t->kind]), lift = place(r, t, 2.2f);
    t->size[0] = size;
    t->size[1] = t->kind == RING ? draw(r, 0.04f, 0.14f) : size * between(r, 0.5f, 2.5f);
    t->size[2] = t->kind == BOX && chance(r, 0.6f) ? size * between(r, 0.4f, 2) : size;
    if (t->kind == BLOB) t->size[1] = size * draw(r, 0.3f, 0.7f);
    turn(draw(r, 0, TAU), &t->c, &t->s);
    turn(t->kind == RING ? draw(r, 0, TAU) : 0, &t->tilt_c, &t->tilt_s);
    static const float rise[KINDS] = {
        1, 1, 0, 1, 1, 0
    }; // of the first size, where at is the middle
    t->at[1] = lift + (t->kind == BOX   ? t->size[1] + 0.08f
                       : t->kind == CAN ? t->size[1]
                                        : rise[t->kind] * size);
    float a = draw(r, 0, TAU);
    t->moon[0] = t->at[0] + size * 1.07f * cosf(a);
    t->moon[1] = t->at[1] + size * draw(r, -0.5f, 0.7f);
    t->moon[2] = t->at[2] + size * 1.07f * sinf(a);
    draw_color(r, 0.9f, t->color);
    draw_color(r, 0.9f, t->other);
    t->gloss = draw(r, 0, 1.4f);
    t->pattern = chance(r, 0.5f) ? PLAIN : (enum pattern) draw(r, 1, PATTERNS - 0.01f);
    t->cell = between(r, 0.06f, 0.4f);
}

static void draw_room(uint64_t *r, struct world *w)
{
    w->room = true;
    for (int i = 0; i < 3; i += 2) {
        float out = fabsf(w->eye[i]) + draw(r, 0.3f, 2);
        w->wall[i] = fmaxf(out, draw(r, 2.6f, 9));
    }
    w->wall[1] = fmaxf(w->eye[1] + 0.4f, draw(r, 2.4f, 5));
    draw_color(r, 0.8f, w->wall_color);
    draw_color(r, 0.8f, w->wall_other);
    w->wall_pattern = chance(r, 0.5f) ? PLAIN : (enum pattern) draw(r, 1, PATTERNS - 0.01f);
    w->mist = 0.01f;
}

static void draw_light(uint64_t *r, struct world *w)
{
    float up = draw(r, 0.3f, 0.9f), a = draw(r, 0, TAU), flat = sqrtf(1 - up * up);
    w->sun[0] = flat * cosf(a);
    w->sun[1] = up;
    w->sun[2] = flat * sinf(a);
    w->strength = 1.55f * between(r, 0.3f, 1.4f);
    w->ambient = between(r, 0.7f, 3);
    w->exposure = between(r, 0.45f, 1.1f);
    if (chance(r, 0.7f)) {
        draw_color(r, draw(r, 0.1f, 0.9f), w->sky);
        draw_color(r, draw(r, 0.1f, 0.8f), w->zenith);
    }
}

static void draw_floor(uint64_t *r, struct world *w)
{
    w->floor = chance(r, 0.4f) ? GRID : (enum pattern) draw(r, 0, PATTERNS - 0.01f);
    draw_color(r, chance(r, 0.5f) ? 0.2f : 0.8f, w->floor_color);
    draw_color(r, 0.7f, w->floor_other);
    w->floor_gloss = draw(r, 0, 1);
    turn(draw(r, 0, TAU), &w->turn_c, &w->turn_s);
}

static void look(struct world *w, float angle, float height, float distance, const float aim[3],
                 float fov_deg)
{
    static const float up[3] = { 0, 1, 0 };
    turn(angle, &w->eye[0], &w->eye[2]);
    w->eye[0] *= distance;
    w->eye[1] = height;
    w->eye[2] *= distance;
    for (int i = 0; i < 3; i++) w->ahead[i] = aim[i] - w->eye[i];
    unit(w->ahead);
    cross(w->right, w->ahead, up);
    unit(w->right);
    cross(w->down, w->ahead, w->right);
    w->focal = 0.5f / tanf(fov_deg * TAU / 720);
}

enum sort { OWN, OPEN, ROOM }; // the source's own scene, another, one in a room

static enum sort world_of(struct world *w, uint64_t seed, bool exact)
{
    uint64_t state = seed * 0xd1342543de82ef95u + 77, *r = &state;
    own_world(w);
    float aim[3] = { 0, 0.72f, 0 };
    if (exact) {
        own_things(w, 0);
        look(w, 0.16f * TAU, 1.75f, 6.2f, aim, 50);
        return OWN;
    }
    bool own = chance(r, 0.3f), close = chance(r, 0.25f);
    if (!own)
        for (int i = 0; i < 3; i++) aim[i] += draw(r, -0.5f, 0.5f);
    look(w, draw(r, 0, TAU), draw(r, 0.8f, 3.2f),
         close ? draw(r, 2.9f, 4.5f) : draw(r, 4.2f, 8.5f), aim, draw(r, 43, 60));
    own_things(w, draw(r, 0, 1));
    if (own) return OWN;
    if (chance(r, 0.85f)) {
        w->things = (int) draw(r, 2, 9);
        for (int i = 0; i < w->things; i++) draw_thing(r, &w->thing[i]);
    }
    draw_light(r, w);
    draw_floor(r, w);
    if (chance(r, 0.3f)) draw_room(r, w);
    return w->room ? ROOM : OPEN;
}

// --- distances of N points

struct points {
    float x[N], y[N], z[N];
};

// Points as the thing sees them: about its middle, turned.
static void local(const struct thing *t, const struct points *p, struct points *q)
{
    EACH(i)
    {
        float x = p->x[i] - t->at[0], y = p->y[i] - t->at[1], z = p->z[i] - t->at[2];
        float rx = x * t->c - z * t->s, rz = x * t->s + z * t->c;
        q->x[i] = rx;
        q->y[i] = y * t->tilt_c - rz * t->tilt_s;
        q->z[i] = y * t->tilt_s + rz * t->tilt_c;
    }
}

static float length3(float x, float y, float z)
{
    return sqrtf(x * x + y * y + z * z);
}

static void to_blob(const struct thing *t, const struct points *p, float d[N])
{
    const float k = 0.30f;
    EACH(i)
    {
        float a =
            length3(p->x[i] - t->at[0], p->y[i] - t->at[1], p->z[i] - t->at[2]) - t->size[0];
        float b = length3(p->x[i] - t->moon[0], p->y[i] - t->moon[1], p->z[i] - t->moon[2]) -
                  t->size[1];
        float h = fminf(fmaxf(0.5f + (b - a) * (0.5f / k), 0), 1);
        d[i] = b + (a - b) * h - k * h * (1 - h);
    }
}

static void to_ring(const struct thing *t, const struct points *q, float d[N])
{
    EACH(i)
    {
        float out = sqrtf(q->x[i] * q->x[i] + q->z[i] * q->z[i]) - t->size[0];
        d[i] = sqrtf(out * out + q->y[i] * q->y[i]) - t->size[1];
    }
}

static void to_box(const struct thing *t, const struct points *q, float d[N])
{
    EACH(i)
    {
        float x = fabsf(q->x[i]) - t->size[0], y = fabsf(q->y[i]) - t->size[1],
              z = fabsf(q->z[i]) - t->size[2];
        d[i] = length3(fmaxf(x, 0), fmaxf(y, 0), fmaxf(z, 0)) +
               fminf(fmaxf(x, fmaxf(y, z)), 0) - 0.08f;
    }
}

static void to_pill(const struct thing *t, const struct points *q, float d[N])
{
    EACH(i)
    {
        float y = q->y[i] - fminf(fmaxf(q->y[i], 0), t->size[1]);
        d[i] = length3(q->x[i], y, q->z[i]) - t->size[0];
    }
}

static void to_can(const struct thing *t, const struct points *q, float d[N])
{
    EACH(i)
    {
        float x = sqrtf(q->x[i] * q->x[i] + q->z[i] * q->z[i]) - t->size[0],
              y = fabsf(q->y[i]) - t->size[1];
        float ox = fmaxf(x, 0), oy = fmaxf(y, 0);
        d[i] = sqrtf(ox * ox + oy * oy) + fminf(fmaxf(x, y), 0);
    }
}

static void to_thing(const struct thing *t, const struct points *p, float d[N])
{
    struct points q;
    if (t->kind == BLOB) {
        to_blob(t, p, d);
        return;
    }
    local(t, p, &q);
    if (t->kind == RING) to_ring(t, &q, d);
    if (t->kind == BOX) to_box(t, &q, d);
    if (t->kind == PILL) to_pill(t, &q, d);
    if (t->kind == CAN) to_can(t, &q, d);
    if (t->kind == BALL) EACH(i) d[i] = length3(q.x[i], q.y[i], q.z[i]) - t->size[0];
}

static void nearest(const struct world *w, const struct points *p, float best[N])
{
    float d[N];
    EACH(i) best[i] = 100;
    for (int k = 0; k < w->things; k++) {
        to_thing(&w->thing[k], p, d);
        EACH(i) best[i] = fminf(best[i], d[i]);
    }
}

static void nearest_thing(const struct world *w, const struct points *p, int which[N])
{
    float d[N], best[N];
    EACH(i) best[i] = FAR;
    EACH(i) which[i] = 0;
    for (int k = 0; k < w->things; k++) {
        to_thing(&w->thing[k], p, d);
        EACH(i) which[i] = d[i] < best[i] ? k : which[i];
        EACH(i) best[i] = fminf(best[i], d[i]);
    }
}

// --- rays

static void at_distance(const struct points *from, const struct points *dir, const float t[N],
                        struct points *out)
{
    EACH(i) out->x[i] = from->x[i] + dir->x[i] * t[i];
    EACH(i) out->y[i] = from->y[i] + dir->y[i] * t[i];
    EACH(i) out->z[i] = from->z[i] + dir->z[i] * t[i];
}

static bool any(const int m[N])
{
    int sum = 0;
    EACH(i) sum |= m[i];
    return sum != 0;
}

// Floor and walls: distance, and the surface's normal. FAR: the sky.
static void backdrop(const struct world *w, const struct points *dir, float t[N],
                     struct points *normal)
{
    EACH(i)
    {
        t[i] = dir->y[i] < -1e-6f ? -w->eye[1] / dir->y[i] : FAR;
        normal->x[i] = normal->z[i] = 0;
        normal->y[i] = 1;
    }
    if (!w->room) return;
    for (int a = 0; a < 3; a++) {
        const float *d = a == 0 ? dir->x : a == 1 ? dir->y : dir->z;
        EACH(i)
        {
            float sign = d[i] > 0 || a == 1 ? 1.0f : -1.0f;
            float own = fabsf(d[i]) > 1e-6f ? (sign * w->wall[a] - w->eye[a]) / d[i] : FAR;
            bool nearer = own > 0 && own < t[i];
            t[i] = nearer ? own : t[i];
            normal->x[i] = nearer ? (a == 0 ? -sign : 0) : normal->x[i];
            normal->y[i] = nearer ? (a == 1 ? -1.0f : 0) : normal->y[i];
            normal->z[i] = nearer ? (a == 2 ? -sign : 0) : normal->z[i];
        }
    }
}

#define MIDDLE 0.95f // all things are in this sphere
#define REACH  3.9f
// The first thing before t[i], which then is its distance.
static void march(const struct world *w, const struct points *eye, const struct points *dir,
                  float t[N], int hit[N])
{
    float at[N], end[N], d[N];
    int alive[N];
    EACH(i)
    {
        float y = eye->y[i] - MIDDLE;
        float b = eye->x[i] * dir->x[i] + y * dir->y[i] + eye->z[i] * dir->z[i];
        float in =
            b * b - (eye->x[i] * eye->x[i] + y * y + eye->z[i] * eye->z[i]) + REACH * REACH;
        float root = sqrtf(fmaxf(in, 0));
        at[i] = fmaxf(-b - root, 0.05f);
        end[i] = fminf(root - b, t[i]);
        hit[i] = 0;
        alive[i] = in > 0 && at[i] < end[i];
    }
    struct points p;
    for (int n = 0; n < 90 && any(alive); n++) {
        at_distance(eye, dir, at, &p);
        nearest(w, &p, d);
        EACH(i)
        {
            int close = alive[i] & (d[i] < 0.0006f * at[i]);
            hit[i] |= close;
            at[i] += alive[i] & !close ? d[i] : 0;
            alive[i] &= !close & (at[i] < end[i]);
        }
    }
    EACH(i) t[i] = hit[i] ? at[i] : t[i];
}

static void thing_normals(const struct world *w, const struct points *p, struct points *n)
{
    static const float corner[4][3] = {
        { 1, -1, -1 }, { -1, -1, 1 }, { -1, 1, -1 }, { 1, 1, 1 }
    };
    memset(n, 0, sizeof *n);
    for (int k = 0; k < 4; k++) {
        const float e = 0.0015f, *c = corner[k];
        struct points q;
        float d[N];
        EACH(i) q.x[i] = p->x[i] + c[0] * e;
        EACH(i) q.y[i] = p->y[i] + c[1] * e;
        EACH(i) q.z[i] = p->z[i] + c[2] * e;
        nearest(w, &q, d);
        EACH(i) n->x[i] += c[0] * d[i];
        EACH(i) n->y[i] += c[1] * d[i];
        EACH(i) n->z[i] += c[2] * d[i];
    }
    EACH(i)
    {
        float l = 1 / sqrtf(n->x[i] * n->x[i] + n->y[i] * n->y[i] + n->z[i] * n->z[i] + 1e-20f);
        n->x[i] *= l;
        n->y[i] *= l;
        n->z[i] *= l;
    }
}

// How much of the sun is seen: the nearest miss decides (Quilez, Soft shadows).
static void sunlight(const struct world *w, const struct points *p, const int wanted[N],
                     float seen[N])
{
    float at[N], d[N];
    int alive[N];
    struct points dir, q;
    EACH(i)
    {
        dir.x[i] = w->sun[0];
        dir.y[i] = w->sun[1];
        dir.z[i] = w->sun[2];
        at[i] = 0.03f;
        seen[i] = 1;
        alive[i] = wanted[i];
    }
    for (int n = 0; n < 24 && any(alive); n++) {
        at_distance(p, &dir, at, &q);
        nearest(w, &q, d);
        EACH(i)
        {
            seen[i] = alive[i] ? fminf(seen[i], 9 * d[i] / at[i]) : seen[i];
            at[i] += fminf(fmaxf(d[i], 0.03f), 0.6f);
            alive[i] &= (seen[i] > 0.004f) & (at[i] < 6);
        }
    }
    EACH(i)
    {
        float s = fminf(fmaxf(seen[i], 0), 1);
        seen[i] = s * s * (3 - 2 * s);
    }
}

static void openness(const struct world *w, const struct points *p, const struct points *n,
                     float open[N])
{
    static const float step[] = { 0.08f, 0.24f, 0.52f }, weight[] = { 2.2f, 0.9f, 0.42f };
    EACH(i) open[i] = 1;
    for (int k = 0; k < 3; k++) {
        float s[N], d[N];
        struct points q;
        EACH(i) s[i] = step[k];
        at_distance(p, n, s, &q);
        nearest(w, &q, d);
        EACH(i) open[i] -= fmaxf(step[k] - fminf(d[i], q.y[i]), 0) * weight[k];
    }
    EACH(i) open[i] = fminf(fmaxf(open[i], 0.12f), 1);
}

// --- colours, linear, of one point: these are few enough

static float to_line(float a, float cell) // of a grid: distance to the nearest
{
    float s = fabsf(a / cell - rintf(a / cell));
    return s * cell;
}

// How much of the other colour a pattern has; wide: a pixel's width on the surface.
static float pattern_at(enum pattern kind, float x, float y, float z, float cell, float wide)
{
    float soft = fminf(0.25f * cell / wide, 1); // melts before it would flicker
    switch (kind) {
    case GRID: {
        float line = fminf(to_line(x, cell), to_line(z, cell)), all = 0.010f + wide;
        return fminf(fmaxf((all - line) / wide, 0), 1) * 0.010f / all;
    }
    case CHECKS: {
        int odd =
            ((int) floorf(x / cell) + (int) floorf(y / cell + 0.01f) + (int) floorf(z / cell)) &
            1;
        return 0.5f + (odd ? 0.5f : -0.5f) * soft;
    }
    case STRIPES: return 0.5f + 0.5f * soft * sinf((x + 0.7f * y + 0.2f * z) * TAU / cell);
    case DOTS: {
        float v =
            sinf(x * TAU / cell) * sinf(z * TAU / cell) * (y == 0 ? 1 : sinf(y * TAU / cell));
        return fminf(fmaxf(0.5f + 4 * (v - 0.4f) * soft, 0), 1);
    }
    case CLOUDS: {
        float v = 0;
        for (int k = 0; k < 4; k++) {
            float f = (float) (1 << k) * 2.1f, turned = 0.8f * x - 0.6f * z;
            v += sinf(f * x + 3 * sinf(f * 0.7f * z + (float) k) + 2 * y * f) *
                 cosf(f * turned + 1.3f * (float) k) / (float) (1 << k);
            x = turned;
        }
        return fminf(fmaxf(0.5f + 0.4f * v, 0), 1);
    }
    default: return 0;
    }
}

static void sky(const struct world *w, float x, float y, float z, float out[3])
{
    float low = 1 - fminf(fmaxf(y, 0), 1), glow = low * low * low;
    glow *= glow;
    float s = fmaxf(x * w->sun[0] + y * w->sun[1] + z * w->sun[2], 0), halo = s * s * s;
    halo *= halo * 0.22f;
    static const float warm[3] = { 1, 0.7f, 0.45f };
    for (int k = 0; k < 3; k++) out[k] = w->zenith[k] + glow * w->sky[k] + halo * warm[k];
}

struct surface {
    float p[3], n[3], dir[3], t, wide, seen, open;
    int thing; // -1: floor, walls
};

static float base_color(const struct world *w, const struct surface *s, float out[3])
{
    const struct thing *t = s->thing < 0 ? NULL : &w->thing[s->thing];
    bool wall = !t && s->n[1] < 0.5f;
    float x = s->p[0], y = s->p[1], z = s->p[2], mix;
    const float *a = t ? t->color : wall ? w->wall_color : w->floor_color;
    const float *b = t ? t->other : wall ? w->wall_other : w->floor_other;
    if (t) {
        x -= t->at[0];
        z -= t->at[2];
        mix = pattern_at(t->pattern, x * t->c - z * t->s, y - t->at[1], x * t->s + z * t->c,
                         t->cell, s->wide);
    } else if (wall)
        mix = pattern_at(w->wall_pattern, x + z, 0, y, w->cell, s->wide);
    else
        mix = pattern_at(w->floor, x * w->turn_c - z * w->turn_s, 0,
                         x * w->turn_s + z * w->turn_c, w->cell, s->wide);
    for (int k = 0; k < 3; k++) out[k] = a[k] + (b[k] - a[k]) * mix;
    return t ? t->gloss : wall ? 0 : w->floor_gloss;
}

static void shade(const struct world *w, const struct surface *s, float out[3])
{
    static const float sun_color[3] = { 1, 0.87f, 0.68f }, above[3] = { 0.20f, 0.27f, 0.46f },
                       below[3] = { 0.10f, 0.07f, 0.07f }, warm[3] = { 1, 0.92f, 0.78f };
    float base[3], mirror[3], behind[3], gloss = base_color(w, s, base);
    const float *n = s->n, *d = s->dir;
    float face = fmaxf(n[0] * w->sun[0] + n[1] * w->sun[1] + n[2] * w->sun[2], 0);
    float direct = face * s->seen * w->strength, up = 0.5f + 0.5f * n[1],
          open = s->open * w->ambient;
    float facing = d[0] * n[0] + d[1] * n[1] + d[2] * n[2];
    float m[3] = { d[0] - 2 * facing * n[0], d[1] - 2 * facing * n[1],
                   d[2] - 2 * facing * n[2] };
    float spot = fmaxf(m[0] * w->sun[0] + m[1] * w->sun[1] + m[2] * w->sun[2], 0);
    for (int k = 0; k < 5; k++) spot *= spot;
    float f = fminf(fmaxf(1 + facing, 0), 1);
    f = (0.05f + 0.5f * f * f * f * f) * gloss * s->open;
    sky(w, m[0], m[1], m[2], mirror);
    float flat = 1 / sqrtf(d[0] * d[0] + d[2] * d[2] + 1e-9f);
    sky(w, d[0] * flat, 0, d[2] * flat, behind);
    float mist = s->t * w->mist;
    mist *= mist;
    mist /= 1 + mist;
    for (int k = 0; k < 3; k++) {
        float light = direct * sun_color[k] + open * (up * above[k] + (1 - up) * below[k]);
        float c = base[k] * light + mirror[k] * f +
                  spot * gloss * s->seen * 0.84f * w->strength * warm[k];
        out[k] = c + (behind[k] - c) * mist;
    }
}

// Filmic curve (Narkowicz, ACES fitted) and the display's gamma of about 2
static uint8_t display(float c, float exposure)
{
    c *= exposure;
    c = (c * (2.51f * c + 0.03f)) / (c * (2.43f * c + 0.59f) + 0.14f);
    return (uint8_t) (sqrtf(fminf(fmaxf(c, 0), 1)) * 255 + 0.5f);
}

// --- pictures

static void rays(const struct world *w, int x0, int y0, int width, int height,
                 struct points *dir, float along[N])
{
    float k = 1 / (w->focal * (float) width);
    EACH(i)
    {
        float u = ((float) (x0 + i % WIDE) + 0.5f - 0.5f * (float) width) * k;
        float v = ((float) (y0 + i / WIDE) + 0.5f - 0.5f * (float) height) * k;
        float l = 1 / sqrtf(1 + u * u + v * v);
        dir->x[i] = (w->ahead[0] + w->right[0] * u + w->down[0] * v) * l;
        dir->y[i] = (w->ahead[1] + w->right[1] * u + w->down[1] * v) * l;
        dir->z[i] = (w->ahead[2] + w->right[2] * u + w->down[2] * v) * l;
        along[i] = l;
    }
}

struct block {
    struct points dir, p, n;
    float along[N], t[N], seen[N], open[N];
    int hit[N], what[N];
};

static void trace(const struct world *w, struct block *b)
{
    struct points eye, above, n;
    int near[N];
    EACH(i) eye.x[i] = w->eye[0];
    EACH(i) eye.y[i] = w->eye[1];
    EACH(i) eye.z[i] = w->eye[2];
    backdrop(w, &b->dir, b->t, &b->n);
    march(w, &eye, &b->dir, b->t, b->hit);
    float t[N];
    EACH(i) t[i] = fminf(b->t[i], 1e5f);
    at_distance(&eye, &b->dir, t, &b->p);
    EACH(i) b->what[i] = -1;
    if (any(b->hit)) {
        int what[N];
        thing_normals(w, &b->p, &n);
        nearest_thing(w, &b->p, what);
        EACH(i) b->what[i] = b->hit[i] ? what[i] : -1;
        EACH(i) b->n.x[i] = b->hit[i] ? n.x[i] : b->n.x[i];
        EACH(i) b->n.y[i] = b->hit[i] ? n.y[i] : b->n.y[i];
        EACH(i) b->n.z[i] = b->hit[i] ? n.z[i] : b->n.z[i];
    }
    EACH(i) t[i] = 0.004f;
    at_distance(&b->p, &b->n, t, &above);
    EACH(i) near[i] = b->p.x[i] * b->p.x[i] + b->p.z[i] * b->p.z[i] < 36 && b->t[i] < FAR;
    sunlight(w, &above, near, b->seen);
    if (any(near)) openness(w, &b->p, &b->n, b->open);
    EACH(i) b->open[i] = near[i] ? b->open[i] : 1;
}

static void store(const struct world *w, const struct block *b, int i, float pixel,
                  uint8_t *rgb, float *z)
{
    struct surface s = { { b->p.x[i], b->p.y[i], b->p.z[i] },
                         { b->n.x[i], b->n.y[i], b->n.z[i] },
                         { b->dir.x[i], b->dir.y[i], b->dir.z[i] },
                         b->t[i],
                         0,
                         b->seen[i],
                         b->open[i],
                         b->what[i] };
    float c[3], slant = -(s.n[0] * s.dir[0] + s.n[1] * s.dir[1] + s.n[2] * s.dir[2]);
    s.wide = s.t * pixel / fmaxf(slant, 0.02f);
    if (s.t < 1e6f)
        shade(w, &s, c);
    else
        sky(w, s.dir[0], s.dir[1], s.dir[2], c);
    for (int k = 0; k < 3; k++) rgb[k] = display(c[k], w->exposure);
    *z = s.t < 1e6f ? s.t * b->along[i] : FAR;
}

// Edges as a lens would show them, about: where the neighbour is another thing, a mix of both.
static void soften(int width, int height, const float *z, const uint8_t *in, uint8_t *out)
{
    memcpy(out, in, (size_t) width * (size_t) height * 3);
    for (int y = 1; y + 1 < height; y++)
        for (int x = 1; x + 1 < width; x++) {
            int at = y * width + x, side[4] = { at - 1, at + 1, at - width, at + width };
            float low = z[at], high = z[at];
            for (int k = 0; k < 4; k++) {
                low = fminf(low, z[side[k]]);
                high = fmaxf(high, z[side[k]]);
            }
            if (high < 1.1f * low) continue;
            for (int k = 0; k < 3; k++) {
                int sum = 4 * in[3 * at + k];
                for (int j = 0; j < 4; j++) sum += in[3 * side[j] + k];
                out[3 * at + k] = (uint8_t) ((sum + 4) / 8);
            }
        }
}

// One scene: rgb [height, width, 3]; depth [height, width], metres along the camera's axis, 1e30 the
// sky; room: rgb's size again. exact: the source's own scene at rest, edges as they are.
void spark_scene(uint64_t seed, int exact, int width, int height, uint8_t *rgb, float *depth,
                 uint8_t *room)
{
    struct world w;
    world_of(&w, seed, exact);
    struct block b;
    uint8_t *raw = exact ? rgb : room;
    for (int y0 = 0; y0 < height; y0 += HIGH)
        for (int x0 = 0; x0 < width; x0 += WIDE) {
            rays(&w, x0, y0, width, height, &b.dir, b.along);
            trace(&w, &b);
            EACH(i)
            {
                int x = x0 + i % WIDE, y = y0 + i / WIDE, at = y * width + x;
                if (x < width && y < height)
                    store(&w, &b, i, 1 / (w.focal * (float) width), raw + 3 * at, depth + at);
            }
        }
    if (!exact) soften(width, height, depth, raw, rgb);
}

// 0: the source's own scene, 1: another, 2: one in a room.
int spark_sort(uint64_t seed)
{
    struct world w;
    return (int) world_of(&w, seed, false);
}
