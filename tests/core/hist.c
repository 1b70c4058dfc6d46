// SPDX-License-Identifier: MIT
#include "core/hist.h"
#include "test.h"

#include <phosphene/clock.h>

#include <pthread.h>

static const double quantiles[] = { 0, 0.01, 0.5, 0.95, 0.99, 0.999, 1 };
#define QUANTILES 7

static int by_value(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static double uniform(unsigned *seed)
{
    return (rand_r(seed) + 0.5) / (RAND_MAX + 1.0);
}

// One sample of distribution `kind`, in nanoseconds.
static double draw(int kind, unsigned *seed)
{
    double u = uniform(seed);
    switch (kind) {
    case 0: return 16.6e6;
    case 1: return u * 20e6;
    case 2: return exp(u * log(4e12)); // 1 ns to 67 minutes, all octaves alike
    case 3: return -3e6 * log(u);
    case 4: return u < 0.97 ? 2e6 + u * 1e5 : 80e6 + u * 1e6; // two humps
    default: return (double) (int) (u * 16);                  // the exact small values
    }
}

TEST(quantiles_are_within_7_percent_of_exact_ones)
{
    enum { N = 20000 };
    static double exact[N];
    unsigned seed = 3;
    for (int kind = 0; kind < 6; kind++) {
        struct ph_hist *h = calloc(1, sizeof *h);
        for (int i = 0; i < N; i++) {
            exact[i] = floor(draw(kind, &seed));
            ph_hist_add(h, (int64_t) exact[i], 1 + i);
        }
        qsort(exact, N, sizeof *exact, by_value);
        double got[QUANTILES];
        ph_hist_quantiles(h, quantiles, QUANTILES, got);
        for (int k = 0; k < QUANTILES; k++) {
            int at = (int) (quantiles[k] * N);
            double want = exact[at < N ? at : N - 1];
            if (fabs(got[k] - want) > 0.07 * want)
                TEST_FAIL("kind %d, quantile %g: %g, want %g", kind, quantiles[k], got[k],
                          want);
        }
        CHECK_INT(ph_hist_count(h), ==, N);
        free(h);
    }
}

TEST(an_empty_histogram_gives_zeros)
{
    static struct ph_hist h;
    double got[QUANTILES] = { 1, 1, 1, 1, 1, 1, 1 };
    ph_hist_quantiles(&h, quantiles, QUANTILES, got);
    for (int k = 0; k < QUANTILES; k++) CHECK_NUM(got[k], ==, 0);
    CHECK_INT(ph_hist_count(&h), ==, 0);
}

TEST(one_sample_of_any_size_is_every_quantile)
{
    for (double v = 1; v < 4e12; v *= 1.013) {
        struct ph_hist h = { 0 };
        double got[QUANTILES];
        ph_hist_add(&h, (int64_t) v, 1);
        ph_hist_quantiles(&h, quantiles, QUANTILES, got);
        for (int k = 0; k < QUANTILES; k++) CHECK_NUM(fabs(got[k] - floor(v)), <=, 0.07 * v);
    }
}

TEST(values_beyond_the_range_land_at_its_ends)
{
    static struct ph_hist h;
    double got[2];
    ph_hist_add(&h, -5, 1);
    ph_hist_add(&h, INT64_MAX, 1);
    ph_hist_quantiles(&h, (double[]){ 0, 1 }, 2, got);
    CHECK_NUM(got[0], ==, 0);
    CHECK_NUM(got[1], >, 4e12);
    CHECK(isfinite(got[1]));
    CHECK_INT(h.total, ==, 2);
}

static double median(const struct ph_hist *h)
{
    double got;
    ph_hist_quantiles(h, (double[]){ 0.5 }, 1, &got);
    return got;
}

TEST(old_samples_leave_the_window_and_stay_in_the_totals)
{
    static struct ph_hist h;
    int64_t now = 100 * PH_SECOND_NS; // clocks do not begin at 0
    for (int i = 0; i < 1000; i++) ph_hist_add(&h, 1000000, now);
    for (int i = 0; i < 1100; i++) ph_hist_add(&h, 9000000, now += PH_SECOND_NS / 100);
    CHECK(fabs(median(&h) - 9e6) < 0.07 * 9e6);
    CHECK_INT(ph_hist_count(&h), <=, 1100);
    CHECK_INT(ph_hist_count(&h), >=, 500); // at least one half of the window is full
    CHECK_INT(h.total, ==, 2100);
    CHECK_INT(h.sum_ns, ==, 1000 * INT64_C(1000000) + 1100 * INT64_C(9000000));
}

TEST(a_long_pause_empties_both_halves)
{
    static struct ph_hist h;
    int64_t now = PH_SECOND_NS;
    for (int i = 0; i < 800; i++) ph_hist_add(&h, 1000000, now += PH_SECOND_NS / 100);
    ph_hist_add(&h, 5000000, now + 60 * PH_SECOND_NS);
    CHECK_INT(ph_hist_count(&h), ==, 1);
    CHECK(fabs(median(&h) - 5e6) < 0.07 * 5e6);
}

static void *read_always(void *arg)
{
    struct ph_hist *h = arg;
    double got[2];
    while (atomic_load(&h->total) < 200000) {
        ph_hist_quantiles(h, (double[]){ 0.5, 0.99 }, 2, got);
        if (got[0] != 0 && (got[0] < 0.9e6 || got[1] > 2.2e6 || got[1] < got[0])) return h;
    }
    return NULL;
}

TEST(a_reader_beside_the_writer_sees_sane_quantiles)
{
    static struct ph_hist h;
    pthread_t reader;
    void *complaint;
    pthread_create(&reader, NULL, read_always, &h);
    unsigned seed = 1;
    for (int i = 1; i <= 200000; i++)
        ph_hist_add(&h, 1000000 + rand_r(&seed) % 1000000, i * (PH_SECOND_NS / 1000));
    pthread_join(reader, &complaint);
    CHECK(!complaint);
}

static double rate_after(struct ph_rate *r, int64_t *now, double per_second, double seconds)
{
    int n = (int) (per_second * seconds);
    for (int i = 0; i < n; i++) ph_rate_add(r, *now += (int64_t) (1e9 / per_second));
    return ph_rate_get(r, *now);
}

TEST(a_steady_rate_is_read_within_one_event_a_window)
{
    static const double rates[] = { 1, 5, 23.976, 30, 59.94, 60, 240, 5000 };
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct ph_rate r = { 0 };
        int64_t now = 12345678;
        rate_after(&r, &now, rates[i], 10);
        for (int k = 0; k < 500; k++) {
            ph_rate_add(&r, now += (int64_t) (1e9 / rates[i]));
            if (fabs(ph_rate_get(&r, now) - rates[i]) > 0.55)
                TEST_FAIL("%g/s read as %g", rates[i], ph_rate_get(&r, now));
        }
    }
}

TEST(nothing_ever_happened_is_rate_0)
{
    struct ph_rate r = { 0 };
    CHECK_NUM(ph_rate_get(&r, 0), ==, 0);
    CHECK_NUM(ph_rate_get(&r, 55 * PH_SECOND_NS), ==, 0);
}

TEST(d2_1_a_burst_reads_as_a_finite_windowed_rate)
{
    struct ph_rate r = { 0 };
    int64_t now = 7 * PH_SECOND_NS;
    rate_after(&r, &now, 60, 5);
    for (int i = 0; i < 157762; i++) ph_rate_add(&r, now += 10); // within 1.6 ms
    double reading = ph_rate_get(&r, now + PH_SECOND_NS / 4);
    CHECK(isfinite(reading));
    CHECK_NUM(reading, <, 160000 / 1.8); // spread over the window, not over the burst
    now += 3 * PH_SECOND_NS;
    CHECK_NUM(ph_rate_get(&r, now), ==, 0);
}

TEST(d2_29_batched_output_reads_steadily)
{
    static const struct {
        int batch;
        double tolerance;
    } cases[] = { { 2, 0.05 }, { 4, 0.08 }, { 8, 0.15 } };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct ph_rate r = { 0 };
        int64_t now = PH_SECOND_NS;
        double low = 1e9, high = 0;
        for (int i = 0; i < 400; i++) {
            now += cases[c].batch * PH_SECOND_NS / 30;
            for (int k = 0; k < cases[c].batch; k++) ph_rate_add(&r, now);
            if (i * cases[c].batch < 90) continue; // three seconds to fill the window
            double reading = ph_rate_get(&r, now);
            low = fmin(low, reading);
            high = fmax(high, reading);
        }
        if (low < 30 * (1 - cases[c].tolerance) || high > 30 * (1 + cases[c].tolerance))
            TEST_FAIL("batches of %d read as %g to %g", cases[c].batch, low, high);
    }
}

TEST(d2_32_a_pause_is_not_counted_into_the_rate)
{
    struct ph_rate r = { 0 };
    int64_t now = PH_SECOND_NS;
    rate_after(&r, &now, 30, 5);
    now += 10 * PH_SECOND_NS;
    CHECK_NUM(ph_rate_get(&r, now), ==, 0);
    double reading = rate_after(&r, &now, 30, 1);
    CHECK_NUM(fabs(reading - 30), <, 2);
}

TEST(d2_41_the_rate_is_of_now_and_not_of_a_lifetime)
{
    struct ph_rate r = { 0 };
    int64_t now = PH_SECOND_NS;
    rate_after(&r, &now, 60, 100);
    double reading = rate_after(&r, &now, 10, 3);
    CHECK_NUM(fabs(reading - 10), <, 0.6);
    CHECK_INT(r.total, ==, 6030);
}

static void *add_many(void *arg)
{
    for (int i = 0; i < 100000; i++) ph_rate_add(arg, PH_SECOND_NS + i * 1000);
    return NULL;
}

TEST(several_writers_lose_no_event)
{
    static struct ph_rate r;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, add_many, &r);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    CHECK_INT(r.total, ==, 400000);
    uint64_t in_slots = 0;
    for (int i = 0; i < 16; i++) in_slots += r.slot[i] & 0xffffff;
    CHECK_INT(in_slots, ==, 400000);
}
