// SPDX-License-Identifier: MIT
// A file as an analysis wants it: mono (the mean of the channels) at 22.05 kHz, kept in an unnamed
// file on disk, so that memory does not grow with the song and any part can be read at any time.
#ifndef PH_NODES_MEDIA_SONG_FILE_H
#define PH_NODES_MEDIA_SONG_FILE_H

#include "audio/song.h"

struct ph_song_file;

struct ph_song_file_params {
    double rate_hz;          // 0 = PH_SONG_RATE_HZ
    _Atomic int *permille;   // how much is decoded; may be NULL
    const _Atomic int *stop; // not 0: PH_ESTOPPED; may be NULL
};

struct ph_song_file_info {
    int rate_hz, channels; // of the file
    const char *codec;     // valid as long as the program
    int64_t samples;       // mono, at the wanted rate
    double seconds;        // of what was decoded
    double told_seconds;   // what the file says of itself; 0 = nothing
    int damaged;           // packets that could not be decoded
    int64_t clipped;       // samples of all channels at or beyond full scale
    int64_t bad;           // samples that are no number or beyond +-1e6: taken as 0
    const char *resampler; // "soxr", "swresample", "" = the rate was right
};

// Decodes all of it. PH_EFORMAT when there is no sound in it; the fault names the file.
ph_err ph_song_file_open(struct ph_song_file **out, const char *path,
                         const struct ph_song_file_params *par, struct ph_fault *fault);
void ph_song_file_close(struct ph_song_file **f);
const struct ph_song_file_info *ph_song_file_info(const struct ph_song_file *f);
// Reads as ph_song_analyse wants it; valid as long as the file is open.
struct ph_song_source ph_song_file_source(struct ph_song_file *f);

#endif
