// SPDX-License-Identifier: MIT
#include "values.h"

#include "models/stream/blend.h"

#define N 700
static float a[N], b[N], third[N], out[N];

static double norm(const float *x)
{
    double sum = 0;
    for (int i = 0; i < N; i++) sum += (double) x[i] * x[i];
    return sqrt(sum);
}

static void fill(void)
{
    values_noise(1, a, N), values_noise(2, b, N), values_noise(3, third, N);
    for (int i = 0; i < N; i++) b[i] *= 2, third[i] *= 3;
}

TEST(slerp_keeps_length_and_angle_in_step)
{
    fill();
    double la = norm(a), lb = norm(b), whole = 0, cosine = 0;
    for (int i = 0; i < N; i++) whole += (double) a[i] * b[i] / la / lb;
    for (double t = 0.1; t < 1; t += 0.2) {
        ph_blend_slerp(a, b, t, N, out);
        cosine = 0;
        for (int i = 0; i < N; i++) cosine += (double) a[i] * out[i] / la / norm(out);
        CHECK_NUM(fabs(norm(out) / ((1 - t) * la + t * lb) - 1), <, 1e-6);
        CHECK_NUM(fabs(acos(cosine) - t * acos(whole)), <, 1e-4);
    }
}

TEST(both_ends_of_a_blend_are_the_inputs_bit_by_bit)
{
    fill();
    for (int m = PH_BLEND_SLERP; m <= PH_BLEND_COSINE; m++)
        for (int end = 0; end < 2; end++) {
            struct ph_blend_input in[] = { { a, end ? 0 : 3 }, { b, end ? 3 : 0 } };
            CHECK_OK(ph_blend_mix(
                in, 2, N, &(struct ph_blend_params){ .method = (enum ph_blend) m }, out));
            CHECK(!memcmp(out, end ? b : a, sizeof out));
            struct ph_blend_params noise = { .method = (enum ph_blend) m, .keep_length = true };
            CHECK_OK(ph_blend_mix(in, 2, N, &noise, out));
            CHECK(!memcmp(out, end ? b : a, sizeof out));
        }
    struct ph_blend_input one = { third, 0.3f };
    CHECK_OK(ph_blend_mix(&one, 1, N, &(struct ph_blend_params){ 0 }, out));
    CHECK(!memcmp(out, third, sizeof out));
}

TEST(an_n_way_slerp_does_not_depend_on_the_order_of_inputs)
{
    fill();
    struct ph_blend_input in[] = { { a, 0.5f }, { b, 0.2f }, { third, 0.3f } };
    struct ph_blend_input turned[] = { { third, 0.3f }, { a, 0.5f }, { b, 0.2f } };
    float other[N];
    for (int m = 0; m < 2; m++) {
        struct ph_blend_params par = { .method = m ? PH_BLEND_COSINE : PH_BLEND_SLERP };
        CHECK_OK(ph_blend_mix(in, 3, N, &par, out));
        CHECK_OK(ph_blend_mix(turned, 3, N, &par, other));
        values_near("turned", other, out, N, 1e-6, 0);
    }
}

TEST(no_blend_of_finite_vectors_is_ever_not_finite)
{
    fill();
    static float zero[N], opposite[N], almost[N], huge[N];
    for (int i = 0; i < N; i++) {
        opposite[i] = -2 * a[i], almost[i] = -a[i] * (1 + 1e-4f * b[i]), huge[i] = 1e30f * a[i];
    }
    const float *v[] = { a, zero, opposite, almost, b, huge };
    static const float weights[] = { 0, 1, -1, 0.5f, 1e-20f, NAN, INFINITY };
    for (int m = PH_BLEND_SLERP; m <= PH_BLEND_COSINE; m++)
        for (int raw = 0; raw < 2; raw++)
            for (int k = 0; k < 6 * 6 * 7 * 7; k++) {
                struct ph_blend_input in[] = { { v[k % 6], weights[k / 36 % 7] },
                                               { v[k / 6 % 6], weights[k / 252] },
                                               { third, 0.25f } };
                struct ph_blend_params par = { (enum ph_blend) m, raw, !raw };
                for (int count = 1; count <= 3; count++) {
                    CHECK_OK(ph_blend_mix(in, count, N, &par, out));
                    for (int i = 0; i < N; i++) CHECK(isfinite(out[i]));
                }
            }
}

TEST(opposite_vectors_do_not_blow_up)
{
    fill();
    float against[N];
    for (double off = 1e-4; off < 0.5; off *= 1.5) {
        for (int i = 0; i < N; i++) against[i] = (float) (-2 * a[i] + off * b[i]);
        struct ph_blend_input in[] = { { a, 0.5f }, { against, 0.5f } };
        for (int m = 0; m < 2; m++) {
            struct ph_blend_params par = { .method = m ? PH_BLEND_SLERP : PH_BLEND_SLERP_TWO };
            CHECK_OK(ph_blend_mix(in, 2, N, &par, out));
            CHECK_NUM(norm(out), <=, 12 * norm(against));
        }
    }
}

TEST(a_blend_of_nothing_or_too_much_is_refused)
{
    static struct ph_blend_input in[PH_BLEND_MAX + 1];
    struct ph_blend_params par = { 0 };
    CHECK_INT(ph_blend_mix(in, 0, N, &par, out), ==, PH_EINVAL);
    CHECK_INT(ph_blend_mix(in, PH_BLEND_MAX + 1, N, &par, out), ==, PH_EINVAL);
}

TEST(blended_noise_keeps_the_strength_of_noise)
{
    fill();
    struct ph_blend_input in[] = { { a, 1 }, { b, 2 }, { third, 3 } };
    CHECK_OK(
        ph_blend_mix(in, 3, N, &(struct ph_blend_params){ PH_BLEND_LINEAR, false, true }, out));
    CHECK_NUM(fabs(norm(out) / ((norm(a) + norm(b) + norm(third)) / 3) - 1), <, 1e-6);
}

TEST(a_transition_ends_exactly_on_its_target)
{
    fill();
    for (int frames = -1; frames < 9; frames++)
        for (int k = 0; k < 8; k++) {
            struct ph_transition t;
            int calls = 1;
            ph_transition_begin(&t, frames, (enum ph_ease)(k % 4), k >= 4);
            while (ph_transition_next(&t, a, b, N, out)) {
                CHECK(memcmp(out, b, sizeof out) && memcmp(out, a, sizeof out));
                calls++;
            }
            CHECK_INT(calls, ==, frames > 1 ? frames : 1);
            CHECK(!memcmp(out, b, sizeof out));
            memset(out, 0, sizeof out);
            CHECK(!ph_transition_next(&t, a, b, N, out));
            CHECK(!memcmp(out, b, sizeof out));
        }
}

TEST(every_easing_goes_from_0_to_1_and_never_back)
{
    for (int ease = 0; ease < 4; ease++) {
        double last = 0;
        CHECK_NUM(ph_ease_at((enum ph_ease) ease, 0), ==, 0);
        CHECK_NUM(ph_ease_at((enum ph_ease) ease, NAN), ==, 0);
        CHECK_NUM(ph_ease_at((enum ph_ease) ease, 1), ==, 1);
        CHECK_NUM(ph_ease_at((enum ph_ease) ease, 7), ==, 1);
        for (int i = 1; i <= 100; i++) {
            double v = ph_ease_at((enum ph_ease) ease, i / 100.0);
            CHECK_NUM(v, >, last);
            last = v;
        }
    }
}
