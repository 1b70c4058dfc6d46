// SPDX-License-Identifier: MIT
#include "nodes/media/ff.h"

#include "nodes/media/input.h"

#include <libavutil/channel_layout.h>

static ph_err prepare(struct ph_ff_sound *c, const AVFrame *f)
{
    int channels = f->ch_layout.nb_channels;
    if (c->swr && c->rate == f->sample_rate && c->format == f->format &&
        c->channels == channels)
        return PH_OK;
    ph_ff_sound_finish(c);
    AVChannelLayout in = { 0 }, out;
    av_channel_layout_default(&out, channels == 1 ? 1 : 2);
    if (f->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_default(&in, channels);
    else if (av_channel_layout_copy(&in, &f->ch_layout) < 0)
        return PH_ENOMEM;
    int ret = swr_alloc_set_opts2(&c->swr, &out, AV_SAMPLE_FMT_FLT, PH_INPUT_RATE_HZ, &in,
                                  f->format, f->sample_rate, 0, NULL);
    av_channel_layout_uninit(&in);
    if (ret < 0 || swr_init(c->swr) < 0) {
        ph_ff_sound_finish(c);
        return PH_ENOTSUP;
    }
    c->rate = f->sample_rate;
    c->format = f->format;
    c->channels = channels;
    return PH_OK;
}

ph_err ph_ff_sound_convert(struct ph_ff_sound *c, struct ph_pool *pool, const AVFrame *f,
                           struct ph_frame **out)
{
    *out = NULL;
    ph_err ret = prepare(c, f);
    if (ret < 0) return ret;
    int room = swr_get_out_samples(c->swr, f->nb_samples);
    if (room < 1) return room < 0 ? PH_EFORMAT : PH_MORE;
    ret = ph_frame_samples(pool, room, c->channels == 1 ? 1 : 2, PH_INPUT_RATE_HZ, out);
    if (ret < 0) return ret;
    uint8_t *data[1] = { (uint8_t *) (*out)->samples.data };
    int n = swr_convert(c->swr, data, room, (const uint8_t **) f->extended_data, f->nb_samples);
    if (n > 0) {
        (*out)->samples.count = n;
        return PH_OK;
    }
    ph_frame_unref(out);
    return n < 0 ? PH_EFORMAT : PH_MORE;
}

void ph_ff_sound_finish(struct ph_ff_sound *c)
{
    swr_free(&c->swr);
    *c = (struct ph_ff_sound){ 0 };
}
