// SPDX-License-Identifier: MIT
#include "test.h"

#include "core/busy.h"

#define MS INT64_C(1000000)

TEST(a_steady_share_is_what_it_is)
{
    struct ph_busy b = { 0 };
    for (int i = 0; i < 200; i++) ph_busy_note(&b, MS + 10 * i * MS, MS + 10 * i * MS + 3 * MS);
    CHECK_NUM(b.share, >, 0.299);
    CHECK_NUM(b.share, <, 0.301);
}

// Pairs of packets, one right after the other, ten times a second: 0.2 ms of 100.
TEST(runs_that_come_in_bursts_weigh_by_their_time)
{
    struct ph_busy b = { 0 };
    for (int i = 0; i < 200; i++) {
        int64_t at = MS + 100 * i * MS;
        ph_busy_note(&b, at, at + MS / 10);
        ph_busy_note(&b, at + MS / 9, at + MS / 9 + MS / 10);
    }
    CHECK_NUM(b.share, >, 0.0018);
    CHECK_NUM(b.share, <, 0.0022);
}

TEST(a_run_longer_than_its_period_is_all_of_it)
{
    struct ph_busy b = { 0 };
    for (int i = 0; i < 200; i++) ph_busy_note(&b, MS + i * MS, MS + i * MS + 2 * MS);
    CHECK_NUM(b.share, ==, 1);
}
