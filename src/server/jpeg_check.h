// SPDX-License-Identifier: MIT
// Is this what we let into a JPEG decoder? A strict walk over the markers that reads no pixel and
// needs no library: ITU-T T.81 annex B.
#ifndef PH_SERVER_JPEG_CHECK_H
#define PH_SERVER_JPEG_CHECK_H

#include <phosphene/common.h>

// Zero = default.
struct ph_jpeg_limits {
    size_t bytes;      // 4 MiB
    int width, height; // 4096 each
    int scans;         // 64: a progressive file may ask for a full pass a scan
};

// SOI, segments whose lengths fit, one baseline, extended or progressive frame header (SOF0-2,
// 8 bits, 1, 3 or 4 components with legal sampling) before the first scan, and EOI (what
// follows it, as cameras pad and phones append, no decoder reads). limits may be NULL. Fills *width and *height on PH_OK. PH_EFORMAT:
// not a JPEG, truncated, broken; PH_ELIMIT: over a limit; PH_ENOTSUP: lossless, arithmetic,
// 12 bits.                                                                         thread: any
ph_err ph_jpeg_check(const void *bytes, size_t size, const struct ph_jpeg_limits *limits,
                     int *width, int *height, struct ph_fault *fault);

#endif
