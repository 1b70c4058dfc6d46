// SPDX-License-Identifier: MIT
#include "nodes/media/song_file.h"
#include "nodes/media/resample.h"
#include "nodes/media/sound_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONGEST_S (24 * 3600.0)

struct ph_song_file {
    FILE *spool; // unnamed; written once, then read at any place
    struct ph_song_file_info info;
};

struct decode {
    const char *path;
    const struct ph_song_file_params *par;
    struct ph_song_file *file;
    struct ph_sound_file *sound;
    struct ph_resample *resample; // NULL: the rate is right
    double rate_hz;
    int64_t decoded; // frames of the file
    float *mono;
    int64_t room;
    struct ph_fault *fault;
};

static ph_err fail(struct decode *d, ph_err code, const char *why)
{
    return ph_fail(d->fault, code, "path", "%s: %s", d->path, why);
}

static ph_err no_room(struct decode *d)
{
    char why[160];
    snprintf(why, sizeof why, "its samples find no room in the folder for temporary files: %s",
             strerror(errno));
    return fail(d, PH_EIO, why);
}

static ph_err spool(struct decode *d, const float *x, int64_t n)
{
    if (n < 1) return PH_OK;
    d->file->info.samples += n;
    return fwrite(x, sizeof *x, (size_t) n, d->file->spool) == (size_t) n ? PH_OK : no_room(d);
}

static ph_err pass_on(struct decode *d, const float *mono, int64_t n)
{
    const float *out;
    int64_t count;
    if (!d->resample) return spool(d, mono, n);
    if (ph_resample_run(d->resample, mono, n, &out, &count))
        return fail(d, PH_ENOMEM, "the resampler failed");
    return spool(d, out, count);
}

static ph_err mix(struct decode *d, const float *x, int64_t frames)
{
    int channels = d->file->info.channels;
    if (frames > d->room) {
        float *more = realloc(d->mono, sizeof *more * (size_t) frames);
        if (!more) return fail(d, PH_ENOMEM, "out of memory");
        d->mono = more;
        d->room = frames;
    }
    for (int64_t i = 0; i < frames; i++) {
        float sum = 0;
        for (int c = 0; c < channels; c++) {
            float v = x[i * channels + c];
            bool bad = !(fabsf(v) <= 1e6f); // a resampler would spread it
            d->file->info.bad += bad;
            d->file->info.clipped += !bad && fabsf(v) >= 0.99996f;
            sum += bad ? 0 : v;
        }
        d->mono[i] = sum / (float) channels;
    }
    return PH_OK;
}

static ph_err decode_all(struct decode *d)
{
    const float *x;
    int64_t frames;
    ph_err ret;
    while ((ret = ph_sound_read(d->sound, &x, &frames)) == PH_OK) {
        if (d->par->stop && *d->par->stop) return fail(d, PH_ESTOPPED, "stopped");
        d->decoded += frames;
        if ((double) d->decoded > LONGEST_S * d->file->info.rate_hz)
            return fail(d, PH_ELIMIT, "it is longer than 24 hours");
        PH_TRY(mix(d, x, frames));
        PH_TRY(pass_on(d, d->mono, frames));
        if (d->par->permille) *d->par->permille = (int) (1000 * ph_sound_share(d->sound));
    }
    if (ret < 0) return fail(d, ret, ph_strerror(ret));
    return d->resample ? pass_on(d, NULL, 0) : PH_OK;
fail:
    return ret;
}

// Resamplers may give a sample more or less than the rates say.
static ph_err fix_length(struct decode *d)
{
    static const float zero[64];
    struct ph_song_file_info *info = &d->file->info;
    int64_t want = (int64_t) ceil((double) d->decoded * d->rate_hz / info->rate_hz);
    ph_err ret = PH_OK;
    while (!ret && info->samples < want)
        ret = spool(d, zero, want - info->samples < 64 ? want - info->samples : 64);
    info->samples = want;
    if (!ret && fflush(d->file->spool)) ret = no_room(d);
    return ret;
}

static ph_err decode_file(struct decode *d)
{
    struct ph_song_file_info *info = &d->file->info;
    ph_err ret;
    PH_TRY(ph_sound_open(&d->sound, d->path, d->fault));
    const struct ph_sound_info *sound = ph_sound_info(d->sound);
    info->rate_hz = sound->rate_hz;
    info->channels = sound->channels;
    info->codec = sound->codec;
    info->told_seconds = sound->seconds;
    info->resampler = "";
    if (info->rate_hz != d->rate_hz) {
        if (ph_resample_create(&d->resample, info->rate_hz, d->rate_hz))
            PH_TRY(fail(d, PH_ENOTSUP, "its rate cannot be converted by this build"));
        info->resampler = ph_resample_name();
    }
    d->file->spool = tmpfile();
    if (!d->file->spool) PH_TRY(no_room(d));
    PH_TRY(decode_all(d));
    if (!d->decoded) PH_TRY(fail(d, PH_EFORMAT, "there is no sound in it: 0 samples"));
    PH_TRY(fix_length(d));
    info->damaged = ph_sound_damaged(d->sound);
    info->seconds = (double) d->decoded / info->rate_hz;
    ret = PH_OK;
fail:
    ph_sound_close(&d->sound);
    ph_resample_destroy(&d->resample);
    free(d->mono);
    return ret;
}

ph_err ph_song_file_open(struct ph_song_file **out, const char *path,
                         const struct ph_song_file_params *par, struct ph_fault *fault)
{
    *out = NULL;
    struct ph_song_file *f = calloc(1, sizeof *f);
    if (!f) return ph_fail(fault, PH_ENOMEM, "path", "%s: out of memory", path);
    struct decode d = { .path = path,
                        .par = par,
                        .file = f,
                        .rate_hz = par->rate_hz > 0 ? par->rate_hz : PH_SONG_RATE_HZ,
                        .fault = fault };
    ph_err ret = decode_file(&d);
    if (ret < 0) {
        ph_song_file_close(&f);
        return ret;
    }
    *out = f;
    return PH_OK;
}

void ph_song_file_close(struct ph_song_file **f)
{
    if (*f && (*f)->spool) fclose((*f)->spool);
    free(*f);
    *f = NULL;
}

const struct ph_song_file_info *ph_song_file_info(const struct ph_song_file *f)
{
    return &f->info;
}

static ph_err read_spool(void *opaque, int64_t at, int64_t n, float *out)
{
    struct ph_song_file *f = opaque;
    char *to = (char *) out;
    size_t left = sizeof *out * (size_t) n;
    off_t from = (off_t) (at * (int64_t) sizeof *out);
    while (left) {
        ssize_t got = pread(fileno(f->spool), to, left, from);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return PH_EIO;
        to += got;
        from += got;
        left -= (size_t) got;
    }
    return PH_OK;
}

struct ph_song_source ph_song_file_source(struct ph_song_file *f)
{
    return (
        struct ph_song_source){ .samples = f->info.samples, .read = read_spool, .opaque = f };
}
