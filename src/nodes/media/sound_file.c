// SPDX-License-Identifier: MIT
#include "nodes/media/sound_file.h"
#include "nodes/media/ff.h"

#include <libavutil/channel_layout.h>

#include <stdlib.h>

struct ph_sound_file {
    AVFormatContext *fmt;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
    bool drained;
    struct SwrContext *swr;
    int rate, format, channels; // that swr takes
    float *samples;
    int64_t room;
    int damaged;
    int64_t size;
    double share;
    struct ph_sound_info info;
};

static ph_err refuse(struct ph_fault *fault, const char *path, int error)
{
    char text[128];
    if (error == AVERROR_EOF) error = AVERROR_INVALIDDATA;
    ph_err code = ph_ff_err(error);
    const char *why = error == AVERROR_INVALIDDATA || error == AVERROR_STREAM_NOT_FOUND
                          ? "there is no sound in it that can be read"
                          : ph_ff_text(error, text, sizeof text);
    if (error == AVERROR_STREAM_NOT_FOUND) code = PH_EFORMAT;
    return ph_fail(fault, code, "path", "%s: %s", path, why);
}

static int open_codec(struct ph_sound_file *f)
{
    const AVCodec *decoder = NULL;
    int ret = avformat_find_stream_info(f->fmt, NULL);
    if (ret < 0) return ret;
    ret = av_find_best_stream(f->fmt, AVMEDIA_TYPE_AUDIO, -1, -1, &decoder, 0);
    if (ret < 0) return ret;
    f->stream = ret;
    for (unsigned i = 0; i < f->fmt->nb_streams; i++)
        if ((int) i != f->stream) f->fmt->streams[i]->discard = AVDISCARD_ALL;
    f->codec = avcodec_alloc_context3(decoder);
    f->packet = av_packet_alloc();
    f->frame = av_frame_alloc();
    if (!f->codec || !f->packet || !f->frame) return AVERROR(ENOMEM);
    AVStream *st = f->fmt->streams[f->stream];
    ret = avcodec_parameters_to_context(f->codec, st->codecpar);
    if (ret < 0) return ret;
    f->codec->pkt_timebase = st->time_base;
    f->codec->thread_count = 1;
    ret = avcodec_open2(f->codec, decoder, NULL);
    f->info.codec = decoder->name;
    f->info.rate_hz = st->codecpar->sample_rate;
    f->info.channels = st->codecpar->ch_layout.nb_channels;
    if (f->fmt->duration > 0) f->info.seconds = (double) f->fmt->duration / AV_TIME_BASE;
    if (ret >= 0 && (f->info.rate_hz < 1 || f->info.channels < 1)) return AVERROR_INVALIDDATA;
    return ret;
}

ph_err ph_sound_open(struct ph_sound_file **out, const char *path, struct ph_fault *fault)
{
    *out = NULL;
    ph_ff_init();
    struct ph_sound_file *f = calloc(1, sizeof *f);
    if (!f) return ph_fail(fault, PH_ENOMEM, "path", "%s: out of memory", path);
    int ret = avformat_open_input(&f->fmt, path, NULL, NULL);
    if (ret >= 0) ret = open_codec(f);
    if (ret < 0) {
        ph_sound_close(&f);
        return refuse(fault, path, ret);
    }
    if (f->fmt->pb) f->size = avio_size(f->fmt->pb);
    *out = f;
    return PH_OK;
}

void ph_sound_close(struct ph_sound_file **file)
{
    struct ph_sound_file *f = *file;
    if (!f) return;
    swr_free(&f->swr);
    av_frame_free(&f->frame);
    av_packet_free(&f->packet);
    avcodec_free_context(&f->codec);
    avformat_close_input(&f->fmt);
    free(f->samples);
    free(f);
    *file = NULL;
}

const struct ph_sound_info *ph_sound_info(const struct ph_sound_file *f)
{
    return &f->info;
}

int ph_sound_damaged(const struct ph_sound_file *f)
{
    return f->damaged;
}

double ph_sound_share(const struct ph_sound_file *f)
{
    return f->share;
}

// ------------------------------------------------------------------------------ reading
// A file that changes its rate or channels on the way is brought to those it began with.
static int prepare(struct ph_sound_file *f)
{
    const AVFrame *a = f->frame;
    int channels = a->ch_layout.nb_channels;
    if (f->swr && f->rate == a->sample_rate && f->format == a->format &&
        f->channels == channels)
        return 0;
    swr_free(&f->swr);
    AVChannelLayout in = { 0 }, out = { 0 };
    if (a->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_default(&in, channels);
    else if (av_channel_layout_copy(&in, &a->ch_layout) < 0)
        return AVERROR(ENOMEM);
    int ret = channels == f->info.channels ? av_channel_layout_copy(&out, &in) : 0;
    if (channels != f->info.channels) av_channel_layout_default(&out, f->info.channels);
    if (ret >= 0)
        ret = swr_alloc_set_opts2(&f->swr, &out, AV_SAMPLE_FMT_FLT, f->info.rate_hz, &in,
                                  a->format, a->sample_rate, 0, NULL);
    if (ret >= 0) ret = swr_init(f->swr);
    av_channel_layout_uninit(&in);
    av_channel_layout_uninit(&out);
    f->rate = a->sample_rate;
    f->format = a->format;
    f->channels = channels;
    return ret;
}

static int convert(struct ph_sound_file *f, int64_t *frames)
{
    int ret = prepare(f);
    if (ret < 0) return ret;
    int64_t room = swr_get_out_samples(f->swr, f->frame->nb_samples);
    if (room > f->room) {
        float *more = realloc(f->samples, sizeof *more * (size_t) (room * f->info.channels));
        if (!more) return AVERROR(ENOMEM);
        f->samples = more;
        f->room = room;
    }
    uint8_t *out[1] = { (uint8_t *) f->samples };
    ret = swr_convert(f->swr, out, (int) f->room, (const uint8_t **) f->frame->extended_data,
                      f->frame->nb_samples);
    *frames = ret > 0 ? ret : 0;
    return ret;
}

static bool is_of_the_data(int ret)
{
    return ret != AVERROR(ENOMEM) && ret != AVERROR_EOF && ret != AVERROR(EAGAIN);
}

// Sends the next packet of the stream, or the end. What cannot be decoded is counted, not fatal.
static int feed(struct ph_sound_file *f)
{
    int ret = av_read_frame(f->fmt, f->packet);
    if (ret < 0 && ret != AVERROR(ENOMEM)) {
        if (ret != AVERROR_EOF) f->damaged++;
        f->drained = true;
        return avcodec_send_packet(f->codec, NULL);
    }
    if (ret < 0) return ret;
    if (f->size > 0 && f->packet->pos > 0)
        f->share = (double) f->packet->pos / (double) f->size;
    if (f->packet->stream_index == f->stream) {
        ret = avcodec_send_packet(f->codec, f->packet);
        if (ret < 0 && is_of_the_data(ret)) {
            f->damaged++;
            ret = 0;
        }
    }
    av_packet_unref(f->packet);
    return ret;
}

ph_err ph_sound_read(struct ph_sound_file *f, const float **samples, int64_t *frames)
{
    *frames = 0;
    while (*frames == 0) {
        int ret = avcodec_receive_frame(f->codec, f->frame);
        if (ret == AVERROR(EAGAIN) && !f->drained)
            ret = feed(f);
        else if (ret >= 0)
            ret = convert(f, frames);
        if (ret == AVERROR_EOF || (ret == AVERROR(EAGAIN) && f->drained)) return PH_EOF;
        if (ret < 0 && !is_of_the_data(ret)) return PH_ENOMEM;
        if (ret < 0) f->damaged++;
        if (ret < 0 && f->drained) return PH_EOF;
    }
    *samples = f->samples;
    return PH_OK;
}
