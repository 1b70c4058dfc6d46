// SPDX-License-Identifier: MIT
#include "server/guard.h"

#include <phosphene/clock.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WINDOW_NS (60 * PH_SECOND_NS)

bool ph_host_name(const char *host, char name[256])
{
    size_t n;
    if (host[0] == '[') {
        n = strspn(host + 1, "0123456789abcdefABCDEF:.");
        if (!n || host[n + 1] != ']') return false;
        n += 2;
    } else {
        n = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");
        if (!n) return false;
    }
    const char *rest = host + n;
    if (*rest == ':' && strspn(rest + 1, "0123456789") > 5) return false;
    if (*rest && (*rest != ':' || rest[1 + strspn(rest + 1, "0123456789")])) return false;
    if (n > 1 && host[n - 1] == '.') n--;
    if (n >= 256) return false;
    memcpy(name, host, n);
    name[n] = 0;
    return true;
}

static bool listed(const char *text, const char *const *list)
{
    for (; list && *list; list++)
        if (!strcasecmp(text, *list)) return true;
    return false;
}

bool ph_host_known(const char *host, const char *local, const char *const *more)
{
    static const char *const loopback[] = { "localhost", "127.0.0.1", "[::1]", NULL };
    char name[256];
    if (!host || !ph_host_name(host, name)) return false;
    return listed(name, loopback) || !strcasecmp(name, local) || listed(name, more);
}

bool ph_origin_known(const char *origin, bool tls, const char *host, const char *const *more)
{
    char own[300];
    snprintf(own, sizeof own, "%s://%s", tls ? "https" : "http", host ? host : "");
    return !strcasecmp(origin, own) || listed(origin, more);
}

bool ph_auth_limited(const struct ph_auth_limit *a, const struct ph_address *who, int limit,
                     int64_t now_ns)
{
    for (int i = 0; i < PH_AUTH_SLOTS; i++)
        if (!memcmp(&a->slot[i].who, who, sizeof *who) && a->slot[i].failures >= limit &&
            now_ns - a->slot[i].since_ns < WINDOW_NS)
            return true;
    return false;
}

void ph_auth_failed(struct ph_auth_limit *a, const struct ph_address *who, int64_t now_ns)
{
    int use = 0;
    for (int i = 0; i < PH_AUTH_SLOTS; i++) {
        bool same = !memcmp(&a->slot[i].who, who, sizeof *who) && a->slot[i].failures;
        if (same && now_ns - a->slot[i].since_ns < WINDOW_NS) {
            a->slot[i].failures++;
            return;
        }
        // one entry an address: its own old one is renewed, else the oldest makes room
        if (same) {
            use = i;
            break;
        }
        if (a->slot[i].since_ns < a->slot[use].since_ns) use = i;
    }
    a->slot[use].who = *who;
    a->slot[use].since_ns = now_ns;
    a->slot[use].failures = 1;
}
