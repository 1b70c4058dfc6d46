// SPDX-License-Identifier: MIT
#include "image/barcode.h"
#include "image/draw.h"
#include "image/px.h"

enum { CELLS = 8, ACROSS = 48, DOWN = 30, CONTRAST = 32, ROW_TOP = 0xaa, ROW_BOTTOM = 0x33 };

struct place {
    int x, y; // of the first cell, in cells
};

static const struct place places[] = {
    [PH_BARCODE_TOP_LEFT] = { 2, 2 },
    [PH_BARCODE_TOP_RIGHT] = { ACROSS - 2 - CELLS, 2 },
    [PH_BARCODE_BOTTOM_LEFT] = { 2, DOWN - 2 - CELLS },
    [PH_BARCODE_BOTTOM_RIGHT] = { ACROSS - 2 - CELLS, DOWN - 2 - CELLS },
    [PH_BARCODE_CENTER] = { (ACROSS - CELLS) / 2, (DOWN - CELLS) / 2 },
};
enum { PLACES = sizeof places / sizeof places[0] };

static uint16_t crc16(const uint8_t *bytes, int n)
{
    uint16_t crc = 0xffff;
    for (int i = 0; i < n; i++) {
        crc ^= (uint16_t) (bytes[i] << 8);
        for (int k = 0; k < 8; k++) crc = (uint16_t) (crc << 1 ^ (crc & 0x8000 ? 0x1021 : 0));
    }
    return crc;
}

static void encode(uint8_t rows[CELLS], uint32_t id)
{
    rows[0] = ROW_TOP;
    for (int i = 0; i < 4; i++) rows[1 + i] = (uint8_t) (id >> (24 - 8 * i));
    uint16_t crc = crc16(rows + 1, 4);
    rows[5] = (uint8_t) (crc >> 8);
    rows[6] = (uint8_t) crc;
    rows[7] = ROW_BOTTOM;
}

static bool big_enough(const struct ph_picture *p)
{
    return p->width >= PH_BARCODE_MIN_WIDTH && p->height >= PH_BARCODE_MIN_HEIGHT;
}

// Pixel nearest to `quarters` quarter cells from the origin.
static int edge(int quarters, int size, int cells)
{
    return (quarters * size + 2 * cells) / (4 * cells);
}

ph_err ph_barcode_draw(const struct ph_picture *dst, enum ph_barcode_place place, uint32_t id)
{
    uint8_t rows[CELLS];
    if (!px_valid(dst) || dst->format != PH_RGBA || (unsigned) place >= PLACES ||
        !big_enough(dst))
        return PH_EINVAL;
    encode(rows, id);
    for (int r = 0; r < CELLS; r++) {
        for (int c = 0; c < CELLS; c++) {
            int cx = places[place].x + c, cy = places[place].y + r;
            int x = edge(4 * cx, dst->width, ACROSS), y = edge(4 * cy, dst->height, DOWN);
            ph_draw_rect(dst, x, y, edge(4 * cx + 4, dst->width, ACROSS) - x,
                         edge(4 * cy + 4, dst->height, DOWN) - y,
                         rows[r] >> (7 - c) & 1 ? 0xffffffff : 0x000000ff);
        }
    }
    return PH_OK;
}

// --- reading

static int luma_at(const struct ph_picture *p, int x, int y)
{
    const uint8_t *row = px_row(p, 0, y);
    if (p->format != PH_RGBA) return row[x];
    return (row[4 * x] + 2 * row[4 * x + 1] + row[4 * x + 2]) / 4;
}

// From a quarter to three quarters of a cell, but at least the pixel in its middle.
static void middle(int cell, int size, int cells, int *from, int *to)
{
    *from = edge(4 * cell + 1, size, cells);
    *to = edge(4 * cell + 3, size, cells);
    if (*to > *from) return;
    *from = (2 * cell + 1) * size / (2 * cells);
    *to = *from + 1;
}

static int cell_mean(const struct ph_picture *p, int cx, int cy)
{
    int x0, x1, y0, y1, sum = 0;
    middle(cx, p->width, ACROSS, &x0, &x1);
    middle(cy, p->height, DOWN, &y0, &y1);
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) sum += luma_at(p, x, y);
    return sum / ((x1 - x0) * (y1 - y0));
}

static void read_cells(int mean[CELLS][CELLS], const struct ph_picture *p, struct place at)
{
    for (int r = 0; r < CELLS; r++)
        for (int c = 0; c < CELLS; c++) mean[r][c] = cell_mean(p, at.x + c, at.y + r);
}

// Half-way between the white and the black cells of the two known rows; -1 when they hardly
// differ. Both rows have four of each, wherever they lie.
static int threshold(int mean[CELLS][CELLS])
{
    static const uint8_t known[2] = { ROW_TOP, ROW_BOTTOM };
    int sum[2] = { 0 };
    for (int k = 0; k < 2; k++)
        for (int c = 0; c < CELLS; c++) sum[known[k] >> (7 - c) & 1] += mean[k ? 7 : 0][c];
    return sum[1] - sum[0] < 8 * CONTRAST ? -1 : (sum[0] + sum[1]) / 16;
}

static bool decode(int mean[CELLS][CELLS], uint32_t *id)
{
    uint8_t rows[CELLS] = { 0 }, want[CELLS];
    int limit = threshold(mean);
    if (limit < 0) return false;
    for (int r = 0; r < CELLS; r++)
        for (int c = 0; c < CELLS; c++) rows[r] |= (uint8_t) ((mean[r][c] > limit) << (7 - c));
    uint32_t v =
        (uint32_t) rows[1] << 24 | (uint32_t) rows[2] << 16 | (uint32_t) rows[3] << 8 | rows[4];
    encode(want, v);
    if (memcmp(rows, want, CELLS)) return false;
    *id = v;
    return true;
}

static void swap_int(int *a, int *b)
{
    int c = *a;
    *a = *b;
    *b = c;
}

static void flip(int mean[CELLS][CELLS], bool across)
{
    for (int r = 0; r < (across ? CELLS : CELLS / 2); r++)
        for (int c = 0; c < (across ? CELLS / 2 : CELLS); c++)
            swap_int(&mean[r][c], across ? &mean[r][7 - c] : &mean[7 - r][c]);
}

ph_err ph_barcode_read(const struct ph_picture *src, uint32_t *id)
{
    int mean[CELLS][CELLS];
    if (!px_valid(src) || !big_enough(src)) return PH_EINVAL;
    if (src->format == PH_RGBF || px_is_depth(src->format)) return PH_EINVAL;
    for (int p = 0; p < PLACES; p++) {
        read_cells(mean, src, places[p]);
        // As it is, mirrored, turned by 180 degrees, upside down.
        for (int k = 0; k < 4; k++) {
            if (decode(mean, id)) return PH_OK;
            flip(mean, k % 2 == 0);
        }
    }
    return PH_ENOENT;
}
