// SPDX-License-Identifier: MIT
// Log: an object with a callback and a level. NULL is allowed everywhere and means stderr.
#ifndef PHOSPHENE_LOG_H
#define PHOSPHENE_LOG_H

#include "common.h"

#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

// debug is never per frame; trace may flood.
enum ph_log_level { PH_LOG_ERROR = 1, PH_LOG_WARN, PH_LOG_INFO, PH_LOG_DEBUG, PH_LOG_TRACE };

struct ph_log {
    enum ph_log_level level; // 0 = INFO
    // One line without newline. `who` names the object ("camera", "http"). NULL = stderr.
    // thread: any, possibly several at once
    void (*write)(void *opaque, enum ph_log_level level, const char *who, const char *line);
    void *opaque;
};

// Writes one line; drops it when its level is above log->level.                    thread: any
PH_API void ph_log(const struct ph_log *log, enum ph_log_level level, const char *who,
                   const char *fmt, ...) PH_PRINTF(4, 5);
PH_API void ph_log_v(const struct ph_log *log, enum ph_log_level level, const char *who,
                     const char *fmt, va_list args);

#define ph_error(log, who, ...) ph_log(log, PH_LOG_ERROR, who, __VA_ARGS__)
#define ph_warn(log, who, ...)  ph_log(log, PH_LOG_WARN, who, __VA_ARGS__)
#define ph_info(log, who, ...)  ph_log(log, PH_LOG_INFO, who, __VA_ARGS__)
#define ph_debug(log, who, ...) ph_log(log, PH_LOG_DEBUG, who, __VA_ARGS__)

#ifdef __cplusplus
}
#endif
#endif
