// SPDX-License-Identifier: MIT
// What upstream gets wrong, and changes while a stream runs.
#include "streams.h"

#include "alloc_count.h"
#include "models/stream/blend.h"
#include "models/stream/latent.h"
#include "models/stream/similar.h"

// ------------------------------------------------------------------------- upstream's defects
static double largest(const float *x, int64_t n)
{
    double top = 0;
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(x[i]) <= top)) top = fabs(x[i]);
    return top;
}

TEST(a11_1_self_guidance_with_one_step_does_not_diverge)
{
    for (int place = 0; place < 50; place += 35) {
        struct ph_sampler *s = lcm(1, place);
        struct ph_batch_params par = { 1, s->step, PH_GUIDANCE_SELF, 1.4f, 1, false };
        struct ph_batch *b = batch_of(&par, 3);
        float clean[LATENT];
        double first = 0;
        for (uint64_t k = 0; k < 400; k++) {
            frame(b, k, clean);
            CHECK(
                !memcmp(b->stock, b->noise, sizeof clean)); // u is N_0, in the first frame too
            if (k == 0) first = largest(clean, LATENT);
            CHECK_NUM(largest(clean, LATENT), <, 3 * first);
        }
    }
}

TEST(a11_2_two_streams_in_one_run_of_the_model_do_not_mix)
{
    struct ph_sampler *s1 = lcm(2, 32, 45), *s2 = lcm(4, 0, 16, 32, 45);
    struct ph_batch_params p1 = { 2, s1->step, PH_GUIDANCE_FULL, 1.4f, 1, false };
    struct ph_batch_params p2 = { 4, s2->step, PH_GUIDANCE_INITIALIZE, 1.2f, 0.5f, false };
    struct ph_batch *alone[2] = { batch_of(&p1, 1), batch_of(&p2, 2) };
    struct ph_batch *both[2] = { batch_of(&p1, 1), batch_of(&p2, 2) };
    float rows[9 * LATENT], out[9 * LATENT], prompt[9], negative = 0.5f, got[LATENT],
                                                        want[LATENT];
    const float *positive[SLOTS] = { one_prompt, one_prompt, one_prompt, one_prompt };
    for (uint64_t k = 0; k < 10; k++) {
        double t[9];
        int at = 0;
        for (int j = 0; j < 2; j++) {
            float z[LATENT];
            values_noise(1000 + k, z, LATENT);
            ph_batch_enter(both[j], z, k);
            ph_batch_gather(both[j], rows + at * LATENT);
            ph_batch_prompts(both[j], positive, &negative, 1, prompt + at);
            for (int r = 0; r < ph_batch_rows(both[j]); r++)
                t[at + r] = ph_batch_row_at(both[j], r).timestep;
            at += ph_batch_rows(both[j]);
        }
        CHECK_INT(at, ==, 9);
        any_unet(rows, at, t, prompt, out);
        at = 0;
        for (int j = 0; j < 2; j++) {
            ph_batch_step(both[j], out + at * LATENT, got);
            at += ph_batch_rows(both[j]);
            frame(alone[j], k, want);
            CHECK(!memcmp(got, want, sizeof got));
        }
    }
}

TEST(a11_3_a_new_prompt_keeps_the_negative_rows)
{
    struct ph_sampler *s = lcm(3, 18, 32, 45);
    const float first[2] = { 1, 2 }, second[2] = { 3, 4 }, negative[2] = { -1, -2 };
    const float *const prompts[] = { first, second };
    for (int mode = 0; mode < 4; mode++) {
        struct ph_batch_params par = { 3, s->step, (enum ph_guidance) mode, 1.4f, 1, false };
        struct ph_batch *b = batch_of(&par, 1);
        for (int turn = 0; turn < 2; turn++) {
            const float *positive[] = { prompts[turn], prompts[turn], prompts[turn] };
            float rows[12];
            ph_batch_prompts(b, positive, negative, 2, rows);
            for (int r = 0; r < ph_batch_rows(b); r++) {
                const float *want = ph_batch_row_at(b, r).negative ? negative : prompts[turn];
                CHECK(!memcmp(rows + 2 * r, want, sizeof first));
            }
        }
    }
}

TEST(a11_4_the_first_picture_is_of_the_first_frame)
{
    struct ph_sampler *s = lcm(4, 18, 26, 35, 45);
    struct ph_batch_params par = { 4, s->step, PH_GUIDANCE_NONE, 1, 1, false };
    struct ph_batch *b = batch_of(&par, 5);
    float z[LATENT], rows[4 * LATENT], clean[LATENT];
    values_noise(1000, z, LATENT);
    // A model that knows the noise of each slot finds the frame itself, at once.
    for (uint64_t k = 0; k < 3; k++) {
        ph_batch_enter(b, z, k);
        CHECK_INT(b->warm, ==, 3 - k);
        memcpy(rows, b->noise, sizeof rows);
        ph_batch_step(b, rows, clean);
        values_near("first picture", clean, z, LATENT, 1e-5, 0);
        CHECK_INT(b->left, ==, 0);
    }
}

TEST(a11_5_blended_prompts_under_guidance_have_a_row_for_each_row)
{
    struct ph_sampler *s = lcm(4, 0, 16, 32, 45);
    static const int rows[] = { 4, 8, 4, 5 };
    for (int mode = 0; mode < 4; mode++) {
        struct ph_batch_params par = { 4, s->step, (enum ph_guidance) mode, 1.4f, 1, false };
        struct ph_batch *b = batch_of(&par, 1);
        float out[10], mixed = 3, negative = -1, seen = 0;
        const float *positive[] = { &mixed, &mixed, &mixed, &mixed };
        out[rows[mode]] = 77;
        ph_batch_prompts(b, positive, &negative, 1, out);
        CHECK_NUM(out[rows[mode]], ==, 77); // not a row more
        for (int r = 0; r < rows[mode]; r++) seen += out[r];
        CHECK_NUM(seen, ==,
                  4 * mixed + negative * (rows[mode] - 4)); // the negative prompt is there
    }
}

TEST(a11_8_txt2img_depends_on_the_given_noise_alone)
{
    struct ph_sampler *s = lcm(4, 0, 16, 32, 45);
    struct ph_batch_params par = { 4, s->step, PH_GUIDANCE_SELF, 1.4f, 0.5f, false };
    struct ph_batch *a = batch_of(&par, 9), *b = batch_of(&par, 9);
    float ca[LATENT], cb[LATENT];
    for (uint64_t k = 0; k < 12; k++) {
        ph_batch_enter_noise(a, NULL, k), ph_batch_enter_noise(b, NULL, k);
        CHECK(!memcmp(a->x, a->noise, sizeof ca));
        run_frame(a, one_prompt, 0, ca), run_frame(b, one_prompt, 0, cb);
        CHECK(!memcmp(ca, cb, sizeof ca));
    }
}

// ------------------------------------------------------------------------- live changes
static struct ph_batch *running(const struct ph_batch_params *par, uint64_t frames)
{
    struct ph_batch *b = batch_of(par, 4);
    float clean[LATENT];
    for (uint64_t k = 0; k < frames; k++) frame(b, k, clean);
    return b;
}

TEST(a_change_to_the_same_steps_changes_nothing)
{
    struct ph_sampler *s = lcm(4, 0, 16, 32, 45);
    struct ph_batch_params par = { 4, s->step, PH_GUIDANCE_SELF, 1.4f, 0.5f, false };
    struct ph_batch *a = running(&par, 9), *b = running(&par, 9);
    CHECK_OK(ph_batch_set(b, &par, NULL));
    CHECK(!memcmp(a->x, b->x, sizeof *a->x * SLOTS * LATENT * 4));
}

TEST(guidance_changes_without_touching_what_is_in_flight)
{
    struct ph_sampler *s = lcm(4, 0, 16, 32, 45);
    struct ph_batch_params par = { 4, s->step, PH_GUIDANCE_NONE, 1, 1, false };
    struct ph_batch *b = running(&par, 9);
    float before[4 * LATENT], clean[LATENT];
    memcpy(before, b->x, sizeof before);
    par.guidance = PH_GUIDANCE_SELF;
    par.scale = 1.4f;
    CHECK_OK(ph_batch_set(b, &par, NULL));
    CHECK(!memcmp(before, b->x, sizeof before));
    for (uint64_t k = 9; k < 20; k++) {
        want_sources(b, 1, 1e-4); // stock noise was kept up without guidance
        frame(b, k, clean);
        CHECK_INT(b->left, ==, k - 3);
    }
}

TEST(new_levels_keep_every_frame_in_flight)
{
    struct ph_sampler *old = lcm(4, 0, 16, 32, 45), *s = lcm(4, 18, 26, 35, 46);
    struct ph_batch_params par = { 4, old->step, PH_GUIDANCE_SELF, 1.4f, 1, false };
    struct ph_batch *b = running(&par, 9);
    float clean[LATENT];
    par.step = s->step;
    CHECK_OK(ph_batch_set(b, &par, NULL));
    for (uint64_t k = 9; k < 20; k++) {
        want_sources(b, 1, 2e-4);
        if (k > 9) CHECK_INT(b->id[3], ==, k - 3);
        frame(b, k, clean);
    }
}

TEST(a_moved_slot_is_what_noising_at_the_new_level_gives)
{
    struct ph_sampler *old = lcm(2, 32, 45), *s = lcm(2, 32, 40);
    struct ph_batch_params par = { 2, old->step, PH_GUIDANCE_NONE, 1, 1, false };
    struct ph_batch *b = running(&par, 5);
    float d[LATENT], want[LATENT];
    memcpy(d, b->prev + LATENT, sizeof d); // the clean estimate that slot 1 was noised from
    par.step = s->step;
    CHECK_OK(ph_batch_set(b, &par, NULL));
    ph_mix_of(want, LATENT, { s->step[1].clean, d }, { s->step[1].noise, b->noise + LATENT });
    values_near("moved", b->x + LATENT, want, LATENT, 1e-5, 0);
}

TEST(another_number_of_steps_keeps_the_order_of_frames)
{
    static const int lists8[][8] = { { 0, 6, 12, 18, 24, 30, 36, 42 },
                                     { 30, 45 },
                                     { 5, 20, 30, 40, 48 },
                                     { 18, 26, 35, 45 },
                                     { 45 },
                                     { 10, 30, 45 } };
    static const int count[] = { 8, 2, 5, 4, 1, 3 };
    for (int from = 0; from < 6; from++)
        for (int to = 0; to < 6; to++) {
            struct ph_sampler *a = steps_of(PH_SAMPLER_LCM, "", lists8[from], count[from]);
            struct ph_sampler *z = steps_of(PH_SAMPLER_LCM, "", lists8[to], count[to]);
            struct ph_batch_params par = { count[from], a->step, PH_GUIDANCE_SELF,
                                           1.4f,        1,       false };
            struct ph_batch *b = running(&par, 12);
            float clean[LATENT];
            uint64_t last = b->left;
            par.slots = count[to], par.step = z->step;
            CHECK_OK(ph_batch_set(b, &par, NULL));
            for (uint64_t k = 12; k < 24; k++) {
                // A larger batch may show a frame twice, a smaller one leaves some out; none goes back.
                frame(b, k, clean);
                CHECK_INT(b->left, >=, last);
                last = b->left;
                CHECK(isfinite(largest(clean, LATENT)));
                want_sources(b, 1, 1e-3);
            }
            CHECK_INT(b->left, ==, 23 - (count[to] - 1));
            ph_batch_destroy(&b);
        }
}

TEST(levels_change_without_noise_where_none_is_added)
{
    struct ph_sampler *old = lcm(2, 32, 45), *s = lcm(2, 32, 40);
    struct ph_batch_params par = { 2, old->step, PH_GUIDANCE_NONE, 1, 1, true };
    struct ph_batch *b = running(&par, 5);
    float want[LATENT];
    ph_mix_of(want, LATENT, { s->step[1].clean, b->prev + LATENT });
    par.step = s->step;
    CHECK_OK(ph_batch_set(b, &par, NULL));
    values_near("moved", b->x + LATENT, want, LATENT, 1e-5, 0);
}

TEST(a_new_seed_reaches_all_slots_at_once)
{
    struct ph_sampler *s = lcm(4, 0, 16, 32, 45);
    struct ph_batch_params par = { 4, s->step, PH_GUIDANCE_SELF, 1.4f, 1, false };
    struct ph_batch *b = running(&par, 9);
    float noise[SLOTS * LATENT], d[LATENT], want[LATENT], clean[LATENT];
    memcpy(d, b->prev + 2 * LATENT, sizeof d);
    values_noise(55, noise, SLOTS * LATENT);
    ph_batch_reseed(b, noise);
    ph_mix_of(want, LATENT, { s->step[2].clean, d }, { s->step[2].noise, noise + 2 * LATENT });
    values_near("reseeded", b->x + 2 * LATENT, want, LATENT, 1e-5, 0);
    want_sources(b, 1, 1e-4);
    frame(b, 9, clean);
    want_sources(b, 1, 1e-4);
}

TEST(noise_that_shifts_moves_the_slots_in_use_as_a_new_seed_does)
{
    struct ph_sampler *s = lcm(3, 0, 16, 32);
    struct ph_batch_params par = { 3, s->step, PH_GUIDANCE_SELF, 1.4f, 1, false };
    struct ph_batch *x = running(&par, 7), *y = running(&par, 7);
    float noise[SLOTS * LATENT], rest[LATENT], cx[LATENT], cy[LATENT];
    values_noise(56, noise, SLOTS * LATENT);
    memcpy(rest, y->noise + 3 * LATENT, sizeof rest);
    ph_batch_reseed(x, noise);
    ph_batch_shift(y, noise);
    for (uint64_t k = 7; k < 12; k++) {
        frame(x, k, cx), frame(y, k, cy);
        CHECK(!memcmp(cx, cy, sizeof cx));
        want_sources(y, 1, 1e-4);
    }
    CHECK(!memcmp(y->noise + 3 * LATENT, rest, sizeof rest));
}

TEST(a_change_that_is_refused_changes_nothing)
{
    struct ph_sampler *s = lcm(4, 0, 16, 32, 45);
    struct ph_sampler_step rising[2] = { s->step[2], s->step[0] };
    struct ph_batch_params par = { 4, s->step, PH_GUIDANCE_SELF, 1.4f, 1, false };
    struct ph_batch *a = running(&par, 6), *b = running(&par, 6);
    const struct ph_batch_params bad[] = { { 0, s->step, 0, 1, 1, false },
                                           { SLOTS + 1, s->step, 0, 1, 1, false },
                                           { 2, rising, 0, 1, 1, false },
                                           { 4, s->step, 0, NAN, 1, false },
                                           { 4, NULL, 0, 1, 1, false } };
    for (int i = 0; i < 5; i++) {
        struct ph_fault fault = { 0 };
        CHECK_INT(ph_batch_set(b, &bad[i], &fault), ==, i == 1 ? PH_ELIMIT : PH_EINVAL);
        CHECK(fault.message[0] && fault.field[0]);
    }
    float ca[LATENT], cb[LATENT];
    for (uint64_t k = 6; k < 12; k++) {
        frame(a, k, ca), frame(b, k, cb);
        CHECK(!memcmp(ca, cb, sizeof ca));
    }
}

TEST(two_hundred_frames_with_twenty_changes_give_the_same_bytes_twice)
{
    struct ph_sampler *s[] = { lcm(4, 0, 16, 32, 45), lcm(2, 32, 45), lcm(1, 35),
                               lcm(6, 5, 12, 20, 30, 38, 46) };
    float seen[2][LATENT];
    for (int turn = 0; turn < 2; turn++) {
        struct ph_batch_params par = { 4, s[0]->step, PH_GUIDANCE_SELF, 1.4f, 0.5f, false };
        struct ph_batch *b = batch_of(&par, 11);
        float noise[SLOTS * LATENT], clean[LATENT], sum[LATENT] = { 0 };
        for (uint64_t k = 0; k < 200; k++) {
            if (k % 10 == 9) {
                int step = (int) (k / 10);
                par.guidance = (enum ph_guidance)(step % 4);
                par.scale = 1 + 0.1f * (float) step;
                par.step = s[step % 3]->step, par.slots = s[step % 3]->count;
                if (step % 5 == 4) par.step = s[3]->step, par.slots = 6;
                CHECK_OK(ph_batch_set(b, &par, NULL));
                values_noise(k, noise, SLOTS * LATENT);
                if (step % 4 == 1) ph_batch_reseed(b, noise);
            }
            frame(b, k, clean);
            for (int i = 0; i < LATENT; i++) sum[i] = 0.9f * sum[i] + clean[i];
        }
        CHECK(isfinite(largest(sum, LATENT)));
        memcpy(seen[turn], sum, sizeof sum);
        ph_batch_destroy(&b);
    }
    CHECK(!memcmp(seen[0], seen[1], sizeof seen[0]));
}

TEST(t_indices_of_a_strength_run_from_it_to_the_clean_end)
{
    int got[4];
    static const int want[3][4] = { { 0, 12, 25, 37 }, { 25, 31, 37, 43 }, { 46, 47, 48, 49 } };
    static const double strength[] = { 1, 0.5, 0 };
    for (int k = 0; k < 3; k++) {
        ph_batch_indices(strength[k], 4, 50, got);
        for (int i = 0; i < 4; i++) CHECK_INT(got[i], ==, want[k][i]);
    }
}

TEST(delta_weighs_the_stock_noise_in_the_guidance)
{
    struct ph_sampler *s = lcm(2, 32, 45);
    static const float zero[2 * LATENT] = { 0 };
    static const float deltas[] = { 0, 1, 0.5f, 2 };
    for (int k = 0; k < 4; k++) {
        struct ph_batch_params par = { 2, s->step, PH_GUIDANCE_SELF, 1.4f, deltas[k], false };
        struct ph_batch *b = running(&par, 3);
        float z[LATENT] = { 0 }, want[2 * LATENT];
        ph_batch_enter(b, z, 3);
        float factor = -0.4f * deltas[k];
        ph_mix_of(want, 2 * LATENT, { factor, b->stock });
        ph_batch_guide(b, zero);
        values_near("m", b->guided, want, 2 * LATENT, 1e-6, 0);
    }
}

// Samplers that do not noise anew keep the noise that is in the latent.
TEST(moved_slots_of_other_samplers_keep_their_own_noise)
{
    static const int from[] = { 10, 25, 40 }, to[] = { 10, 28, 44 };
    for (int kind = PH_SAMPLER_EULER; kind <= PH_SAMPLER_DPMPP_2M; kind++) {
        struct ph_sampler *old = steps_of((enum ph_sampler_kind) kind, "", from, 3);
        struct ph_sampler *s = steps_of((enum ph_sampler_kind) kind, "", to, 3);
        struct ph_batch_params par = { 3, old->step, PH_GUIDANCE_NONE, 1, 1, false };
        struct ph_batch *b = running(&par, 7);
        float stock[3 * LATENT], z[LATENT], want[LATENT];
        memcpy(stock, b->stock, sizeof stock);
        par.step = s->step;
        CHECK_OK(ph_batch_set(b, &par, NULL));
        for (int i = 1; i < 3; i++) {
            values_noise(1000 + b->id[i], z, LATENT);
            ph_mix_of(want, LATENT, { s->step[i].clean, z },
                      { s->step[i].noise, stock + i * LATENT });
            values_near("x", b->x + i * LATENT, want, LATENT, 1e-4, 0);
            values_near("stock", b->stock + i * LATENT, stock + i * LATENT, LATENT, 1e-4, 0);
        }
    }
}

TEST(the_clean_estimate_before_moves_with_its_slot)
{
    static const int from[] = { 5, 15, 25, 35, 45 }, to[] = { 5, 36 };
    struct ph_sampler *old = steps_of(PH_SAMPLER_DPMPP_2M, "", from, 5);
    struct ph_sampler *s = steps_of(PH_SAMPLER_DPMPP_2M, "", to, 2);
    struct ph_batch_params par = { 5, old->step, PH_GUIDANCE_NONE, 1, 1, false };
    struct ph_batch *b = running(&par, 9);
    float prev[LATENT];
    memcpy(prev, b->prev + 3 * LATENT, sizeof prev); // t index 35, nearest to 36
    uint64_t id = b->id[3];
    par.slots = 2, par.step = s->step;
    CHECK_OK(ph_batch_set(b, &par, NULL));
    CHECK(!memcmp(prev, b->prev + LATENT, sizeof prev));
    CHECK_INT(b->id[1], ==, id);
}

TEST(frames_and_live_changes_allocate_nothing)
{
    struct ph_sampler *s4 = lcm(4, 0, 16, 32, 45), *s2 = lcm(2, 32, 45);
    struct ph_batch_params four = { 4, s4->step, PH_GUIDANCE_FULL, 1.4f, 1, false };
    struct ph_batch_params two = { 2, s2->step, PH_GUIDANCE_SELF, 1.4f, 1, false };
    struct ph_batch *b = batch_of(&four, 1);
    struct ph_similar same;
    static float noise[SLOTS * LATENT], clean[LATENT], mixed[LATENT];
    values_noise(5, noise, SLOTS * LATENT);
    CHECK_OK(ph_similar_init(&same, &(struct ph_similar_params){ 0 }, LATENT, false));
    values_keep(same.last);
    long before = alloc_count_here();
    for (uint64_t k = 0; k < 12; k++) {
        frame(b, k, clean);
        ph_similar_next(&same, clean, 0.5);
        struct ph_blend_input in[] = { { clean, 1 }, { noise, 2 }, { b->stock, 3 } };
        CHECK_OK(ph_blend_mix(in, 3, LATENT, &(struct ph_blend_params){ 0 }, mixed));
        CHECK_OK(ph_batch_set(b, k % 4 < 2 ? &two : &four, NULL));
        ph_batch_reseed(b, noise);
    }
    CHECK_INT(alloc_count_here() - before, ==, 0);
}

TEST(memory_that_runs_out_is_an_error_and_nothing_else)
{
    static const int index[] = { 32, 45 };
    static float noise[2 * LATENT];
    struct ph_fault fault;
    int refused = 0;
    for (long k = 0; k < 8; k++) {
        struct ph_sampler_params par = { .index = index, .chosen = 2 };
        struct ph_schedule *schedule = NULL;
        struct ph_sampler *s = NULL;
        struct ph_batch *b = NULL;
        alloc_fail_only(k);
        ph_err ret = ph_schedule_create(NULL, NULL, PH_SAMPLER_LCM, &schedule, &fault);
        if (ret >= 0) ret = ph_sampler_create(schedule, &par, &s, &fault);
        struct ph_batch_params how = {
            2, s ? s->step : NULL, PH_GUIDANCE_SELF, 1.4f, 1, false
        };
        if (ret >= 0) ret = ph_batch_create(&b, 2, LATENT, noise, &how, &fault);
        alloc_fail_only(-1);
        CHECK(ret == PH_OK || ret == PH_ENOMEM);
        CHECK((ret == PH_OK) == (b != NULL));
        refused += ret < 0;
        ph_batch_destroy(&b);
        ph_sampler_free(&s);
        ph_tree_free(schedule);
    }
    CHECK_INT(refused, >=, 5);
}

// ------------------------------------------------------------------------- latents
TEST(latent_feedback_stays_within_its_limits)
{
    float z[4] = { 1, 30, -30, 1 }, before[4] = { 2, 30, -30, NAN };
    ph_latent_feedback(z, before, 0.25f, 4);
    CHECK_NUM(z[0], ==, 1.25f);
    CHECK_NUM(z[1], ==, 10);
    CHECK_NUM(z[2], ==, -10);
    CHECK_NUM(z[3], ==, 0.75f);
    float high[1] = { 0 }, one[1] = { 1 }, same[1] = { 50 };
    ph_latent_feedback(high, one, 1, 1);
    CHECK_NUM(high[0], ==, PH_LATENT_FEEDBACK_MAX);
    ph_latent_feedback(same, one, 0, 1);
    CHECK_NUM(same[0], ==, 50);
    ph_latent_feedback(same, one, NAN, 1);
    CHECK_NUM(same[0], ==, 50);
}

TEST(feedback_of_the_latent_settles)
{
    float z, before = 9;
    for (int k = 0; k < 200; k++) {
        z = 1;
        ph_latent_feedback(&z, &before, 0.4f, 1);
        before = z;
    }
    CHECK_NUM(fabs(before - 1), <, 1e-6);
}

TEST(temporal_blend_follows_and_forgets_a_bad_frame)
{
    float shown[2] = { 0, NAN }, x0[2] = { 1, 1 };
    ph_latent_smooth(shown, x0, 0.5f, 2);
    CHECK_NUM(shown[0], ==, 0.5);
    CHECK_NUM(shown[1], ==, 1);
    ph_latent_smooth(shown, x0, 0, 2);
    CHECK_NUM(shown[0], ==, 1);
    for (int k = 0; k < 400; k++) ph_latent_smooth(shown, (float[]){ 3, 3 }, 7, 2);
    CHECK_NUM(fabs(shown[0] - 3), <, 1e-5);
}

TEST(picture_feedback_is_a_blend)
{
    float p[2] = { 1, -1 }, before[2] = { 0, 1 };
    ph_picture_feedback(p, before, 0.25f, 2);
    CHECK_NUM(p[0], ==, 0.75);
    CHECK_NUM(p[1], ==, -0.5);
    ph_picture_feedback(p, before, 2, 2);
    CHECK_NUM(p[0], ==, 0);
    CHECK_NUM(p[1], ==, 1);
}
