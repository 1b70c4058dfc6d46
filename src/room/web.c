// SPDX-License-Identifier: MIT
#include "room/web.h"

#include <string.h>

static const char *type_of(const char *name)
{
    static const struct {
        const char *end, *type;
    } types[] = {
        { ".html", "text/html; charset=utf-8" }, { ".js", "text/javascript; charset=utf-8" },
        { ".css", "text/css; charset=utf-8" },   { ".svg", "image/svg+xml" },
        { ".json", "application/json" },         { ".png", "image/png" },
    };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (!strcmp(dot, types[i].end)) return types[i].type;
    return "application/octet-stream";
}

static void serve_file(void *opaque, struct ph_request *req)
{
    const char *name = ph_request_param(req, "rest");
    if (!name || !*name) name = "index.html";
    ph_reply_header(req, "Cache-Control", "no-store");
    ph_reply_file(req, opaque, name, type_of(name), NULL);
}

static ph_err openapi(struct ph_server *s)
{
    static struct ph_resource table[2];
    for (const struct ph_resource *r = ph_web_resources; r->path; r++)
        if (!strcmp(r->path, "/api/v1/openapi.json")) table[0] = *r;
    return ph_server_resources(s, table);
}

ph_err ph_web_routes(struct ph_server *s, const char *root)
{
    if (!root) return ph_server_resources(s, ph_web_resources);
    const struct ph_route files = { PH_GET, "/{rest*}", serve_file, (void *) (uintptr_t) root,
                                    .open = true };
    ph_err ret = ph_server_route(s, &files);
    return ret < 0 ? ret : openapi(s);
}
