// SPDX-License-Identifier: MIT
#include "nodes/media/resample.h"

#include "config.h"

#include <math.h>
#include <stdlib.h>

#if PH_HAVE_SOXR
#include <soxr.h>
#elif PH_HAVE_FFMPEG
#include "nodes/media/ff.h"
#endif

struct ph_resample {
    double ratio; // to / from
    float *out;
    int64_t room;
#if PH_HAVE_SOXR
    soxr_t soxr;
#elif PH_HAVE_FFMPEG
    struct SwrContext *swr;
#endif
};

#if PH_HAVE_SOXR
const char *ph_resample_name(void)
{
    return "soxr";
}

static ph_err begin(struct ph_resample *r, double from, double to)
{
    soxr_error_t error = NULL;
    soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    r->soxr = soxr_create(from, to, 1, &error, &io, &quality, NULL);
    return r->soxr ? PH_OK : PH_ENOMEM;
}

static void end(struct ph_resample *r)
{
    if (r->soxr) soxr_delete(r->soxr);
}

static ph_err step(struct ph_resample *r, const float *in, int64_t n, int64_t room,
                   int64_t *used, int64_t *made)
{
    size_t took = 0, gave = 0;
    if (soxr_process(r->soxr, in, in ? (size_t) n : 0, &took, r->out, (size_t) room, &gave))
        return PH_ENOMEM;
    *used = (int64_t) took;
    *made = (int64_t) gave;
    return PH_OK;
}
#elif PH_HAVE_FFMPEG
const char *ph_resample_name(void)
{
    return "swresample";
}

static ph_err begin(struct ph_resample *r, double from, double to)
{
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
    int ret = swr_alloc_set_opts2(&r->swr, &mono, AV_SAMPLE_FMT_FLT, (int) to, &mono,
                                  AV_SAMPLE_FMT_FLT, (int) from, 0, NULL);
    return ret < 0 || swr_init(r->swr) < 0 ? PH_ENOTSUP : PH_OK;
}

static void end(struct ph_resample *r)
{
    swr_free(&r->swr);
}

static ph_err step(struct ph_resample *r, const float *in, int64_t n, int64_t room,
                   int64_t *used, int64_t *made)
{
    uint8_t *out[1] = { (uint8_t *) r->out };
    const uint8_t *from[1] = { (const uint8_t *) in };
    int ret = swr_convert(r->swr, out, (int) room, in ? from : NULL, in ? (int) n : 0);
    *used = n;
    *made = ret > 0 ? ret : 0;
    return ret < 0 ? PH_EFORMAT : PH_OK;
}
#else
const char *ph_resample_name(void)
{
    return "none";
}

static ph_err begin(struct ph_resample *r, double from, double to)
{
    return PH_ENOTSUP;
}

static void end(struct ph_resample *r)
{
}

static ph_err step(struct ph_resample *r, const float *in, int64_t n, int64_t room,
                   int64_t *used, int64_t *made)
{
    return PH_ENOTSUP;
}
#endif

ph_err ph_resample_create(struct ph_resample **out, double from_hz, double to_hz)
{
    *out = NULL;
    if (!(from_hz >= 1 && to_hz >= 1)) return PH_EINVAL;
    struct ph_resample *r = calloc(1, sizeof *r);
    if (!r) return PH_ENOMEM;
    r->ratio = to_hz / from_hz;
    ph_err ret = begin(r, from_hz, to_hz);
    if (ret) {
        ph_resample_destroy(&r);
        return ret;
    }
    *out = r;
    return PH_OK;
}

void ph_resample_destroy(struct ph_resample **r)
{
    if (!*r) return;
    end(*r);
    free((*r)->out);
    free(*r);
    *r = NULL;
}

ph_err ph_resample_run(struct ph_resample *r, const float *in, int64_t n, const float **out,
                       int64_t *count)
{
    int64_t made = 0, used = 0, room = (int64_t) ceil((double) (in ? n : 0) * r->ratio) + 4096;
    *count = 0;
    for (;;) {
        if (*count + room > r->room) {
            float *more = realloc(r->out, sizeof *more * (size_t) (*count + room));
            if (!more) return PH_ENOMEM;
            r->out = more;
            r->room = *count + room;
        }
        float *whole = r->out;
        r->out += *count;
        ph_err ret = step(r, in, n, room, &used, &made);
        r->out = whole;
        if (ret) return ret;
        *count += made;
        *out = r->out;
        if (in) {
            in += used;
            n -= used;
        }
        if (in ? n == 0 : made == 0) return PH_OK;
    }
}
