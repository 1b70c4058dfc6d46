// SPDX-License-Identifier: MIT
#include <phosphene/frame.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

// A frame and its bytes are one allocation; `pub` comes first, so the public pointer is the block.
struct block {
    struct ph_frame pub;
    _Atomic int refs;
    struct ph_pool *pool; // counted; NULL = on its own
    struct block *next;   // in the pool's free list
    size_t capacity;      // bytes at data
    uint8_t *data;
};

#define MAX_FREE 12 // blocks kept for reuse; more are given back to the system

struct ph_pool {
    pthread_mutex_t lock;
    struct block *free; // newest first: its bytes are likeliest in cache
    int free_count;
    bool closed;
    _Atomic int refs; // the owner and every block in flight
};

static size_t align_up(size_t n)
{
    return (n + PH_ALIGN - 1) & ~(size_t) (PH_ALIGN - 1);
}

static void pool_unref(struct ph_pool *pool)
{
    if (atomic_fetch_sub_explicit(&pool->refs, 1, memory_order_acq_rel) != 1) return;
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

ph_err ph_pool_create(struct ph_pool **out)
{
    struct ph_pool *pool = calloc(1, sizeof *pool);
    *out = pool;
    if (!pool) return PH_ENOMEM;
    pthread_mutex_init(&pool->lock, NULL);
    atomic_init(&pool->refs, 1);
    return PH_OK;
}

static void free_list(struct block *b)
{
    for (struct block *next; b; b = next) {
        next = b->next;
        free(b);
    }
}

void ph_pool_destroy(struct ph_pool **out)
{
    struct ph_pool *pool = *out;
    *out = NULL;
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    struct block *unused = pool->free;
    pool->free = NULL;
    pool->closed = true;
    pthread_mutex_unlock(&pool->lock);
    free_list(unused);
    pool_unref(pool);
}

// A free block that fits without wasting more than half of it.
static struct block *pool_take(struct ph_pool *pool, size_t need)
{
    pthread_mutex_lock(&pool->lock);
    struct block **at = &pool->free, *b;
    while ((b = *at) && (b->capacity < need || b->capacity / 2 > need)) at = &b->next;
    if (b) {
        *at = b->next;
        pool->free_count--;
    }
    pthread_mutex_unlock(&pool->lock);
    return b;
}

// Keeps b for reuse; returns what is to be freed instead: b itself, or the oldest, of a size that
// is perhaps no longer asked for.
static struct block *pool_give(struct ph_pool *pool, struct block *b)
{
    pthread_mutex_lock(&pool->lock);
    struct block *surplus = b;
    if (!pool->closed) {
        b->next = pool->free;
        pool->free = b;
        surplus = NULL;
        if (++pool->free_count > MAX_FREE) {
            struct block **at = &pool->free;
            while ((*at)->next) at = &(*at)->next;
            surplus = *at;
            *at = NULL;
            pool->free_count--;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return surplus;
}

static struct block *block_create(size_t need)
{
    size_t head = align_up(sizeof(struct block));
    struct block *b = aligned_alloc(PH_ALIGN, head + align_up(need));
    if (!b) return NULL;
    memset(b, 0, sizeof *b);
    b->data = (uint8_t *) b + head;
    b->capacity = align_up(need);
    return b;
}

static struct block *block_get(struct ph_pool *pool, size_t need)
{
    if (need < PH_ALIGN) need = PH_ALIGN;
    struct block *b = pool ? pool_take(pool, need) : NULL;
    if (!b && !(b = block_create(need))) return NULL;
    if (pool) atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
    b->pool = pool;
    b->next = NULL;
    b->pub = (struct ph_frame){ .mem = PH_HOST };
    atomic_store_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

struct ph_frame *ph_frame_ref(struct ph_frame *f)
{
    if (f) atomic_fetch_add_explicit(&((struct block *) f)->refs, 1, memory_order_relaxed);
    return f;
}

void ph_frame_unref(struct ph_frame **f)
{
    struct block *b = (struct block *) *f;
    *f = NULL;
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1) return;
    struct ph_pool *pool = b->pool;
    if (!pool) {
        free(b);
        return;
    }
    free(pool_give(pool, b));
    pool_unref(pool);
}

bool ph_frame_writable(const struct ph_frame *f)
{
    return atomic_load_explicit(&((struct block *) f)->refs, memory_order_acquire) == 1;
}

void ph_frame_copy_meta(struct ph_frame *dst, const struct ph_frame *src)
{
    dst->epoch = src->epoch;
    dst->id = src->id;
    dst->pts_ns = src->pts_ns;
    dst->capture_ns = src->capture_ns;
    dst->intrinsics = src->intrinsics;
}

size_t ph_plane_row_bytes(enum ph_format format, int plane, int width)
{
    size_t w = (size_t) width, half = (w + 1) / 2;
    switch (format) {
    case PH_FORMAT_NONE: return 0;
    case PH_RGBA: return plane == 0 ? w * 4 : 0;
    case PH_GRAY8: return plane == 0 ? w : 0;
    case PH_I420: return plane == 0 ? w : plane < 3 ? half : 0;
    case PH_NV12: return plane == 0 ? w : plane == 1 ? half * 2 : 0;
    case PH_RGBF: return plane < 3 ? w * sizeof(float) : 0;
    case PH_DEPTHF:
    case PH_INVERSEF: return plane == 0 ? w * sizeof(float) : 0;
    }
    return 0;
}

int ph_plane_rows(enum ph_format format, int plane, int height)
{
    if (!ph_plane_row_bytes(format, plane, 1)) return 0;
    bool chroma = plane > 0 && (format == PH_I420 || format == PH_NV12);
    return chroma ? (height + 1) / 2 : height;
}

const char *ph_format_name(enum ph_format format)
{
    static const char *const names[] = { "none", "rgba", "gray8",  "i420",
                                         "nv12", "rgbf", "depthf", "inversef" };
    return (unsigned) format < sizeof names / sizeof *names ? names[format] : "unknown";
}

const char *ph_codec_name(enum ph_codec codec)
{
    static const char *const names[] = { "none", "jpeg", "h264",  "vp8",
                                         "png",  "vp9",  "cloud", "depth16" };
    return (unsigned) codec < sizeof names / sizeof *names ? names[codec] : "unknown";
}

#define MAX_SIDE 16384

ph_err ph_frame_picture(struct ph_pool *pool, enum ph_format format, int width, int height,
                        struct ph_frame **out)
{
    *out = NULL;
    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE) return PH_EINVAL;
    size_t offset[PH_PLANES], stride[PH_PLANES], total = 0;
    for (int p = 0; p < PH_PLANES; p++) {
        stride[p] = align_up(ph_plane_row_bytes(format, p, width));
        offset[p] = total;
        total += stride[p] * (size_t) ph_plane_rows(format, p, height);
    }
    if (!total) return PH_EINVAL;
    struct block *b = block_get(pool, total);
    if (!b) return PH_ENOMEM;
    b->pub.kind = PH_PICTURE;
    b->pub.picture = (struct ph_picture){ .format = format, .width = width, .height = height };
    for (int p = 0; p < PH_PLANES && stride[p]; p++) {
        b->pub.picture.data[p] = b->data + offset[p];
        b->pub.picture.stride[p] = (ptrdiff_t) stride[p];
    }
    *out = &b->pub;
    return PH_OK;
}

ph_err ph_frame_samples(struct ph_pool *pool, int count, int channels, int rate_hz,
                        struct ph_frame **out)
{
    *out = NULL;
    if (count < 1 || channels < 1 || channels > 8 || rate_hz < 1) return PH_EINVAL;
    struct block *b = block_get(pool, (size_t) count * (size_t) channels * sizeof(float));
    if (!b) return PH_ENOMEM;
    b->pub.kind = PH_SAMPLES;
    b->pub.samples =
        (struct ph_samples){ (float *) (void *) b->data, count, channels, rate_hz };
    *out = &b->pub;
    return PH_OK;
}

ph_err ph_frame_packet(struct ph_pool *pool, enum ph_codec codec, size_t capacity,
                       struct ph_frame **out)
{
    *out = NULL;
    if (capacity > SIZE_MAX / 4) return PH_ENOMEM;
    size_t rounded = 4096; // powers of two: packets of about one size recycle one another
    while (rounded < capacity) rounded *= 2;
    struct block *b = block_get(pool, rounded);
    if (!b) return PH_ENOMEM;
    b->pub.kind = PH_PACKET;
    b->pub.packet =
        (struct ph_packet){ .codec = codec, .data = b->data, .capacity = b->capacity };
    *out = &b->pub;
    return PH_OK;
}

#define MAX_POINTS (1 << 26)

ph_err ph_frame_points(struct ph_pool *pool, int capacity, struct ph_frame **out)
{
    *out = NULL;
    if (capacity < 1 || capacity > MAX_POINTS) return PH_EINVAL;
    size_t n = 1024;
    while (n < (size_t) capacity) n *= 2;
    struct block *b = block_get(pool, n * (3 * sizeof(float) + 3));
    if (!b) return PH_ENOMEM;
    b->pub.kind = PH_POINTS;
    b->pub.points = (struct ph_points){ .xyz = (float *) (void *) b->data,
                                        .rgb = b->data + n * 3 * sizeof(float),
                                        .capacity = (int) n,
                                        .views = 1 };
    *out = &b->pub;
    return PH_OK;
}

static void copy_points(struct ph_points *dst, const struct ph_points *src)
{
    memcpy(dst->xyz, src->xyz, (size_t) src->count * 3 * sizeof(float));
    memcpy(dst->rgb, src->rgb, (size_t) src->count * 3);
    dst->count = src->count;
    dst->views = src->views;
}

ph_err ph_frame_signals(struct ph_pool *pool, int count, struct ph_frame **out)
{
    *out = NULL;
    if (count < 1 || count > 256) return PH_EINVAL;
    struct block *b = block_get(pool, (size_t) count * sizeof(float));
    if (!b) return PH_ENOMEM;
    b->pub.kind = PH_SIGNALS;
    b->pub.signals = (struct ph_signals){ .value = (float *) (void *) b->data, .count = count };
    *out = &b->pub;
    return PH_OK;
}

static void copy_signals(struct ph_signals *dst, const struct ph_signals *src)
{
    memcpy(dst->value, src->value, (size_t) src->count * sizeof(float));
    dst->beat = src->beat;
}

static void copy_bytes(struct ph_frame *dst, const struct ph_frame *src)
{
    if (src->kind == PH_POINTS) {
        copy_points(&dst->points, &src->points);
        return;
    }
    if (src->kind == PH_SIGNALS) {
        copy_signals(&dst->signals, &src->signals);
        return;
    }
    if (src->kind == PH_SAMPLES) {
        size_t n = (size_t) src->samples.count * (size_t) src->samples.channels;
        memcpy(dst->samples.data, src->samples.data, n * sizeof(float));
        return;
    }
    if (src->kind == PH_PACKET) {
        uint8_t *data = dst->packet.data;
        size_t capacity = dst->packet.capacity;
        dst->packet = src->packet;
        dst->packet.data = data;
        dst->packet.capacity = capacity;
        memcpy(data, src->packet.data, src->packet.size);
        return;
    }
    const struct ph_picture *s = &src->picture, *d = &dst->picture;
    for (int p = 0; p < PH_PLANES; p++) {
        size_t bytes = ph_plane_row_bytes(s->format, p, s->width);
        for (int y = 0; y < ph_plane_rows(s->format, p, s->height); y++)
            memcpy(d->data[p] + y * d->stride[p], s->data[p] + y * s->stride[p], bytes);
    }
    dst->picture.matrix = s->matrix;
    dst->picture.range = s->range;
}

ph_err ph_frame_make_writable(struct ph_frame **f)
{
    struct ph_frame *src = *f, *dst = NULL;
    if (ph_frame_writable(src)) return PH_OK;
    struct ph_pool *pool = ((struct block *) src)->pool;
    ph_err ret = PH_ENOTSUP;
    if (src->mem != PH_HOST)
        ret = PH_ENOTSUP;
    else if (src->kind == PH_PICTURE)
        ret = ph_frame_picture(pool, src->picture.format, src->picture.width,
                               src->picture.height, &dst);
    else if (src->kind == PH_SAMPLES)
        ret = ph_frame_samples(pool, src->samples.count, src->samples.channels,
                               src->samples.rate_hz, &dst);
    else if (src->kind == PH_PACKET)
        ret = ph_frame_packet(pool, src->packet.codec, src->packet.size, &dst);
    else if (src->kind == PH_POINTS)
        ret = ph_frame_points(pool, src->points.capacity, &dst);
    else if (src->kind == PH_SIGNALS)
        ret = ph_frame_signals(pool, src->signals.count, &dst);
    if (ret == PH_OK) {
        copy_bytes(dst, src);
        ph_frame_copy_meta(dst, src);
    }
    ph_frame_unref(f);
    *f = dst;
    return ret;
}
