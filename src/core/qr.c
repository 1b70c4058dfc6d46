// SPDX-License-Identifier: MIT
#include "core/qr.h"

#include <stdlib.h>
#include <string.h>

enum { VERSIONS = 6, CODEWORDS = 172, MOST_EC = 26 };

// ISO/IEC 18004, table 9, level L
static const struct version {
    int total, ec, blocks; // codewords; ec is of a block
} versions[VERSIONS + 1] = { { 0, 0, 0 },    { 26, 7, 1 },   { 44, 10, 1 }, { 70, 15, 1 },
                             { 100, 20, 1 }, { 134, 26, 1 }, { 172, 18, 2 } };

static int data_of(int version)
{
    return versions[version].total - versions[version].ec * versions[version].blocks;
}

// --- error correction: Reed and Solomon over GF(256), x^8 + x^4 + x^3 + x^2 + 1

static uint8_t times(uint8_t a, uint8_t b)
{
    unsigned z = 0;
    for (int i = 7; i >= 0; i--) {
        z = (z << 1) ^ ((z >> 7) * 0x11d);
        z ^= (unsigned) (b >> i & 1) * a;
    }
    return (uint8_t) z;
}

static void correction(uint8_t *out, int ec, const uint8_t *data, int count)
{
    uint8_t divisor[MOST_EC] = { 0 }, root = 1;
    divisor[ec - 1] = 1;
    for (int i = 0; i < ec; i++, root = times(root, 2))
        for (int j = 0; j < ec; j++)
            divisor[j] = times(divisor[j], root) ^ (j + 1 < ec ? divisor[j + 1] : 0);
    memset(out, 0, (size_t) ec);
    for (int i = 0; i < count; i++) {
        uint8_t factor = data[i] ^ out[0];
        memmove(out, out + 1, (size_t) ec - 1);
        out[ec - 1] = 0;
        for (int j = 0; j < ec; j++) out[j] ^= times(divisor[j], factor);
    }
}

// --- the bits

// Mode and length take 12 bits, so that every byte of the text lies across two codewords.
static void fill_data(uint8_t *data, int capacity, const char *text, int len)
{
    memset(data, 0, (size_t) capacity);
    data[0] = (uint8_t) (0x40 | len >> 4);
    data[1] = (uint8_t) (len << 4);
    for (int i = 0; i < len; i++) {
        uint8_t c = (uint8_t) text[i];
        data[i + 1] |= c >> 4;
        data[i + 2] |= (uint8_t) (c << 4);
    }
    for (int i = len + 2; i < capacity; i++) data[i] = (i - len) % 2 ? 0x11 : 0xec;
}

static void make_codewords(uint8_t *out, int version, const char *text, int len)
{
    const struct version *v = &versions[version];
    uint8_t data[CODEWORDS], ec[2][MOST_EC];
    int all = data_of(version), each = all / v->blocks;
    fill_data(data, all, text, len);
    for (int b = 0; b < v->blocks; b++) correction(ec[b], v->ec, data + b * each, each);
    for (int i = 0; i < each; i++)
        for (int b = 0; b < v->blocks; b++) *out++ = data[b * each + i];
    for (int i = 0; i < v->ec; i++)
        for (int b = 0; b < v->blocks; b++) *out++ = ec[b][i];
}

// --- the square

struct square {
    struct ph_qr *qr;
    bool fixed[PH_QR_SIDE_MAX][PH_QR_SIDE_MAX]; // a pattern, no data
};

static void put(struct square *s, int x, int y, bool dark)
{
    if (x < 0 || y < 0 || x >= s->qr->side || y >= s->qr->side) return;
    s->qr->dark[y][x] = dark;
    s->fixed[y][x] = true;
}

static int larger(int a, int b)
{
    return abs(a) > abs(b) ? abs(a) : abs(b);
}

static void put_patterns(struct square *s, int version)
{
    int side = s->qr->side;
    for (int i = 0; i < side; i++) {
        put(s, 6, i, i % 2 == 0);
        put(s, i, 6, i % 2 == 0);
    }
    const int finders[3][2] = { { 3, 3 }, { side - 4, 3 }, { 3, side - 4 } };
    for (int k = 0; k < 3; k++)
        for (int dy = -4; dy <= 4; dy++)
            for (int dx = -4; dx <= 4; dx++) {
                int ring = larger(dx, dy);
                put(s, finders[k][0] + dx, finders[k][1] + dy, ring != 2 && ring != 4);
            }
    for (int dy = -2; dy <= 2 && version > 1; dy++)
        for (int dx = -2; dx <= 2; dx++)
            put(s, side - 7 + dx, side - 7 + dy, larger(dx, dy) != 1);
}

// Level L and the mask, with their own error correction.
static void put_format(struct square *s, int mask)
{
    int side = s->qr->side;
    unsigned data = 1u << 3 | (unsigned) mask, rest = data;
    for (int i = 0; i < 10; i++) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
    unsigned bits = (data << 10 | rest) ^ 0x5412;
    for (int i = 0; i < 15; i++) {
        bool dark = bits >> i & 1;
        if (i < 8)
            put(s, 8, i < 6 ? i : i + 1, dark);
        else
            put(s, i == 8 ? 7 : 14 - i, 8, dark);
        if (i < 8)
            put(s, side - 1 - i, 8, dark);
        else
            put(s, 8, side - 15 + i, dark);
    }
    put(s, 8, side - 8, true);
}

// Pairs of columns from the right, up and down by turns.
static void put_data(struct square *s, const uint8_t *codewords, int count)
{
    int side = s->qr->side, bit = 0;
    for (int right = side - 1; right >= 1; right -= 2) {
        if (right == 6) right = 5;
        for (int i = 0; i < side; i++)
            for (int j = 0; j < 2; j++) {
                int x = right - j, y = (right + 1) & 2 ? i : side - 1 - i;
                if (s->fixed[y][x] || bit >= 8 * count) continue;
                s->qr->dark[y][x] = codewords[bit >> 3] >> (7 - (bit & 7)) & 1;
                bit++;
            }
    }
}

static bool masked(int mask, int x, int y)
{
    switch (mask) {
    case 0: return (x + y) % 2 == 0;
    case 1: return y % 2 == 0;
    case 2: return x % 3 == 0;
    case 3: return (x + y) % 3 == 0;
    case 4: return (x / 3 + y / 2) % 2 == 0;
    case 5: return x * y % 2 + x * y % 3 == 0;
    case 6: return (x * y % 2 + x * y % 3) % 2 == 0;
    default: return ((x + y) % 2 + x * y % 3) % 2 == 0;
    }
}

static void put_mask(struct square *s, int mask)
{
    for (int y = 0; y < s->qr->side; y++)
        for (int x = 0; x < s->qr->side; x++)
            if (!s->fixed[y][x] && masked(mask, x, y)) s->qr->dark[y][x] ^= 1;
}

// --- penalties: long runs, blocks, what looks like a finder, an uneven share of dark

static int line_penalty(const uint8_t *line, int side)
{
    static const uint8_t finder[11] = { 1, 0, 1, 1, 1, 0, 1, 0, 0, 0, 0 };
    int sum = 0, run = 1;
    for (int i = 1; i <= side; i++) {
        if (i < side && line[i] == line[i - 1]) {
            run++;
            continue;
        }
        if (run >= 5) sum += run - 2;
        run = 1;
    }
    for (int i = 0; i + 11 <= side; i++) {
        bool forth = true, back = true;
        for (int k = 0; k < 11; k++) {
            forth = forth && line[i + k] == finder[k];
            back = back && line[i + k] == finder[10 - k];
        }
        sum += 40 * (forth + back);
    }
    return sum;
}

static int penalty(const struct ph_qr *qr)
{
    int sum = 0, dark = 0, all = qr->side * qr->side;
    for (int i = 0; i < qr->side; i++) {
        uint8_t column[PH_QR_SIDE_MAX];
        for (int y = 0; y < qr->side; y++) {
            column[y] = qr->dark[y][i];
            dark += column[y];
        }
        sum += line_penalty(qr->dark[i], qr->side) + line_penalty(column, qr->side);
    }
    for (int y = 0; y + 1 < qr->side; y++)
        for (int x = 0; x + 1 < qr->side; x++) {
            int four = qr->dark[y][x] + qr->dark[y][x + 1] + qr->dark[y + 1][x] +
                       qr->dark[y + 1][x + 1];
            if (four == 0 || four == 4) sum += 3;
        }
    return sum + abs(20 * dark - 10 * all) / all * 10;
}

ph_err ph_qr_encode(struct ph_qr *qr, const char *text)
{
    uint8_t codewords[CODEWORDS];
    int version = 1, best = 0, least = INT32_MAX;
    size_t len = strlen(text);
    if (len > PH_QR_TEXT_MAX) return PH_ELIMIT;
    while (data_of(version) - 2 < (int) len) version++;
    struct square s = { .qr = qr };
    memset(qr, 0, sizeof *qr);
    qr->side = 17 + 4 * version;
    put_patterns(&s, version);
    put_format(&s, 0);
    make_codewords(codewords, version, text, (int) len);
    put_data(&s, codewords, versions[version].total);
    for (int mask = 0; mask < 8; mask++) {
        put_mask(&s, mask);
        put_format(&s, mask);
        int p = penalty(qr);
        if (p < least) best = mask, least = p;
        put_mask(&s, mask); // twice is none
    }
    put_mask(&s, best);
    put_format(&s, best);
    return PH_OK;
}
