// SPDX-License-Identifier: MIT
// Runs the real program and keeps what it said.
#ifndef PH_TEST_PROGRAM_H
#define PH_TEST_PROGRAM_H

#include "test.h"

#include "core/json.h"

#include <phosphene/clock.h>

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/stat.h>

struct output {
    char out[1 << 20], err[1 << 16];
    int status; // exit status; 128 + n for signal n
    double seconds;
};

struct child {
    pid_t pid;
    int out, err; // pipes; -1 = closed
    int64_t begin_ns;
};

static char temp_folder[64];

static inline void temp_remove(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", temp_folder);
    if (system(command)) fprintf(stderr, "%s stays\n", temp_folder);
}

// A folder of the case's own, which is also its home and state folder; gone at its end.
static inline const char *temp_dir(void)
{
    char *dir = temp_folder;
    if (*dir) return dir;
    strcpy(dir, "/tmp/phosphene-cli-XXXXXX");
    CHECK(mkdtemp(dir));
    atexit(temp_remove);
    setenv("HOME", dir, 1);
    setenv("XDG_STATE_HOME", dir, 1);
    return dir;
}

static inline const char *temp_path(const char *name)
{
    static char path[8][160];
    static int turn;
    char *p = path[turn++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", temp_dir(), name);
    return p;
}

static inline void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0 && !fclose(f));
}

static inline char *read_text(const char *path)
{
    static char text[1 << 22];
    FILE *f = fopen(path, "r");
    if (!f) return NULL;
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static inline struct child start_argv(char *const *argv)
{
    int out[2], err[2];
    temp_dir();
    CHECK_OK(pipe2(out, O_CLOEXEC));
    CHECK_OK(pipe2(err, O_CLOEXEC));
    struct child c = { .out = out[0], .err = err[0], .begin_ns = ph_now_ns() };
    c.pid = fork();
    if (!c.pid) {
        dup2(out[1], 1);
        dup2(err[1], 2);
        int null = open("/dev/null", O_RDONLY);
        dup2(null, 0);
        execvp(argv[0], argv);
        _exit(99);
    }
    close(out[1]);
    close(err[1]);
    return c;
}

static inline size_t drain(int *fd, char *text, size_t size, size_t at)
{
    ssize_t n = read(*fd, text + at, size - 1 - at);
    if (n <= 0) {
        close(*fd);
        *fd = -1;
        return at;
    }
    text[at + (size_t) n] = 0;
    return at + (size_t) n;
}

static inline const struct output *finish(struct child *c)
{
    static struct output o;
    size_t out = 0, err = 0;
    int status = 0;
    o.out[0] = o.err[0] = 0;
    while (c->out >= 0 || c->err >= 0) {
        struct pollfd p[2] = { { c->out, POLLIN, 0 }, { c->err, POLLIN, 0 } };
        poll(p, 2, -1);
        if (p[0].revents) out = drain(&c->out, o.out, sizeof o.out, out);
        if (p[1].revents) err = drain(&c->err, o.err, sizeof o.err, err);
    }
    CHECK(waitpid(c->pid, &status, 0) == c->pid);
    o.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    o.seconds = (double) (ph_now_ns() - c->begin_ns) / 1e9;
    return &o;
}

static inline char *const *argv_of(const char *first, va_list more)
{
    static const char *argv[32];
    int n = 0;
    for (const char *a = first; a; a = va_arg(more, const char *)) argv[n++] = a;
    argv[n] = NULL;
    return (char *const *) argv;
}

static inline const char *program(void)
{
    const char *p = getenv("PH_PROGRAM");
    if (!p) TEST_FAIL("PH_PROGRAM is not set: run by `meson test`");
    return p;
}

// start(program(), "run", …, NULL)
static inline struct child start(const char *first, ...)
{
    va_list more;
    va_start(more, first);
    struct child c = start_argv(argv_of(first, more));
    va_end(more);
    return c;
}

static inline const struct output *run(const char *first, ...)
{
    va_list more;
    va_start(more, first);
    struct child c = start_argv(argv_of(first, more));
    va_end(more);
    return finish(&c);
}

// How long a program may go on after a signal: a second of a quiet machine.
#define STOP_LIMIT_S (1.0 * TEST_SLOW)

#define PHOSPHENE(...) run(program(), __VA_ARGS__, NULL)

// One line of a child's stdout.
static inline const char *read_line(struct child *c)
{
    static char line[4096];
    size_t n = 0;
    while (n + 1 < sizeof line && read(c->out, line + n, 1) == 1 && line[n] != '\n') n++;
    line[n] = 0;
    return line;
}

static inline void sleep_ms(int ms)
{
    ph_sleep_until_ns(ph_now_ns() + ms * PH_MS_NS);
}

// Seconds from the signal to the end.
static inline double stop_child(struct child *c, int signal, const struct output **o)
{
    int64_t begin = ph_now_ns();
    kill(c->pid, signal);
    *o = finish(c);
    return (double) (ph_now_ns() - begin) / 1e9;
}

static inline const struct ph_json *parse_json(const char *text)
{
    static struct ph_json_doc *docs[64]; // live as long as the case
    static int count;
    struct ph_fault fault = { 0 };
    CHECK_INT(count, <, 64);
    if (ph_json_parse(&docs[count], text, strlen(text), 0, &fault) != PH_OK)
        TEST_FAIL("not JSON (%s): %.200s", fault.message, text);
    return ph_json_root(docs[count++]);
}

#define CHECK_STATUS(o, want)                                                                  \
    do {                                                                                       \
        if ((o)->status != (want))                                                             \
            TEST_FAIL("exit status %d, want %d; stderr: %s", (o)->status, want, (o)->err);     \
    } while (0)

// The first line of text that is longer than `columns` characters, or NULL.
static inline const char *too_long(const char *text, int columns)
{
    static char line[4096];
    for (; *text; text += *text == '\n') {
        size_t n = strcspn(text, "\n");
        int width = 0;
        for (size_t i = 0; i < n; i++) width += (text[i] & 0xC0) != 0x80;
        if (width > columns) return snprintf(line, sizeof line, "%.*s", (int) n, text), line;
        text += n;
    }
    return NULL;
}

static inline bool have_program(const char *name)
{
    char command[128];
    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", name);
    return system(command) == 0;
}

#endif
