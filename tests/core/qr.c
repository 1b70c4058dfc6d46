// SPDX-License-Identifier: MIT
// A reader of its own: what it reads, by the standard's positions, is the text, and the error
// correction finds no error.
#include "test.h"

#include "core/qr.h"

#include <string.h>

static uint8_t power[512], logarithm[256];

static void make_tables(void)
{
    unsigned x = 1;
    for (int i = 0; i < 255; i++) {
        power[i] = power[i + 255] = (uint8_t) x;
        logarithm[x] = (uint8_t) i;
        x = x & 128 ? (x << 1) ^ 0x11d : x << 1;
    }
}

// Whether the block is divisible by every root of its generator.
static bool no_error(const uint8_t *block, int count, int ec)
{
    for (int r = 0; r < ec; r++) {
        uint8_t sum = 0;
        for (int i = 0; i < count; i++)
            sum = (uint8_t) ((sum ? power[logarithm[sum] + r] : 0) ^ block[i]);
        if (sum) return false;
    }
    return true;
}

static bool is_pattern(int side, int x, int y)
{
    bool finder = (x < 9 && y < 9) || (x > side - 9 && y < 9) || (x < 9 && y > side - 9);
    bool alignment =
        side > 21 && x >= side - 9 && x <= side - 5 && y >= side - 9 && y <= side - 5;
    return finder || alignment || x == 6 || y == 6;
}

static bool flips(int mask, int x, int y)
{
    const int v[8] = { (x + y) % 2,
                       y % 2,
                       x % 3,
                       (x + y) % 3,
                       (x / 3 + y / 2) % 2,
                       x * y % 2 + x * y % 3,
                       (x * y % 2 + x * y % 3) % 2,
                       ((x + y) % 2 + x * y % 3) % 2 };
    return v[mask] == 0;
}

static int read_codewords(const struct ph_qr *q, uint8_t *out)
{
    unsigned format = 0;
    int bit = 0;
    for (int i = 0; i < 6; i++) format |= (unsigned) q->dark[i][8] << i;
    format |= (unsigned) q->dark[7][8] << 6 | (unsigned) q->dark[8][8] << 7 |
              (unsigned) q->dark[8][7] << 8;
    for (int i = 9; i < 15; i++) format |= (unsigned) q->dark[8][14 - i] << i;
    format ^= 0x5412;
    CHECK_INT(format >> 13, ==, 1); // level L
    int mask = format >> 10 & 7;
    memset(out, 0, 200);
    for (int pair = 0, right = q->side - 1; right > 0; pair++, right -= right == 8 ? 3 : 2)
        for (int i = 0; i < q->side; i++)
            for (int j = 0; j < 2; j++) {
                int x = right - j, y = pair % 2 ? i : q->side - 1 - i;
                if (is_pattern(q->side, x, y)) continue;
                int v = q->dark[y][x] ^ (flips(mask, x, y) ? 1 : 0);
                out[bit / 8] |= (uint8_t) (v << (7 - bit % 8));
                bit++;
            }
    return bit / 8;
}

static void check_text(const char *text)
{
    static const int total[] = { 0, 26, 44, 70, 100, 134, 172 },
                     ec[] = { 0, 7, 10, 15, 20, 26, 18 };
    struct ph_qr q;
    uint8_t words[200], block[2][200], data[200];
    CHECK_OK(ph_qr_encode(&q, text));
    int version = (q.side - 17) / 4, blocks = version == 6 ? 2 : 1;
    CHECK_INT(read_codewords(&q, words), ==, total[version]);
    int each = total[version] / blocks, used = each - ec[version];
    for (int i = 0; i < total[version]; i++) block[i % blocks][i / blocks] = words[i];
    for (int b = 0; b < blocks; b++) {
        CHECK(no_error(block[b], each, ec[version]));
        memcpy(data + b * used, block[b], (size_t) used);
    }
    CHECK_INT(data[0] >> 4, ==, 4); // bytes
    size_t len = (size_t) (data[0] & 15) << 4 | data[1] >> 4;
    CHECK_INT(len, ==, strlen(text));
    for (size_t i = 0; i < len; i++)
        CHECK_INT((data[i + 1] & 15) << 4 | data[i + 2] >> 4, ==, (uint8_t) text[i]);
}

TEST(a_code_is_read_back_without_an_error_at_every_length)
{
    char text[PH_QR_TEXT_MAX + 2] = "";
    struct ph_qr q;
    make_tables();
    for (int len = 0; len <= PH_QR_TEXT_MAX; len++) {
        check_text(text);
        text[len] = (char) ("https://10.0.0.7:8443/#Z-_~"[len % 27]);
        text[len + 1] = 0;
    }
    check_text("\xc3\xa4\xff\x80 bytes of any kind");
    CHECK_INT(ph_qr_encode(&q, text), ==, PH_ELIMIT);
}

TEST(finders_and_timing_are_where_readers_look_for_them)
{
    struct ph_qr q;
    CHECK_OK(ph_qr_encode(&q, "https://192.168.178.20:8080/phone.html?room=demo"));
    CHECK_INT(q.side, ==, 29);
    const int at[3][2] = { { 0, 0 }, { 22, 0 }, { 0, 22 } };
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 7; i++) {
            CHECK(q.dark[at[k][0]][at[k][1] + i] && q.dark[at[k][0] + 6][at[k][1] + i]);
            CHECK(q.dark[at[k][0] + 3][at[k][1] + i] == (i != 1 && i != 5));
        }
    for (int i = 8; i < 21; i++)
        CHECK(q.dark[6][i] == (i % 2 == 0) && q.dark[i][6] == (i % 2 == 0));
}
