// SPDX-License-Identifier: MIT
// Mono sound to another rate: libsoxr at its HQ setting, which is what librosa uses; FFmpeg's
// swresample where the build has no libsoxr. One thread at a time.
#ifndef PH_NODES_MEDIA_RESAMPLE_H
#define PH_NODES_MEDIA_RESAMPLE_H

#include <phosphene/common.h>

struct ph_resample;

// PH_EINVAL for rates below 1, PH_ENOTSUP when the build has neither library.
ph_err ph_resample_create(struct ph_resample **out, double from_hz, double to_hz);
void ph_resample_destroy(struct ph_resample **r);
// Takes all of in[0 .. n) and gives what is ready: *out is borrowed until the next call. in NULL: the
// end, the rest comes out. The delay of the filter is taken out: sample 0 stays sample 0.
ph_err ph_resample_run(struct ph_resample *r, const float *in, int64_t n, const float **out,
                       int64_t *count);
const char *ph_resample_name(void); // "soxr", "swresample", "none"

#endif
