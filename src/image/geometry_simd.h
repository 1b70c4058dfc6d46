// SPDX-License-Identifier: MIT
// Turns and copies for PH_VEC; see vec.h and the truth in geometry.c.
#include "image/vec.h"

static struct ph_image_ops plain;

// --- transpose: 8 x 8 pixels in registers, two blocks beside each other for a whole cache line of
// the destination.

static inline void load_8x8(__m256i r[8], const uint8_t *s, ptrdiff_t stride)
{
    for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_si256((const void *) (s + i * stride));
}

static inline void transpose_8x8(__m256i r[8])
{
    __m256i t[8], u[8];
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        u[4 * i] = _mm256_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        u[4 * i + 1] = _mm256_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        u[4 * i + 2] = _mm256_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        u[4 * i + 3] = _mm256_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x20);
        r[i + 4] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x31);
    }
}

static void transpose_block(uint8_t *d, ptrdiff_t d_stride, const uint8_t *s,
                            ptrdiff_t s_stride)
{
    __m256i left[8], right[8];
    load_8x8(left, s, s_stride);
    load_8x8(right, s + 8 * s_stride, s_stride);
    transpose_8x8(left);
    transpose_8x8(right);
    for (int i = 0; i < 8; i++) {
        uint8_t *row = d + i * d_stride;
#if PH_VEC == 512
        vstore(row, _mm512_inserti64x4(_mm512_castsi256_si512(left[i]), right[i], 1));
#else
        vstore(row, left[i]);
        vstore(row + VB, right[i]);
#endif
    }
}

// d in blocks 16 wide and 8 high; down the columns of blocks, so that a source line, which gives
// sixteen pixels to two neighbouring blocks, is still there.
static void transpose(uint8_t *d, ptrdiff_t d_stride, const uint8_t *s, ptrdiff_t s_stride,
                      int w, int h)
{
    int w16 = w & ~15, h8 = h & ~7;
    for (int x = 0; x < w16; x += 16)
        for (int y = 0; y < h8; y += 8)
            transpose_block(d + y * d_stride + 4 * x, d_stride, s + x * s_stride + 4 * y,
                            s_stride);
    if (w16 < w)
        plain.transpose(d + 4 * w16, d_stride, s + w16 * s_stride, s_stride, w - w16, h);
    if (h8 < h) plain.transpose(d + h8 * d_stride, d_stride, s + 4 * h8, s_stride, w16, h - h8);
}

// --- streaming copy

static void stream(uint8_t *d, const uint8_t *s, size_t n_bytes)
{
    size_t head = -(uintptr_t) d % VB;
    if (n_bytes < 4 * VB) {
        memcpy(d, s, n_bytes);
        return;
    }
    memcpy(d, s, head);
    size_t i = head;
    for (; i + 2 * VB <= n_bytes; i += 2 * VB) {
        vec a = vload(s + i), b = vload(s + i + VB);
        VBITS(stream)((void *) (d + i), a);
        VBITS(stream)((void *) (d + i + VB), b);
    }
    memcpy(d + i, s + i, n_bytes - i);
    _mm_sfence(); // before another thread is told that the picture is there
}

void PH_NAME(ph_init_geometry)(struct ph_image_ops *o)
{
    plain = *o;
    o->transpose = transpose;
    o->stream = stream;
}
