// SPDX-License-Identifier: MIT
// Goldens of single functions on small random arrays, and of decoding: odd WAV encodings, lossy
// codecs, another sample rate.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio/beat.h"
#include "audio/cepstrum.h"
#include "audio/decibel.h"
#include "audio/mel.h"
#include "audio/onset.h"
#include "audio/rows.h"
#include "audio/stft.h"
#include "audio/window.h"
#include "nodes/media/resample.h"
#include "nodes/media/song_file.h"
#include "sound_golden.h"

struct helpers {
    struct golden_case *c;
    struct sound_store store;
    double rtol, atol;
};

static float *floats(struct helpers *h, const char *name, int64_t *count)
{
    *count = 0;
    const struct sound_tensor *t = sound_find(&h->store, name);
    if (!t) return golden_failure(h->c, NULL, name, "is not in the file"), NULL;
    float *x = ph_new(h->c->mem, float, (size_t) t->count + 1);
    for (int64_t i = 0; i < t->count; i++) x[i] = (float) t->value[i];
    *count = t->count;
    return x;
}

static void judge(struct helpers *h, const char *name, const double *got, int64_t n)
{
    const struct sound_tensor *t = sound_find(&h->store, name);
    const char *label = ph_tree_printf(h->c->mem, "helpers %s", name);
    if (!t || t->count != n)
        golden_failure(h->c, NULL, label, t ? "has another length" : "is not in the file");
    else
        sound_judge_close(h->c, label, t->value, got, n, h->rtol, h->atol);
}

static void judge_floats(struct helpers *h, const char *name, const float *got, int64_t n)
{
    double *x = ph_new(h->c->mem, double, (size_t) n + 1);
    for (int64_t i = 0; i < n; i++) x[i] = (double) got[i];
    judge(h, name, x, n);
}

static void judge_frames(struct helpers *h, const char *name, const int64_t *got, int64_t n)
{
    double *x = ph_new(h->c->mem, double, (size_t) n + 1);
    for (int64_t i = 0; i < n; i++) x[i] = (double) got[i];
    judge(h, name, x, n);
}

// ------------------------------------------------------------------------------ tables
static void check_windows(struct helpers *h)
{
    double hann[2048];
    ph_hann64(hann, 2048);
    judge(h, "hann_2048", hann, 2048);
    ph_hann64(hann, 384);
    judge(h, "hann_384", hann, 384);
}

static void check_mel(struct helpers *h, int bands, int rate, int every)
{
    struct ph_mel *m = NULL;
    if (ph_mel_create(&m, &(struct ph_mel_params){ .rate_hz = rate, .bands = bands })) abort();
    double *rows = ph_new(h->c->mem, double, (size_t) bands * 1025), sum[256] = { 0 };
    int64_t n = 0;
    for (int b = 0; b < bands; b++)
        for (int k = 0; k < 1025; k++) {
            sum[b] += (double) ph_mel_weight(m, b, k);
            if (b % every == 0) rows[n++] = (double) ph_mel_weight(m, b, k);
        }
    judge(h, ph_tree_printf(h->c->mem, "mel_filters_%d_%d_every%d", bands, rate, every), rows,
          n);
    if (bands == 128)
        judge(h, ph_tree_printf(h->c->mem, "mel_filters_128_%d_rowsum", rate), sum, 128);
    if (bands == 128 && rate == 22050) judge(h, "mel_frequencies_128", ph_mel_corners(m), 130);
    ph_mel_destroy(&m);
}

static void check_tables(struct helpers *h)
{
    static const char *const tuning[] = { "-0.3", "0", "0.1" };
    static float w[PH_CHROMA * 1025];
    double bpm[383];
    check_windows(h);
    for (int i = 0; i < 4; i++) check_mel(h, 128, (int[]){ 16000, 22050, 44100, 48000 }[i], 4);
    check_mel(h, 256, 22050, 16);
    for (int i = 0; i < 3; i++) {
        ph_chroma_weights(w, 22050, 2048, atof(tuning[i]));
        judge_floats(h, ph_tree_printf(h->c->mem, "chroma_filters_t%s", tuning[i]), w,
                     PH_CHROMA * 1025);
    }
    struct ph_tempo_params par = { .rate_hz = 22050, .hop = 512 };
    for (int lag = 1; lag < 384; lag++) bpm[lag - 1] = ph_lag_to_bpm(lag, &par);
    judge(h, "tempo_frequencies_384", bpm, 383);
}

// ------------------------------------------------------------------------------ spectra
static void judge_spectra(struct helpers *h, const char *name, const float *spectra, int frames)
{
    double *part = ph_new(h->c->mem, double, 257 * (size_t) frames);
    for (int i = 0; i < 2; i++) {
        for (int t = 0; t < frames; t++)
            for (int k = 0; k < 257; k++)
                part[k * frames + t] = (double) spectra[(t * 257 + k) * 2 + i];
        judge(h, ph_tree_printf(h->c->mem, "%s_%s", name, i ? "im" : "re"), part,
              257 * (int64_t) frames);
    }
}

static void check_stft(struct helpers *h)
{
    struct ph_stft *s = NULL;
    static float spectra[25 * 257 * 2], work[6 * 512 + 8], sum[3000 + 1024];
    int64_t n;
    const float *x = floats(h, "stft512_in", &n);
    if (!x || ph_stft_create(&s, &(struct ph_stft_params){ 512, 0, 0 })) abort();
    for (int t = 0; t < 24; t++) {
        float *spectrum = spectra + (ptrdiff_t) t * 514;
        ph_stft_at(s, x, 0, n, t, spectrum, work);
        ph_stft_add(s, spectrum, sum + (ptrdiff_t) t * 128, work);
    }
    judge_spectra(h, "stft512", spectra, 24);
    for (int i = 0; i < 3000; i++) sum[i] = sum[i + 256] / ph_stft_norm(s, i, 0, 23);
    judge_floats(h, "istft512", sum, 3000);
    ph_stft_destroy(&s);
    if (ph_stft_create(&s, &(struct ph_stft_params){ 512, 100, 400 })) abort();
    for (ptrdiff_t t = 0; t < 25; t++) ph_stft_frame(s, x + t * 100, spectra + t * 514, work);
    judge_spectra(h, "stft512_w400_h100_nocenter", spectra, 25);
    ph_stft_destroy(&s);
}

static void check_decibels(struct helpers *h)
{
    int64_t n;
    const float *x = floats(h, "db_in", &n);
    float out[256], back[256];
    if (!x || n > 256) return;
    float most = ph_max(x, n);
    ph_power_to_db(x, out, n, 1);
    judge_floats(h, "power_to_db_notop", out, n);
    ph_db_to_power(out, back, n, 1);
    judge_floats(h, "db_to_power", back, n);
    ph_db_clamp(out, n, 80);
    judge_floats(h, "power_to_db", out, n);
    ph_db_clamp(out, n, 40);
    judge_floats(h, "power_to_db_top40", out, n);
    ph_power_to_db(x, out, n, most);
    ph_db_clamp(out, n, 80);
    judge_floats(h, "power_to_db_ref_max", out, n);
    ph_amplitude_to_db(x, out, n, 1);
    ph_db_clamp(out, n, 80);
    judge_floats(h, "amplitude_to_db", out, n);
    ph_amplitude_to_db(x, out, n, most);
    ph_db_clamp(out, n, 80);
    judge_floats(h, "amplitude_to_db_ref_max", out, n);
}

// ------------------------------------------------------------------------------ rows
static void norm_case(struct helpers *h, const char *name, int axis,
                      struct ph_normalize_params p)
{
    int64_t n;
    const float *x = floats(h, "norm_in", &n);
    float out[240];
    const char *label = ph_tree_printf(h->c->mem, "norm_%s_axis%d", name, axis);
    if (!x || n != 240) return;
    for (int i = 0; i < (axis ? 6 : 40); i++) {
        int first = axis ? i * 40 : i;
        ph_normalize(x + first, out + first, axis ? 40 : 6, axis ? 1 : 40, &p);
    }
    judge_floats(h, label, out, n);
}

static void check_norms(struct helpers *h)
{
    static const struct {
        const char *name;
        enum ph_norm norm;
    } norms[] = { { "inf", PH_NORM_MAX },
                  { "ninf", PH_NORM_MIN },
                  { "l0", PH_NORM_COUNT },
                  { "l1", PH_NORM_L1 },
                  { "l2", PH_NORM_L2 } };
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++)
        for (int axis = 0; axis < 2; axis++)
            norm_case(h, norms[i].name, axis,
                      (struct ph_normalize_params){ norms[i].norm, 0, 0 });
    norm_case(h, "inf_threshold", 0, (struct ph_normalize_params){ PH_NORM_MAX, 1.5, false });
    norm_case(h, "l2_fill", 0, (struct ph_normalize_params){ PH_NORM_L2, 0, true });
}

static void check_deltas(struct helpers *h)
{
    static const char *const mode[] = { "interp", "nearest" };
    int64_t n;
    const float *x = floats(h, "delta_in", &n);
    float out[93];
    if (!x || n != 93) return;
    for (int w = 0; w < 4; w++)
        for (int order = 1; order <= 2; order++)
            for (int m = 0; m < 2; m++) {
                int width = (int[]){ 3, 5, 9, 15 }[w];
                for (int r = 0; r < 3; r++)
                    if (ph_delta(x + 31 * r, out + 31 * r, 31, 1, width, order,
                                 m ? PH_DELTA_NEAREST : PH_DELTA_INTERP))
                        abort();
                judge_floats(
                    h, ph_tree_printf(h->c->mem, "delta_w%d_o%d_%s", width, order, mode[m]),
                    out, 93);
            }
}

static void check_peaks(struct helpers *h)
{
    int64_t n, out[400], count = 0;
    const float *x = floats(h, "peak_in", &n);
    double flag[400];
    for (int i = 0; i < 3; i++) {
        const char *name = ph_tree_printf(h->c->mem, "peak_pick_%d", i);
        const struct sound_tensor *t =
            sound_find(&h->store, ph_tree_printf(h->c->mem, "%s_params", name));
        const double *p = t->value;
        struct ph_peak_params par = { (int) p[0], (int) p[1], (int) p[2],
                                      (int) p[3], (int) p[5], p[4] };
        int64_t found = ph_peak_pick(x, n, &par, out, 400);
        judge_frames(h, name, out, found);
        if (i == 0) count = found;
    }
    for (int64_t i = 0; i < n; i++) flag[i] = ph_is_local_max(x, n, i);
    judge(h, "localmax", flag, n);
    float turned[400];
    for (int64_t i = 0; i < n; i++) turned[i] = -x[i];
    for (int64_t i = 0; i < n; i++) flag[i] = ph_is_local_max(turned, n, i);
    judge(h, "localmin", flag, n);
    struct ph_peak_params first = { 3, 3, 3, 5, 10, 0.5 };
    count = ph_peak_pick(x, n, &first, out, 400);
    ph_onset_backtrack(out, count, x, n, out);
    judge_frames(h, "onset_backtrack", out, count);
}

// ------------------------------------------------------------------------------ time
static void check_times(struct helpers *h)
{
    const struct sound_tensor *frames = sound_find(&h->store, "frames"),
                              *times = sound_find(&h->store, "times");
    double out[16];
    for (int r = 0; r < 3; r++) {
        int rate = (int[]){ 22050, 44100, 48000 }[r];
        for (int64_t i = 0; i < frames->count; i++)
            out[i] = ph_frame_to_s((int64_t) frames->value[i], 512, rate);
        judge(h, ph_tree_printf(h->c->mem, "frames_to_time_%d", rate), out, frames->count);
    }
    for (int64_t i = 0; i < times->count; i++)
        out[i] = (double) ph_s_to_frame(times->value[i], 512, 22050);
    judge(h, "time_to_frames_22050", out, times->count);
}

static void check_beats(struct helpers *h)
{
    static const struct {
        const char *name;
        double bpm, tightness;
        bool keep_weak;
    } cases[] = { { "beat_default", 0, 0, 0 },
                  { "beat_notrim", 0, 0, 1 },
                  { "beat_bpm120", 120, 0, 0 },
                  { "beat_tight1000", 0, 1000, 0 } };
    int64_t n, beats[700], count;
    const float *x = floats(h, "beat_env", &n);
    for (size_t i = 0; x && i < sizeof cases / sizeof *cases; i++) {
        struct ph_beat_params par = { .tempo = { .rate_hz = 22050, .hop = 512 },
                                      .bpm = cases[i].bpm,
                                      .tightness = cases[i].tightness,
                                      .keep_weak = cases[i].keep_weak };
        double bpm;
        if (ph_beat_track(x, n, &par, beats, &count, &bpm)) abort();
        judge_frames(h, cases[i].name, beats, count);
        judge(h, ph_tree_printf(h->c->mem, "%s_tempo", cases[i].name), &bpm, 1);
    }
}

static void check_dct(struct helpers *h)
{
    int64_t n;
    const float *x = floats(h, "dct2_ortho_in", &n);
    float table[16 * 16], out[48];
    ph_cepstrum_table(table, 16, 16, 0);
    for (int r = 0; r < 3; r++) ph_cepstrum(table, 16, 16, x + 16 * r, -INFINITY, out + 16 * r);
    judge_floats(h, "dct2_ortho", out, 48);
}

void sound_check_helpers(struct golden_case *c)
{
    struct helpers h = { .c = c, .rtol = 1e-5, .atol = 1e-6 };
    if (!sound_store_read(c, "helpers.safetensors", &h.store)) return;
    check_tables(&h);
    check_stft(&h);
    check_decibels(&h);
    check_norms(&h);
    check_deltas(&h);
    check_peaks(&h);
    check_times(&h);
    check_beats(&h);
    check_dct(&h);
}

// ------------------------------------------------------------------------------ decoding
void sound_check_formats(struct golden_case *c)
{
    struct sound_store store;
    if (!sound_store_read(c, "formats.safetensors", &store)) return;
    for (int i = 0; i < store.count; i++) {
        const struct sound_tensor *t = &store.tensor[i];
        struct sound_samples got;
        const char *file = ph_tree_printf(c->mem, "formats/%s.wav", t->name);
        if (!sound_samples_read(c, file, &got)) continue;
        if (got.frames != t->dim[0] || got.channels != t->dim[1]) {
            golden_failure(c, NULL, file,
                           ph_tree_printf(c->mem,
                                          "%lld frames of %d channels, expected %lld of %lld",
                                          (long long) got.frames, got.channels,
                                          (long long) t->dim[0], (long long) t->dim[1]));
            continue;
        }
        double *x = ph_new(c->mem, double, (size_t) t->count + 1);
        for (int64_t k = 0; k < t->count; k++) x[k] = (double) got.x[k];
        sound_judge_close(c, file, t->value, x, t->count, 0, 1e-7);
    }
}

static double snr_db(const double *want, const float *got, int64_t from, int64_t to)
{
    double power = 0, error = 0;
    for (int64_t i = from; i < to; i++) {
        double d = want[i] - (double) got[i];
        power += want[i] * want[i];
        error += d * d;
    }
    return error > 0 ? 10 * log10(power / error) : 200;
}

// The samples that listen would analyse; NULL after a failure.
static float *song_samples(struct golden_case *c, const char *file, int64_t *n)
{
    struct ph_song_file *f;
    struct ph_fault fault = { 0 };
    const char *path = ph_tree_printf(c->mem, "%s/%s", c->dir, file);
    if (ph_song_file_open(&f, path, &(struct ph_song_file_params){ 0 }, &fault)) {
        golden_failure(c, NULL, file, fault.message);
        return NULL;
    }
    struct ph_song_source s = ph_song_file_source(f);
    float *x = ph_new(c->mem, float, (size_t) s.samples);
    if (s.read(s.opaque, 0, s.samples, x)) abort();
    *n = s.samples;
    ph_song_file_close(&f);
    return x;
}

static bool is_near(const struct ph_song *s, int64_t frame)
{
    for (int64_t i = 0; i < s->onsets; i++)
        if (llabs(s->onset_frame[i] - frame) <= 1) return true;
    return false;
}

// Lossy codecs: level of the loud frames, and the onsets.
static void check_encode(struct golden_case *c, const char *file,
                         const struct sound_store *features, const struct ph_song *wav)
{
    int64_t n, both = 0;
    float *x = song_samples(c, file, &n);
    const struct sound_tensor *rms = sound_find(features, "rms");
    double worst = 0;
    if (!x) return;
    struct ph_song *s = sound_analyse(c, file, x, n);
    for (int64_t t = 0; s && t < rms->count && t < s->frames; t++)
        if (rms->value[t] > 0.00316)
            worst = fmax(worst, fabs(20 * log10((double) s->rms[t] / rms->value[t])));
    for (int64_t i = 0; i < wav->onsets; i++) both += is_near(s, wav->onset_frame[i]);
    for (int64_t i = 0; i < s->onsets; i++) both += is_near(wav, s->onset_frame[i]);
    golden_compare_number(c, NULL, ph_tree_printf(c->mem, "%s length", file), (double) n,
                          220500, 1200);
    golden_compare_number(c, NULL, ph_tree_printf(c->mem, "%s level dB", file), worst, 0, 1);
    golden_compare_number(c, NULL, ph_tree_printf(c->mem, "%s onsets missed", file),
                          1 - (double) both / (double) (wav->onsets + s->onsets), 0, 0.15);
    ph_song_destroy(&s);
}

void sound_check_encodes(struct golden_case *c, const struct ph_json *signal,
                         const struct sound_store *features)
{
    const struct sound_tensor *y = sound_find(features, "y22");
    int64_t n, flac;
    float *x = song_samples(c, ph_json_string(ph_json_get(signal, "wav"), ""), &n);
    float *same = song_samples(c, "song_44k_stereo.flac", &flac);
    if (!x || !same || !y) return;
    golden_compare_number(c, NULL, "y22 length", (double) n, (double) y->count, 0.5);
    double snr = snr_db(y->value, x, 200, n - 200);
    golden_compare_number(
        c, NULL,
        ph_tree_printf(c->mem, "y22 by %s, 25 dB over SNR of %.1f dB", ph_resample_name(), snr),
        25 / snr, 0, 1);
    golden_compare_number(
        c, NULL, "FLAC is the WAV",
        n == flac ? (double) (memcmp(x, same, sizeof *x * (size_t) n) != 0) : 1, 0, 0.5);
    struct ph_song *wav = sound_analyse(c, "wav", x, n);
    const struct ph_json *all = ph_json_get(signal, "encodes");
    for (const struct ph_json *v = all->child; v; v = v->next)
        check_encode(c, ph_json_string(ph_json_get(v, "file"), ""), features, wav);
    ph_song_destroy(&wav);
}
