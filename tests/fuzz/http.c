// SPDX-License-Identifier: MIT
// Request heads: what is accepted is clean, however the bytes were cut; lists, ranges and Host
// names are read from the same input.
#include "server/guard.h"
#include "server/handshake.h"
#include "server/http.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok) abort();
}

// Where the head ends must not depend on how its bytes arrive.
static ph_err scan_pieces(const char *text, size_t size, size_t step, size_t *len)
{
    size_t scanned = 0;
    ph_err ret = PH_MORE;
    for (size_t have = 0; ret == PH_MORE && have < size;) {
        have = have + step < size ? have + step : size;
        ret = ph_http_scan(text, have, &scanned, len, NULL);
    }
    return ret;
}

static void check_text(const char *text)
{
    check(ph_utf8_valid(text, strlen(text)));
    for (; *text; text++) check(*text != 0x7f);
}

static void read_value(const char *value)
{
    char name[256], accept[PH_WS_ACCEPT_SIZE];
    uint64_t first, count;
    ph_http_has_token(value, "upgrade");
    ph_http_accepts_gzip(value);
    for (uint64_t n = 0; n < 3; n++)
        if (ph_http_range(value, n * 1000, &first, &count) == PH_OK)
            check(count >= 1 && first < n * 1000 && count <= n * 1000 - first);
    if (ph_host_name(value, name)) check(strlen(name) > 0 && !strchr(name, '/'));
    ph_host_known(value, "10.0.0.1", NULL);
    ph_origin_known(value, true, value, NULL);
    ph_ws_accept_key(value, accept);
}

static void check_head(const struct ph_http *h)
{
    check(h->path && h->path[0] == '/' && !strstr(h->path, "/../"));
    check_text(h->path);
    check(h->headers <= PH_HTTP_HEADERS_MAX && h->queries <= PH_HTTP_QUERIES_MAX);
    check(!ph_http_header(h, "transfer-encoding"));
    check(ph_http_header_count(h, "host") == 1 || h->minor == 0);
    for (int i = 0; i < h->queries; i++) {
        check_text(h->query[i].name);
        check_text(h->query[i].value);
    }
    for (int i = 0; i < h->headers; i++) {
        check(strpbrk(h->header[i].value, "\r\n") == NULL);
        check(strpbrk(h->header[i].name, " \t:ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL);
        read_value(h->header[i].value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ph_http h;
    struct ph_fault fault = { 0 };
    size_t scanned = 0, len = 0, pieces_len = 0;
    int status = 0;
    if (!size) return 0;
    char *text = malloc(size); // not a byte to spare
    if (!text) return 0;
    memcpy(text, data, size);
    ph_err ret = ph_http_scan(text, size, &scanned, &len, &fault);
    check(scan_pieces(text, size, 1 + size % 7, &pieces_len) == ret && pieces_len == len);
    if (ret == PH_OK) {
        char *head = malloc(len);
        if (head) {
            memcpy(head, text, len);
            ret = ph_http_parse(head, len, PH_HTTP_HEADERS_MAX, &h, &status, &fault);
            if (ret == PH_OK)
                check_head(&h);
            else
                check(fault.message[0] && status >= 400 && status < 600);
        }
        free(head);
    } else if (ret < 0) {
        check(fault.message[0] != 0);
    }
    free(text);
    return 0;
}
