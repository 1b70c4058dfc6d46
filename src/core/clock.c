// SPDX-License-Identifier: MIT
#include <phosphene/clock.h>

#include <errno.h>
#include <time.h>

int64_t ph_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * PH_SECOND_NS + t.tv_nsec;
}

void ph_sleep_until_ns(int64_t when_ns)
{
    struct timespec t = { when_ns / PH_SECOND_NS, when_ns % PH_SECOND_NS };
    if (when_ns <= 0) return;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {}
}

void ph_ticker_init(struct ph_ticker *t, int64_t start_ns, int64_t num, int64_t den)
{
    *t = (struct ph_ticker){ .start_ns = start_ns, .num = num, .den = den > 0 ? den : 1 };
}

// Ticks per second as a fraction; "as fast as possible" counts stream time at 60.
static uint64_t rate_num(const struct ph_ticker *t)
{
    return t->num > 0 ? (uint64_t) t->num : 60;
}

static uint64_t rate_den(const struct ph_ticker *t)
{
    return t->num > 0 ? (uint64_t) t->den : 1;
}

// 128 bits: index * den * 1e9 passes 64 bits after a few hours of 30000/1001
int64_t ph_ticker_pts_ns(const struct ph_ticker *t, uint64_t index)
{
    unsigned __int128 k = index - t->base_index;
    return t->base_pts_ns + (int64_t) (k * rate_den(t) * PH_SECOND_NS / rate_num(t));
}

void ph_ticker_set_rate(struct ph_ticker *t, int64_t num, int64_t den)
{
    t->base_pts_ns = ph_ticker_pts_ns(t, t->next);
    t->base_index = t->next;
    t->num = num;
    t->den = den > 0 ? den : 1;
}

int64_t ph_ticker_due_ns(const struct ph_ticker *t)
{
    return t->num <= 0 ? INT64_MIN : t->start_ns + ph_ticker_pts_ns(t, t->next);
}

// Newest index whose time has come: the largest k with floor(k * den * 1e9 / num) <= elapsed.
static uint64_t newest_due(const struct ph_ticker *t, int64_t elapsed_ns)
{
    unsigned __int128 after = (unsigned __int128) elapsed_ns + 1;
    unsigned __int128 unit = (unsigned __int128) rate_den(t) * PH_SECOND_NS;
    return t->base_index + (uint64_t) ((after * rate_num(t) - 1) / unit);
}

uint64_t ph_ticker_take(struct ph_ticker *t, int64_t now_ns)
{
    uint64_t index = t->next;
    int64_t elapsed_ns = now_ns - t->start_ns - t->base_pts_ns;
    if (t->num > 0 && elapsed_ns >= 0) {
        uint64_t newest = newest_due(t, elapsed_ns);
        if (newest > index) {
            t->skipped += newest - index;
            index = newest;
        }
    }
    t->next = index + 1;
    return index;
}

void ph_ticker_restart(struct ph_ticker *t, int64_t now_ns)
{
    t->start_ns = now_ns - ph_ticker_pts_ns(t, t->next);
}
