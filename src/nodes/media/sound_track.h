// SPDX-License-Identifier: MIT
// The sound of a film file: any pieces of samples to encoded packets. FFmpeg types, for writer.c.
#ifndef PH_NODES_MEDIA_SOUND_TRACK_H
#define PH_NODES_MEDIA_SOUND_TRACK_H

#include "nodes/media/ff.h"

#include <libavutil/audio_fifo.h>

struct ph_sound_track {
    AVStream *st;
    AVCodecContext *enc;
    AVAudioFifo *fifo;
    AVFrame *frame;
    AVPacket *packet;
    int64_t written;  // samples put into the fifo: the track's own clock
    int64_t encoded;  // samples taken out of it
    bool keep_run_in; // the file has an edit list that hides what lies before time 0
};

// Adds a stream to fmt. PH_ENOTSUP: FFmpeg lacks the encoder.
ph_err ph_sound_track_open(struct ph_sound_track *t, AVFormatContext *fmt,
                           enum AVCodecID codec);
// Samples that belong to `at_ns` of the film; negative time is left out.
// Both return an FFmpeg error or 0.
int ph_sound_track_write(struct ph_sound_track *t, AVFormatContext *fmt,
                         const struct ph_samples *src, int64_t at_ns);
int ph_sound_track_end(struct ph_sound_track *t, AVFormatContext *fmt);
void ph_sound_track_close(struct ph_sound_track *t);

#endif
