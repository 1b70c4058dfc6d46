// SPDX-License-Identifier: MIT
#include "checkkern.h"

#include "core/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int kern_levels(struct kern_level out[3])
{
    static const struct kern_level all[] = { { "c", 0 },
                                             { "avx2", PH_CPU_SSE2 | PH_CPU_AVX2 },
                                             { "avx512",
                                               PH_CPU_SSE2 | PH_CPU_AVX2 | PH_CPU_AVX512 } };
    int n = 0;
    for (int i = 0; i < 3; i++)
        if ((ph_cpu_flags() & all[i].flags) == all[i].flags) out[n++] = all[i];
    return n;
}

// --- contents

static uint32_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t) (*state >> 33);
}

static uint8_t fill_byte(enum kern_fill fill, size_t i, uint64_t *rnd)
{
    static const uint8_t edges[] = { 0, 1, 2, 127, 128, 254, 255, 255 };
    uint8_t r = (uint8_t) (next_random(rnd) >> 8);
    switch (fill) {
    case FILL_EXTREMES: return r & 1 ? 255 : 0;
    case FILL_ALTERNATE: return i & 1 ? 255 : 0;
    case FILL_ZERO: return 0;
    case FILL_MAX: return 255;
    case FILL_OPAQUE: return i % 4 == 3 ? 255 : r;
    case FILL_EDGES: return i % 4 == 3 ? edges[r % 8] : r;
    default: return r;
    }
}

static float fill_float(enum kern_fill fill, size_t i, uint64_t *rnd, bool finite)
{
    static const float extremes[] = { 0, 1, -1, 1e30f, -1e30f, 1e-40f, 0.5f / 255, 1.5f / 255 };
    float r = (float) (next_random(rnd) & 0xffffff) / 0x1000000;
    switch (fill) {
    case FILL_EXTREMES:
        if (!finite && r < 0.05f) return r < 0.02f ? __builtin_nanf("") : __builtin_inff();
        return extremes[(int) (r * 7.99f)];
    case FILL_ALTERNATE: return i & 1 ? 1 : 0;
    case FILL_ZERO: return 0;
    case FILL_MAX: return 1;
    default: return r * 2 - 0.5f;
    }
}

static bool is_float(enum ph_format f)
{
    return f == PH_RGBF || f == PH_DEPTHF;
}

static void fill_row(uint8_t *row, size_t bytes, enum kern_fill fill, enum ph_format format,
                     uint64_t *rnd, bool finite)
{
    if (is_float(format)) {
        for (size_t i = 0; i < bytes / 4; i++)
            ((float *) row)[i] = fill_float(fill, i, rnd, finite);
        return;
    }
    for (size_t i = 0; i < bytes; i++) row[i] = fill_byte(fill, i, rnd);
}

// --- memory

static void grow(struct kern_buffer *b, size_t need)
{
    size_t page = (size_t) sysconf(_SC_PAGESIZE);
    if (b->map && b->size >= need) return;
    if (b->map) munmap(b->map, b->size + page);
    b->size = (need + page - 1) / page * page;
    b->map =
        mmap(NULL, b->size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->map == MAP_FAILED || mprotect(b->map + b->size, page, PROT_NONE)) {
        perror("# no memory for a guarded buffer");
        exit(1);
    }
}

// padding: bytes between rows; where the format allows it, odd ones shift the picture off every
// alignment too. Negative: rows as the engine makes them, aligned to 64.
static void make_picture(struct ph_picture *p, struct kern_buffer *buffers,
                         enum ph_format format, int w, int h, int padding)
{
    *p = (struct ph_picture){ .format = format, .width = w, .height = h };
    for (int i = 0; i < PH_PLANES && ph_plane_row_bytes(format, i, w); i++) {
        size_t row = ph_plane_row_bytes(format, i, w);
        size_t rows = (size_t) ph_plane_rows(format, i, h);
        size_t gap = padding < 0 ? (64 - row % 64) % 64 : (size_t) padding;
        if (is_float(format)) gap &= ~(size_t) 3;
        size_t span = (row + gap) * (rows - 1) + row + (padding < 0 ? gap : 0);
        struct kern_buffer *b = &buffers[i];
        grow(b, span + KERN_GUARD);
        p->stride[i] = (ptrdiff_t) (row + gap);
        p->data[i] = b->map + b->size - span;
        b->from = p->data[i] - KERN_GUARD;
        b->span = span + KERN_GUARD;
    }
}

static void fill_picture(struct ph_picture *p, struct kern_buffer *buffers, enum kern_fill fill,
                         uint64_t seed, bool finite)
{
    for (int i = 0; i < PH_PLANES && ph_plane_row_bytes(p->format, i, p->width); i++) {
        memset(buffers[i].from, 0xa5, buffers[i].span);
        for (int y = 0; y < ph_plane_rows(p->format, i, p->height); y++)
            fill_row(p->data[i] + y * p->stride[i], ph_plane_row_bytes(p->format, i, p->width),
                     fill, p->format, &seed, finite);
    }
}

void kern_begin(struct kern *k, const struct kern_case *c, int width, int height, int arg,
                enum kern_fill fill, int padding)
{
    int w = width, h = height;
    k->c = c;
    k->width = width;
    k->height = height;
    k->arg = arg;
    if (!k->scratch) k->scratch = aligned_alloc(64, KERN_SCRATCH);
    if (!k->scratch) exit(1);
    if (c->size) c->size(&w, &h, arg);
    make_picture(&k->a, k->buffer[0], c->a, width, height, padding);
    make_picture(&k->b, k->buffer[1], c->b, width, height, padding);
    make_picture(&k->out, k->buffer[2], c->out, w, h, padding);
    fill_picture(&k->a, k->buffer[0], fill, 1 + (uint64_t) width, c->exclude_nan);
    fill_picture(&k->b, k->buffer[1], fill, 77 + (uint64_t) width, c->exclude_nan);
    kern_refill(k);
    if (c->setup) c->setup(k);
}

// What a blend finds there is of another kind than what it puts there.
void kern_refill(struct kern *k)
{
    fill_picture(&k->out, k->buffer[2], (k->arg & 1) ? FILL_OPAQUE : FILL_EDGES,
                 991 + (uint64_t) k->width, true);
    memset(k->result, 0, sizeof k->result);
}

void kern_end(struct kern *k)
{
    if (k->c->finish) k->c->finish(k);
    k->state = NULL;
}

void kern_free(struct kern *k)
{
    size_t page = (size_t) sysconf(_SC_PAGESIZE);
    for (int i = 0; i < 3 * PH_PLANES; i++) {
        struct kern_buffer *b = &k->buffer[i / PH_PLANES][i % PH_PLANES];
        if (b->map) munmap(b->map, b->size + page);
    }
    free(k->scratch);
    memset(k, 0, sizeof *k);
}

static double picture_bytes(const struct ph_picture *p)
{
    double sum = 0;
    for (int i = 0; i < PH_PLANES; i++)
        sum += (double) ph_plane_row_bytes(p->format, i, p->width) *
               ph_plane_rows(p->format, i, p->height);
    return sum;
}

double kern_bytes(const struct kern *k)
{
    return picture_bytes(&k->a) + picture_bytes(&k->b) + picture_bytes(&k->out);
}
