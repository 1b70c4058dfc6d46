// SPDX-License-Identifier: MIT
// phosphene top: a room's rates, times, queues and drops, twice a second.
#include "cli.h"
#include "http.h"
#include "table.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define ROOM_PATH "/api/v1/rooms/%s"

static int print_once(const struct cli_args *args)
{
    char *body = NULL;
    struct ph_json_doc *doc = NULL;
    int status = cli_room_get(args, ROOM_PATH, &body, NULL);
    if (status) return status;
    if (cli_flag(args, "json"))
        puts(body);
    else if (ph_json_parse(&doc, body, strlen(body), 0, NULL) == PH_OK)
        cli_print_room(stdout, ph_json_root(doc), 0, 200, "\n");
    else
        status = CLI_FAILED;
    ph_json_free(&doc);
    free(body);
    return status;
}

// The alternate screen without cursor, keys without Return.
static bool screen_enter(struct termios *before)
{
    struct termios raw;
    bool keys = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, before);
    if (keys) {
        raw = *before;
        raw.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    fputs("\033[?1049h\033[?25l", stdout);
    return keys;
}

static void screen_leave(bool keys, const struct termios *before)
{
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    if (keys) tcsetattr(STDIN_FILENO, TCSANOW, before);
}

static void draw(const struct cli_args *args)
{
    char *body = NULL;
    struct ph_fault fault = { 0 };
    struct ph_json_doc *doc = NULL;
    int status = cli_room_get(args, ROOM_PATH, &body, &fault);
    fputs("\033[H", stdout);
    if (!status && ph_json_parse(&doc, body, strlen(body), 0, &fault) == PH_OK)
        cli_print_room(stdout, ph_json_root(doc), cli_rows(stdout) - 1, cli_columns(stdout),
                       "\033[K\r\n");
    else
        printf("%s; trying again\033[K\r\n", fault.message);
    fputs("\033[J\033[2mq quits\033[0m", stdout);
    fflush(stdout);
    ph_json_free(&doc);
    free(body);
}

static bool quit_pressed(bool keys)
{
    struct pollfd p = { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN };
    char key = 0;
    if (poll(&p, 1, 500) != 1) return false;
    return read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 3;
}

static int run_top(struct cli_args *args)
{
    struct termios before;
    cli_catch_signals();
    bool once = cli_flag(args, "once") || cli_flag(args, "json") || !isatty(STDOUT_FILENO);
    if (once) return print_once(args);
    bool keys = screen_enter(&before);
    do draw(args);
    while (!cli_signal && !quit_pressed(keys));
    screen_leave(keys, &before);
    return CLI_OK;
}

static const struct cli_option options[] = {
    { "once", '1', .help = "print once and end", .group = "Output", .flags = CLI_NO_ENV },
    { "json", 0, .help = "print the room document once", .group = "Output" },
    CLI_SERVER_OPTIONS,
    { 0 },
};
static const struct cli_example examples[] = {
    { "phosphene top", "the server on this machine" },
    { "phosphene top 'http://studio:8080/#token=…'", "another one: the URL that it printed" },
    { "phosphene top --once --json | jq .bottleneck", "for a script" },
    { 0 },
};
const struct cli_command cli_top = {
    .name = "top",
    .args = "[URL]",
    .help = "watch a room: rates, times of each node, queues, drops",
    .text = "",
    .examples = examples,
    .options = options,
    .max_words = 1,
    .run = run_top,
};
