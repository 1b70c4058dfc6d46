// SPDX-License-Identifier: MIT
// A small HTTP/1.1 client for our own server: GET, one request a connection.
#ifndef PH_CLI_HTTP_H
#define PH_CLI_HTTP_H

#include "options.h"

struct cli_server {
    char host[256], port[8], token[160]; // token "" = none
    bool tls;
    const char *ca; // certificate file to trust; NULL = the system's
};

// "http://host:port/#token=…", "https://…", "host:port", "host", ":8081"; NULL = this machine at `port`. The
// token: `token`, else the URL's, else for this machine the one in the state folder.
ph_err cli_server_parse(struct cli_server *server, const char *url, int port, const char *token,
                        struct ph_fault *fault);

struct cli_reply {
    int status; // 200
    char *body; // NUL-terminated; free it
    size_t size;
};
// PH_EDEVICE: nobody answers there. PH_EFORMAT: not an HTTP answer. PH_ETIMEOUT after 5 s without
// a byte. A status other than 200 is no failure here.
ph_err cli_http_get(const struct cli_server *server, const char *path, struct cli_reply *reply,
                    struct ph_fault *fault);

// GETs `path` of the server and room that the arguments of a command name (URL, --port, --token,
// --room); "%s" in path is the room, by default the server's first. Body malloc'ed. On failure says
// why, unless `fault` is given, and returns the exit status.
int cli_room_get(const struct cli_args *args, const char *path, char **body,
                 struct ph_fault *fault);
// The options for that; a command lists them in its own table.
// clang-format off
#define CLI_SERVER_OPTIONS \
    { "room", 'r', "NAME", .help = "room to look at [the first]", .group = "Server" }, \
    { "port", 0, "PORT", "8080", "port on this machine, where no URL is given", "Server", CLI_INT, 1, 65535 }, \
    { "token", 0, "TOKEN", .help = "the server's token [URL, then state folder]", .group = "Server" }, \
    { "tls-ca", 0, "FILE", .help = "certificate (PEM) to trust instead of the system's, for https", .group = "Server", .words = CLI_FILE }
// clang-format on

#endif
