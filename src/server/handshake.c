// SPDX-License-Identifier: MIT
#include "server/handshake.h"

#include <stdio.h>
#include <string.h>

static uint32_t rotate(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static void sha1_block(uint32_t h[5], const uint8_t *p)
{
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t) p[4 * i] << 24 | (uint32_t) p[4 * i + 1] << 16 |
               (uint32_t) p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                              : (b ^ c ^ d) + 0xca62c1d6;
        uint32_t t = rotate(a, 5) + f + e + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = t;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

void ph_sha1(const void *bytes, size_t size, uint8_t digest[20])
{
    uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
    const uint8_t *p = bytes;
    size_t left = size;
    for (; left >= 64; left -= 64, p += 64) sha1_block(h, p);
    uint8_t tail[128] = { 0 };
    if (left) memcpy(tail, p, left);
    tail[left] = 0x80;
    size_t n = left < 56 ? 64 : 128;
    for (int i = 0; i < 8; i++) tail[n - 1 - i] = (uint8_t) ((uint64_t) size * 8 >> (8 * i));
    for (size_t at = 0; at < n; at += 64) sha1_block(h, tail + at);
    for (int i = 0; i < 20; i++) digest[i] = (uint8_t) (h[i / 4] >> (24 - 8 * (i % 4)));
}

void ph_base64(const void *bytes, size_t size, char *text)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = bytes;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t v = (uint32_t) p[i] << 16;
        if (i + 1 < size) v |= (uint32_t) p[i + 1] << 8;
        if (i + 2 < size) v |= p[i + 2];
        *text++ = digits[v >> 18];
        *text++ = digits[v >> 12 & 63];
        *text++ = '=';
        *text++ = '=';
        if (i + 1 < size) text[-2] = digits[v >> 6 & 63];
        if (i + 2 < size) text[-1] = digits[v & 63];
    }
    *text = 0;
}

bool ph_ws_accept_key(const char *key, char accept[PH_WS_ACCEPT_SIZE])
{
    size_t n = strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    if (n != 22 || strcmp(key + n, "==")) return false;
    char joined[24 + 36 + 1];
    uint8_t digest[20];
    snprintf(joined, sizeof joined, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    ph_sha1(joined, strlen(joined), digest);
    ph_base64(digest, sizeof digest, accept);
    return true;
}
