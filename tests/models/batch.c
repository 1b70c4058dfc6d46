// SPDX-License-Identifier: MIT
#include "streams.h"

// ------------------------------------------------------------------------- the oracle
static void oracle(enum ph_sampler_kind kind, const char *more, const int *index, int n,
                   enum ph_guidance guidance, float delta)
{
    struct ph_sampler *s = steps_of(kind, more, index, n);
    struct ph_batch_params par = { n, s->step, guidance, 1.4f, delta, false };
    struct ph_batch *b = batch_of(&par, 7);
    float z[LATENT], clean[LATENT];
    for (uint64_t k = 0; k < 20; k++) {
        values_noise(1000 + k, z, LATENT);
        ph_batch_enter(b, z, k);
        want_sources(b, 0, 1e-4);
        run_frame(b, one_prompt, 0.5f, clean);
    }
    ph_batch_destroy(&b);
    ph_sampler_free(&s);
}

static const int lists[][4] = {
    { 32, 45 }, { 0, 16, 32, 45 }, { 18, 26, 35, 45 }, { 35 }, { 0 }
};
static const int lengths[] = { 2, 4, 4, 1, 1 };

TEST(self_guidance_with_delta_1_reconstructs_the_source_in_every_slot)
{
    for (int k = 0; k < 5; k++)
        oracle(PH_SAMPLER_LCM, "", lists[k], lengths[k], PH_GUIDANCE_SELF, 1);
}

TEST(stock_noise_reconstructs_the_source_whatever_the_guidance)
{
    for (int k = 0; k < 5; k++) {
        oracle(PH_SAMPLER_LCM, "", lists[k], lengths[k], PH_GUIDANCE_NONE, 1);
        oracle(PH_SAMPLER_LCM, "", lists[k], lengths[k], PH_GUIDANCE_FULL, 1);
        oracle(PH_SAMPLER_LCM, "", lists[k], lengths[k], PH_GUIDANCE_SELF, 0.5f);
    }
}

TEST(stock_noise_reconstructs_the_source_with_every_sampler_and_prediction)
{
    static const char *const predictions[] = { "\"prediction_type\":\"epsilon\"",
                                               "\"prediction_type\":\"v_prediction\"",
                                               "\"prediction_type\":\"sample\"" };
    for (int kind = PH_SAMPLER_LCM; kind <= PH_SAMPLER_DPMPP_2M; kind++)
        for (int p = 0; p < 3; p++)
            for (int k = 0; k < 3; k++)
                oracle((enum ph_sampler_kind) kind, predictions[p], lists[k], lengths[k],
                       PH_GUIDANCE_SELF, 1);
}

// ------------------------------------------------------------------------- rows
TEST(rows_are_laid_out_as_the_reference_does)
{
    struct ph_sampler *s = lcm(3, 18, 26, 45);
    struct ph_batch_params par = { 3, s->step, PH_GUIDANCE_FULL, 2, 1, false };
    struct ph_batch *b = batch_of(&par, 1);
    static const struct {
        enum ph_guidance mode;
        int rows, negatives;
    } want[] = { { PH_GUIDANCE_NONE, 3, 0 },
                 { PH_GUIDANCE_FULL, 6, 3 },
                 { PH_GUIDANCE_SELF, 3, 0 },
                 { PH_GUIDANCE_INITIALIZE, 4, 1 } };
    for (int k = 0; k < 4; k++) {
        par.guidance = want[k].mode;
        CHECK_OK(ph_batch_set(b, &par, NULL));
        CHECK_INT(ph_batch_rows(b), ==, want[k].rows);
        for (int r = 0; r < want[k].rows; r++) {
            struct ph_batch_row row = ph_batch_row_at(b, r);
            int slot = r < want[k].negatives ? r : r - want[k].negatives;
            CHECK_INT(row.slot, ==, slot);
            CHECK_INT(row.negative, ==, r < want[k].negatives);
            CHECK_NUM(row.timestep, ==, s->step[slot].timestep);
        }
    }
    par.scale = 1; // no guidance, no rows for it
    par.guidance = PH_GUIDANCE_FULL;
    CHECK_OK(ph_batch_set(b, &par, NULL));
    CHECK_INT(ph_batch_rows(b), ==, 3);
}

TEST(every_row_may_have_its_own_prompt)
{
    struct ph_sampler *s = lcm(4, 0, 16, 32, 45);
    struct ph_batch_params par = { 4, s->step, PH_GUIDANCE_NONE, 1, 1, false };
    struct ph_batch *a = batch_of(&par, 1), *b = batch_of(&par, 1);
    float other[SLOTS] = { 1, 1, 2, 1 }, ca[LATENT], cb[LATENT], z[LATENT] = { 0 };
    ph_batch_enter(a, z, 0), ph_batch_enter(b, z, 0);
    run_frame(a, one_prompt, 0, ca);
    run_frame(b, other, 0, cb);
    CHECK(!memcmp(ca, cb, sizeof ca));
    for (int i = 1; i < 4; i++)
        CHECK_INT(!memcmp(a->x + i * LATENT, b->x + i * LATENT, sizeof ca), ==, i != 3);
}

// One picture over and over: what leaves is what the sampler makes of it alone.
static void want_plain_sampler(enum ph_sampler_kind kind, const int *index, int n)
{
    struct ph_sampler *s = steps_of(kind, "", index, n);
    struct ph_batch_params par = { n, s->step, PH_GUIDANCE_NONE, 1, 1, false };
    struct ph_batch *b = batch_of(&par, 7);
    float z[LATENT], x[LATENT], x0[LATENT] = { 0 }, rows[LATENT], m[LATENT], clean[LATENT];
    values_noise(33, z, LATENT);
    for (uint64_t k = 0; k < 2 * (uint64_t) n; k++) {
        ph_batch_enter(b, z, k);
        run_frame(b, one_prompt, 0, clean);
    }
    ph_mix_of(x, LATENT, { s->step[0].clean, z }, { s->step[0].noise, b->noise });
    for (int i = 0; i < n; i++) {
        ph_mix_of(rows, LATENT, { s->step[i].input, x });
        any_unet(rows, 1, &s->step[i].timestep, one_prompt, m);
        const float *noise = i + 1 < n ? b->noise + (i + 1) * LATENT : b->noise;
        ph_sampler_advance(&s->step[i], x, m, noise, x0, LATENT, x0, x);
    }
    values_near(ph_sampler_name(kind), clean, x, LATENT, 1e-4, 0);
}

TEST(a_stream_of_one_picture_is_the_plain_sampler_of_it)
{
    static const int index[3][4] = { { 10, 20, 35, 45 }, { 25, 40 }, { 30 } };
    static const int count[] = { 4, 2, 1 };
    for (int kind = PH_SAMPLER_LCM; kind <= PH_SAMPLER_DPMPP_2M; kind++)
        for (int k = 0; k < 3; k++)
            want_plain_sampler((enum ph_sampler_kind) kind, index[k], count[k]);
}
