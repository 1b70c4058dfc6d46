// SPDX-License-Identifier: MIT
// The real program on a terminal: what it writes there.
#ifndef PH_TEST_TERMINAL_H
#define PH_TEST_TERMINAL_H

#include "program.h"

#include <pty.h>

// TERMINAL(argument, …) on a terminal; its text. With `until`, it is interrupted as soon as it has
// written that: what is seen half-way is waited for, and given more work than it needs.
static inline const char *on_terminal_argv(const char *until, char *const *argv)
{
    static char text[1 << 18];
    size_t at = 0;
    int terminal;
    bool interrupted = false;
    temp_dir();
    setenv("TERM", "xterm", 1);
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    if (!pid) {
        execv(argv[0], argv);
        _exit(99);
    }
    for (ssize_t n; (n = read(terminal, text + at, sizeof text - 1 - at)) > 0;) {
        at += (size_t) n;
        text[at] = 0;
        if (until && !interrupted && strstr(text, until)) {
            interrupted = true;
            kill(pid, SIGINT);
        }
    }
    text[at] = 0;
    close(terminal);
    waitpid(pid, NULL, 0);
    return text;
}

static inline const char *on_terminal(const char *until, const char *first, ...)
{
    va_list more;
    va_start(more, first);
    const char *text = on_terminal_argv(until, argv_of(first, more));
    va_end(more);
    return text;
}

#define TERMINAL(...)              on_terminal(NULL, program(), __VA_ARGS__, NULL)
#define TERMINAL_UNTIL(until, ...) on_terminal(until, program(), __VA_ARGS__, NULL)

#endif
