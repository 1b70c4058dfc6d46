// SPDX-License-Identifier: MIT
#include <phosphene/frame.h>

#include "alloc_count.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

static const enum ph_format formats[] = { PH_RGBA, PH_GRAY8,  PH_I420,    PH_NV12,
                                          PH_RGBF, PH_DEPTHF, PH_INVERSEF };
#define FORMATS ((int) (sizeof formats / sizeof *formats))

static struct ph_frame *picture(struct ph_pool *pool, enum ph_format format, int w, int h)
{
    struct ph_frame *f;
    CHECK_OK(ph_frame_picture(pool, format, w, h, &f));
    return f;
}

// Writes (or checks) bytes that depend on place and seed into every plane, padding included.
static void fill(struct ph_frame *f, unsigned seed)
{
    struct ph_picture *p = &f->picture;
    for (int k = 0; k < PH_PLANES; k++)
        for (int y = 0; y < ph_plane_rows(p->format, k, p->height); y++)
            for (ptrdiff_t x = 0; x < p->stride[k]; x++)
                p->data[k][y * p->stride[k] + x] =
                    (uint8_t) (seed * 31 + (unsigned) (k * 7 + y * 3 + x));
}

static bool filled(const struct ph_frame *f, unsigned seed)
{
    const struct ph_picture *p = &f->picture;
    for (int k = 0; k < PH_PLANES; k++)
        for (int y = 0; y < ph_plane_rows(p->format, k, p->height); y++)
            for (size_t x = 0; x < ph_plane_row_bytes(p->format, k, p->width); x++)
                if (p->data[k][y * p->stride[k] + (ptrdiff_t) x] !=
                    (uint8_t) (seed * 31 + (unsigned) (k * 7 + y * 3) + (unsigned) x))
                    return false;
    return true;
}

TEST(planes_are_aligned_and_hold_odd_sizes)
{
    static const int sizes[][2] = { { 1, 1 },  { 2, 1 },     { 1, 2 },       { 3, 5 },
                                    { 17, 9 }, { 511, 321 }, { 1919, 1079 }, { 16384, 1 } };
    for (int i = 0; i < FORMATS; i++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            struct ph_frame *f = picture(NULL, formats[i], sizes[s][0], sizes[s][1]);
            struct ph_picture *p = &f->picture;
            for (int k = 0; k < PH_PLANES && p->data[k]; k++) {
                CHECK_INT((uintptr_t) p->data[k] % PH_ALIGN, ==, 0);
                CHECK_INT(p->stride[k] % PH_ALIGN, ==, 0);
                CHECK_INT(p->stride[k], >=, ph_plane_row_bytes(p->format, k, p->width));
            }
            fill(f, 5); // out of bounds would trip the sanitizer, overlap the check
            CHECK(filled(f, 5));
            ph_frame_unref(&f);
            CHECK(!f);
        }
    }
}

TEST(chroma_of_odd_sizes_rounds_up)
{
    CHECK_INT(ph_plane_row_bytes(PH_I420, 1, 511), ==, 256);
    CHECK_INT(ph_plane_rows(PH_I420, 2, 321), ==, 161);
    CHECK_INT(ph_plane_row_bytes(PH_NV12, 1, 511), ==, 512);
    CHECK_INT(ph_plane_rows(PH_NV12, 1, 1), ==, 1);
    CHECK_INT(ph_plane_row_bytes(PH_NV12, 2, 64), ==, 0);
    CHECK_INT(ph_plane_rows(PH_RGBA, 1, 64), ==, 0);
    CHECK_INT(ph_plane_row_bytes(PH_RGBF, 2, 3), ==, 12);
}

TEST(impossible_requests_are_refused)
{
    struct ph_frame *f = (struct ph_frame *) &f;
    CHECK_INT(ph_frame_picture(NULL, PH_RGBA, 0, 5, &f), ==, PH_EINVAL);
    CHECK(!f);
    CHECK_INT(ph_frame_picture(NULL, PH_RGBA, 5, -1, &f), ==, PH_EINVAL);
    CHECK_INT(ph_frame_picture(NULL, PH_RGBA, 16385, 5, &f), ==, PH_EINVAL);
    CHECK_INT(ph_frame_picture(NULL, PH_FORMAT_NONE, 5, 5, &f), ==, PH_EINVAL);
    CHECK_INT(ph_frame_samples(NULL, 0, 2, 48000, &f), ==, PH_EINVAL);
    CHECK_INT(ph_frame_samples(NULL, 480, 9, 48000, &f), ==, PH_EINVAL);
    CHECK_INT(ph_frame_samples(NULL, 480, 2, 0, &f), ==, PH_EINVAL);
    CHECK(!f);
}

TEST(a_packet_of_absurd_size_is_an_error_and_no_hang)
{
    struct ph_frame *f;
    CHECK_INT(ph_frame_packet(NULL, PH_JPEG, SIZE_MAX, &f), <, 0);
    CHECK(!f);
    CHECK_INT(ph_frame_packet(NULL, PH_JPEG, SIZE_MAX / 2 + 2, &f), <, 0);
}

TEST(meta_of_a_recycled_frame_is_zero)
{
    struct ph_pool *pool;
    CHECK_OK(ph_pool_create(&pool));
    for (int i = 0; i < 3; i++) {
        struct ph_frame *f = picture(pool, PH_RGBA, 64, 64);
        CHECK(!f->id && !f->epoch && !f->pts_ns && !f->capture_ns);
        CHECK(f->intrinsics.fx == 0 && f->mem == PH_HOST && f->kind == PH_PICTURE);
        f->id = 9, f->epoch = 8, f->pts_ns = 7, f->capture_ns = 6, f->intrinsics.fx = 5;
        ph_frame_unref(&f);
    }
    ph_pool_destroy(&pool);
    CHECK(!pool);
    ph_pool_destroy(&pool); // NULL content is fine
}

TEST(a_pool_allocates_nothing_after_warm_up)
{
    struct ph_pool *pool;
    struct ph_frame *f[6];
    CHECK_OK(ph_pool_create(&pool));
    for (int round = 0; round < 200; round++) {
        if (round == 1) alloc_watch("");
        for (int i = 0; i < 3; i++) f[i] = picture(pool, PH_RGBA, 320, 240);
        f[3] = picture(pool, PH_I420, 511, 321);
        CHECK_OK(ph_frame_packet(pool, PH_JPEG, (size_t) (5000 + round * 10), &f[4]));
        CHECK_OK(ph_frame_samples(pool, 480, 2, 48000, &f[5]));
        for (int i = 0; i < 6; i++) ph_frame_unref(&f[(i + round) % 6]);
    }
    if (alloc_watched())
        TEST_FAIL("%ld allocations, the first in %s", alloc_watched(), alloc_first());
    alloc_watch(NULL);
    ph_pool_destroy(&pool);
}

TEST(a_size_change_does_not_grow_a_pool_without_bound)
{
    struct ph_pool *pool;
    CHECK_OK(ph_pool_create(&pool));
    struct ph_frame *kept[40];
    for (int w = 1; w <= 2000; w += 7) {
        struct ph_frame *f = picture(pool, PH_RGBA, w, 1000);
        ph_frame_unref(&f);
    }
    // all that is free may be reused, so many frames at once stay possible
    for (int i = 0; i < 40; i++) kept[i] = picture(pool, PH_RGBA, 100, 100);
    for (int i = 0; i < 40; i++) ph_frame_unref(&kept[i]);
    ph_pool_destroy(&pool); // the leak check of the sanitizer build sees what is left
}

TEST(references_keep_a_frame_alive)
{
    struct ph_frame *a = picture(NULL, PH_RGBA, 8, 8);
    CHECK(ph_frame_writable(a));
    struct ph_frame *b = ph_frame_ref(a);
    CHECK(b == a && !ph_frame_writable(a));
    fill(a, 1);
    ph_frame_unref(&a);
    CHECK(ph_frame_writable(b) && filled(b, 1));
    ph_frame_unref(&b);
    CHECK(!ph_frame_ref(NULL));
    ph_frame_unref(&b); // NULL content is fine
}

TEST(make_writable_copies_when_shared_and_only_then)
{
    for (int i = 0; i < FORMATS; i++) {
        struct ph_frame *a = picture(NULL, formats[i], 33, 17);
        fill(a, 2);
        a->id = 41, a->pts_ns = 42, a->epoch = 43, a->capture_ns = 44, a->intrinsics.fy = 45;
        a->picture.matrix = PH_BT709, a->picture.range = PH_FULL;
        struct ph_frame *same = a;
        CHECK_OK(ph_frame_make_writable(&same));
        CHECK(same == a);
        struct ph_frame *copy = ph_frame_ref(a);
        CHECK_OK(ph_frame_make_writable(&copy));
        CHECK(copy != a && filled(copy, 2) && ph_frame_writable(copy) && ph_frame_writable(a));
        CHECK(copy->id == 41 && copy->pts_ns == 42 && copy->epoch == 43);
        CHECK(copy->capture_ns == 44 && copy->intrinsics.fy == 45);
        CHECK(copy->picture.matrix == PH_BT709 && copy->picture.range == PH_FULL);
        fill(copy, 3);
        CHECK(filled(a, 2)); // the published one did not change
        ph_frame_unref(&a);
        ph_frame_unref(&copy);
    }
}

TEST(make_writable_copies_points)
{
    struct ph_frame *f, *copy;
    CHECK_INT(ph_frame_points(NULL, 0, &f), ==, PH_EINVAL);
    CHECK_OK(ph_frame_points(NULL, 1500, &f));
    CHECK_INT(f->points.capacity, >=, 1500);
    for (int i = 0; i < 3 * 1500; i++) {
        f->points.xyz[i] = (float) i;
        f->points.rgb[i] = (uint8_t) i;
    }
    f->points.count = 1500;
    copy = ph_frame_ref(f);
    CHECK_OK(ph_frame_make_writable(&copy));
    CHECK(copy != f && copy->points.count == 1500 && copy->points.views == 1);
    CHECK(!memcmp(copy->points.xyz, f->points.xyz, 1500 * 12));
    CHECK(!memcmp(copy->points.rgb, f->points.rgb, 1500 * 3));
    ph_frame_unref(&copy);
    ph_frame_unref(&f);
}

TEST(make_writable_copies_signals_and_their_beat)
{
    struct ph_frame *f, *copy;
    CHECK_INT(ph_frame_signals(NULL, 0, &f), ==, PH_EINVAL);
    CHECK_INT(ph_frame_signals(NULL, 257, &f), ==, PH_EINVAL);
    CHECK_OK(ph_frame_signals(NULL, 3, &f));
    for (int i = 0; i < 3; i++) f->signals.value[i] = (float) i;
    f->signals.beat = (struct ph_beat){ .bpm = 128, .beat = 4.5, .per_bar = 4 };
    copy = ph_frame_ref(f);
    CHECK_OK(ph_frame_make_writable(&copy));
    CHECK(copy != f && copy->signals.count == 3 && copy->signals.beat.beat == 4.5);
    CHECK(!memcmp(copy->signals.value, f->signals.value, 3 * sizeof(float)));
    ph_frame_unref(&copy);
    ph_frame_unref(&f);
}

TEST(make_writable_copies_packets_and_samples)
{
    struct ph_frame *p, *s;
    CHECK_OK(ph_frame_packet(NULL, PH_H264, 10000, &p));
    memset(p->packet.data, 0x5a, 10000);
    p->packet.size = 10000, p->packet.key = true, p->packet.width = 64, p->packet.height = 48;
    struct ph_frame *copy = ph_frame_ref(p);
    CHECK_OK(ph_frame_make_writable(&copy));
    CHECK(copy != p && copy->packet.data != p->packet.data);
    CHECK(copy->packet.size == 10000 && copy->packet.key && copy->packet.codec == PH_H264);
    CHECK(copy->packet.width == 64 && copy->packet.height == 48);
    CHECK(!memcmp(copy->packet.data, p->packet.data, 10000));
    ph_frame_unref(&copy);
    ph_frame_unref(&p);

    CHECK_OK(ph_frame_samples(NULL, 100, 2, 44100, &s));
    for (int i = 0; i < 200; i++) s->samples.data[i] = (float) i;
    copy = ph_frame_ref(s);
    CHECK_OK(ph_frame_make_writable(&copy));
    CHECK(copy != s && copy->samples.rate_hz == 44100 && copy->samples.channels == 2);
    CHECK(!memcmp(copy->samples.data, s->samples.data, 200 * sizeof(float)));
    ph_frame_unref(&copy);
    ph_frame_unref(&s);
}

TEST(make_writable_releases_on_failure)
{
    struct ph_frame *a = picture(NULL, PH_RGBA, 64, 64), *b = ph_frame_ref(a);
    alloc_fail_from(0);
    ph_err ret = ph_frame_make_writable(&b);
    alloc_fail_from(-1);
    CHECK_INT(ret, ==, PH_ENOMEM);
    CHECK(!b && ph_frame_writable(a)); // its reference is gone, the other's is not
    ph_frame_unref(&a);
}

TEST(a_failing_allocation_gives_no_frame)
{
    struct ph_frame *f = (struct ph_frame *) &f;
    struct ph_pool *pool;
    alloc_fail_from(0);
    CHECK_INT(ph_pool_create(&pool), ==, PH_ENOMEM);
    CHECK_INT(ph_frame_picture(NULL, PH_RGBA, 8, 8, &f), ==, PH_ENOMEM);
    CHECK(!f && !pool);
    CHECK_INT(ph_frame_packet(NULL, PH_JPEG, 8, &f), ==, PH_ENOMEM);
    CHECK_INT(ph_frame_samples(NULL, 8, 1, 8000, &f), ==, PH_ENOMEM);
    alloc_fail_from(-1);
}

TEST(frames_outlive_their_pool)
{
    struct ph_pool *pool;
    CHECK_OK(ph_pool_create(&pool));
    struct ph_frame *a = picture(pool, PH_RGBA, 32, 32), *b = picture(pool, PH_RGBA, 32, 32);
    ph_frame_unref(&b);
    ph_pool_destroy(&pool);
    fill(a, 4);
    CHECK(filled(a, 4));
    struct ph_frame *c = ph_frame_ref(a);
    CHECK_OK(ph_frame_make_writable(&c)); // still allocates, from the pool that only it knows
    ph_frame_unref(&a);
    ph_frame_unref(&c);
}

TEST(d2_8_a_held_frame_keeps_its_pixels_while_the_pool_recycles)
{
    struct ph_pool *pool;
    CHECK_OK(ph_pool_create(&pool));
    struct ph_frame *held[3] = { 0 };
    for (unsigned i = 0; i < 1000; i++) {
        struct ph_frame *f = picture(pool, PH_RGBA, 48, 16);
        fill(f, i);
        f->id = i;
        int slot = (int) (i % 7);
        if (slot < 3) {
            if (held[slot]) CHECK(filled(held[slot], (unsigned) held[slot]->id));
            ph_frame_unref(&held[slot]);
            held[slot] = ph_frame_ref(f);
        }
        ph_frame_unref(&f);
    }
    for (int i = 0; i < 3; i++) {
        CHECK(filled(held[i], (unsigned) held[i]->id));
        ph_frame_unref(&held[i]);
    }
    ph_pool_destroy(&pool);
}

// One thread publishes into a mailbox, the others take references, look, and drop them.
static struct {
    pthread_mutex_t lock;
    struct ph_frame *newest;
    atomic_bool over;
    atomic_int torn;
} mailbox = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *take_and_drop(void *arg)
{
    unsigned seed = (unsigned) (uintptr_t) arg;
    while (!atomic_load(&mailbox.over)) {
        pthread_mutex_lock(&mailbox.lock);
        struct ph_frame *f = ph_frame_ref(mailbox.newest);
        pthread_mutex_unlock(&mailbox.lock);
        if (!f) continue;
        unsigned id = (unsigned) f->id;
        if (!filled(f, id)) atomic_fetch_add(&mailbox.torn, 1);
        if (rand_r(&seed) % 4 == 0) {
            if (ph_frame_make_writable(&f) < 0) continue;
            fill(f, id + 1);
        }
        ph_frame_unref(&f);
    }
    return NULL;
}

TEST(threads_that_hammer_references_never_see_a_torn_frame)
{
    struct ph_pool *pool;
    pthread_t threads[3];
    CHECK_OK(ph_pool_create(&pool));
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, take_and_drop, (void *) (uintptr_t) (i + 1));
    for (unsigned i = 0; i < 4000; i++) {
        struct ph_frame *f = picture(pool, PH_RGBA, 24, 8);
        fill(f, i);
        f->id = i;
        pthread_mutex_lock(&mailbox.lock);
        struct ph_frame *old = mailbox.newest;
        mailbox.newest = f;
        pthread_mutex_unlock(&mailbox.lock);
        ph_frame_unref(&old);
    }
    atomic_store(&mailbox.over, true);
    ph_pool_destroy(&pool); // while frames are still out
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    ph_frame_unref(&mailbox.newest);
    CHECK_INT(atomic_load(&mailbox.torn), ==, 0);
}

TEST(names_cover_every_value)
{
    CHECK_STR(ph_format_name(PH_RGBA), "rgba");
    CHECK_STR(ph_format_name(PH_DEPTHF), "depthf");
    CHECK_STR(ph_format_name(PH_INVERSEF), "inversef");
    CHECK_STR(ph_format_name((enum ph_format) 99), "unknown");
    CHECK_STR(ph_codec_name(PH_VP9), "vp9");
    CHECK_STR(ph_codec_name(PH_DEPTH16), "depth16");
    CHECK_STR(ph_codec_name((enum ph_codec) - 1), "unknown");
}
