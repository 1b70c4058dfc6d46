// SPDX-License-Identifier: MIT
// A request's way from bytes to its handler: checks in the order that tells a stranger least.
#include "server/server_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

// -------------------------------------------------------------------------------------- routes

static bool is_param(const char *segment, size_t n)
{
    return n > 2 && segment[0] == '{' && segment[n - 1] == '}';
}

// How well the pattern matches: 0 not at all, else more with every literal segment.
static int match(const char *pattern, const char *path, struct ph_request *req)
{
    int score = 1;
    for (;;) {
        pattern += *pattern == '/';
        path += *path == '/';
        size_t n = strcspn(pattern, "/"), m = strcspn(path, "/");
        bool rest = is_param(pattern, n) && pattern[n - 2] == '*';
        if (rest) m = strlen(path);
        if (!n && !m) return *path ? 0 : score + 1;
        if (is_param(pattern, n) && (m || rest)) {
            if (req && req->param_count < PARAMS_MAX)
                req->param[req->param_count++] =
                    (struct ph_http_pair){ strndup(pattern + 1, n - (rest ? 3 : 2)),
                                           strndup(path, m) };
            if (rest) return score;
        } else if (n && n == m && !memcmp(pattern, path, n)) {
            score += 16;
        } else {
            return 0;
        }
        pattern += n;
        path += m;
    }
}

// The best route that has the method; *allowed collects the methods of all that match.
static const struct route *find_route(const struct ph_server *s, const char *path,
                                      enum ph_method method, unsigned *allowed)
{
    const struct route *best = NULL;
    int best_score = 0;
    *allowed = 0;
    for (int i = 0; i < s->route_count; i++) {
        int score = match(s->routes[i].r.path, path, NULL);
        if (!score) continue;
        *allowed |= s->routes[i].r.methods;
        if (!(s->routes[i].r.methods & method) || score <= best_score) continue;
        best = &s->routes[i];
        best_score = score;
    }
    return best;
}

static ph_err add_route(struct ph_server *s, const struct route *route)
{
    size_t n = (size_t) s->route_count;
    struct route *routes = realloc(s->routes, (n + 1) * sizeof *routes);
    if (!routes) return PH_ENOMEM;
    routes[n] = *route;
    s->routes = routes;
    s->route_count++;
    return PH_OK;
}

ph_err ph_server_route(struct ph_server *s, const struct ph_route *route)
{
    return add_route(s, &(struct route){ .r = *route });
}

ph_err ph_server_ws(struct ph_server *s, const char *path, const struct ph_ws_hooks *hooks,
                    void *opaque)
{
    struct ph_route r = { .methods = PH_GET, .path = path, .opaque = opaque };
    return add_route(s, &(struct route){ .r = r, .ws = hooks });
}

ph_err ph_server_resources(struct ph_server *s, const struct ph_resource *table)
{
    for (; table->path; table++) {
        struct route route = { .r = { .methods = PH_GET, .path = table->path, .open = true },
                               .resource = table };
        const void *bytes = table->data ? table->data : table->gz;
        size_t n = table->data ? table->size : table->gz_size;
        uint64_t hash = UINT64_C(0xcbf29ce484222325); // FNV-1a
        for (size_t i = 0; i < n; i++)
            hash = (hash ^ ((const uint8_t *) bytes)[i]) * UINT64_C(0x100000001b3);
        snprintf(route.etag, sizeof route.etag, "\"%016llx\"", (unsigned long long) hash);
        ph_err ret = add_route(s, &route);
        if (ret < 0) return ret;
    }
    return PH_OK;
}

// ------------------------------------------------------------------------------------- refusals

void ph_request_refuse(struct ph_request *req, int status, enum ph_server_refusal why,
                       const char *field, const char *fmt, ...)
{
    struct ph_conn *c = req->conn;
    struct ph_fault fault = { .code = PH_EINVAL };
    va_list args;
    va_start(args, fmt);
    snprintf(fault.field, sizeof fault.field, "%s", field ? field : "");
    vsnprintf(fault.message, sizeof fault.message, fmt, args);
    va_end(args);
    ph_server_refused(c->server, why);
    if (status == 408 || why == PH_REFUSED_FORMAT) c->keep_alive = false;
    if (status == 401) ph_reply_header(req, "WWW-Authenticate", "Bearer");
    ph_reply_fault(req, status, &fault);
}

// A wrong token's answer waits 100 to 300 ms, without holding up anybody else.
static void refuse_later(struct ph_conn *c, int status)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0) random = (uint32_t) c->id;
    c->refusal = status;
    c->keep_alive = false;
    c->state = CONN_WAIT;
    c->deadline_ns = c->server->now_ns + 100 * PH_MS_NS + random % 200 * PH_MS_NS;
}

// --------------------------------------------------------------------------------------- token

ph_err ph_token_check(struct ph_conn *c, const char *given, size_t len)
{
    struct ph_server *s = c->server;
    if (!s->token[0]) return PH_OK;
    if (!given) return PH_MORE;
    if (ph_auth_limited(&s->auth, &c->address, s->limits.auth_failures_per_minute, s->now_ns))
        return PH_ELIMIT;
    if (ph_token_equal(s->token, given, len)) return PH_OK;
    ph_auth_failed(&s->auth, &c->address, s->now_ns);
    return PH_EINVAL;
}

struct given {
    const char *at;
    size_t len;
};

static bool is_token_offer(void *arg, const char *at, size_t len)
{
    if (len <= 6 || strncmp(at, "token.", 6)) return false;
    *(struct given *) arg = (struct given){ at + 6, len - 6 };
    return true;
}

static struct given token_given(const struct ph_request *req)
{
    struct given g = { 0 };
    const char *bearer = ph_http_header(&req->http, "authorization");
    if (bearer && !strncasecmp(bearer, "Bearer ", 7)) {
        bearer += 7 + strspn(bearer + 7, " ");
        return (struct given){ bearer, strlen(bearer) };
    }
    for (int i = 0; i < req->http.headers; i++)
        if (req->upgrade && !strcmp(req->http.header[i].name, "sec-websocket-protocol") &&
            ph_http_each_token(req->http.header[i].value, is_token_offer, &g))
            break;
    return g;
}

// False when an answer is under way. Only what becomes a WebSocket may show its token later: the
// headers that ask for one are not enough, any request can have them.
static bool check_token(struct ph_request *req)
{
    struct ph_conn *c = req->conn;
    struct given g = token_given(req);
    bool later = req->upgrade && req->route && req->route->ws;
    ph_err ret = ph_token_check(c, g.at, g.len);
    req->authorized = ret == PH_OK;
    if (ret == PH_OK || (ret == PH_MORE && later)) return true;
    if (ret == PH_MORE)
        ph_request_refuse(req, 401, PH_REFUSED_AUTH, "token",
                          "a token is needed: Authorization: Bearer …");
    else if (ret == PH_ELIMIT)
        ph_request_refuse(req, 429, PH_REFUSED_AUTH, "token",
                          "too many wrong tokens from here, wait a minute");
    else
        refuse_later(c, 401);
    return false;
}

// -------------------------------------------------------------------------------------- checks

static bool check_syntax(struct ph_request *req)
{
    static const struct {
        const char *name;
        enum ph_method method;
    } methods[] = { { "GET", PH_GET },     { "HEAD", PH_GET },      { "POST", PH_POST },
                    { "PATCH", PH_PATCH }, { "DELETE", PH_DELETE }, { "PUT", PH_PUT } };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (!strcmp(req->http.method, methods[i].name)) req->method = methods[i].method;
    req->is_head = !strcmp(req->http.method, "HEAD");
    const char *expect = ph_http_header(&req->http, "expect");
    if (!req->method && strcmp(req->http.method, "OPTIONS"))
        ph_request_refuse(req, 501, PH_REFUSED_FORMAT, "method",
                          "GET, HEAD, POST, PATCH, DELETE, PUT or OPTIONS");
    else if (expect)
        ph_request_refuse(req, 417, PH_REFUSED_FORMAT, "Expect", "send the body at once");
    else if (req->http.content_length && (req->method == PH_GET || !req->method))
        ph_request_refuse(req, 400, PH_REFUSED_FORMAT, "Content-Length", "%s has no body",
                          req->http.method);
    return !req->replied;
}

// A page from elsewhere may neither reach us under a name of its own (DNS rebinding) nor by ours.
static bool check_source(struct ph_request *req)
{
    struct ph_conn *c = req->conn;
    struct ph_server *s = c->server;
    const char *const *origins = (const char *const *) s->origins;
    const char *host = ph_http_header(&req->http, "host");
    const char *origin = ph_http_header(&req->http, "origin");
    const char *site = ph_http_header(&req->http, "sec-fetch-site");
    const char *mode = ph_http_header(&req->http, "sec-fetch-mode");
    bool embedded = site && !strcmp(site, "cross-site") && (!mode || strcmp(mode, "navigate"));
    if (!ph_host_known(host, c->local, (const char *const *) s->hosts))
        ph_request_refuse(
            req, 403, PH_REFUSED_HOST, "Host",
            "this server is not known by that name; allow it with --allowed-hosts");
    else if (origin && !ph_origin_known(origin, s->tls != NULL, host, origins))
        ph_request_refuse(req, 403, PH_REFUSED_HOST, "Origin",
                          "pages from there may not use this server; allow them with "
                          "--cors-origins");
    else if (embedded && !origin && !origins[0])
        ph_request_refuse(req, 403, PH_REFUSED_HOST, "Sec-Fetch-Site",
                          "other sites may not embed this server");
    return !req->replied;
}

static void methods_text(unsigned methods, char *text, size_t size)
{
    static const char *const names[] = { "GET, HEAD", "POST", "PATCH", "DELETE", "PUT" };
    size_t n = 0;
    text[0] = 0;
    for (unsigned i = 0; i < 5 && n < size; i++)
        if (methods & 1u << i)
            n += (size_t) snprintf(text + n, size - n, "%s%s", n ? ", " : "", names[i]);
}

// The browser asks before a listed origin's page may do more than a form could.
static bool answer_preflight(struct ph_request *req, unsigned allowed)
{
    char methods[64];
    if (req->method) return false;
    methods_text(allowed, methods, sizeof methods);
    ph_reply_header(req, "Allow", methods);
    ph_reply_header(req, "Access-Control-Allow-Methods", methods);
    ph_reply_header(req, "Access-Control-Allow-Headers", "Authorization, Content-Type");
    ph_reply_header(req, "Access-Control-Max-Age", "600");
    ph_reply_status(req, 204);
    return true;
}

static bool check_route(struct ph_request *req)
{
    char methods[64];
    unsigned allowed;
    req->route = find_route(req->conn->server, req->http.path, req->method, &allowed);
    if (answer_preflight(req, allowed)) return false;
    bool known = req->route && req->route->r.open;
    if (!known && !check_token(req)) return false;
    if (req->route) {
        match(req->route->r.path, req->http.path, req);
        for (int i = 0; i < req->param_count; i++)
            if (!req->replied && (!req->param[i].name || !req->param[i].value))
                ph_reply_error(req, 503, NULL, "out of memory");
        return !req->replied;
    }
    if (!allowed) {
        ph_reply_error(req, 404, NULL, "there is no %s", req->http.path);
        return false;
    }
    methods_text(allowed, methods, sizeof methods);
    ph_reply_header(req, "Allow", methods);
    ph_reply_error(req, 405, "method", "%s, got %s", methods, req->http.method);
    return false;
}

static bool is_json(const struct ph_http *h)
{
    const char *type = ph_http_header(h, "content-type");
    size_t n = type ? strcspn(type, "; \t") : 0;
    return n == 16 && !strncasecmp(type, "application/json", 16);
}

// Forms of other sites can POST, but not with this type.
static bool check_body(struct ph_request *req)
{
    size_t limit = req->conn->server->limits.body_bytes;
    if (req->method != PH_GET && !is_json(&req->http))
        ph_request_refuse(req, 415, PH_REFUSED_FORMAT, "Content-Type",
                          "%s needs Content-Type: application/json", req->http.method);
    else if (req->http.content_length > limit)
        ph_request_refuse(req, 413, PH_REFUSED_LIMIT, "body", "at most %zu bytes", limit);
    return !req->replied;
}

// -------------------------------------------------------------------------------- to the handler

static void dispatch(struct ph_request *req)
{
    struct ph_conn *c = req->conn;
    c->state = CONN_WAIT;
    c->deadline_ns = PH_NEVER;
    if (req->route->ws) {
        ph_upgrade_begin(req);
        return;
    }
    if (req->route->resource)
        ph_reply_static(req, req->route->resource, req->route->etag);
    else
        req->route->r.handle(req->route->r.opaque, req);
    if (req->replied || req->deferred || c->state == CONN_DEAD) return;
    ph_error(c->server->par.log, WHO, "the handler of %s did not reply", req->route->r.path);
    ph_reply_error(req, 500, NULL, "no reply was made");
}

void ph_request_body_done(struct ph_conn *c)
{
    c->request.body[c->request.body_len] = 0;
    dispatch(&c->request);
}

// What has come of the body with the head is moved to where the rest will go.
static void begin_body(struct ph_conn *c)
{
    struct ph_request *req = &c->request;
    size_t want = (size_t) req->http.content_length, have = c->in_len - c->head_len;
    if (!want) {
        dispatch(req);
        return;
    }
    if (have > want) have = want;
    size_t cap = want < 65536 ? want : have < 65536 ? 65536 : have;
    req->body = malloc(cap + 1);
    if (!req->body) {
        c->keep_alive = false;
        ph_reply_error(req, 503, NULL, "out of memory");
        return;
    }
    if (have) memcpy(req->body, c->in + c->head_len, have);
    req->body_cap = cap;
    req->body_len = have;
    req->body[have] = 0;
    c->head_len += have;
    if (have == want)
        dispatch(req);
    else
        c->state = CONN_BODY;
}

static void handle_head(struct ph_conn *c)
{
    struct ph_request *req = &c->request;
    struct ph_fault fault = { 0 };
    int status;
    count_add(c->server->requests, 1);
    c->keep_alive = false;
    if (ph_http_parse(c->in, c->head_len, c->server->limits.headers, &req->http, &status,
                      &fault) < 0) {
        req->http.path = NULL;
        ph_request_refuse(req, status, status == 431 ? PH_REFUSED_LIMIT : PH_REFUSED_FORMAT,
                          fault.field, "%s", fault.message);
        return;
    }
    c->keep_alive = req->http.keep_alive;
    req->upgrade = ph_request_is_upgrade(&req->http);
    if (check_syntax(req) && check_source(req) && check_route(req) && check_body(req))
        begin_body(c);
}

bool ph_request_input(struct ph_conn *c)
{
    struct ph_fault fault = { 0 };
    size_t limit = c->server->limits.header_bytes;
    ph_err ret = ph_http_scan(c->in, c->in_len, &c->scanned, &c->head_len, &fault);
    if (ret == PH_MORE && c->in_len <= limit) return false;
    if (ret == PH_OK && c->head_len <= limit) {
        handle_head(c);
        return true;
    }
    bool long_head = ret >= 0;
    c->head_len = c->in_len;
    c->keep_alive = false;
    if (long_head)
        ph_request_refuse(&c->request, 431, PH_REFUSED_LIMIT, "header",
                          "at most %zu bytes of request line and headers", limit);
    else
        ph_request_refuse(&c->request, 400, PH_REFUSED_FORMAT, fault.field, "%s",
                          fault.message);
    return true;
}

void ph_request_end(struct ph_request *req)
{
    struct ph_conn *c = req->conn;
    for (int i = 0; i < req->param_count; i++) {
        free(req->param[i].name);
        free(req->param[i].value);
    }
    free(req->body);
    ph_json_free(&req->json);
    ph_buf_free(&req->headers);
    *req = (struct ph_request){ .conn = c };
}

// ----------------------------------------------------------------------------------- accessors

enum ph_method ph_request_method(const struct ph_request *req)
{
    return req->method;
}

const char *ph_request_path(const struct ph_request *req)
{
    return req->http.path;
}

const char *ph_request_remote(const struct ph_request *req)
{
    return req->conn->remote;
}

const char *ph_request_param(const struct ph_request *req, const char *name)
{
    for (int i = 0; i < req->param_count; i++)
        if (req->param[i].name && !strcmp(req->param[i].name, name)) return req->param[i].value;
    return NULL;
}

const char *ph_request_query(const struct ph_request *req, const char *name)
{
    for (int i = 0; i < req->http.queries; i++)
        if (!strcmp(req->http.query[i].name, name)) return req->http.query[i].value;
    return NULL;
}

const char *ph_request_header(const struct ph_request *req, const char *name)
{
    for (int i = 0; i < req->http.headers; i++)
        if (!strcasecmp(req->http.header[i].name, name)) return req->http.header[i].value;
    return NULL;
}

bool ph_request_authorized(const struct ph_request *req)
{
    return req->authorized;
}

const void *ph_request_body(const struct ph_request *req, size_t *size)
{
    *size = req->body_len;
    return req->body ? req->body : "";
}

const struct ph_json *ph_request_json(struct ph_request *req)
{
    struct ph_fault fault = { 0 };
    if (!req->json &&
        ph_json_parse(&req->json, req->body ? req->body : "", req->body_len, 0, &fault) < 0) {
        ph_reply_fault(req, fault.code == PH_ENOMEM ? 503 : 400, &fault);
        return NULL;
    }
    const struct ph_json *root = ph_json_root(req->json);
    if (root->type == PH_JSON_OBJECT) return root;
    ph_reply_error(req, 400, "body", "a JSON object");
    return NULL;
}

static bool same_offer(void *arg, const char *at, size_t len)
{
    const char *want = arg;
    return strlen(want) == len && !memcmp(at, want, len);
}

bool ph_request_offers(const struct ph_request *req, const char *subprotocol)
{
    for (int i = 0; i < req->http.headers; i++)
        if (!strcmp(req->http.header[i].name, "sec-websocket-protocol") &&
            ph_http_each_token(req->http.header[i].value, same_offer,
                               (void *) (uintptr_t) subprotocol))
            return true;
    return false;
}
