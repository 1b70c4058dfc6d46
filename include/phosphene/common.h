// SPDX-License-Identifier: MIT
// phosphene: what every other header needs: visibility, error codes, faults.
#ifndef PHOSPHENE_COMMON_H
#define PHOSPHENE_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PH_API               __attribute__((visibility("default")))
#define PH_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

// Negative fails, positive steers, zero is done.
#define PH_ERRS(X)                                                                             \
    X(PH_OK, 0, "ok")                                                                          \
    X(PH_MORE, 1, "needs more input")                                                          \
    X(PH_EOF, 2, "end of stream")                                                              \
    X(PH_ENOMEM, -1, "out of memory")                                                          \
    X(PH_EINVAL, -2, "invalid argument")                                                       \
    X(PH_EFORMAT, -3, "malformed data")                                                        \
    X(PH_EDEVICE, -4, "device failed")                                                         \
    X(PH_EIO, -5, "input/output error")                                                        \
    X(PH_ENOENT, -6, "not found")                                                              \
    X(PH_EBUSY, -7, "in use")                                                                  \
    X(PH_ELIMIT, -8, "over a limit")                                                           \
    X(PH_ESTOPPED, -9, "stopped")                                                              \
    X(PH_ENOTSUP, -10, "not supported by this build or machine")                               \
    X(PH_ETIMEOUT, -11, "timed out")

#define PH_ERR_ENUM(name, value, text) name = (value),
typedef enum ph_err { PH_ERRS(PH_ERR_ENUM) } ph_err;
#undef PH_ERR_ENUM

// A static English text; never NULL.                                               thread: any
PH_API const char *ph_strerror(ph_err err);

// The library's version, "major.api.fix".                                          thread: any
PH_API const char *ph_version(void);

// Jumps to the function's single exit. The function declares `ph_err ret`.
#define PH_TRY(expr)                                                                           \
    do {                                                                                       \
        ret = (expr);                                                                          \
        if (ret < 0) goto fail;                                                                \
    } while (0)

// What a person gets to see when something they wrote is refused: which field, where in the
// text, what was expected. Filled by parsers and setters; callers that do not care pass NULL.
struct ph_fault {
    ph_err code;
    int line, column;  // 1-based; 0 = not about a text
    char field[64];    // parameter, node or member that is at fault; may be ""
    char message[448]; // one sentence: what was expected, what came, nearest name
};

// Fills `fault` (may be NULL) and returns code, so that `return ph_fail(...)` reads well.
PH_API ph_err ph_fail(struct ph_fault *fault, ph_err code, const char *field, const char *fmt,
                      ...) PH_PRINTF(4, 5);

#ifdef __cplusplus
}
#endif
#endif
