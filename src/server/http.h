// SPDX-License-Identifier: MIT
// A strict HTTP/1.1 request head parser (RFC 9112, RFC 9110): pure functions over a buffer, no
// socket, no allocation. Stricter than the standard where laxness has been an attack: CRLF only, no
// folded lines, no space before the colon, no Transfer-Encoding, one Content-Length of digits,
// origin-form targets without dot segments.
#ifndef PH_SERVER_HTTP_H
#define PH_SERVER_HTTP_H

#include <phosphene/common.h>

#define PH_HTTP_HEADERS_MAX 64
#define PH_HTTP_QUERIES_MAX 32
#define PH_HTTP_TARGET_MAX  4096

struct ph_http_pair {
    char *name, *value;
};

// Everything points into the parsed head.
struct ph_http {
    char *method;
    char *path; // decoded, begins with '/', UTF-8 without control characters
    int minor;  // HTTP/1.minor: 0 or 1
    bool keep_alive;
    bool has_length;
    uint64_t content_length;
    int headers, queries;
    struct ph_http_pair header[PH_HTTP_HEADERS_MAX]; // names in lower case
    struct ph_http_pair query[PH_HTTP_QUERIES_MAX];  // decoded
};

// Looks for the end of the head in buf[0..len). *scanned remembers how far an earlier call came
// (start with 0). PH_OK: *head_len bytes, the empty line included. PH_MORE: read on. PH_EFORMAT: a
// byte that no request head has, so that garbage is refused at once.
ph_err ph_http_scan(const char *buf, size_t len, size_t *scanned, size_t *head_len,
                    struct ph_fault *fault);

// Parses a whole head in place (the bytes are rewritten). On failure *status is what HTTP has for
// it: 400, 414, 431, 501, 505; fault says why.
ph_err ph_http_parse(char *head, size_t len, int max_headers, struct ph_http *out, int *status,
                     struct ph_fault *fault);

const char *ph_http_header(const struct ph_http *h, const char *lower_name); // NULL = none
int ph_http_header_count(const struct ph_http *h, const char *lower_name);
// Whether a comma-separated list has that element (any case), parameters after ';' aside.
bool ph_http_has_token(const char *list, const char *token);
// Calls for every element of a list; stops at true and returns it.
bool ph_http_each_token(const char *list, bool (*fn)(void *arg, const char *at, size_t len),
                        void *arg);
bool ph_http_accepts_gzip(const char *accept_encoding); // NULL = no

// "bytes=a-b" of a file of `size`: PH_OK one range, PH_MORE no (or not a single) range asked for,
// PH_ELIMIT nothing of it is there.
ph_err ph_http_range(const char *range, uint64_t size, uint64_t *first, uint64_t *count);

const char *ph_http_reason(int status); // "Not Found"
bool ph_utf8_valid(const char *text, size_t len);

#endif
