// SPDX-License-Identifier: MIT
#include <phosphene/log.h>

#include <stdio.h>

static void write_stderr(enum ph_log_level level, const char *who, const char *line)
{
    static const char *const names[] = { "", "error: ", "warning: ", "", "debug: ", "trace: " };
    // one call, so that lines of several threads do not mix
    fprintf(stderr, "[%s] %s%s\n", who, names[level], line);
}

// One line stays one line, and a terminal is told nothing: texts of clients and files are in it.
static void disarm(char *line)
{
    for (unsigned char *c = (unsigned char *) line; *c; c++) {
        bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0; // in UTF-8
        if ((*c < 0x20 && *c != '\t') || *c == 0x7f || c1) *c = '?';
        if (c1) c[1] = '?';
    }
}

void ph_log_v(const struct ph_log *log, enum ph_log_level level, const char *who,
              const char *fmt, va_list args)
{
    if (level > (log && log->level ? log->level : PH_LOG_INFO)) return;
    char line[1024];
    vsnprintf(line, sizeof line, fmt, args);
    disarm(line);
    if (log && log->write)
        log->write(log->opaque, level, who, line);
    else
        write_stderr(level, who, line);
}

void ph_log(const struct ph_log *log, enum ph_log_level level, const char *who, const char *fmt,
            ...)
{
    va_list args;
    va_start(args, fmt);
    ph_log_v(log, level, who, fmt, args);
    va_end(args);
}
