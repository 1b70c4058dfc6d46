// SPDX-License-Identifier: MIT
#include "audio/song_priv.h"
#include "audio/beat.h"
#include "audio/cepstrum.h"
#include "audio/decibel.h"
#include "audio/onset.h"
#include "audio/rows.h"
#include "core/tree.h"

#include <math.h>
#include <string.h>

// ------------------------------------------------------------------------------ memory
static bool give_rows(struct ph_song *s)
{
    const struct {
        float **row;
        int width;
    } rows[] = {
        { &s->low, 1 },
        { &s->high, 1 },
        { &s->rms, 1 },
        { &s->crossings, 1 },
        { &s->centroid_hz, 1 },
        { &s->bandwidth_hz, 1 },
        { &s->rolloff_hz, 1 },
        { &s->flatness, 1 },
        { &s->flux, 1 },
        { &s->power, 1 },
        { &s->harmonic, 1 },
        { &s->percussive, 1 },
        { &s->onset, 1 },
        { &s->onset_median, 1 },
        { &s->percussive_onset, 1 },
        { &s->mel_db, PH_SONG_MELS },
        { &s->mfcc, PH_SONG_MFCC },
        { &s->contrast, PH_SONG_BANDS },
        { &s->chroma, PH_CHROMA },
        { &s->chroma_cqt, PH_CHROMA },
        { &s->tonnetz, PH_TONNETZ },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        *rows[i].row = ph_new(s, float, (size_t) (s->frames * rows[i].width));
        if (!*rows[i].row) return false;
    }
    size_t frames = (size_t) s->frames;
    s->onset_frame = ph_new(s, int64_t, frames);
    s->onset_begin = ph_new(s, int64_t, frames);
    s->beats.frame = ph_new(s, int64_t, frames);
    s->percussive_beats.frame = ph_new(s, int64_t, frames);
    return s->onset_frame && s->onset_begin && s->beats.frame && s->percussive_beats.frame;
}

static bool give_job(struct song_job *j)
{
    size_t frames = (size_t) j->song->frames;
    j->percussive_db = ph_new(j, float, frames *PH_SONG_MELS);
    j->valley = ph_new(j, float, frames *PH_SONG_BANDS);
    j->peak = ph_new(j, float, frames *PH_SONG_BANDS);
    j->square = ph_new(j, double, frames);
    j->chroma_weights = ph_new(j, float, PH_CHROMA *SONG_BINS);
    return j->percussive_db && j->valley && j->peak && j->square && j->chroma_weights;
}

static void end_job(struct song_job *j)
{
    if (!j) return;
    ph_stft_destroy(&j->stft);
    ph_mel_destroy(&j->mel);
    ph_mel_destroy(&j->power_mel);
    ph_cqt_destroy(&j->cqt);
    for (int i = 0; i < j->workers; i++) {
        ph_tuning_finish(&j->worker[i].tuning);
        ph_tuning_finish(&j->worker[i].tuning_cqt);
    }
    ph_tree_free(j);
}

void ph_song_destroy(struct ph_song **song)
{
    ph_tree_free(*song);
    *song = NULL;
}

// ------------------------------------------------------------------------------ passes
static bool is_over(struct song_job *j)
{
    if (j->par->stop && atomic_load(j->par->stop)) j->failed = PH_ESTOPPED;
    return j->failed != 0;
}

// A worker takes blocks until there are none; which one takes which changes nothing.
static void take_blocks(void *arg, int worker)
{
    struct song_job *j = arg;
    struct song_worker *w = &j->worker[worker];
    for (;;) {
        int64_t block = atomic_fetch_add(&j->next_block, 1), first = block * SONG_BLOCK;
        if (block >= j->blocks || is_over(j)) return;
        int64_t end =
            first + SONG_BLOCK < j->song->frames ? first + SONG_BLOCK : j->song->frames;
        ph_err err = j->pass(j, w, first, end);
        if (err < 0) j->failed = err;
        int done = atomic_fetch_add(&j->blocks_done, 1) + 1;
        // the first pass is two thirds of the work; the last permille is the end's
        if (j->par->permille) *j->par->permille = (int) (999.0 * done / (2 * j->blocks));
    }
}

static ph_err run_pass(struct song_job *j,
                       ph_err (*pass)(struct song_job *j, struct song_worker *w, int64_t first,
                                      int64_t end))
{
    j->pass = pass;
    j->next_block = 0;
    if (j->par->together && j->workers > 1)
        j->par->together(j->workers, take_blocks, j);
    else
        take_blocks(j, 0);
    return (ph_err) j->failed;
}

static ph_err learn_tuning(struct song_job *j)
{
    struct ph_song *s = j->song;
    ph_err ret = PH_OK;
    for (int i = 1; i < j->workers && !ret; i++) {
        ret = ph_tuning_join(&j->worker[0].tuning, &j->worker[i].tuning);
        if (!ret) ret = ph_tuning_join(&j->worker[0].tuning_cqt, &j->worker[i].tuning_cqt);
    }
    if (ret) return ret;
    s->tuning = ph_tuning_estimate(&j->worker[0].tuning);
    s->tuning_cqt = ph_tuning_estimate(&j->worker[0].tuning_cqt);
    ph_chroma_weights(j->chroma_weights, s->rate_hz, PH_SONG_FFT, s->tuning);
    ret = ph_cqt_create(&j->cqt, s->rate_hz, s->hop, s->tuning_cqt);
    return ret == PH_EINVAL ? PH_OK : ret; // too slow a rate for it
}

// ------------------------------------------------------------------------------ the end
static void finish_contrast(struct song_job *j)
{
    struct ph_song *s = j->song;
    int64_t n = s->frames * PH_SONG_BANDS;
    float *const part[] = { j->valley, j->peak };
    for (int i = 0; i < 2; i++) {
        ph_power_to_db(part[i], part[i], n, 1);
        ph_db_clamp(part[i], n, PH_DB_RANGE);
    }
    for (int64_t i = 0; i < n; i++) s->contrast[i] = j->peak[i] - j->valley[i];
}

static ph_err finish_cepstra(struct ph_song *s)
{
    float *table = ph_new(NULL, float, PH_SONG_MFCC *PH_SONG_MELS);
    if (!table) return PH_ENOMEM;
    ph_cepstrum_table(table, PH_SONG_MFCC, PH_SONG_MELS, 0);
    for (int64_t t = 0; t < s->frames; t++)
        ph_cepstrum(table, PH_SONG_MFCC, PH_SONG_MELS, s->mel_db + t * PH_SONG_MELS, -INFINITY,
                    s->mfcc + t * PH_SONG_MFCC);
    ph_tree_free(table);
    return PH_OK;
}

// Chroma, and the mean of it that suggests a key: frames count by their level.
static void finish_chroma(struct ph_song *s)
{
    double mean[PH_CHROMA] = { 0 };
    const float *rows = s->chroma_cqt;
    bool has_cqt = ph_max(rows, s->frames * PH_CHROMA) > 0;
    ph_normalize_rows(s->chroma, s->frames, PH_CHROMA);
    ph_normalize_rows(s->chroma_cqt, s->frames, PH_CHROMA);
    if (!has_cqt) rows = s->chroma;
    for (int64_t t = 0; t < s->frames; t++) {
        ph_tonnetz(s->chroma_cqt + t * PH_CHROMA, s->tonnetz + t * PH_TONNETZ);
        for (int c = 0; c < PH_CHROMA; c++)
            mean[c] += (double) (rows[t * PH_CHROMA + c] * s->rms[t]);
    }
    s->key = ph_key_of(mean);
}

static ph_err finish_envelopes(struct song_job *j)
{
    struct ph_song *s = j->song;
    struct ph_onset_strength_params par = { .bands = PH_SONG_MELS,
                                            .delay = PH_SONG_FFT / (2 * s->hop),
                                            .least = -INFINITY };
    ph_err ret;
    int64_t n = s->frames * PH_SONG_MELS;
    s->loudest_db = ph_max(s->mel_db, n);
    ph_db_clamp(s->mel_db, n, PH_DB_RANGE);
    ph_db_clamp(j->percussive_db, n, PH_DB_RANGE);
    PH_TRY(ph_onset_strength(s->mel_db, s->frames, &par, s->onset));
    par.median = true;
    PH_TRY(ph_onset_strength(s->mel_db, s->frames, &par, s->onset_median));
    PH_TRY(ph_onset_strength(j->percussive_db, s->frames, &par, s->percussive_onset));
    struct ph_peak_params peaks = ph_onset_peaks(s->rate_hz, s->hop);
    float *scaled = j->percussive_db; // done with
    s->onsets = ph_onset_detect(s->onset, s->frames, &peaks, scaled, s->onset_frame, s->frames);
    ph_onset_backtrack(s->onset_frame, s->onsets, scaled, s->frames, s->onset_begin);
fail:
    return ret;
}

// Three envelopes, each on its own: tempo, beats, beats of the percussive part.
static void find_beats(void *arg, int which)
{
    struct song_job *j = arg;
    struct ph_song *s = j->song;
    struct ph_beat_params par = { .tempo = { .rate_hz = s->rate_hz, .hop = s->hop } };
    struct ph_beats *b = which == 1 ? &s->beats : &s->percussive_beats;
    const float *envelope = which == 1 ? s->onset_median : s->percussive_onset;
    if (which == 0) {
        s->tempo_bpm = ph_tempo(s->onset, s->frames, &par.tempo);
        return;
    }
    ph_err err = ph_beat_track(envelope, s->frames, &par, b->frame, &b->count, &b->bpm);
    if (err) j->failed = err;
}

static void sum_up(struct song_job *j)
{
    struct ph_song *s = j->song;
    double square = 0;
    for (int i = 0; i < j->workers; i++) {
        s->bad_samples += j->worker[i].bad;
        s->peak = j->worker[i].peak > s->peak ? j->worker[i].peak : s->peak;
    }
    for (int64_t t = 0; t < s->frames; t++) square += j->square[t];
    s->rms_all = sqrt(square / (double) s->samples);
}

static ph_err analyse(struct song_job *j)
{
    struct ph_song *s = j->song;
    ph_err ret;
    PH_TRY(ph_stft_create(&j->stft, &(struct ph_stft_params){ PH_SONG_FFT, s->hop, 0 }));
    PH_TRY(ph_mel_create(&j->mel, &(struct ph_mel_params){ .rate_hz = s->rate_hz }));
    PH_TRY(ph_mel_create(&j->power_mel, &(struct ph_mel_params){ .rate_hz = s->rate_hz,
                                                                 .bands = SONG_POWER_MELS }));
    PH_TRY(run_pass(j, ph_song_pass_spectra));
    PH_TRY(learn_tuning(j));
    PH_TRY(run_pass(j, ph_song_pass_tones));
    sum_up(j);
    PH_TRY(finish_envelopes(j));
    finish_contrast(j);
    PH_TRY(finish_cepstra(s));
    finish_chroma(s);
    if (j->par->together && j->workers > 1)
        j->par->together(3, find_beats, j);
    else
        for (int i = 0; i < 3; i++) find_beats(j, i);
    if (j->par->permille) *j->par->permille = 1000;
    return (ph_err) j->failed;
fail:
    return ret;
}

static ph_err check(const struct ph_song_source *source, const struct ph_song_params *par,
                    struct ph_fault *fault)
{
    double rate = source->rate_hz;
    int hop = par->hop;
    if (rate != 0 && !(rate >= 4000 && rate <= 768000))
        return ph_fail(fault, PH_EINVAL, "rate_hz", "sample rates are 4000 to 768000, not %g",
                       rate);
    if (hop && (hop < 64 || hop > 512 || hop % 64))
        return ph_fail(fault, PH_EINVAL, "hop", "a hop is a multiple of 64 up to 512, not %d",
                       hop);
    if (rate != 0 && 8 * rate / (hop ? hop : 512) > 8192)
        return ph_fail(fault, PH_EINVAL, "hop",
                       "at %g Hz the tempo needs a larger hop than %d: resample to 22050 Hz",
                       rate, hop ? hop : 512);
    if (source->samples < 1)
        return ph_fail(fault, PH_EINVAL, "samples", "there is no sound: 0 samples");
    return PH_OK;
}

ph_err ph_song_analyse(struct ph_song **out, const struct ph_song_source *source,
                       const struct ph_song_params *par, struct ph_fault *fault)
{
    *out = NULL;
    ph_err ret = check(source, par, fault);
    if (ret) return ret;
    struct ph_song *s = ph_new(NULL, struct ph_song, 1);
    struct song_job *j = ph_new(NULL, struct song_job, 1);
    if (!s || !j) PH_TRY(ph_fail(fault, PH_ENOMEM, "", "out of memory"));
    s->rate_hz = source->rate_hz != 0 ? source->rate_hz : PH_SONG_RATE_HZ;
    s->hop = par->hop ? par->hop : 512;
    s->samples = source->samples;
    s->frames = ph_stft_frames(s->samples, s->hop);
    j->song = s;
    j->source = source;
    j->par = par;
    j->blocks = (int) ((s->frames + SONG_BLOCK - 1) / SONG_BLOCK);
    j->workers = par->workers < 1 ? 1 : par->workers;
    if (j->workers > PH_SONG_WORKERS) j->workers = PH_SONG_WORKERS;
    for (int i = 0; i < j->workers; i++) {
        j->worker[i].tuning.per_octave = 12;
        j->worker[i].tuning_cqt.per_octave = PH_CQT_PER_OCTAVE;
    }
    if (!give_rows(s) || !give_job(j))
        PH_TRY(ph_fail(fault, PH_ENOMEM, "", "out of memory for %lld frames",
                       (long long) s->frames));
    ret = analyse(j);
    if (ret < 0)
        PH_TRY(ph_fail(fault, ret, "", "the song was not analysed: %s", ph_strerror(ret)));
    end_job(j);
    *out = s;
    return PH_OK;
fail:
    end_job(j);
    ph_song_destroy(&s);
    return ret;
}
