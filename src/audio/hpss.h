// SPDX-License-Identifier: MIT
// Harmonic and percussive parts of spectra by medians along time and frequency (Fitzgerald 2010,
// Driedger 2014; librosa decompose.hpss).                                        thread of all: any
#ifndef PH_AUDIO_HPSS_H
#define PH_AUDIO_HPSS_H

#include <phosphene/common.h>

#define PH_HPSS_WINDOW 31 // frames and bins
#define PH_HPSS_REACH  15 // on each side

// Medians of `count` rows over the rows around them and over the bins around each. row: count + 2 *
// PH_HPSS_REACH pointers to rows of `bins` values >= 0, no NaN; the rows that are asked for begin at
// row[PH_HPSS_REACH]. Beyond the ends of a song rows repeat mirrored (…1 0 | 0 1…): the caller
// points so (ph_mirrored). along_time, along_bins: [count][bins]. work: ph_hpss_work(bins) floats.
void ph_hpss_medians(const float *const *row, int count, int bins, float *along_time,
                     float *along_bins, float *work);
size_t ph_hpss_work(int bins);

// Soft masks of power 2 of a row from its medians. Margins 1 split: the two sum to 1; with more,
// what fits neither is left out. Either may be NULL, or one of the medians themselves.
struct ph_hpss_margins {
    float harmonic, percussive; // 0 = 1
};
void ph_hpss_masks(const float *along_time, const float *along_bins, int bins,
                   struct ph_hpss_margins margins, float *harmonic, float *percussive);

// i, mirrored at both ends of [0, n) as often as needed: -1 → 0, -2 → 1, n → n - 1.
int64_t ph_mirrored(int64_t i, int64_t n);

#endif
