// SPDX-License-Identifier: MIT
#include "image/flashes.h"
#include "image/px.h"

#include <math.h>
#include <pthread.h>

enum { COLUMNS = PH_FLASH_COLUMNS, ROWS = PH_FLASH_ROWS, CELLS = PH_FLASH_CELLS };
enum { FIELD_COLUMNS = 11, FIELD_ROWS = 6, MOST_CHANGES = 6, SAMPLES = 16 };

#define SECOND_NS INT64_C(1000000000)

static uint16_t linear[256]; // of 65535
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_linear(void)
{
    for (int i = 0; i < 256; i++) {
        double c = i / 255.0;
        double v = c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
        linear[i] = (uint16_t) lrint(v * 65535);
    }
}

// --- measuring

struct sums {
    uint32_t rgb[3], count;
};

static void add_pixel(struct sums *s, const uint8_t *px)
{
    for (int c = 0; c < 3; c++) s->rgb[c] += linear[px[c]];
    s->count++;
}

static void add_mixed(struct sums *s, const uint8_t *a, const uint8_t *b, int t)
{
    for (int c = 0; c < 3; c++)
        s->rgb[c] += linear[div255((unsigned) (a[c] * (255 - t) + b[c] * t))];
    s->count++;
}

// Each row begins one pixel further on than the one before, so that fine patterns are seen evenly.
static struct sums sum_cell(const struct ph_picture *a, const struct ph_picture *b, int t,
                            int x0, int y0, int w, int h)
{
    struct sums s = { 0 };
    int step_x = (w + SAMPLES - 1) / SAMPLES, step_y = (h + SAMPLES - 1) / SAMPLES;
    for (int y = 0, row = 0; y < h; y += step_y, row++) {
        const uint8_t *p = px_row(a, 0, y0 + y) + 4 * x0;
        const uint8_t *q = b ? px_row(b, 0, y0 + y) + 4 * x0 : NULL;
        for (int x = row % step_x; x < w; x += step_x)
            if (q)
                add_mixed(&s, p + 4 * x, q + 4 * x, t);
            else
                add_pixel(&s, p + 4 * x);
    }
    return s;
}

static void set_cell(struct ph_flash_grid *g, int i, const struct sums *s)
{
    float whole = 65535.0f * (float) s->count;
    float r = (float) s->rgb[0] / whole, gr = (float) s->rgb[1] / whole;
    float b = (float) s->rgb[2] / whole;
    g->light[i] = 0.2126f * r + 0.7152f * gr + 0.0722f * b;
    g->red[i] = 320 * (r - gr - b > 0 ? r - gr - b : 0);
    g->saturated[i] = r > 0 && r >= 0.8f * (r + gr + b);
}

ph_err ph_flash_measure(struct ph_flash_grid *g, const struct ph_picture *a,
                        const struct ph_picture *b, int t)
{
    if (!px_valid(a) || a->format != PH_RGBA) return PH_EINVAL;
    if (b && (!px_same_size(a, b) || b->format != PH_RGBA)) return PH_EINVAL;
    pthread_once(&once, fill_linear);
    for (int i = 0; i < CELLS; i++) {
        int column = i % COLUMNS, row = i / COLUMNS;
        int x = a->width * column / COLUMNS, y = a->height * row / ROWS;
        int w = max_int(a->width * (column + 1) / COLUMNS - x, 1);
        int h = max_int(a->height * (row + 1) / ROWS - y, 1);
        struct sums s = sum_cell(a, b, t, x, y, w, h);
        set_cell(g, i, &s);
    }
    return PH_OK;
}

// --- counting

void ph_flashes_begin(struct ph_flashes *f)
{
    memset(f, 0, sizeof *f);
}

static void begin_track(struct ph_flash_track *t, float v)
{
    *t = (struct ph_flash_track){ .low = v, .high = v };
    for (int k = 0; k < PH_FLASH_KEPT; k++) t->at_ns[k] = INT64_MIN;
}

static void count(struct ph_flash_track *t, float v, int direction, int64_t now_ns)
{
    t->direction = (int8_t) direction;
    t->low = t->high = v;
    t->at_ns[t->next] = now_ns;
    t->next = (uint8_t) ((t->next + 1) % PH_FLASH_KEPT);
}

// A change up against the lowest and one down against the highest since the last counted one.
static int change(struct ph_flash_track *t, float v, float least, float darker)
{
    t->low = v < t->low ? v : t->low;
    t->high = v > t->high ? v : t->high;
    if (t->direction <= 0 && v - t->low >= least && t->low < darker) return 1;
    if (t->direction >= 0 && t->high - v >= least && v < darker) return -1;
    return 0;
}

static void take_cell(struct ph_flashes *f, const struct ph_flash_grid *g, int i,
                      int64_t now_ns)
{
    struct ph_flash_track *t = &f->general[i], *red = &f->red[i];
    if (!f->begun) {
        begin_track(t, g->light[i]);
        begin_track(red, g->red[i]);
    }
    int way = change(t, g->light[i], 0.1f, 0.8f);
    if (way) count(t, g->light[i], way, now_ns);
    red->red_seen |= g->saturated[i];
    way = change(red, g->red[i], 20.0001f, INFINITY);
    if (!way || !red->red_seen) return;
    count(red, g->red[i], way, now_ns);
    red->red_seen = g->saturated[i];
}

// A microsecond of tolerance: times of frames are rounded.
static int changes_in_a_second(const struct ph_flash_track *t, int64_t now_ns)
{
    int n = 0;
    for (int k = 0; k < PH_FLASH_KEPT; k++) n += t->at_ns[k] > now_ns - SECOND_NS + 1000;
    return n;
}

static int worst_field(const uint8_t bad[CELLS])
{
    int sum[ROWS + 1][COLUMNS + 1] = { { 0 } }, worst = 0;
    for (int y = 0; y < ROWS; y++)
        for (int x = 0; x < COLUMNS; x++)
            sum[y + 1][x + 1] =
                bad[y * COLUMNS + x] + sum[y][x + 1] + sum[y + 1][x] - sum[y][x];
    for (int y = FIELD_ROWS; y <= ROWS; y++)
        for (int x = FIELD_COLUMNS; x <= COLUMNS; x++) {
            int n = sum[y][x] - sum[y - FIELD_ROWS][x] - sum[y][x - FIELD_COLUMNS] +
                    sum[y - FIELD_ROWS][x - FIELD_COLUMNS];
            worst = max_int(worst, n);
        }
    return worst;
}

struct ph_flash_report ph_flashes_report(const struct ph_flashes *f, int64_t now_ns)
{
    struct ph_flash_report r = { 0 };
    uint8_t bad[CELLS];
    int all = 0;
    for (int i = 0; i < CELLS; i++) {
        int general = changes_in_a_second(&f->general[i], now_ns);
        int red = changes_in_a_second(&f->red[i], now_ns);
        r.general = max_int(r.general, general);
        r.red = max_int(r.red, red);
        all += bad[i] = general > MOST_CHANGES || red > MOST_CHANGES;
    }
    r.frame = (double) all / CELLS;
    r.window = (double) worst_field(bad) / (FIELD_COLUMNS * FIELD_ROWS);
    return r;
}

bool ph_flashes_take(struct ph_flashes *f, const struct ph_flash_grid *g, int64_t now_ns)
{
    for (int i = 0; i < CELLS; i++) take_cell(f, g, i, now_ns);
    f->begun = true;
    return ph_flashes_report(f, now_ns).window > 0.25;
}
