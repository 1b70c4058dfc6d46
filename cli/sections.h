// SPDX-License-Identifier: MIT
// The sections of a song's file, as chapters of a film.
#ifndef PH_CLI_SECTIONS_H
#define PH_CLI_SECTIONS_H

#include "nodes/media/segments.h"

#define MAX_CHAPTERS 99

// Listens to the first length_ns of it, in pieces of ten minutes. How many chapters: 0 when the song
// does not change; negative: a ph_err, the fault says why (PH_ESTOPPED: a signal came).
int cli_song_chapters(const char *path, int64_t length_ns,
                      struct ph_chapter chapters[MAX_CHAPTERS], struct ph_fault *fault);

#endif
