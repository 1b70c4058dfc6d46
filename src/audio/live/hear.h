// SPDX-License-Identifier: MIT
// Causal analysis of sound: 100 frames a second, whatever the rate (8 to 384 kHz) and the number of
// channels, which are mixed to one. Frame k ends at the first sample after (k+1)/100 s and describes
// the PH_HEAR_WINDOW_S before it through a Hann window, so it is about the moment that lies half a
// window back. From a sound to the frame about it pass at most PH_HEAR_LATENCY_S, a hop and half a
// window; the chroma alone looks back further (PH_HEAR_CHROMA_S).
//
// Numbers depend on the samples alone: pieces of any length give the same frames. A sample that is
// no number counts as 0, one beyond +-4 as 4, and what does not move (DC) is taken out.
//                                                       thread of all: any, one at a time
#ifndef PH_AUDIO_LIVE_HEAR_H
#define PH_AUDIO_LIVE_HEAR_H

#include <phosphene/common.h>

#define PH_HEAR_HZ        100
#define PH_HEAR_WINDOW_S  0.016
#define PH_HEAR_LATENCY_S (1.0 / PH_HEAR_HZ + PH_HEAR_WINDOW_S / 2) // 18 ms
#define PH_HEAR_CHROMA_S  0.17 // about; a power of two of samples, new every 40 ms
#define PH_HEAR_BANDS     24   // from 30 Hz to 16 kHz, even on the mel scale
#define PH_HEAR_MIN_HZ    4000
#define PH_HEAR_MAX_HZ    768000

// Amplitudes are of full scale: a sine from -1 to 1 is 1 in its band.
struct ph_heard {
    double end_s;              // where the frame ends, from the first sample on
    float rms, peak, zcr;      // of the hop; crossings as a share of the samples
    float band[PH_HEAR_BANDS]; // amplitudes
    float low, mid, high;      // below 150 Hz, to 4 kHz, above: amplitudes
    float onset;               // rise of the bands since 20 ms ago on a compressed scale
    float kick, snare, hat;    // the same rise below 150 Hz, at 0.2 to 5 kHz, above 6 kHz
    float accent;              // onset, where low sounds weigh more: what beats are found by
    float flux;                // sum of rises of the amplitudes
    float centroid_hz, rolloff_hz; // 0 in silence
    float flatness;                // 0 a tone .. 1 noise
    float chroma[12];              // C first; the largest is 1, all 0 in silence
};

struct ph_hear;

// PH_EINVAL: rate_hz is not PH_HEAR_MIN_HZ .. PH_HEAR_MAX_HZ. PH_ENOMEM.
ph_err ph_hear_create(struct ph_hear **out, int rate_hz);
void ph_hear_destroy(struct ph_hear **h);
int ph_hear_rate(const struct ph_hear *h);
// As if nothing had been heard; time begins at 0 again.
void ph_hear_reset(struct ph_hear *h);
// Takes samples (interleaved, count for each of 1..64 channels) up to the end of the next frame and
// says in *used how many. True: the frame is in *out. False: all were taken, give more.
bool ph_hear_take(struct ph_hear *h, const float *samples, int count, int channels, int *used,
                  struct ph_heard *out);

#endif
