// SPDX-License-Identifier: MIT
// FFmpeg for the files of this folder only; no other header names its types.
#ifndef PH_NODES_MEDIA_FF_H
#define PH_NODES_MEDIA_FF_H

#include "image/geometry.h"

#include <phosphene/frame.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

// Devices registered, FFmpeg's own log silenced (PH_FFMPEG_LOG=warning, … brings it back). Once.
void ph_ff_init(void);

// An FFmpeg error in our words, beginning in lower case; returns text.
const char *ph_ff_text(int error, char *text, size_t size);
ph_err ph_ff_err(int error);

// AVFrame → RGBA. Keeps the tables of the newest format between calls.
struct ph_ff_picture {
    struct SwsContext *sws;
    int width, height, format, space, full;
};
// The frame's own matrix and range, where it says; else what is usual for its size. PH_ELIMIT:
// larger than a picture can be; PH_ENOTSUP: a pixel format nobody converts.
ph_err ph_ff_picture_convert(struct ph_ff_picture *c, struct ph_pool *pool, const AVFrame *f,
                             enum ph_turn turn, struct ph_frame **out);
void ph_ff_picture_finish(struct ph_ff_picture *c);
// How a stream or a frame wants to be shown; matrix may be NULL.
enum ph_turn ph_ff_turn(const int32_t matrix[9]);

// AVFrame → interleaved float at PH_INPUT_RATE_HZ, mono as mono, all else as stereo.
struct ph_ff_sound {
    struct SwrContext *swr;
    int rate, format, channels;
};
ph_err ph_ff_sound_convert(struct ph_ff_sound *c, struct ph_pool *pool, const AVFrame *f,
                           struct ph_frame **out);
void ph_ff_sound_finish(struct ph_ff_sound *c);

#endif
