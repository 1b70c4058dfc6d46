// SPDX-License-Identifier: MIT
#include <phosphene/log.h>

#include <stdio.h>

static void write_stderr(enum ph_log_level level, const char *who, const char *line)
{
    static const char *const names[] = { "", "error: ", "warning: ", "", "debug: ", "trace: " };
    // one call, so that lines of several threads do not mix
    fprintf(stderr, "[%s] %s%s\n", who, names[level], line);
}

void ph_log_v(const struct ph_log *log, enum ph_log_level level, const char *who,
              const char *fmt, va_list args)
{
    if (level > (log && log->level ? log->level : PH_LOG_INFO)) return;
    char line[1024];
    vsnprintf(line, sizeof line, fmt, args);
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
