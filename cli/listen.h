// SPDX-License-Identifier: MIT
// What `phosphene listen` makes of a song.
#ifndef PH_CLI_LISTEN_H
#define PH_CLI_LISTEN_H

#include "audio/song.h"
#include "core/buf.h"
#include "nodes/media/song_file.h"

#include <phosphene/frame.h>

struct listen {
    const char *path, *name; // name: without its folder
    const struct ph_song_file_info *file;
    const struct ph_song *song;
    double analysis_s, decode_s; // how long it took
};

double listen_seconds(const struct ph_song *s, int64_t frame);
// By the line through all beats, so finer than the tempogram's steps; 0 = fewer than four.
double listen_bpm(const struct ph_song *s, const struct ph_beats *b);
// "A minor"; "" = none.
const char *listen_key(const struct ph_key *k, char *text, size_t size);
double listen_db(double amplitude);                               // 20 log10, at least -120
const char *listen_time(double seconds, char *text, size_t size); // "3:07.4"

// One sentence each, about what a person should know: silence, damage, clipping, …; \n after each.
void listen_warnings(struct ph_buf *out, const struct listen *l);
void listen_summary(struct ph_buf *out, const struct listen *l);
void listen_json(struct ph_buf *out, const struct listen *l);
// Tables of every feature as DIR/*.csv, which is made where it is not there.
ph_err listen_tables(const char *dir, const struct listen *l, struct ph_fault *fault);
// Width and height of the picture; draws waveform, onsets, beats, energy and chroma over time.
ph_err listen_plot(struct ph_picture *out, const struct listen *l, struct ph_fault *fault);

#endif
