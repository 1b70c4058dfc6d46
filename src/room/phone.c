// SPDX-License-Identifier: MIT
// How a phone on the same network gets here: this machine's addresses, each as a QR code.
#include "room/room_priv.h"

#include "core/qr.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static void put_code(struct ph_buf *b, const char *url)
{
    struct ph_qr qr;
    ph_json_key(b, "qr");
    if (ph_qr_encode(&qr, url) < 0) {
        ph_buf_puts(b, "null"); // too long: it is to be typed
        return;
    }
    ph_buf_puts(b, "[");
    for (int y = 0; y < qr.side; y++) {
        char row[PH_QR_SIDE_MAX + 1] = "";
        for (int x = 0; x < qr.side; x++) row[x] = qr.dark[y][x] ? '1' : '0';
        row[qr.side] = 0;
        ph_json_sep(b);
        ph_json_str(b, row);
    }
    ph_buf_puts(b, "]");
}

// RFC 3986, 3.2.2: an IPv6 address stands in brackets, and (RFC 6874) its zone after %25.
static void put_host(char *out, size_t size, const char *host)
{
    const char *zone = strchr(host, '%');
    int len = zone ? (int) (zone - host) : (int) strlen(host);
    if (strchr(host, ':'))
        snprintf(out, size, "[%.*s%s%s]", len, host, zone ? "%25" : "", zone ? zone + 1 : "");
    else
        snprintf(out, size, "%s", host);
}

static void put_url(struct ph_buf *b, const struct ph_rooms *house, const char *host,
                    const char *room)
{
    char url[512], there[128];
    const char *token = ph_server_token(house->server);
    put_host(there, sizeof there, host);
    snprintf(url, sizeof url, "%s://%s:%d/phone.html?room=%s%s%s",
             house->par.tls_cert ? "https" : "http", there, ph_server_port(house->server), room,
             token ? "#token=" : "", token ? token : "");
    ph_json_sep(b);
    ph_buf_puts(b, "{\"url\":");
    ph_json_str(b, url);
    put_code(b, url);
    ph_buf_puts(b, "}");
}

// One that a phone can type: of IPv6 those that hold beyond the link, which need no zone.
static bool address_of(const struct sockaddr *at, bool v6, char host[INET6_ADDRSTRLEN])
{
    if (at && at->sa_family == AF_INET)
        return inet_ntop(AF_INET, &((const struct sockaddr_in *) (const void *) at)->sin_addr,
                         host, INET6_ADDRSTRLEN);
    if (!at || at->sa_family != AF_INET6 || !v6) return false;
    const struct in6_addr *six = &((const struct sockaddr_in6 *) (const void *) at)->sin6_addr;
    return !IN6_IS_ADDR_LINKLOCAL(six) && inet_ntop(AF_INET6, six, host, INET6_ADDRSTRLEN);
}

static void put_addresses(struct ph_buf *b, const struct ph_rooms *house, const char *room)
{
    const char *bind = house->par.bind ? house->par.bind : "127.0.0.1";
    bool all = !strcmp(bind, "0.0.0.0") || !strcmp(bind, "::");
    struct ifaddrs *list = NULL;
    if (!all) {
        put_url(b, house, bind, room);
        return;
    }
    if (getifaddrs(&list)) return;
    for (const struct ifaddrs *a = list; a; a = a->ifa_next) {
        char host[INET6_ADDRSTRLEN];
        if (a->ifa_flags & IFF_LOOPBACK || !(a->ifa_flags & IFF_UP)) continue;
        if (address_of(a->ifa_addr, !strcmp(bind, "::"), host)) put_url(b, house, host, room);
    }
    freeifaddrs(list);
}

static bool is_loopback(const char *bind)
{
    return !bind || !strncmp(bind, "127.", 4) || !strcmp(bind, "localhost") ||
           !strcmp(bind, "::1");
}

void ph_phone(void *opaque, struct ph_request *req)
{
    const struct ph_rooms *house = opaque;
    struct ph_room *room = ph_rooms_find(opaque, ph_request_query(req, "room"));
    struct ph_buf b = { 0 };
    if (!room) {
        ph_reply_error(req, 404, "room", "there is no such room");
        return;
    }
    ph_buf_puts(&b, "{\"addresses\":[");
    put_addresses(&b, house, room->name);
    ph_buf_puts(&b, "],\"problem\":");
    if (is_loopback(house->par.bind))
        ph_json_str(&b,
                    "This server listens on this machine only: start it with --bind 0.0.0.0");
    else if (!house->par.tls_cert)
        ph_json_str(&b,
                    "A phone gives its camera to https only: start the server with --tls-cert "
                    "and --tls-key");
    else
        ph_buf_puts(&b, "null");
    ph_buf_puts(&b, "}");
    ph_room_unref(&room);
    if (b.failed)
        ph_reply_error(req, 503, "", "out of memory");
    else
        ph_reply_json(req, 200, b.data, b.len);
    ph_buf_free(&b);
}
