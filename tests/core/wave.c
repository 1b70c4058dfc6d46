// SPDX-License-Identifier: MIT
#include "core/wave.h"

#include "safetensors.h"

#define FAR(a, b) fabs((a) - (b))

TEST(easings_are_those_of_the_definition)
{
    struct expected_file *f = expected_open("audio/vis_easing.safetensors");
    const double *t = expected_doubles(f, "t", 81);
    for (int k = 0; k < PH_EASES; k++) {
        const double *want = expected_doubles(f, ph_ease_names[k], 81);
        for (int i = 0; i < 81; i++)
            if (FAR(ph_ease((enum ph_ease) k, t[i]), want[i]) > 1e-9)
                TEST_FAIL("%s(%g) is %g, want %g", ph_ease_names[k], t[i],
                          ph_ease((enum ph_ease) k, t[i]), want[i]);
    }
    expected_close(f);
}

// The eight periods of one signature, for every wave.
static void check_signature(const struct expected_file *f, int beats_per_bar)
{
    enum { N = 117 };
    char name[64];
    const double *beat = expected_doubles(f, "beat_position", N);
    snprintf(name, sizeof name, "periods_%d", beats_per_bar);
    const double *periods = expected_doubles(f, name, PH_PERIODS);
    for (int k = 0; k < PH_WAVES; k++) {
        snprintf(name, sizeof name, "%s_%d", ph_wave_names[k], beats_per_bar);
        const double *want = expected_doubles(f, name, PH_PERIODS * N);
        for (int i = 0; i < PH_PERIODS * N; i++) {
            double period = ph_period_beats((enum ph_period)(i / N), beats_per_bar);
            double got = ph_wave((enum ph_wave) k, beat[i % N] / period);
            CHECK_INT((int) (2 * period), ==, (int) (2 * periods[i / N]));
            if (FAR(got, want[i]) > 1e-9)
                TEST_FAIL("%s, %s, beat %g: %g, want %g", name, ph_period_names[i / N],
                          beat[i % N], got, want[i]);
        }
    }
}

TEST(waves_over_beats_are_those_of_the_definition)
{
    struct expected_file *f = expected_open("audio/vis_modulators.safetensors");
    check_signature(f, 4);
    check_signature(f, 3);
    expected_close(f);
}

TEST(noise_is_that_of_the_definition)
{
    struct expected_file *f = expected_open("audio/vis_effects.safetensors");
    const double *x = expected_doubles(f, "noise1_x", 253);
    const double *want = expected_doubles(f, "noise1", 253);
    for (int i = 0; i < 253; i++)
        if (FAR(ph_noise1(x[i]), want[i]) > 1e-9)
            TEST_FAIL("noise(%g) is %g, want %g", x[i], ph_noise1(x[i]), want[i]);
    expected_close(f);
}

TEST(easings_rise_from_0_to_1_and_stay_there)
{
    for (int k = 0; k < PH_EASES; k++) {
        double last = 0;
        CHECK(ph_ease((enum ph_ease) k, 0) == 0 && ph_ease((enum ph_ease) k, -5) == 0);
        CHECK(ph_ease((enum ph_ease) k, 1) == 1 && ph_ease((enum ph_ease) k, 7) == 1);
        for (int i = 1; i <= 100; i++) {
            double now = ph_ease((enum ph_ease) k, i / 100.0);
            CHECK(now >= last && now <= 1);
            last = now;
        }
    }
}

TEST(waves_repeat_before_and_after_zero)
{
    for (int k = 0; k < PH_WAVES; k++)
        for (int i = 0; i < 64; i++) {
            double p = (i + 0.5) / 64, v = ph_wave((enum ph_wave) k, p);
            CHECK(FAR(ph_wave((enum ph_wave) k, p - 3), v) < 1e-12);
            CHECK(FAR(ph_wave((enum ph_wave) k, p + 1000), v) < 1e-9);
            CHECK(v >= -1 && v <= 1);
        }
}

TEST(what_is_no_number_gives_one)
{
    double bad[] = { NAN, INFINITY, -INFINITY, 1e300, -1e300 };
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < PH_EASES; k++) CHECK(isfinite(ph_ease((enum ph_ease) k, bad[i])));
        for (int k = 0; k < PH_WAVES; k++) CHECK(isfinite(ph_wave((enum ph_wave) k, bad[i])));
        CHECK(isfinite(ph_noise1(bad[i])));
        CHECK(isfinite(ph_factor_over(0.9, -fabs(bad[i]))));
    }
    CHECK(ph_factor_over(NAN, 0.1) == 0 && ph_factor_over(0.5, NAN) == 1);
    CHECK(ph_period_beats(PH_PERIOD_BAR, 0) == 4);
}

TEST(a_factor_over_many_steps_is_the_same_as_over_one)
{
    for (int fps = 24; fps <= 144; fps += 24) {
        double product = 1;
        for (int i = 0; i < fps; i++) product *= ph_factor_over(0.985, 1.0 / fps);
        CHECK(FAR(product, ph_factor_over(0.985, 1)) < 1e-12);
    }
    CHECK(FAR(ph_factor_over(0.5, 1.0 / 30), 0.5) < 1e-12);
}
