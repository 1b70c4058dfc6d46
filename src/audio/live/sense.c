// SPDX-License-Identifier: MIT
#include "audio/live/sense.h"

#include <math.h>

#define DT    (1.0 / PH_HEAR_HZ)
#define QUIET 0.01 // amplitude that counts as fully loud at least: -40 dB
#define WEAK  0.5  // rise on the compressed scale that counts as a full hit at least
#define FLOOR 0.15 // part of the strongest hit that is none

static double or_one(double v)
{
    return v > 0 ? v : 1;
}

static double unit(double v)
{
    return fmin(1, fmax(0, v));
}

// 50 Hz .. 16 kHz to 0 .. 1.
static double by_octaves(float hz)
{
    return hz > 0 ? unit(log2((double) hz / 50) / log2(16000.0 / 50)) : 0;
}

static double follow(double y, double x, const struct ph_follow_times *times,
                     const struct ph_sense_params *par)
{
    struct ph_follow_times t = { times->attack_s * or_one(par->attack),
                                 times->release_s * or_one(par->release) };
    return ph_follow(y, x, DT, &t);
}

// Against the loudest of late, with the band's gain.
static double loudness(struct ph_sense *s, int band, double x, double least,
                       const struct ph_sense_params *par)
{
    double memory = par->memory_s > 0 ? par->memory_s : 10;
    double y = ph_span_step(&s->range[band], x, DT, memory, least);
    return unit(y * or_one(par->gain[band]) * or_one(par->gain[PH_BAND_ALL]));
}

static double hit(struct ph_sense *s, int band, double x, const struct ph_sense_params *par)
{
    double y = loudness(s, band, x, WEAK, par);
    return unit((y - FLOOR) / (1 - FLOOR));
}

static void bands(struct ph_sense *s, const struct ph_heard *h,
                  const struct ph_sense_params *par)
{
    static const struct ph_follow_times *const times[PH_BANDS] = {
        &ph_follow_bass,  &ph_follow_vocals, &ph_follow_default, &ph_follow_kick,
        &ph_follow_snare, &ph_follow_hats,   &ph_follow_default,
    };
    double x[PH_BANDS] = {
        loudness(s, PH_BAND_BASS, (double) h->low, QUIET, par),
        loudness(s, PH_BAND_MID, (double) h->mid, QUIET, par),
        loudness(s, PH_BAND_HIGH, (double) h->high, QUIET / 4, par),
        hit(s, PH_BAND_KICK, (double) h->kick, par),
        hit(s, PH_BAND_SNARE, (double) h->snare, par),
        hit(s, PH_BAND_HAT, (double) h->hat, par),
        loudness(s, PH_BAND_ALL, (double) h->rms, QUIET, par),
    };
    for (int i = 0; i < PH_BANDS; i++) s->band[i] = follow(s->band[i], x[i], times[i], par);
    s->energy = follow(s->energy, s->band[PH_BAND_ALL], &ph_follow_sustain, par);
    static const struct ph_follow_times slow = { 1, 2 };
    s->presence = ph_follow(s->presence, s->band[PH_BAND_ALL] > 0.1 ? 1 : 0, DT, &slow);
    ph_gain_step(&s->gain[0], (double) h->low, DT);
    ph_gain_step(&s->gain[1], (double) h->mid, DT);
    ph_gain_step(&s->gain[2], (double) h->high, DT);
}

static void shape(struct ph_sense *s, const struct ph_heard *h,
                  const struct ph_sense_params *par)
{
    double strong = fmax(s->range[PH_BAND_SNARE].high, fmax(s->range[PH_BAND_KICK].high, WEAK));
    double hit_now = unit(((double) h->onset / strong - FLOOR) / (1 - FLOOR));
    s->onset = fmax(s->onset * exp(-DT / 0.08), hit_now);
    double flux = ph_span_step(&s->flux_range, (double) h->flux, DT, 10, QUIET);
    s->flux = follow(s->flux, flux, &ph_follow_default, par);
    if (h->centroid_hz > 0) { // in silence they stay where they were
        s->centroid = follow(s->centroid, by_octaves(h->centroid_hz), &ph_follow_sustain, par);
        s->rolloff = follow(s->rolloff, by_octaves(h->rolloff_hz), &ph_follow_sustain, par);
        s->flatness = follow(s->flatness, (double) h->flatness, &ph_follow_sustain, par);
    }
    static const struct ph_follow_times chord = { 0.04, 0.25 };
    for (int i = 0; i < 12; i++)
        s->chroma[i] = ph_follow(s->chroma[i], (double) h->chroma[i], DT, &chord);
}

// 0 is 50 dB below the loudest band of late.
static void spectrum(struct ph_sense *s, const struct ph_heard *h,
                     const struct ph_sense_params *par)
{
    double loudest = 0;
    for (int i = 0; i < PH_HEAR_BANDS; i++) loudest = fmax(loudest, (double) h->band[i]);
    ph_span_step(&s->spectrum, loudest, DT, 10, QUIET);
    double top = fmax(s->spectrum.high, QUIET);
    for (int i = 0; i < PH_HEAR_BANDS; i++) {
        double db = 20 * log10(fmax((double) h->band[i], 1e-9) / top);
        s->bin[i] = follow(s->bin[i], unit(1 + db / 50), &ph_follow_default, par);
    }
}

static void swing(struct ph_sense *s, const struct ph_beat *beat, float *v)
{
    static const struct ph_spring_kind *const kinds[] = { &ph_spring_bass, &ph_spring_vocals,
                                                          &ph_spring_kick, &ph_spring_ambient };
    static const int places[] = { PH_SENSE_bass, PH_SENSE_mid, PH_SENSE_kick, PH_SENSE_energy };
    double speed = beat->bpm > 0 ? fmin(1.5, fmax(0.5, beat->bpm / 120)) : 1;
    for (int i = 0; i < 4; i++) {
        struct ph_spring_kind kind = ph_spring_at(kinds[i], speed);
        v[places[i]] = (float) ph_spring_step(&s->spring[i], (double) v[places[i]], DT, &kind);
    }
}

static void put_beat(const struct ph_beat *beat, float *v)
{
    v[PH_SENSE_bpm] = (float) beat->bpm;
    v[PH_SENSE_confidence] = beat->confidence;
    v[PH_SENSE_beat_env] = v[PH_SENSE_beat_phase] = v[PH_SENSE_bar_phase] = 0;
    if (beat->bpm <= 0) return;
    double phase = beat->beat - floor(beat->beat), bars = beat->beat / beat->per_bar;
    v[PH_SENSE_beat_phase] = (float) phase;
    v[PH_SENSE_bar_phase] = (float) (bars - floor(bars));
    v[PH_SENSE_beat_env] = (float) exp(-phase * 60 / beat->bpm / 0.15);
}

void ph_sense_step(struct ph_sense *s, const struct ph_heard *h, const struct ph_beat *beat,
                   const struct ph_sense_params *par, float *v)
{
    bands(s, h, par);
    shape(s, h, par);
    spectrum(s, h, par);
    v[PH_SENSE_level] = (float) s->band[PH_BAND_ALL];
    v[PH_SENSE_rms] = h->rms;
    v[PH_SENSE_peak] = h->peak;
    v[PH_SENSE_energy] = (float) s->energy;
    v[PH_SENSE_presence] = (float) s->presence;
    v[PH_SENSE_bass] = (float) s->band[PH_BAND_BASS];
    v[PH_SENSE_mid] = (float) s->band[PH_BAND_MID];
    v[PH_SENSE_high] = (float) s->band[PH_BAND_HIGH];
    v[PH_SENSE_kick] = (float) s->band[PH_BAND_KICK];
    v[PH_SENSE_snare] = (float) s->band[PH_BAND_SNARE];
    v[PH_SENSE_hat] = (float) s->band[PH_BAND_HAT];
    v[PH_SENSE_onset] = (float) s->onset;
    v[PH_SENSE_bass_now] = (float) s->gain[0].now;
    v[PH_SENSE_bass_att] = (float) s->gain[0].att;
    v[PH_SENSE_mid_att] = (float) s->gain[1].att;
    v[PH_SENSE_high_att] = (float) s->gain[2].att;
    v[PH_SENSE_flux] = (float) s->flux;
    v[PH_SENSE_centroid] = (float) s->centroid;
    v[PH_SENSE_rolloff] = (float) s->rolloff;
    v[PH_SENSE_flatness] = (float) s->flatness;
    v[PH_SENSE_zcr] = h->zcr;
    put_beat(beat, v);
    for (int i = 0; i < 12; i++) v[PH_SENSE_CHROMA + i] = (float) s->chroma[i];
    for (int i = 0; i < PH_HEAR_BANDS; i++) v[PH_SENSE_SPECTRUM + i] = (float) s->bin[i];
    if (par->spring) swing(s, beat, v);
}
