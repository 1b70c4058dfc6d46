// SPDX-License-Identifier: MIT
// A block of a song: spectra and what follows from them, and the percussive part; then, when the
// tuning is known, what is about pitch.
#include "audio/song_priv.h"
#include "audio/decibel.h"
#include "audio/hpss.h"
#include "audio/spectral.h"
#include "core/tree.h"

#include <float.h>
#include <math.h>
#include <string.h>

// A percussive frame wants the inverse of 3 frames on each side, each of them its medians.
enum { INVERSE = 3, MARGIN = INVERSE + PH_HPSS_REACH, MOST = SONG_BLOCK + 2 * MARGIN };

struct block {
    struct song_job *job;
    struct song_worker *worker;
    int64_t first, end; // frames that it is about
    int64_t from, to;   // frames that have spectra
    int64_t mask_from, mask_to;
    int64_t at, count;              // samples
    float *sample;                  // [count]
    float *spectrum;                // [to - from][2 bins]
    float *magnitude;               // [to - from][bins]
    float *along_time, *along_bins; // [mask_to - mask_from][bins]
    float *inverse;                 // from sample mask_from * hop - n_fft / 2 on
    float *row;                     // bins
    float *work;
};

ph_err ph_song_read(struct song_job *j, struct song_worker *w, int64_t from, int64_t to,
                    float *out)
{
    int64_t first = from > 0 ? from : 0, end = to < j->song->samples ? to : j->song->samples;
    memset(out, 0, sizeof *out * (size_t) (to - from));
    if (end <= first) return PH_OK;
    float *x = out + (first - from);
    ph_err ret = j->source->read(j->source->opaque, first, end - first, x);
    for (int64_t i = 0; ret >= 0 && i < end - first; i++)
        if (!(fabsf(x[i]) <= 1e6f)) x[i] = 0;
    return ret < 0 ? ret : PH_OK;
}

// ------------------------------------------------------------------------------ samples
static void hear_samples(struct block *b, int64_t t)
{
    struct ph_song *s = b->job->song;
    int64_t from = t * s->hop - PH_SONG_FFT / 2, to = from + PH_SONG_FFT;
    int64_t first = from > 0 ? from : 0, end = to < s->samples ? to : s->samples;
    double square = 0;
    float low = 0, high = 0;
    const float *x = b->sample - b->at;
    for (int64_t i = first; i < end; i++) square += (double) x[i] * (double) x[i];
    s->rms[t] = (float) sqrt(square / PH_SONG_FFT);
    s->crossings[t] = (float) ph_crossings(x + first, end - first) / PH_SONG_FFT;
    int64_t begin = t * s->hop,
            stop = begin + s->hop < s->samples ? begin + s->hop : s->samples;
    square = 0;
    for (int64_t i = begin; i < stop; i++) {
        low = i == begin || x[i] < low ? x[i] : low;
        high = i == begin || x[i] > high ? x[i] : high;
        square += (double) x[i] * (double) x[i];
    }
    s->low[t] = low;
    s->high[t] = high;
    b->job->square[t] = square;
}

// ------------------------------------------------------------------------------ spectra
static void mel_to_db(const struct ph_mel *mel, const float *power, float *db)
{
    ph_mel_apply(mel, power, db);
    ph_power_to_db(db, db, ph_mel_bands(mel), 1);
}

static ph_err hear_spectrum(struct block *b, int64_t t)
{
    struct song_job *j = b->job;
    struct ph_song *s = j->song;
    double bin_hz = s->rate_hz / PH_SONG_FFT;
    float *magnitude = b->magnitude + (t - b->from) * SONG_BINS, mel[SONG_POWER_MELS];
    float *power = b->row;
    ph_err ret;
    ph_power(b->spectrum + (t - b->from) * 2 * SONG_BINS, power, SONG_BINS);
    mel_to_db(j->mel, power, s->mel_db + t * PH_SONG_MELS);
    ph_mel_apply(j->power_mel, power, mel);
    double sum = 0;
    for (int i = 0; i < SONG_POWER_MELS; i++) sum += (double) mel[i];
    s->power[t] = (float) sum;
    s->flatness[t] = (float) ph_flatness(power, SONG_BINS);
    PH_TRY(ph_tuning_add(&b->worker->tuning, power, SONG_BINS, bin_hz));
    PH_TRY(ph_tuning_add(&b->worker->tuning_cqt, magnitude, SONG_BINS, bin_hz));
    double centroid = ph_centroid_hz(magnitude, SONG_BINS, bin_hz);
    s->centroid_hz[t] = (float) centroid;
    s->bandwidth_hz[t] = (float) ph_bandwidth_hz(magnitude, SONG_BINS, bin_hz, centroid);
    s->rolloff_hz[t] = (float) ph_rolloff_hz(magnitude, SONG_BINS, bin_hz, 0.85);
    s->flux[t] = t > 0 ? (float) ph_flux(magnitude, magnitude - SONG_BINS, SONG_BINS) : 0;
    ph_contrast_extremes(magnitude, SONG_BINS, bin_hz, j->valley + t * PH_SONG_BANDS,
                         j->peak + t * PH_SONG_BANDS, b->row);
    return PH_OK;
fail:
    return ret;
}

// ------------------------------------------------------------------------------ two parts
static void find_medians(struct block *b)
{
    const float *row[MOST];
    int count = (int) (b->mask_to - b->mask_from);
    for (int i = 0; i < count + 2 * PH_HPSS_REACH; i++) {
        int64_t t = ph_mirrored(b->mask_from - PH_HPSS_REACH + i, b->job->song->frames);
        row[i] = b->magnitude + (t - b->from) * SONG_BINS;
    }
    ph_hpss_medians(row, count, SONG_BINS, b->along_time, b->along_bins, b->work);
}

static double energy_of(const float *magnitude, const float *mask)
{
    double sum = 0;
    for (int k = 0; k < SONG_BINS; k++) {
        float v = magnitude[k] * mask[k];
        sum += (double) (v * v);
    }
    return sum;
}

// Energies of both parts, and the percussive one added to the inverse.
static void part_frame(struct block *b, int64_t t)
{
    struct ph_song *s = b->job->song;
    int64_t m = t - b->mask_from;
    float *spectrum = b->spectrum + (t - b->from) * 2 * SONG_BINS;
    const float *magnitude = b->magnitude + (t - b->from) * SONG_BINS;
    float *harmonic = b->along_time + m * SONG_BINS,
          *percussive = b->along_bins + m * SONG_BINS;
    struct ph_hpss_margins margins = { 1, 1 };
    ph_hpss_masks(harmonic, percussive, SONG_BINS, margins, harmonic, percussive);
    if (t >= b->first && t < b->end) {
        s->harmonic[t] = (float) energy_of(magnitude, harmonic);
        s->percussive[t] = (float) energy_of(magnitude, percussive);
    }
    for (int k = 0; k < SONG_BINS; k++) {
        spectrum[2 * k] *= percussive[k];
        spectrum[2 * k + 1] *= percussive[k];
    }
    ph_stft_add(b->job->stft, spectrum, b->inverse + m * s->hop, b->work);
}

static void hear_percussion(struct block *b)
{
    struct song_job *j = b->job;
    struct ph_song *s = j->song;
    int64_t at = b->mask_from * s->hop - PH_SONG_FFT / 2;
    int64_t n = (b->mask_to - b->mask_from - 1) * s->hop + PH_SONG_FFT;
    memset(b->inverse, 0, sizeof(float) * (size_t) n);
    for (int64_t t = b->mask_from; t < b->mask_to; t++) part_frame(b, t);
    for (int64_t i = 0; i < n; i++) {
        float norm = at + i < 0 || at + i >= s->samples
                         ? 0
                         : ph_stft_norm(j->stft, at + i, 0, s->frames - 1);
        b->inverse[i] = norm > FLT_MIN ? b->inverse[i] / norm : 0;
    }
    for (int64_t t = b->first; t < b->end; t++) {
        ph_stft_at(j->stft, b->inverse, at, n, t, b->spectrum, b->work);
        ph_power(b->spectrum, b->row, SONG_BINS);
        mel_to_db(j->mel, b->row, j->percussive_db + t * PH_SONG_MELS);
    }
}

// ------------------------------------------------------------------------------ first pass
static int64_t clip(int64_t t, int64_t frames)
{
    return t < 0 ? 0 : t < frames ? t : frames;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static bool lay_out(struct block *b)
{
    size_t rows = (size_t) (b->to - b->from), masks = (size_t) (b->mask_to - b->mask_from);
    size_t hop = (size_t) b->job->song->hop;
    b->at = b->from * (int64_t) hop - PH_SONG_FFT / 2;
    b->count = (int64_t) ((rows - 1) * hop + PH_SONG_FFT);
    size_t work = larger((size_t) ph_stft_work(b->job->stft), ph_hpss_work(SONG_BINS));
    size_t floats = (size_t) b->count + rows * 3 * SONG_BINS + masks * 2 * SONG_BINS +
                    masks * hop + PH_SONG_FFT + SONG_BINS + work;
    float *m = b->worker->mem = ph_new(NULL, float, floats);
    if (!m) return false;
    b->sample = m;
    b->spectrum = b->sample + b->count;
    b->magnitude = b->spectrum + rows * 2 * SONG_BINS;
    b->along_time = b->magnitude + rows * SONG_BINS;
    b->along_bins = b->along_time + masks * SONG_BINS;
    b->inverse = b->along_bins + masks * SONG_BINS;
    b->row = b->inverse + masks * hop + PH_SONG_FFT;
    b->work = b->row + SONG_BINS;
    return true;
}

// What is wrong with samples is counted once, in the hop they belong to.
static ph_err read_block(struct block *b)
{
    struct song_job *j = b->job;
    struct ph_song *s = j->song;
    int64_t from = b->first * s->hop, to = b->end * s->hop;
    if (to > s->samples || b->end == s->frames) to = s->samples;
    ph_err ret = PH_OK;
    if (to > from) ret = j->source->read(j->source->opaque, from, to - from, b->sample);
    for (int64_t i = 0; ret >= 0 && i < to - from; i++) {
        float v = fabsf(b->sample[i]);
        if (!(v <= 1e6f))
            b->worker->bad++;
        else if (v > b->worker->peak)
            b->worker->peak = v;
    }
    return ret < 0 ? ret : ph_song_read(j, b->worker, b->at, b->at + b->count, b->sample);
}

ph_err ph_song_pass_spectra(struct song_job *j, struct song_worker *w, int64_t first,
                            int64_t end)
{
    ph_err ret;
    int64_t frames = j->song->frames;
    struct block b = { .job = j,
                       .worker = w,
                       .first = first,
                       .end = end,
                       .from = clip(first - MARGIN, frames),
                       .to = clip(end + MARGIN, frames),
                       .mask_from = clip(first - INVERSE, frames),
                       .mask_to = clip(end + INVERSE, frames) };
    if (!lay_out(&b)) return PH_ENOMEM;
    PH_TRY(read_block(&b));
    for (int64_t t = b.from; t < b.to; t++) {
        float *spectrum = b.spectrum + (t - b.from) * 2 * SONG_BINS;
        ph_stft_at(j->stft, b.sample, b.at, b.count, t, spectrum, b.work);
        ph_magnitude(spectrum, b.magnitude + (t - b.from) * SONG_BINS, SONG_BINS);
    }
    for (int64_t t = first; t < end; t++) {
        hear_samples(&b, t);
        PH_TRY(hear_spectrum(&b, t));
    }
    find_medians(&b);
    hear_percussion(&b);
fail:
    ph_tree_free(w->mem);
    w->mem = NULL;
    return ret;
}

// ------------------------------------------------------------------------------ second pass
static void hear_steps(struct song_job *j, const float *x, int64_t at, int64_t n, int64_t first,
                       int64_t frames, float *memory)
{
    float *steps = memory, *work = steps + frames * PH_CQT_STEPS;
    ph_cqt_frames(j->cqt, x, at, n, first, frames, steps, work);
    for (int64_t t = 0; t < frames; t++)
        ph_cqt_chroma(steps + t * PH_CQT_STEPS, j->song->chroma_cqt + (first + t) * PH_CHROMA);
}

ph_err ph_song_pass_tones(struct song_job *j, struct song_worker *w, int64_t first, int64_t end)
{
    struct ph_song *s = j->song;
    int64_t frames = end - first, reach = PH_SONG_FFT / 2;
    if (j->cqt && ph_cqt_reach(j->cqt) > reach) reach = ph_cqt_reach(j->cqt);
    int64_t at = first * s->hop - reach, n = (frames - 1) * s->hop + 2 * reach;
    int64_t steps = j->cqt ? frames * PH_CQT_STEPS + ph_cqt_work(j->cqt, frames) : 0;
    int64_t work = ph_stft_work(j->stft);
    float *x = w->mem = ph_new(NULL, float, (size_t) (n + steps + work + 3 * SONG_BINS));
    if (!x) return PH_ENOMEM;
    float *spectrum = x + n, *power = spectrum + 2 * SONG_BINS, *memory = power + SONG_BINS;
    ph_err ret;
    PH_TRY(ph_song_read(j, w, at, at + n, x));
    for (int64_t t = first; t < end; t++) {
        ph_stft_at(j->stft, x, at, n, t, spectrum, memory);
        ph_power(spectrum, power, SONG_BINS);
        ph_chroma_apply(j->chroma_weights, power, SONG_BINS, s->chroma + t * PH_CHROMA);
    }
    if (j->cqt) hear_steps(j, x, at, n, first, frames, memory + work);
fail:
    ph_tree_free(w->mem);
    w->mem = NULL;
    return ret;
}
