// SPDX-License-Identifier: MIT
#include "values.h"

#include "models/stream/blend.h"

#define CASE "diffusion/cases/12_blending/"

// ------------------------------------------------------------------------- goldens
static struct ph_blend_params how(const struct ph_json *run, bool seed)
{
    const char *method = ph_json_string(ph_json_get(run, "method"), "");
    struct ph_blend_params par = { .method = PH_BLEND_SLERP_TWO };
    if (strstr(method, "SDTD")) par.method = PH_BLEND_SLERP;
    if (!strncmp(method, "linear", 6)) par.method = PH_BLEND_LINEAR;
    if (!strncmp(method, "cosine", 6)) par.method = PH_BLEND_COSINE;
    par.raw_weights = !ph_json_bool(ph_json_get(run, "normalize"), true);
    par.keep_length = seed;
    return par;
}

static bool want_run(struct ph_weights *w, const struct ph_json *run, bool seed)
{
    int64_t n;
    float *want = values_floats(w, &n, "%s/%s", seed ? "seed" : "prompt", run->key);
    if (!want) return false;
    const struct ph_json *inputs = ph_json_get(run, "inputs"),
                         *weights = ph_json_get(run, "weights");
    struct ph_blend_input in[8];
    struct ph_blend_params par = how(run, seed);
    for (int i = 0; i < inputs->count; i++) {
        int k = (int) ph_json_at(inputs, i)->integer;
        in[i].x = values_floats(w, NULL, "in.%s%d", seed ? "noise" : "embed", k);
        in[i].weight = (float) ph_json_at(weights, i)->number;
    }
    float *got = values_keep(malloc(sizeof *got * (size_t) n));
    CHECK_OK(ph_blend_mix(in, inputs->count, n, &par, got));
    printf("# %s %s\n", seed ? "seed" : "prompt", run->key);
    values_near(run->key, got, want, n, 1e-5, 2e-5 / 4);
    free(got), free(want);
    return true;
}

static int want_runs(bool seed)
{
    struct ph_json_doc *doc = values_json(golden(CASE "manifest.json"));
    struct ph_weights *w = values_open(golden(CASE "blending.safetensors"));
    int runs = 0;
    const struct ph_json *all = ph_json_get(ph_json_root(doc), "runs");
    for (const struct ph_json *v = all->child; v; v = v->next) runs += want_run(w, v, seed);
    return runs;
}

TEST(prompts_blend_as_in_the_reference)
{
    CHECK_INT(want_runs(false), ==, 19);
}

TEST(seeds_blend_as_in_the_reference)
{
    CHECK_INT(want_runs(true), ==, 15);
}

TEST(degenerate_prompts_blend_sanely)
{
    struct ph_weights *w = values_open(golden(CASE "blending.safetensors"));
    static const char *const names[] = { "parallel_same",       "parallel_scaled",
                                         "near_parallel",       "antiparallel",
                                         "antiparallel_scaled", "zero_first",
                                         "zero_second",         "both_zero" };
    static const enum ph_blend methods[] = { PH_BLEND_SLERP_TWO, PH_BLEND_SLERP };
    for (int k = 0; k < 8; k++)
        for (int half = 0; half < 2; half++)
            for (int m = 0; m < 2; m++) {
                int64_t n;
                float t = half ? 0.5f : 0.8f;
                float *a = values_floats(w, &n, "degenerate/%s/a", names[k]);
                float *b = values_floats(w, NULL, "degenerate/%s/b", names[k]);
                float *want = values_floats(w, NULL, "degenerate/%s/t%s/sane", names[k],
                                            half ? "0.5" : "0.8");
                struct ph_blend_input in[] = { { a, 1 - t }, { b, t } };
                float *got = values_keep(malloc(sizeof *got * (size_t) n));
                CHECK_OK(ph_blend_mix(in, 2, n,
                                      &(struct ph_blend_params){ .method = methods[m] }, got));
                // Opposite vectors of one length cancel: there a sum of roundings is all there is.
                float most = 0;
                for (int64_t i = 0; i < n; i++) most = fmaxf(most, fabsf(want[i]));
                if (most < 1e-5f)
                    for (int64_t i = 0; i < n; i++) CHECK_NUM(fabs(got[i]), <=, 1e-5);
                else
                    values_near(names[k], got, want, n, 1e-4, 0);
                free(a), free(b), free(want), free(got);
            }
}

TEST(weights_that_sum_to_zero_count_the_same)
{
    struct ph_weights *w = values_open(golden(CASE "blending.safetensors"));
    int64_t n;
    float *a = values_floats(w, &n, "in.embed0"), *b = values_floats(w, NULL, "in.embed1");
    float *want = values_floats(w, NULL, "degenerate/all_zero_weights/sane");
    float *got = values_keep(malloc(sizeof *got * (size_t) n));
    CHECK(want && got);
    static const float weights[][2] = { { 0, 0 }, { 1, -1 } };
    for (int k = 0; k < 2; k++) {
        struct ph_blend_input in[] = { { a, weights[k][0] }, { b, weights[k][1] } };
        struct ph_blend_params par = { .method = PH_BLEND_LINEAR };
        CHECK_OK(ph_blend_mix(in, 2, n, &par, got));
        values_near("equal weights", got, want, n, 1e-5, 0);
    }
}

// ------------------------------------------------------------------------- without goldens
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
