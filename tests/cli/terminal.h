// SPDX-License-Identifier: MIT
// The real program on a terminal: what it writes there.
#ifndef PH_TEST_TERMINAL_H
#define PH_TEST_TERMINAL_H

#include "program.h"

#include <pty.h>

// TERMINAL(argument, …) on a terminal; its text. With stop_ms it is made to sleep for so
// long, in pieces: a quick machine takes its time.
static inline const char *on_terminal_argv(int stop_ms, char *const *argv)
{
    static char text[1 << 16];
    size_t at = 0;
    int terminal;
    temp_dir();
    setenv("TERM", "xterm", 1);
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    if (!pid) {
        execv(argv[0], argv);
        _exit(99);
    }
    for (int stopped = 0; stopped < stop_ms; stopped += 250) {
        sleep_ms(20);
        kill(pid, SIGSTOP);
        sleep_ms(250);
        kill(pid, SIGCONT);
    }
    for (ssize_t n; (n = read(terminal, text + at, sizeof text - 1 - at)) > 0;)
        at += (size_t) n;
    text[at] = 0;
    waitpid(pid, NULL, 0);
    return text;
}

static inline const char *on_terminal(int stop_ms, const char *first, ...)
{
    va_list more;
    va_start(more, first);
    const char *text = on_terminal_argv(stop_ms, argv_of(first, more));
    va_end(more);
    return text;
}

#define TERMINAL(...) on_terminal(0, program(), __VA_ARGS__, NULL)

#endif
