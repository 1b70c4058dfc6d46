// SPDX-License-Identifier: MIT
#include "server/http.h"

#include <string.h>
#include <strings.h>

// ------------------------------------------------------------------------------- characters

static bool is_token_char(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    return c && strchr("!#$%&'*+-.^_`|~", c);
}

static int hex(unsigned char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Length of the sequence at s, 0 when it is not well-formed (RFC 3629).
static size_t utf8_sequence(const unsigned char *s, size_t len)
{
    if (s[0] < 0x80) return 1;
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n > len) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
    return n;
}

bool ph_utf8_valid(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *) text;
    for (size_t i = 0, n; i < len; i += n)
        if (!(n = utf8_sequence(s + i, len - i))) return false;
    return true;
}

// ------------------------------------------------------------------------------------- scan

ph_err ph_http_scan(const char *buf, size_t len, size_t *scanned, size_t *head_len,
                    struct ph_fault *fault)
{
    for (size_t i = *scanned; i < len; i++) {
        unsigned char c = (unsigned char) buf[i], before = i ? (unsigned char) buf[i - 1] : 0;
        *scanned = i + 1;
        if ((c == '\n') != (before == '\r'))
            return ph_fail(fault, PH_EFORMAT, "request", "lines end in CR LF");
        if ((c < 0x20 && c != '\r' && c != '\n' && c != '\t') || c == 0x7f)
            return ph_fail(fault, PH_EFORMAT, "request",
                           "byte 0x%02x is not HTTP (is this https on an http port?)", c);
        if (c == '\n' && i >= 3 && buf[i - 2] == '\n') {
            *head_len = i + 1;
            return PH_OK;
        }
    }
    return PH_MORE;
}

// ------------------------------------------------------------------------------ request line

// Decodes %XX in place; form: '+' is a space. False when it is malformed or not clean text.
static bool decode(char *text, bool form)
{
    char *to = text;
    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char) *at;
        if (c == '+' && form) c = ' ';
        if (c == '%') {
            int high = hex((unsigned char) at[1]);
            int low = high < 0 ? -1 : hex((unsigned char) at[2]);
            if (low < 0) return false;
            c = (unsigned char) (high << 4 | low);
            at += 2;
        }
        bool line = form && (c == '\n' || c == '\r' || c == '\t');
        if ((c < 0x20 && !line) || c == 0x7f) return false;
        *to++ = (char) c;
    }
    *to = 0;
    return ph_utf8_valid(text, (size_t) (to - text));
}

// "." and ".." mean something to file systems and nothing to us.
static bool has_dot_segment(const char *path)
{
    for (const char *at = path; (at = strchr(at, '/')); at++) {
        size_t n = strcspn(at + 1, "/");
        if ((n == 1 && at[1] == '.') || (n == 2 && at[1] == '.' && at[2] == '.')) return true;
    }
    return false;
}

static bool has_encoded_slash(const char *path)
{
    for (const char *at = path; (at = strchr(at, '%')); at++)
        if (!strncasecmp(at, "%2f", 3) || !strncasecmp(at, "%5c", 3)) return true;
    return false;
}

static ph_err parse_query(struct ph_http *h, char *text, struct ph_fault *fault)
{
    for (char *part; (part = strsep(&text, "&"));) {
        if (!*part) continue;
        if (h->queries == PH_HTTP_QUERIES_MAX)
            return ph_fail(fault, PH_ELIMIT, "query", "at most %d parameters",
                           PH_HTTP_QUERIES_MAX);
        char *value = strchr(part, '=');
        if (value)
            *value++ = 0;
        else
            value = part + strlen(part);
        if (!decode(part, true) || !decode(value, true))
            return ph_fail(fault, PH_EFORMAT, "query",
                           "%%XX escapes that give UTF-8 text without control characters");
        h->query[h->queries++] = (struct ph_http_pair){ part, value };
    }
    return PH_OK;
}

static ph_err parse_target(struct ph_http *h, char *target, int *status, struct ph_fault *fault)
{
    if (strlen(target) > PH_HTTP_TARGET_MAX) {
        *status = 414;
        return ph_fail(fault, PH_ELIMIT, "target", "at most %d bytes", PH_HTTP_TARGET_MAX);
    }
    if (target[0] != '/' || target[1] == '/')
        return ph_fail(fault, PH_EFORMAT, "target", "a path that begins with one '/'");
    for (const char *at = target; *at; at++)
        if (*at < 0x21 || *at == 0x7f || strchr("#\"<>\\^`{|}", *at))
            return ph_fail(fault, PH_EFORMAT, "target", "byte 0x%02x must be escaped",
                           (unsigned char) *at);
    char *query = strchr(target, '?');
    if (query) *query++ = 0;
    if (has_encoded_slash(target) || !decode(target, false) || has_dot_segment(target))
        return ph_fail(fault, PH_EFORMAT, "target",
                       "a path without '.', '..', escaped slashes or control characters");
    h->path = target;
    return query ? parse_query(h, query, fault) : PH_OK;
}

static ph_err parse_request_line(struct ph_http *h, char *line, int *status,
                                 struct ph_fault *fault)
{
    char *target = strchr(line, ' '), *version = target ? strchr(target + 1, ' ') : NULL;
    if (!version || target == line || strchr(version + 1, ' '))
        return ph_fail(fault, PH_EFORMAT, "request", "METHOD /path HTTP/1.1");
    *target++ = 0;
    *version++ = 0;
    for (const char *c = line; *c; c++)
        if (!is_token_char((unsigned char) *c))
            return ph_fail(fault, PH_EFORMAT, "request", "METHOD /path HTTP/1.1");
    if (strlen(line) > 16) {
        *status = 501;
        return ph_fail(fault, PH_ENOTSUP, "method", "a method that this server has");
    }
    h->method = line;
    if (strncmp(version, "HTTP/1.", 7) || (version[7] != '0' && version[7] != '1') ||
        version[8]) {
        *status = strncmp(version, "HTTP/", 5) ? 400 : 505;
        return ph_fail(fault, PH_EFORMAT, "version", "HTTP/1.1");
    }
    h->minor = version[7] - '0';
    return parse_target(h, target, status, fault);
}

// ---------------------------------------------------------------------------------- headers

static ph_err parse_header(struct ph_http *h, char *line, struct ph_fault *fault)
{
    char *colon = strchr(line, ':');
    if (!colon || colon == line)
        return ph_fail(fault, PH_EFORMAT, "header", "\"Name: value\", nothing else");
    *colon = 0;
    for (char *c = line; *c; c++) {
        if (!is_token_char((unsigned char) *c))
            return ph_fail(fault, PH_EFORMAT, "header",
                           "a name without spaces or special characters");
        if (*c >= 'A' && *c <= 'Z') *c = (char) (*c + 32);
    }
    char *value = colon + 1 + strspn(colon + 1, " \t");
    size_t n = strlen(value);
    while (n && (value[n - 1] == ' ' || value[n - 1] == '\t')) value[--n] = 0;
    h->header[h->headers++] = (struct ph_http_pair){ line, value };
    return PH_OK;
}

static ph_err parse_length(struct ph_http *h, struct ph_fault *fault)
{
    int count = ph_http_header_count(h, "content-length");
    if (!count) return PH_OK;
    const char *text = ph_http_header(h, "content-length");
    size_t n = strlen(text);
    if (count > 1 || n < 1 || n > 18 || strspn(text, "0123456789") != n)
        return ph_fail(fault, PH_EFORMAT, "Content-Length", "one number of digits");
    for (; *text; text++) h->content_length = h->content_length * 10 + (uint64_t) (*text - '0');
    h->has_length = true;
    return PH_OK;
}

static ph_err check_headers(struct ph_http *h, int *status, struct ph_fault *fault)
{
    if (ph_http_header(h, "transfer-encoding")) {
        *status = 501;
        return ph_fail(fault, PH_ENOTSUP, "Transfer-Encoding",
                       "send the body with a Content-Length");
    }
    int hosts = ph_http_header_count(h, "host");
    if (hosts > 1 || (hosts == 0 && h->minor == 1))
        return ph_fail(fault, PH_EFORMAT, "Host", "exactly one Host header");
    static const char *const single[] = {
        "origin",  "authorization",     "content-type",
        "upgrade", "sec-websocket-key", "sec-websocket-version"
    };
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++)
        if (ph_http_header_count(h, single[i]) > 1)
            return ph_fail(fault, PH_EFORMAT, single[i], "this header at most once");
    const char *connection = ph_http_header(h, "connection");
    h->keep_alive = h->minor == 1 && !ph_http_has_token(connection, "close");
    return parse_length(h, fault);
}

ph_err ph_http_parse(char *head, size_t len, int max_headers, struct ph_http *out, int *status,
                     struct ph_fault *fault)
{
    memset(out, 0, sizeof *out);
    *status = 400;
    if (len < 4 || memcmp(head + len - 4, "\r\n\r\n", 4) || memchr(head, 0, len))
        return ph_fail(fault, PH_EFORMAT, "request", "a head that ends in an empty line");
    head[len - 2] = 0;
    char *at = head, *end;
    ph_err ret = PH_OK;
    for (int line = 0; ret == PH_OK && (end = strstr(at, "\r\n")); line++, at = end + 2) {
        *end = 0;
        if (!line) {
            ret = parse_request_line(out, at, status, fault);
        } else if (out->headers == max_headers || out->headers == PH_HTTP_HEADERS_MAX) {
            *status = 431;
            ret = ph_fail(fault, PH_ELIMIT, "header", "at most %d headers", max_headers);
        } else {
            ret = parse_header(out, at, fault);
        }
    }
    return ret == PH_OK ? check_headers(out, status, fault) : ret;
}

const char *ph_http_header(const struct ph_http *h, const char *lower_name)
{
    for (int i = 0; i < h->headers; i++)
        if (!strcmp(h->header[i].name, lower_name)) return h->header[i].value;
    return NULL;
}

int ph_http_header_count(const struct ph_http *h, const char *lower_name)
{
    int n = 0;
    for (int i = 0; i < h->headers; i++) n += !strcmp(h->header[i].name, lower_name);
    return n;
}

// ------------------------------------------------------------------------------------ lists

bool ph_http_each_token(const char *list, bool (*fn)(void *arg, const char *at, size_t len),
                        void *arg)
{
    while (list && *list) {
        list += strspn(list, ", \t");
        size_t part = strcspn(list, ","), n = strcspn(list, ",;");
        while (n && (list[n - 1] == ' ' || list[n - 1] == '\t')) n--;
        if (n && fn(arg, list, n)) return true;
        list += part;
    }
    return false;
}

static bool same_token(void *arg, const char *at, size_t len)
{
    const char *want = arg;
    return strlen(want) == len && !strncasecmp(at, want, len);
}

bool ph_http_has_token(const char *list, const char *token)
{
    return ph_http_each_token(list, same_token, (void *) (uintptr_t) token);
}

// "gzip;q=0" is the one way to refuse it that occurs.
static bool wants_gzip(void *arg, const char *at, size_t len)
{
    if (len != 4 || strncasecmp(at, "gzip", 4)) return false;
    const char *q = at + len + strspn(at + len, " \t;");
    if (q[0] != 'q' || q[1] != '=') return true;
    return strspn(q + 2, "0.") != strcspn(q + 2, ", \t");
}

bool ph_http_accepts_gzip(const char *accept_encoding)
{
    return ph_http_each_token(accept_encoding, wants_gzip, NULL);
}

// ------------------------------------------------------------------------------------ range

// Digits at *text; false when there are none or too many.
static bool read_number(const char **text, uint64_t *out)
{
    size_t n = strspn(*text, "0123456789");
    if (n < 1 || n > 18) return false;
    *out = 0;
    for (; n; n--, ++*text) *out = *out * 10 + (uint64_t) (**text - '0');
    return true;
}

ph_err ph_http_range(const char *range, uint64_t size, uint64_t *first, uint64_t *count)
{
    if (!range || strncmp(range, "bytes=", 6)) return PH_MORE;
    uint64_t last = size - 1, n;
    const char *at = range + 6;
    if (*at == '-') {
        at++;
        if (!read_number(&at, &n) || *at) return PH_MORE;
        if (!n || !size) return PH_ELIMIT;
        *first = n < size ? size - n : 0;
    } else {
        if (!read_number(&at, first) || *at++ != '-') return PH_MORE;
        if (*at && (!read_number(&at, &n) || *at || n < *first)) return PH_MORE;
        if (at[-1] != '-' && n < last) last = n;
        if (*first >= size) return PH_ELIMIT;
    }
    *count = last - *first + 1;
    return PH_OK;
}

const char *ph_http_reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        { 101, "Switching Protocols" },
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 206, "Partial Content" },
        { 304, "Not Modified" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 416, "Range Not Satisfiable" },
        { 417, "Expectation Failed" },
        { 426, "Upgrade Required" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 503, "Service Unavailable" },
        { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status) return reasons[i].text;
    return "Status";
}
