// SPDX-License-Identifier: MIT
// Where a song changes: verse, chorus, break. Foote's novelty ("Automatic audio segmentation using a
// measure of audio novelty", ICME 2000) over a self-similarity of beats:
//
//   of each beat (of each half second where there is no beat) the mean MFCC m and the mean chroma c
//   S(i, j) = exp(-|m_i - m_j|^2 / (128 * (4 dB)^2)) / 2 + cos(c_i, c_j) / 2
//   N(i)    = sum_uv K(u, v) S(i + u, i + v) / sum_uv |K(u, v)|,    u, v = -16 … 15
//   K(u, v) = exp(-((u + .5)^2 + (v + .5)^2) / (2 * 8^2)), negative where u and v lie on two sides
//
// so N is how much more alike beats are within both sides than across, -1 … 1. |m_i - m_j| over the
// root of the bands is how far two spectra are apart in decibels, loudness included. A change is the
// largest N within 8 beats, at least PH_SECTION_LEAST, and half the mean of all that are; between
// two there are at least 8 beats and 4 seconds. Where harmony and sound change at different beats the
// place is right within a bar.                                                   thread of all: any
#ifndef PH_AUDIO_SECTIONS_H
#define PH_AUDIO_SECTIONS_H

#include "audio/song.h"

#define PH_SECTION_LEAST 0.04

struct ph_section {
    double begin_s;
    double strength; // N there; 0 of the first
};

// Songs may come in pieces, so that an hour needs no more memory than its beats: 140 bytes each.
struct ph_sections;
ph_err ph_sections_create(struct ph_sections **out);
void ph_sections_destroy(struct ph_sections **s);
// The next piece, which begins where the one before ended.
ph_err ph_sections_add(struct ph_sections *s, const struct ph_song *piece);
// Writes the sections, the first at 0 s, by time; of more than `most` the strongest. How many:
// 1 = the song does not change; 0 = nothing was added.
int ph_sections_find(const struct ph_sections *s, struct ph_section *out, int most);

#endif
