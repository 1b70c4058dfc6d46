// SPDX-License-Identifier: MIT
#include <phosphene/clock.h>

#include "test.h"

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

static const struct {
    int64_t num, den;
} rates[] = { { 24, 1 },  { 25, 1 }, { 24000, 1001 }, { 30000, 1001 },
              { 30, 1 },  { 50, 1 }, { 60, 1 },       { 60000, 1001 },
              { 120, 1 }, { 1, 1 },  { 1, 10 },       { 1000, 1 } };
#define RATES ((int) (sizeof rates / sizeof *rates))

// The moment a lane would next run at: it sleeps until the tick is due, unless it is late already.
static int64_t wait_for(const struct ph_ticker *t, int64_t now)
{
    int64_t due = ph_ticker_due_ns(t);
    return due > now ? due : now;
}

TEST(d2_1_no_tick_flood_after_a_stall)
{
    for (int r = 0; r < RATES; r++) {
        struct ph_ticker t;
        int64_t start = 1000 * PH_SECOND_NS, now = start;
        double per_second = (double) rates[r].num / (double) rates[r].den;
        ph_ticker_init(&t, start, rates[r].num, rates[r].den);
        uint64_t ticks = 0;
        while (now < start + 20 * PH_SECOND_NS) {
            now = wait_for(&t, now);
            ph_ticker_take(&t, now);
            ticks++;
            CHECK_INT(ph_ticker_due_ns(&t), >, now);  // late or not, the next one is ahead
            if (ticks % 50 == 7) now += PH_SECOND_NS; // stall
            CHECK_NUM((double) ticks, <=,
                      per_second * (double) (now - start) * 1e-9 + 1.000001);
        }
    }
}

// Ticks in `seconds` when each costs `load` of a period, give or take `jitter` of a period.
static uint64_t ticks_under_load(int r, double load, double jitter, double seconds)
{
    struct ph_ticker t;
    unsigned seed = 1;
    int64_t start = 5, now = start;
    double period = 1e9 * (double) rates[r].den / (double) rates[r].num;
    ph_ticker_init(&t, start, rates[r].num, rates[r].den);
    uint64_t ticks = 0;
    while ((now = wait_for(&t, now)) < start + (int64_t) (seconds * 1e9)) {
        ph_ticker_take(&t, now);
        ticks++;
        double u = rand_r(&seed) / (double) RAND_MAX * 2 - 1;
        now += (int64_t) (period * (load + jitter * u));
    }
    return ticks;
}

TEST(d2_2_the_rate_holds_for_work_of_0_to_95_percent)
{
    for (int r = 0; r < RATES; r++) {
        double per_second = (double) rates[r].num / (double) rates[r].den;
        double seconds = 1000 / per_second;
        for (int load = 0; load <= 95; load += 5) {
            uint64_t ticks = ticks_under_load(r, load / 100.0, 0, seconds);
            CHECK_INT(ticks, >=, 990);
            CHECK_INT(ticks, <=, 1001);
        }
        CHECK_INT(ticks_under_load(r, 0.5, 0.45, seconds), >=, 990);
    }
}

TEST(overload_takes_every_second_tick_and_counts_the_others)
{
    struct ph_ticker t;
    int64_t now = 0;
    ph_ticker_init(&t, 0, 60, 1);
    uint64_t taken = 0, last = 0;
    for (int i = 0; i < 600; i++) {
        now = wait_for(&t, now);
        last = ph_ticker_take(&t, now);
        taken++;
        now += PH_SECOND_NS / 40; // one and a half periods
    }
    CHECK_INT(taken + t.skipped, ==, last + 1);
    CHECK_INT(t.skipped, >=, 295);
    CHECK_INT(t.skipped, <=, 301);
}

TEST(d2_3_indices_only_rise_across_stalls_pauses_and_rate_changes)
{
    struct ph_ticker t;
    unsigned seed = 11;
    int64_t now = 77;
    ph_ticker_init(&t, now, 60, 1);
    uint64_t last = ph_ticker_take(&t, now), skipped = 0;
    for (int i = 0; i < 200000; i++) {
        switch (rand_r(&seed) % 8) {
        case 0: now += rand_r(&seed) % (2 * PH_SECOND_NS); break;
        case 1: ph_ticker_restart(&t, now); break;
        case 2:
            t.num = rates[rand_r(&seed) % RATES].num;
            ph_ticker_restart(&t, now);
            break;
        case 3: now += rand_r(&seed) % 1000; break;
        default: now += rand_r(&seed) % (PH_SECOND_NS / 50);
        }
        if (now < ph_ticker_due_ns(&t)) continue;
        uint64_t index = ph_ticker_take(&t, now);
        CHECK_INT(index, >, last);
        skipped += index - last - 1;
        CHECK_INT(t.skipped, ==, skipped);
        last = index;
    }
}

TEST(a_pause_skips_nothing)
{
    struct ph_ticker t;
    ph_ticker_init(&t, 0, 30, 1);
    for (int i = 0; i < 10; i++) CHECK_INT(ph_ticker_take(&t, ph_ticker_due_ns(&t)), ==, i);
    int64_t resumed = 500 * PH_SECOND_NS;
    ph_ticker_restart(&t, resumed);
    CHECK_INT(ph_ticker_due_ns(&t), <=, resumed);
    CHECK_INT(ph_ticker_take(&t, resumed), ==, 10);
    CHECK_INT(t.skipped, ==, 0);
    CHECK_INT(llabs(ph_ticker_due_ns(&t) - resumed - PH_SECOND_NS / 30), <=, 1);
}

TEST(d2_34_drift_is_under_a_frame_in_an_hour_and_in_a_month)
{
    for (int r = 0; r < RATES; r++) {
        struct ph_ticker t;
        int64_t start = 3, now = start, hour = 3600 * PH_SECOND_NS;
        ph_ticker_init(&t, start, rates[r].num, rates[r].den);
        long double period = 1e9L * (long double) rates[r].den / (long double) rates[r].num;
        uint64_t index = 0;
        while ((now = wait_for(&t, now)) < start + hour) {
            index = ph_ticker_take(&t, now);
            long double error = (long double) (now - start) - (long double) index * period;
            if (fabsl(error) > 1)
                TEST_FAIL("tick %llu is off by %Lg ns", (long long) index, error);
        }
        CHECK_INT(t.skipped, ==, 0);
        long double want = 3600e9L / period;
        CHECK(fabsl((long double) index + 1 - want) <= 1);
        uint64_t month = (uint64_t) (720 * want);
        long double error =
            (long double) ph_ticker_pts_ns(&t, month) - (long double) month * period;
        CHECK(fabsl(error) <= 1);
    }
}

TEST(d2_35_stream_times_rise_with_every_index)
{
    for (int r = 0; r < RATES; r++) {
        struct ph_ticker t;
        ph_ticker_init(&t, 0, rates[r].num, rates[r].den);
        for (uint64_t i = 0; i < 5000; i++)
            CHECK_INT(ph_ticker_pts_ns(&t, i + 1), >, ph_ticker_pts_ns(&t, i));
    }
    struct ph_ticker fast;
    ph_ticker_init(&fast, 0, 0, 1);
    CHECK_INT(ph_ticker_pts_ns(&fast, 8), >, ph_ticker_pts_ns(&fast, 7));
}

TEST(pts_are_exact_and_rounded_once)
{
    struct ph_ticker t;
    ph_ticker_init(&t, 0, 30000, 1001);
    CHECK_INT(ph_ticker_pts_ns(&t, 0), ==, 0);
    CHECK_INT(ph_ticker_pts_ns(&t, 1), ==, 33366666);
    CHECK_INT(ph_ticker_pts_ns(&t, 30000), ==, 1001 * PH_SECOND_NS);
}

TEST(rate_0_is_always_due_and_skips_nothing)
{
    struct ph_ticker t;
    ph_ticker_init(&t, 1000, 0, 1);
    for (uint64_t i = 0; i < 1000; i++) {
        CHECK_INT(ph_ticker_due_ns(&t), ==, INT64_MIN);
        CHECK_INT(ph_ticker_take(&t, 0), ==, i);
    }
    CHECK_INT(t.skipped, ==, 0);
}

TEST(d2_16_the_clock_is_one_for_all_processes)
{
    int pipe_fd[2];
    CHECK_OK(pipe(pipe_fd));
    int64_t before = ph_now_ns(), child = 0;
    pid_t pid = fork();
    if (!pid) {
        int64_t now = ph_now_ns();
        _exit(write(pipe_fd[1], &now, sizeof now) != sizeof now);
    }
    CHECK_INT(read(pipe_fd[0], &child, sizeof child), ==, sizeof child);
    waitpid(pid, NULL, 0);
    int64_t after = ph_now_ns();
    CHECK_INT(child, >=, before);
    CHECK_INT(child, <=, after);
}

static void *watch_clock(void *arg)
{
    int64_t last = 0;
    for (int i = 0; i < 200000; i++) {
        int64_t now = ph_now_ns();
        if (now < last) *(int64_t *) arg = last - now;
        last = now;
    }
    return NULL;
}

TEST(now_never_goes_backwards)
{
    pthread_t threads[2];
    int64_t back[2] = { 0, 0 };
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, watch_clock, &back[i]);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK_INT(back[0] + back[1], ==, 0);
}

static void ignore(int signal_number)
{
    (void) signal_number;
}

TEST(sleep_is_never_early_even_when_a_signal_comes)
{
    struct sigaction action = { .sa_handler = ignore };
    sigaction(SIGUSR1, &action, NULL);
    pid_t parent = getpid(), pid = fork();
    if (!pid) {
        for (int i = 0; i < 40; i++) {
            usleep(1000);
            kill(parent, SIGUSR1);
        }
        _exit(0);
    }
    for (int i = 0; i < 5; i++) {
        int64_t when = ph_now_ns() + 10 * PH_MS_NS;
        ph_sleep_until_ns(when);
        CHECK_INT(ph_now_ns(), >=, when);
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
    ph_sleep_until_ns(0); // the past and INT64_MIN return
    ph_sleep_until_ns(INT64_MIN);
    ph_sleep_until_ns(ph_now_ns() - PH_SECOND_NS);
}
