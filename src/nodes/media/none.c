// SPDX-License-Identifier: MIT
// This folder in a build without FFmpeg: every opening says what is missing, nothing else is called.
#include "nodes/media/encoder.h"
#include "nodes/media/feed.h"
#include "nodes/media/segments.h"
#include "nodes/media/sound_file.h"
#include "nodes/media/writer.h"

#include <stdio.h>

static ph_err missing(struct ph_fault *fault, const char *field, const char *what)
{
    return ph_fail(fault, PH_ENOTSUP, field,
                   "this build has no FFmpeg, which %s: install libavformat-dev, "
                   "libavcodec-dev, libavdevice-dev, libswscale-dev and libswresample-dev and "
                   "build again (make setup does it)",
                   what);
}

ph_err ph_input_open(struct ph_input **out, const struct ph_input_params *par,
                     struct ph_fault *fault)
{
    *out = NULL;
    return missing(fault, "path", "reads films, streams and devices");
}

void ph_input_close(struct ph_input **in)
{
    *in = NULL;
}

const struct ph_input_info *ph_input_info(const struct ph_input *in)
{
    static const struct ph_input_info none = { .codec = "" };
    return &none;
}

ph_err ph_input_read(struct ph_input *in, struct ph_input_item *item)
{
    return PH_ENOTSUP;
}

const char *ph_input_error(const struct ph_input *in)
{
    return "";
}

ph_err ph_input_frame(struct ph_input *in, struct ph_pool *pool, struct ph_frame **out)
{
    *out = NULL;
    return PH_ENOTSUP;
}

ph_err ph_input_seek(struct ph_input *in, int64_t pts_ns)
{
    return PH_ENOTSUP;
}

int64_t ph_input_start_ns(const struct ph_input *in)
{
    return 0;
}

void ph_input_use_sound(struct ph_input *in, bool on)
{
}

ph_err ph_feed_create(struct ph_feed **out, const struct ph_feed_params *par,
                      struct ph_fault *fault)
{
    *out = NULL;
    return missing(fault, "path", "reads films, streams and devices");
}

void ph_feed_destroy(struct ph_feed **feed)
{
    *feed = NULL;
}

ph_err ph_feed_pass(struct ph_feed *feed, struct ph_node *n)
{
    return PH_ENOTSUP;
}

ph_err ph_encoder_create(struct ph_encoder **out, const struct ph_encoder_params *par,
                         struct ph_fault *fault)
{
    *out = NULL;
    return missing(fault, "codec", "encodes video");
}

ph_err ph_encoder_check(enum ph_codec codec, struct ph_fault *fault)
{
    return missing(fault, "codec", "encodes video");
}

void ph_encoder_destroy(struct ph_encoder **e)
{
    *e = NULL;
}

ph_err ph_encoder_encode(struct ph_encoder *e, const struct ph_picture *src, int64_t pts,
                         bool key, struct ph_encoded *out)
{
    return PH_ENOTSUP;
}

bool ph_encoder_set_quality(struct ph_encoder *e, int quality, int bitrate)
{
    return true;
}

int ph_encoder_width(const struct ph_encoder *e)
{
    return 0;
}

int ph_encoder_height(const struct ph_encoder *e)
{
    return 0;
}

ph_err ph_writer_create(struct ph_writer **out, const struct ph_writer_params *par,
                        struct ph_fault *fault)
{
    *out = NULL;
    return missing(fault, "path", "records");
}

ph_err ph_writer_finish(struct ph_writer *w)
{
    return PH_ENOTSUP;
}

void ph_writer_destroy(struct ph_writer **w)
{
    *w = NULL;
}

ph_err ph_writer_picture(struct ph_writer *w, struct ph_frame *f)
{
    return PH_ENOTSUP;
}

ph_err ph_writer_sound(struct ph_writer *w, const struct ph_samples *src, int64_t pts_ns)
{
    return PH_ENOTSUP;
}

void ph_writer_use_sound(struct ph_writer *w, bool on)
{
}

void ph_writer_set_quality(struct ph_writer *w, int quality)
{
}

const char *ph_writer_error(const struct ph_writer *w)
{
    return "";
}

ph_err ph_segments_create(struct ph_segments **out, const struct ph_segments_params *par,
                          struct ph_fault *fault)
{
    *out = NULL;
    return missing(fault, "output", "renders films");
}

ph_err ph_segments_picture(struct ph_segments *s, const struct ph_picture *src,
                           struct ph_fault *fault)
{
    return PH_ENOTSUP;
}

ph_err ph_segments_finish(struct ph_segments *s, struct ph_fault *fault)
{
    return PH_ENOTSUP;
}

void ph_segments_destroy(struct ph_segments **s)
{
    *s = NULL;
}

int ph_segments_count(const char *folder)
{
    return 0;
}

ph_err ph_segments_join(const struct ph_join_params *par, struct ph_fault *fault)
{
    return missing(fault, "output", "renders films");
}

ph_err ph_sound_length(const char *path, int64_t *ns, struct ph_fault *fault)
{
    return missing(fault, "song", "reads songs");
}

ph_err ph_sound_open(struct ph_sound_file **out, const char *path, struct ph_fault *fault)
{
    *out = NULL;
    return missing(fault, "path", "reads sound files");
}

void ph_sound_close(struct ph_sound_file **f)
{
    *f = NULL;
}

const struct ph_sound_info *ph_sound_info(const struct ph_sound_file *f)
{
    static const struct ph_sound_info none = { .codec = "" };
    return &none;
}

ph_err ph_sound_read(struct ph_sound_file *f, const float **samples, int64_t *frames)
{
    *frames = 0;
    return PH_ENOTSUP;
}

int ph_sound_damaged(const struct ph_sound_file *f)
{
    return 0;
}

double ph_sound_share(const struct ph_sound_file *f)
{
    return 0;
}
