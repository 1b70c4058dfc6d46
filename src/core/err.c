// SPDX-License-Identifier: MIT
#include <phosphene/common.h>

#include "core/number.h"

#include <stdarg.h>
#include <stdio.h>

const char *ph_strerror(ph_err err)
{
    switch (err) {
#define PH_ERR_TEXT(name, value, text)                                                         \
    case name: return text;
        PH_ERRS(PH_ERR_TEXT)
#undef PH_ERR_TEXT
    }
    return "unknown error";
}

const char *ph_version(void)
{
    return PH_VERSION;
}

ph_err ph_fail(struct ph_fault *fault, ph_err code, const char *field, const char *fmt, ...)
{
    if (!fault) return code;
    fault->code = code;
    fault->line = fault->column = 0;
    snprintf(fault->field, sizeof fault->field, "%s", field ? field : "");
    va_list args;
    va_start(args, fmt);
    ph_vsnprintf(fault->message, sizeof fault->message, fmt, args);
    va_end(args);
    return code;
}
