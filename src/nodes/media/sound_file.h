// SPDX-License-Identifier: MIT
// The sound of a file as it is: its own rate and channels, as floats, nothing mixed or resampled.
// Integers are v / 2^(bits - 1), floats stay what they are, also beyond 1. One thread at a time.
#ifndef PH_NODES_MEDIA_SOUND_FILE_H
#define PH_NODES_MEDIA_SOUND_FILE_H

#include <phosphene/common.h>

struct ph_sound_info {
    int rate_hz, channels;
    double seconds;    // as the file says; 0 = it does not
    const char *codec; // "flac"
};

struct ph_sound_file;

// Anything FFmpeg reads; of several tracks the one it thinks best. PH_ENOENT, PH_EFORMAT, PH_ENOTSUP
// (no FFmpeg in the build), PH_EIO; the fault names the file and says what is wrong.
ph_err ph_sound_open(struct ph_sound_file **out, const char *path, struct ph_fault *fault);
void ph_sound_close(struct ph_sound_file **f);
const struct ph_sound_info *ph_sound_info(const struct ph_sound_file *f);
// The next piece, channels interleaved; borrowed until the next call. PH_EOF: *frames is 0.
ph_err ph_sound_read(struct ph_sound_file *f, const float **samples, int64_t *frames);
// Packets that could not be decoded so far: the file is damaged or was cut.
int ph_sound_damaged(const struct ph_sound_file *f);
// Where the last packet came from, 0 … 1 of the file's bytes.
double ph_sound_share(const struct ph_sound_file *f);

#endif
