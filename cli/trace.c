// SPDX-License-Identifier: MIT
// phosphene trace: the last seconds of a room as a Chrome trace.
#include "cli.h"
#include "http.h"

#include <stdlib.h>
#include <string.h>

static int run_trace(struct cli_args *args)
{
    char *body = NULL;
    struct ph_fault fault = { 0 };
    const char *path = cli_text(args, "output");
    cli_catch_signals();
    int status = cli_room_get(args, "/api/v1/rooms/%s/trace", &body, NULL);
    if (status) return status;
    if (!strcmp(path, "-"))
        fputs(body, stdout);
    else if (cli_write_file(path, body, &fault) < 0)
        status = cli_fault("", NULL, &fault);
    else if (!cli_flag(args, "quiet"))
        fprintf(stderr, "wrote %s; open it at ui.perfetto.dev or chrome://tracing\n", path);
    free(body);
    return status;
}

// clang-format off
static const struct cli_option options[] = {
    { "output", 'o', "FILE", "trace.json", "file to write; - is stdout", "Output", .words = CLI_FILE, .flags = CLI_NO_ENV },
    CLI_SERVER_OPTIONS,
    { 0 },
};
// clang-format on
static const struct cli_example examples[] = {
    { "phosphene trace -o trace.json", "of the server on this machine" },
    { 0 },
};
const struct cli_command cli_trace = {
    .name = "trace",
    .args = "[URL]",
    .help = "save what a room's threads did in the last seconds",
    .text = "One bar for each run of each node, in the Chrome trace format. phosphene run "
            "--trace does the same without a server.",
    .examples = examples,
    .options = options,
    .max_words = 1,
    .run = run_trace,
};
