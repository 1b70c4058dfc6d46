// SPDX-License-Identifier: MIT
#include "nodes/media/encoder.h"

#include "image/convert.h"
#include "nodes/media/ff.h"
#include "nodes/util.h"

#include <libavutil/cpu.h>
#include <libavutil/opt.h>

#include <phosphene/log.h>

#include <stdlib.h>
#include <string.h>

#define MAX_THREADS 8
// Pictures that x264 works on at once in a delayed encoder. Fixed, not by the machine: how far a
// motion may reach depends on it, and with it the bytes.
#define FILM_THREADS 4
#define FAR_KEYFRAME                                                                           \
    100000 // the caller asks for key frames by time, the encoder never by count

struct ph_encoder {
    struct ph_encoder_params par;
    bool gpu; // NVENC; else the processor's
    AVCodecContext *ctx;
    AVFrame *frame;
    AVPacket *packet;
};

static const char *codec_name(enum ph_codec codec)
{
    return codec == PH_H264  ? "libx264"
           : codec == PH_VP8 ? "libvpx"
           : codec == PH_VP9 ? "libvpx-vp9"
                             : "none";
}

ph_err ph_encoder_check(enum ph_codec codec, struct ph_fault *fault)
{
    if (avcodec_find_encoder_by_name(codec_name(codec))) return PH_OK;
    return ph_fail(fault, PH_ENOTSUP, "codec", "this FFmpeg has no encoder for %s (%s)",
                   ph_codec_name(codec), codec_name(codec));
}

// 100 is the codec's best, 1 nearly its worst; x264 at 80 is crf 19, at 70 crf 23.
static int constant_quality(const struct ph_encoder_params *par)
{
    return par->codec == PH_H264 ? (510 - 4 * par->quality + 5) / 10
                                 : 63 - (par->quality * 53 + 50) / 100;
}

static void set_rate(AVCodecContext *ctx, const struct ph_encoder_params *par)
{
    ctx->bit_rate = (int64_t) par->bitrate * 1000;
    ctx->rc_max_rate = ctx->bit_rate;
    ctx->rc_buffer_size = (int) ctx->bit_rate / 2; // half a second: what a live viewer stands
    if (par->bitrate) return;
    if (par->codec != PH_H264) ctx->bit_rate = 100000000; // a ceiling; crf decides
    av_opt_set_double(ctx->priv_data, "crf", constant_quality(par), 0);
}

static void set_x264(AVCodecContext *ctx, const struct ph_encoder_params *par)
{
    av_opt_set(ctx->priv_data, "preset", par->preset ? par->preset : "veryfast", 0);
    if (!par->delayed) av_opt_set(ctx->priv_data, "tune", "zerolatency", 0);
    av_opt_set(ctx->priv_data, "forced-idr", "1", 0);
    av_opt_set(ctx->priv_data, "x264-params",
               par->delayed ? "scenecut=0:force-cfr=1:rc-lookahead=0:sync-lookahead=0:mbtree=0:"
                              "weightp=0"
               : par->in_file ? "scenecut=0"
                              : "scenecut=0:repeat-headers=1:annexb=1",
               0);
}

// The same by NVIDIA's encoder, which has other words for it.
static void set_nvenc(AVCodecContext *ctx, const struct ph_encoder_params *par)
{
    av_opt_set(ctx->priv_data, "preset", "p4", 0);
    av_opt_set(ctx->priv_data, "tune", "ull", 0);
    av_opt_set_int(ctx->priv_data, "delay", 0, 0);
    av_opt_set_int(ctx->priv_data, "zerolatency", 1, 0);
    av_opt_set_int(ctx->priv_data, "forced-idr", 1, 0);
    av_opt_set(ctx->priv_data, "rc", par->bitrate ? "cbr" : "vbr", 0);
    if (!par->bitrate) av_opt_set_double(ctx->priv_data, "cq", constant_quality(par), 0);
}

static void set_vpx(AVCodecContext *ctx)
{
    av_opt_set(ctx->priv_data, "deadline", "realtime", 0);
    // negative: this speed; a positive one is a start from which the encoder slows down as long as
    // the clock lets it, so that it takes what time there is and no two runs give the same bytes
    av_opt_set_int(ctx->priv_data, "cpu-used", -8, 0);
    av_opt_set_int(ctx->priv_data, "lag-in-frames", 0, 0);
    av_opt_set_int(ctx->priv_data, "auto-alt-ref", 0, 0);
    ctx->qmin = 2;
    ctx->qmax = 63;
}

static void set_context(struct ph_encoder *e)
{
    const struct ph_encoder_params *par = &e->par;
    AVCodecContext *ctx = e->ctx;
    int cpus = av_cpu_count();
    ctx->width = (par->width + 1) & ~1;
    ctx->height = (par->height + 1) & ~1;
    ctx->pix_fmt = AV_PIX_FMT_YUV420P;
    ctx->time_base = (AVRational){ 1, par->ticks_per_second };
    int64_t num, den;
    ph_fps_ratio(par->fps > 0 ? par->fps : 30, &num, &den);
    ctx->framerate = (AVRational){ (int) num, (int) den };
    ctx->gop_size = FAR_KEYFRAME;
    ctx->max_b_frames = 0;
    ctx->thread_count = par->delayed ? FILM_THREADS : cpus < MAX_THREADS ? cpus : MAX_THREADS;
    ctx->thread_type = par->delayed ? FF_THREAD_FRAME : FF_THREAD_SLICE;
    bool hd =
        par->height > 576 || par->width >= 1280; // what players take when they do not look
    ctx->colorspace = hd ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
    ctx->color_primaries = AVCOL_PRI_BT709;
    ctx->color_trc = AVCOL_TRC_BT709;
    ctx->color_range = AVCOL_RANGE_MPEG;
    if (par->in_file) ctx->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    set_rate(ctx, par);
    if (e->gpu)
        set_nvenc(ctx, par);
    else if (par->codec == PH_H264)
        set_x264(ctx, par);
    else
        set_vpx(ctx);
}

static ph_err make_frame(struct ph_encoder *e)
{
    e->frame = av_frame_alloc();
    e->packet = av_packet_alloc();
    if (!e->frame || !e->packet) return PH_ENOMEM;
    e->frame->format = e->ctx->pix_fmt;
    e->frame->width = e->ctx->width;
    e->frame->height = e->ctx->height;
    e->frame->colorspace = e->ctx->colorspace;
    e->frame->color_range = e->ctx->color_range;
    return av_frame_get_buffer(e->frame, 0) < 0 ? PH_ENOMEM : PH_OK;
}

static int open_codec(struct ph_encoder *e)
{
    const char *name = e->gpu ? "h264_nvenc" : codec_name(e->par.codec);
    const AVCodec *codec = avcodec_find_encoder_by_name(name);
    if (!codec) return AVERROR_ENCODER_NOT_FOUND;
    e->ctx = avcodec_alloc_context3(codec);
    if (!e->ctx) return AVERROR(ENOMEM);
    set_context(e);
    int opened = avcodec_open2(e->ctx, NULL, NULL);
    if (opened < 0) avcodec_free_context(&e->ctx);
    return opened;
}

// A machine without the GPU that a graph was written for still makes the film.
static int open_any(struct ph_encoder *e)
{
    char text[128];
    e->gpu = e->par.codec == PH_H264 && e->par.preset && !strcmp(e->par.preset, "nvenc");
    if (!e->gpu) return open_codec(e);
    int opened = open_codec(e);
    if (opened >= 0) return opened;
    ph_warn(e->par.log, e->par.who ? e->par.who : "encoder",
            "NVENC does not open (%s): libx264 encodes", ph_ff_text(opened, text, sizeof text));
    e->gpu = false;
    e->par.preset = NULL;
    return open_codec(e);
}

ph_err ph_encoder_create(struct ph_encoder **out, const struct ph_encoder_params *par,
                         struct ph_fault *fault)
{
    char text[128];
    ph_ff_init();
    *out = NULL;
    ph_err ret = ph_encoder_check(par->codec, fault);
    if (ret < 0) return ret;
    struct ph_encoder *e = calloc(1, sizeof *e);
    if (!e) return ph_fail(fault, PH_ENOMEM, "codec", "out of memory");
    e->par = *par;
    int opened = open_any(e);
    if (opened < 0)
        ret =
            ph_fail(fault, PH_ENOTSUP, "codec", "%s refuses %dx%d: %s", codec_name(par->codec),
                    par->width, par->height, ph_ff_text(opened, text, sizeof text));
    else if ((ret = make_frame(e)) < 0)
        ph_fail(fault, ret, "codec", "out of memory");
    if (ret < 0) ph_encoder_destroy(&e);
    *out = e;
    return ret;
}

void ph_encoder_destroy(struct ph_encoder **out)
{
    struct ph_encoder *e = *out;
    *out = NULL;
    if (!e) return;
    avcodec_free_context(&e->ctx);
    av_frame_free(&e->frame);
    av_packet_free(&e->packet);
    free(e);
}

int ph_encoder_width(const struct ph_encoder *e)
{
    return e->ctx->width;
}

int ph_encoder_height(const struct ph_encoder *e)
{
    return e->ctx->height;
}

const struct AVCodecContext *ph_encoder_context(const struct ph_encoder *e)
{
    return e->ctx;
}

bool ph_encoder_set_quality(struct ph_encoder *e, int quality, int bitrate)
{
    if (e->par.quality == quality && e->par.bitrate == bitrate) return true;
    if (e->gpu || e->par.codec != PH_H264 || !e->par.bitrate != !bitrate) return false;
    e->par.quality = quality;
    e->par.bitrate = bitrate;
    set_rate(e->ctx, &e->par); // libx264 looks at these before each picture
    return true;
}

// The added column and row repeat the last ones; chroma covers both already.
static void fill_edge(const AVFrame *f, int width, int height)
{
    uint8_t *y = f->data[0];
    ptrdiff_t stride = f->linesize[0];
    for (int row = 0; width < f->width && row < height; row++)
        y[row * stride + width] = y[row * stride + width - 1];
    if (height < f->height)
        memcpy(y + height * stride, y + (height - 1) * stride, (size_t) f->width);
}

static ph_err load(struct ph_encoder *e, const struct ph_picture *src)
{
    AVFrame *f = e->frame;
    if (src->format != PH_RGBA || src->width != e->par.width || src->height != e->par.height)
        return PH_EINVAL;
    if (av_frame_make_writable(f) < 0) return PH_ENOMEM;
    struct ph_picture dst = { .format = PH_I420,
                              .width = src->width,
                              .height = src->height,
                              .matrix =
                                  e->ctx->colorspace == AVCOL_SPC_BT709 ? PH_BT709 : PH_BT601,
                              .range = PH_LIMITED };
    for (int p = 0; p < PH_PLANES; p++) {
        dst.data[p] = f->data[p];
        dst.stride[p] = f->linesize[p];
    }
    ph_err ret = ph_image_convert(&dst, src);
    if (ret == PH_OK) fill_edge(f, src->width, src->height);
    return ret;
}

static ph_err receive(struct ph_encoder *e, struct ph_encoded *out)
{
    int got = avcodec_receive_packet(e->ctx, e->packet);
    if (got == AVERROR(EAGAIN)) return PH_MORE;
    if (got == AVERROR_EOF) return PH_EOF;
    if (got < 0) return ph_ff_err(got);
    *out = (struct ph_encoded){ .data = e->packet->data,
                                .size = (size_t) e->packet->size,
                                .key = e->packet->flags & AV_PKT_FLAG_KEY,
                                .pts = e->packet->pts };
    return PH_OK;
}

ph_err ph_encoder_encode(struct ph_encoder *e, const struct ph_picture *src, int64_t pts,
                         bool key, struct ph_encoded *out)
{
    ph_err ret = load(e, src);
    if (ret < 0) return ret;
    e->frame->pts = pts;
    e->frame->pict_type = key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    av_packet_unref(e->packet);
    int sent = avcodec_send_frame(e->ctx, e->frame);
    return sent < 0 ? ph_ff_err(sent) : receive(e, out);
}

ph_err ph_encoder_drain(struct ph_encoder *e, struct ph_encoded *out)
{
    av_packet_unref(e->packet);
    int sent = avcodec_send_frame(e->ctx, NULL); // AVERROR_EOF: told before
    return sent < 0 && sent != AVERROR_EOF ? ph_ff_err(sent) : receive(e, out);
}
