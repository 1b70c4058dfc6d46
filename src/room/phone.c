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

static void put_url(struct ph_buf *b, const struct ph_rooms *house, const char *host,
                    const char *room)
{
    char url[512];
    const char *token = ph_server_token(house->server);
    snprintf(url, sizeof url, "%s://%s:%d/phone.html?room=%s%s%s",
             house->par.tls_cert ? "https" : "http", host, ph_server_port(house->server), room,
             token ? "#token=" : "", token ? token : "");
    ph_json_sep(b);
    ph_buf_puts(b, "{\"url\":");
    ph_json_str(b, url);
    put_code(b, url);
    ph_buf_puts(b, "}");
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
        char host[INET_ADDRSTRLEN];
        if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET) continue;
        if (a->ifa_flags & IFF_LOOPBACK || !(a->ifa_flags & IFF_UP)) continue;
        const struct sockaddr_in *in = (const void *) a->ifa_addr;
        if (inet_ntop(AF_INET, &in->sin_addr, host, sizeof host)) put_url(b, house, host, room);
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
