// SPDX-License-Identifier: MIT
// A song as sentences, as JSON and as tables.
#include "cli.h"
#include "listen.h"

#include "audio/tempo.h"

#include "core/number.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// ------------------------------------------------------------------------------ words
double listen_seconds(const struct ph_song *s, int64_t frame)
{
    return (double) frame * s->hop / s->rate_hz;
}

double listen_bpm(const struct ph_song *s, const struct ph_beats *b)
{
    double n = (double) b->count, mi = (n - 1) / 2, mt = 0, it = 0, ii = 0;
    if (b->count < 4) return 0;
    for (int64_t i = 0; i < b->count; i++) mt += listen_seconds(s, b->frame[i]) / n;
    for (int64_t i = 0; i < b->count; i++) {
        it += ((double) i - mi) * (listen_seconds(s, b->frame[i]) - mt);
        ii += ((double) i - mi) * ((double) i - mi);
    }
    return it > 0 ? 60 * ii / it : 0;
}

const char *listen_key(const struct ph_key *k, char *text, size_t size)
{
    if (k->tonic < 0)
        *text = '\0';
    else
        snprintf(text, size, "%s %s", ph_pitch_names[k->tonic], k->minor ? "minor" : "major");
    return text;
}

double listen_db(double amplitude)
{
    return amplitude > 1e-6 ? 20 * log10(amplitude) : -120;
}

const char *listen_time(double seconds, char *text, size_t size)
{
    int minutes = (int) (seconds / 60);
    ph_snprintf(text, size, "%d:%04.1f", minutes, floor((seconds - 60 * minutes) * 10) / 10);
    return text;
}

static double part_of(const float *a, const float *b, int64_t n)
{
    double sa = 0, sb = 0;
    for (int64_t i = 0; i < n; i++) {
        sa += (double) a[i];
        sb += (double) b[i];
    }
    return sa + sb > 0 ? sa / (sa + sb) : 0;
}

// The mean, each frame counted by its level.
static double mean_of(const struct ph_song *s, const float *x)
{
    double sum = 0, weight = 0;
    for (int64_t t = 0; t < s->frames; t++) {
        sum += (double) (x[t] * s->rms[t]);
        weight += (double) s->rms[t];
    }
    return weight > 0 ? sum / weight : 0;
}

// ------------------------------------------------------------------------------ warnings
void listen_warnings(struct ph_buf *out, const struct listen *l)
{
    const struct ph_song *s = l->song;
    const struct ph_song_file_info *f = l->file;
    char a[32], b[32];
    if (s->peak < 1e-6f)
        ph_buf_printf(out, "It is silent: there is nothing to find.\n");
    else if (f->seconds < 8)
        ph_buf_printf(out, "It is shorter than 8 seconds: tempo and key are guesses.\n");
    else if (s->beats.count < 4)
        ph_buf_printf(out, "No steady beat was found.\n");
    if (f->told_seconds > f->seconds + 2 && f->told_seconds > 1.02 * f->seconds)
        ph_buf_printf(out, "The file says %s and ends at %s: it seems to be cut.\n",
                      listen_time(f->told_seconds, a, sizeof a),
                      listen_time(f->seconds, b, sizeof b));
    if (f->damaged)
        ph_buf_printf(out, "%d part%s of the file could not be decoded and were left out.\n",
                      f->damaged, f->damaged == 1 ? "" : "s");
    if (f->bad + s->bad_samples)
        ph_buf_printf(out, "%lld samples are no numbers or absurdly large: taken as silence.\n",
                      (long long) (f->bad + s->bad_samples));
    if ((double) f->clipped > 1e-4 * f->seconds * f->rate_hz * f->channels)
        ph_buf_printf(out, "%.2g %% of the samples are at full scale: it is clipped.\n",
                      100 * (double) f->clipped / (f->seconds * f->rate_hz * f->channels));
}

// ------------------------------------------------------------------------------ summary
static struct ph_tempo_octaves octaves_of(const struct ph_song *s)
{
    const struct ph_tempo_params par = { .rate_hz = s->rate_hz, .hop = s->hop };
    return ph_tempo_octaves(s->onset_median, s->frames, s->beats.bpm, &par);
}

static void say_octaves(struct ph_buf *out, const struct ph_song *s)
{
    struct ph_tempo_octaves o = octaves_of(s);
    if (o.half >= PH_TEMPO_NEARLY)
        ph_buf_printf(out, "           or half of it, %.1f BPM: %.0f %% as likely\n",
                      s->beats.bpm / 2, 100 * o.half);
    if (o.twice >= PH_TEMPO_NEARLY)
        ph_buf_printf(out, "           or double, %.1f BPM: %.0f %% as likely\n",
                      2 * s->beats.bpm, 100 * o.twice);
}

static void say_beats(struct ph_buf *out, const struct ph_song *s)
{
    double bpm = listen_bpm(s, &s->beats);
    if (s->beats.count < 1) {
        ph_buf_printf(out, "tempo      none\n");
        return;
    }
    if (bpm > 0)
        ph_buf_printf(out, "tempo      %.1f BPM (tempogram: %.1f)\n", bpm, s->beats.bpm);
    else
        ph_buf_printf(out, "tempo      about %.1f BPM\n", s->beats.bpm);
    say_octaves(out, s);
    ph_buf_printf(out, "beats      %lld, from %.2f s to %.2f s\n", (long long) s->beats.count,
                  listen_seconds(s, s->beats.frame[0]),
                  listen_seconds(s, s->beats.frame[s->beats.count - 1]));
}

void listen_summary(struct ph_buf *out, const struct listen *l)
{
    const struct ph_song *s = l->song;
    const struct ph_song_file_info *f = l->file;
    char time[32], key[32], next[64] = "";
    ph_buf_printf(out, "%s\nlength     %s (%s, %d Hz, %d channel%s)\n", l->name,
                  listen_time(f->seconds, time, sizeof time), f->codec, f->rate_hz, f->channels,
                  f->channels == 1 ? "" : "s");
    say_beats(out, s);
    ph_buf_printf(out, "onsets     %lld, %.1f a second\n", (long long) s->onsets,
                  (double) s->onsets / f->seconds);
    listen_key(&s->key, key, sizeof key);
    ph_snprintf(next, sizeof next, " (fit %.2f, next best %.2f)", s->key.fit, s->key.next_fit);
    ph_buf_printf(out, "key        %s%s\n", *key ? key : "none", *key ? next : "");
    ph_buf_printf(out, "loudness   %.1f dBFS effective, peak %.1f dBFS\n",
                  listen_db(s->rms_all), listen_db((double) s->peak));
    ph_buf_printf(out, "character  %.0f %% harmonic, %.0f %% percussive; brightness %.0f Hz\n",
                  100 * part_of(s->harmonic, s->percussive, s->frames),
                  100 * part_of(s->percussive, s->harmonic, s->frames),
                  mean_of(s, s->centroid_hz));
}

// ------------------------------------------------------------------------------ JSON
static void json_number(struct ph_buf *b, const char *key, double v)
{
    ph_json_key(b, key);
    ph_json_num(b, v);
}

static void json_times(struct ph_buf *b, const char *key, const struct ph_song *s,
                       const int64_t *frame, int64_t n)
{
    char text[32];
    ph_json_key(b, key);
    ph_buf_puts(b, "[");
    for (int64_t i = 0; i < n; i++) {
        ph_snprintf(text, sizeof text, "%s%.4f", i ? "," : "", listen_seconds(s, frame[i]));
        ph_buf_puts(b, text);
    }
    ph_buf_puts(b, "]");
}

static void json_warnings(struct ph_buf *b, const struct listen *l)
{
    struct ph_buf text = { 0 };
    ph_json_key(b, "warnings");
    ph_buf_puts(b, "[");
    listen_warnings(&text, l);
    for (char *line = text.data, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        ph_json_sep(b);
        ph_json_str(b, line);
    }
    ph_buf_puts(b, "]");
    ph_buf_free(&text);
}

static void json_key(struct ph_buf *b, const struct ph_key *k)
{
    char text[32];
    ph_json_key(b, "key");
    if (k->tonic < 0) {
        ph_buf_puts(b, "null");
        return;
    }
    ph_buf_puts(b, "{");
    ph_json_key(b, "name");
    ph_json_str(b, listen_key(k, text, sizeof text));
    json_number(b, "fit", k->fit);
    json_number(b, "next_fit", k->next_fit);
    ph_buf_puts(b, "}");
}

void listen_json(struct ph_buf *b, const struct listen *l)
{
    const struct ph_song *s = l->song;
    const struct ph_song_file_info *f = l->file;
    ph_buf_puts(b, "{");
    ph_json_key(b, "file");
    ph_json_str(b, l->path);
    ph_json_key(b, "codec");
    ph_json_str(b, f->codec);
    json_number(b, "rate_hz", f->rate_hz);
    json_number(b, "channels", f->channels);
    json_number(b, "seconds", f->seconds);
    json_number(b, "frames", (double) s->frames);
    json_number(b, "frames_per_second", s->rate_hz / s->hop);
    json_number(b, "tempo_bpm", s->beats.bpm);
    json_number(b, "tempo_of_beats_bpm", listen_bpm(s, &s->beats));
    struct ph_tempo_octaves o = octaves_of(s);
    json_number(b, "half_tempo_likelihood", o.half);
    json_number(b, "double_tempo_likelihood", o.twice);
    json_number(b, "rms_dbfs", listen_db(s->rms_all));
    json_number(b, "peak_dbfs", listen_db((double) s->peak));
    json_number(b, "harmonic", part_of(s->harmonic, s->percussive, s->frames));
    json_number(b, "brightness_hz", mean_of(s, s->centroid_hz));
    json_number(b, "tuning", s->tuning);
    json_key(b, &s->key);
    json_times(b, "beats", s, s->beats.frame, s->beats.count);
    json_times(b, "percussive_beats", s, s->percussive_beats.frame, s->percussive_beats.count);
    json_times(b, "onsets", s, s->onset_frame, s->onsets);
    json_times(b, "onset_begins", s, s->onset_begin, s->onsets);
    json_number(b, "decode_seconds", l->decode_s);
    json_number(b, "analysis_seconds", l->analysis_s);
    json_warnings(b, l);
    ph_buf_puts(b, "}\n");
}

// ------------------------------------------------------------------------------ tables
struct column {
    const char *name; // "%d" where there are several
    const float *row;
    int width;
};

struct table {
    const char *name;
    struct column column[16]; // name NULL ends it
};

static void head(FILE *f, const struct column *c)
{
    fprintf(f, "time_s");
    for (; c->name; c++)
        for (int i = 0; i < c->width; i++)
            c->width == 1 ? fprintf(f, ",%s", c->name) : fprintf(f, ",%s%d", c->name, i);
    fprintf(f, "\n");
}

static void row(FILE *f, const struct ph_song *s, const struct column *c, int64_t t)
{
    char text[48];
    ph_snprintf(text, sizeof text, "%.6f", listen_seconds(s, t));
    fputs(text, f);
    for (; c->name; c++)
        for (int i = 0; i < c->width; i++) {
            ph_snprintf(text, sizeof text, ",%.7g", (double) c->row[t * c->width + i]);
            fputs(text, f);
        }
    fputc('\n', f);
}

static FILE *open_table(const char *dir, const char *name, struct ph_fault *fault)
{
    char path[4400];
    snprintf(path, sizeof path, "%s/%s.csv", dir, name);
    FILE *f = fopen(path, "we");
    if (!f) ph_fail(fault, PH_EIO, "csv", "%s: %s", path, strerror(errno));
    return f;
}

static ph_err close_table(FILE *f, const char *dir, struct ph_fault *fault)
{
    bool failed = ferror(f) != 0;
    failed |= fclose(f) != 0;
    return failed ? ph_fail(fault, PH_EIO, "csv", "%s: %s", dir, strerror(errno)) : PH_OK;
}

static ph_err write_table(const char *dir, const struct ph_song *s, const struct table *t,
                          struct ph_fault *fault)
{
    FILE *f = open_table(dir, t->name, fault);
    if (!f) return PH_EIO;
    head(f, t->column);
    for (int64_t i = 0; i < s->frames; i++) row(f, s, t->column, i);
    return close_table(f, dir, fault);
}

static ph_err write_times(const char *dir, const char *name, const struct ph_song *s,
                          const int64_t *frame, const int64_t *begin, int64_t n,
                          struct ph_fault *fault)
{
    char text[64];
    FILE *f = open_table(dir, name, fault);
    if (!f) return PH_EIO;
    fputs(begin ? "time_s,begin_s\n" : "time_s\n", f);
    for (int64_t i = 0; i < n; i++) {
        ph_snprintf(text, sizeof text, "%.6f", listen_seconds(s, frame[i]));
        fputs(text, f);
        if (begin) ph_snprintf(text, sizeof text, ",%.6f", listen_seconds(s, begin[i]));
        fprintf(f, "%s\n", begin ? text : "");
    }
    return close_table(f, dir, fault);
}

ph_err listen_tables(const char *dir, const struct listen *l, struct ph_fault *fault)
{
    const struct ph_song *s = l->song;
    const struct table tables[] = {
        { "frames",
          { { "rms", s->rms, 1 },
            { "centroid_hz", s->centroid_hz, 1 },
            { "bandwidth_hz", s->bandwidth_hz, 1 },
            { "rolloff_hz", s->rolloff_hz, 1 },
            { "flatness", s->flatness, 1 },
            { "zero_crossings", s->crossings, 1 },
            { "flux", s->flux, 1 },
            { "power", s->power, 1 },
            { "harmonic", s->harmonic, 1 },
            { "percussive", s->percussive, 1 },
            { "onset", s->onset, 1 },
            { "onset_median", s->onset_median, 1 },
            { "percussive_onset", s->percussive_onset, 1 } } },
        { "mel_db", { { "mel", s->mel_db, PH_SONG_MELS } } },
        { "mfcc", { { "mfcc", s->mfcc, PH_SONG_MFCC } } },
        { "contrast_db", { { "band", s->contrast, PH_SONG_BANDS } } },
        { "chroma", { { "chroma", s->chroma, PH_CHROMA } } },
        { "chroma_cqt", { { "chroma", s->chroma_cqt, PH_CHROMA } } },
        { "tonnetz", { { "tonnetz", s->tonnetz, PH_TONNETZ } } },
    };
    ph_err ret;
    if (mkdir(dir, 0777) && errno != EEXIST)
        return ph_fail(fault, PH_EIO, "csv", "%s: %s", dir, strerror(errno));
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        PH_TRY(write_table(dir, s, &tables[i], fault));
    PH_TRY(write_times(dir, "onsets", s, s->onset_frame, s->onset_begin, s->onsets, fault));
    PH_TRY(write_times(dir, "beats", s, s->beats.frame, NULL, s->beats.count, fault));
    PH_TRY(write_times(dir, "percussive_beats", s, s->percussive_beats.frame, NULL,
                       s->percussive_beats.count, fault));
fail:
    return ret;
}
