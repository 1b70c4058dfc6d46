// SPDX-License-Identifier: MIT
// Who may ask: Host, Origin, and how often a wrong token. Pure, without socket or clock.
#ifndef PH_SERVER_GUARD_H
#define PH_SERVER_GUARD_H

#include <phosphene/common.h>

// The name in a Host header, without port and brackets' content changed: "[::1]:80" gives "[::1]".
// False when it is malformed. A final dot is dropped.
bool ph_host_name(const char *host, char name[256]);
// DNS rebinding: a page from elsewhere can reach us by a name that it controls, so that only names
// we know are answered: loopback's, `local` (the address the connection came to, as "10.0.0.5" or
// "[fe80::1]") and `more` (NULL-terminated; may be NULL).
bool ph_host_known(const char *host, const char *local, const char *const *more);
// An Origin must be this server's own, scheme://Host, or listed.
bool ph_origin_known(const char *origin, bool tls, const char *host, const char *const *more);

// An address as a key: IPv4 as it is, IPv6 by its /64, since one host has them all.
struct ph_address {
    uint8_t bytes[16];
};

#define PH_AUTH_SLOTS 256
struct ph_auth_limit {
    struct {
        struct ph_address who;
        int64_t since_ns;
        int failures;
    } slot[PH_AUTH_SLOTS];
};
// Whether that address has had `limit` failures within the last minute.
bool ph_auth_limited(const struct ph_auth_limit *a, const struct ph_address *who, int limit,
                     int64_t now_ns);
void ph_auth_failed(struct ph_auth_limit *a, const struct ph_address *who, int64_t now_ns);

#endif
