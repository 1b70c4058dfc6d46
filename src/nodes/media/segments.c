// SPDX-License-Identifier: MIT
#include "nodes/media/segments.h"

#include "image/resize.h"
#include "nodes/fit.h"
#include "nodes/media/encoder.h"
#include "nodes/media/input.h"
#include "nodes/media/sound_track.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICKS 90000
#define MAGIC                                                                                  \
    "PHSEG2\n" // another one whenever the encoder makes other bytes of the same parameters
#define PRESET                                                                                 \
    "superfast"         // two thirds of the time of "veryfast" at the same size (720p, crf 20)
#define MOST (64 << 20) // bytes of a packet, against a damaged file

struct head {
    char magic[8];
    int32_t width, height, quality, spare;
    int64_t num, den;
};

struct packet {
    int64_t pts; // ticks
    int32_t key, size;
};

struct ph_segments {
    struct ph_segments_params par;
    char folder[4200];
    struct ph_encoder *encoder;
    struct ph_resize *resize;
    struct ph_frame *fitted;
    FILE *file;
    int segment, frame; // of the whole film
};

// --- names

static void name_of(const char *folder, int segment, bool whole, char *name, size_t size)
{
    snprintf(name, size, "%s/%06d.%s", folder, segment, whole ? "seg" : "tmp");
}

// One of another version is made anew, and so is all that comes after it.
static bool is_there(const char *folder, int segment)
{
    char name[4300];
    struct head head;
    name_of(folder, segment, true, name, sizeof name);
    FILE *file = fopen(name, "rbe");
    if (!file) return false;
    bool ok = fread(&head, sizeof head, 1, file) == 1 &&
              !memcmp(head.magic, MAGIC, sizeof head.magic);
    fclose(file);
    return ok;
}

int ph_segments_count(const char *folder)
{
    int n = 0;
    while (is_there(folder, n)) n++;
    return n;
}

// --- writing

static ph_err broken(struct ph_segments *s, struct ph_fault *fault)
{
    int error = errno;
    return ph_fail(fault, PH_EIO, "segment", "%s: %s", s->folder,
                   error == ENOSPC ? "the disk is full" : strerror(error));
}

ph_err ph_segments_create(struct ph_segments **out, const struct ph_segments_params *par,
                          struct ph_fault *fault)
{
    *out = NULL;
    ph_err ret = ph_encoder_check(PH_H264, fault);
    if (ret < 0) return ret;
    struct ph_segments *s = calloc(1, sizeof *s);
    if (!s) return ph_fail(fault, PH_ENOMEM, "segment", "out of memory");
    s->par = *par;
    snprintf(s->folder, sizeof s->folder, "%s", par->folder);
    s->segment = par->first;
    s->frame = par->first * par->length;
    *out = s;
    return PH_OK;
}

static struct ph_encoder_params encoder_params(int width, int height, int quality, int64_t num,
                                               int64_t den)
{
    return (struct ph_encoder_params){ .codec = PH_H264,
                                       .width = width,
                                       .height = height,
                                       .quality = quality,
                                       .preset = PRESET,
                                       .ticks_per_second = TICKS,
                                       .fps = (double) num / (double) den,
                                       .in_file = true,
                                       .delayed = true };
}

static ph_err begin(struct ph_segments *s, struct ph_fault *fault)
{
    char name[4300];
    const struct ph_segments_params *p = &s->par;
    struct head head = { .magic = MAGIC,
                         .width = p->width,
                         .height = p->height,
                         .quality = p->quality,
                         .num = p->num,
                         .den = p->den };
    struct ph_encoder_params par =
        encoder_params(p->width, p->height, p->quality, p->num, p->den);
    ph_err ret = ph_encoder_create(&s->encoder, &par, fault);
    if (ret < 0) return ret;
    name_of(s->folder, s->segment, false, name, sizeof name);
    s->file = fopen(name, "wbe");
    if (!s->file || fwrite(&head, sizeof head, 1, s->file) != 1) return broken(s, fault);
    return PH_OK;
}

static ph_err write_encoded(struct ph_segments *s, const struct ph_encoded *e,
                            struct ph_fault *fault)
{
    struct packet head = { e->pts, e->key, (int32_t) e->size };
    bool ok = fwrite(&head, sizeof head, 1, s->file) == 1 &&
              fwrite(e->data, 1, e->size, s->file) == e->size;
    return ok ? PH_OK : broken(s, fault);
}

static ph_err drain(struct ph_segments *s, struct ph_fault *fault)
{
    struct ph_encoded e;
    for (;;) {
        ph_err ret = ph_encoder_drain(s->encoder, &e);
        if (ret == PH_EOF) return PH_OK;
        if (ret != PH_OK) return ph_fail(fault, PH_EIO, "segment", "the encoder failed");
        if ((ret = write_encoded(s, &e, fault)) < 0) return ret;
    }
}

static ph_err end(struct ph_segments *s, struct ph_fault *fault)
{
    char name[4300], whole[4300];
    ph_err ret = drain(s, fault);
    if (ret < 0) return ret;
    ph_encoder_destroy(&s->encoder);
    FILE *file = s->file;
    s->file = NULL;
    name_of(s->folder, s->segment, false, name, sizeof name);
    name_of(s->folder, s->segment, true, whole, sizeof whole);
    if (fclose(file) || rename(name, whole)) return broken(s, fault);
    s->segment++;
    return PH_OK;
}

static ph_err fit(struct ph_segments *s, const struct ph_picture **src)
{
    struct ph_segments_params *p = &s->par;
    ph_err ret = PH_OK;
    if (!p->width) p->width = (*src)->width, p->height = (*src)->height;
    if ((*src)->width == p->width && (*src)->height == p->height) return PH_OK;
    if (!s->fitted) ret = ph_frame_picture(NULL, PH_RGBA, p->width, p->height, &s->fitted);
    if (ret == PH_OK)
        ret = ph_fit_draw(&s->resize, &s->fitted->picture, *src, PH_FIT_CONTAIN, PH_FIT_AUTO,
                          0x000000ff);
    if (ret == PH_OK) *src = &s->fitted->picture;
    return ret;
}

static int64_t ticks_of(const struct ph_segments *s)
{
    return av_rescale(s->frame, TICKS * s->par.den, s->par.num);
}

ph_err ph_segments_picture(struct ph_segments *s, const struct ph_picture *src,
                           struct ph_fault *fault)
{
    struct ph_encoded e;
    bool first = !s->file;
    ph_err ret = fit(s, &src);
    if (ret < 0) return ph_fail(fault, ret, "segment", "a picture does not fit the film");
    if (first && (ret = begin(s, fault)) < 0) return ret;
    ret = ph_encoder_encode(s->encoder, src, ticks_of(s), first, &e);
    if (ret < 0) return ph_fail(fault, ret, "segment", "the encoder failed");
    if (ret == PH_OK && (ret = write_encoded(s, &e, fault)) < 0) return ret;
    s->frame++;
    return s->frame % s->par.length ? PH_OK : end(s, fault);
}

ph_err ph_segments_finish(struct ph_segments *s, struct ph_fault *fault)
{
    return s->file ? end(s, fault) : PH_OK;
}

void ph_segments_destroy(struct ph_segments **out)
{
    struct ph_segments *s = *out;
    char name[4300];
    *out = NULL;
    if (!s) return;
    if (s->file) {
        fclose(s->file);
        name_of(s->folder, s->segment, false, name, sizeof name);
        unlink(name);
    }
    ph_encoder_destroy(&s->encoder);
    ph_resize_destroy(&s->resize);
    ph_frame_unref(&s->fitted);
    free(s);
}

// --- joining

struct join {
    const struct ph_join_params *par;
    struct ph_fault *fault;
    struct head head; // of the first segment
    AVFormatContext *fmt;
    AVStream *video;
    struct ph_sound_track sound;
    struct ph_input *input;
    struct ph_frame *piece;
    int64_t sound_end_ns; // of what has been written
    bool drained;
    int64_t ticks; // of the newest packet
    AVPacket *packet;
};

static ph_err failed(struct join *j, int error, const char *what)
{
    char text[128];
    return ph_fail(j->fault, error == AVERROR(ENOMEM) ? PH_ENOMEM : PH_EIO, "output",
                   "%s: %s: %s", j->par->output, what, ph_ff_text(error, text, sizeof text));
}

static ph_err damaged(struct join *j, int segment)
{
    return ph_fail(j->fault, PH_EFORMAT, "segment",
                   "%s: segment %d is damaged: remove the folder and render again",
                   j->par->folder, segment);
}

static ph_err open_segment(struct join *j, int segment, FILE **file)
{
    char name[4300];
    struct head head;
    name_of(j->par->folder, segment, true, name, sizeof name);
    *file = fopen(name, "rbe");
    bool ok = *file && fread(&head, sizeof head, 1, *file) == 1 &&
              !memcmp(head.magic, MAGIC, sizeof head.magic);
    if (ok && !segment) j->head = head;
    if (ok && !memcmp(&head, &j->head, sizeof head)) return PH_OK;
    if (*file) fclose(*file);
    *file = NULL;
    return damaged(j, segment);
}

// An encoder as the segments had it: its parameters are the stream's.
static ph_err add_video(struct join *j)
{
    struct ph_encoder *e;
    struct ph_encoder_params par = encoder_params(j->head.width, j->head.height,
                                                  j->head.quality, j->head.num, j->head.den);
    ph_err ret = ph_encoder_create(&e, &par, j->fault);
    if (ret < 0) return ret;
    j->video = avformat_new_stream(j->fmt, NULL);
    int error = j->video
                    ? avcodec_parameters_from_context(j->video->codecpar, ph_encoder_context(e))
                    : AVERROR(ENOMEM);
    ph_encoder_destroy(&e);
    if (error < 0) return failed(j, error, "no picture stream");
    j->video->time_base = (AVRational){ 1, TICKS };
    j->video->avg_frame_rate = (AVRational){ (int) j->head.num, (int) j->head.den };
    j->video->sample_aspect_ratio = (AVRational){ 1, 1 };
    return PH_OK;
}

static ph_err open_sound(struct join *j)
{
    struct ph_input_params par = { .url = j->par->sound, .sound = true, .who = "sound" };
    ph_err ret = ph_input_open(&j->input, &par, j->fault);
    if (ret < 0) return ret;
    if (!ph_input_info(j->input)->sound)
        return ph_fail(j->fault, PH_EINVAL, "song", "%s has no sound", j->par->sound);
    ph_input_use_sound(j->input, true);
    j->sound.keep_run_in = true; // the edit list of a whole file hides it
    ret = ph_sound_track_open(&j->sound, j->fmt, AV_CODEC_ID_AAC);
    return ret < 0 ? ph_fail(j->fault, ret, "output", "this FFmpeg has no AAC encoder") : PH_OK;
}

static ph_err add_chapters(struct join *j)
{
    int n = j->par->chapter_count;
    if (!n) return PH_OK;
    int64_t end = av_rescale(j->par->sound_ns, 1000, PH_SECOND_NS);
    j->fmt->chapters = av_calloc((size_t) n, sizeof *j->fmt->chapters);
    if (!j->fmt->chapters) return failed(j, AVERROR(ENOMEM), "chapters");
    for (int i = 0; i < n; i++) {
        const struct ph_chapter *c = &j->par->chapters[i];
        AVChapter *to = av_mallocz(sizeof *to);
        if (!to) return failed(j, AVERROR(ENOMEM), "chapters");
        to->id = i + 1;
        to->time_base = (AVRational){ 1, 1000 };
        to->start = c->begin_ns / 1000000;
        to->end = i + 1 < n ? c[1].begin_ns / 1000000 : end > to->start ? end : to->start + 1;
        av_dict_set(&to->metadata, "title", c->title, 0);
        j->fmt->chapters[j->fmt->nb_chapters++] = to;
    }
    return PH_OK;
}

static ph_err open_film(struct join *j)
{
    ph_err ret;
    int error = avformat_alloc_output_context2(&j->fmt, NULL, NULL, j->par->output);
    if (error < 0) return failed(j, error, "no muxer for this name");
    j->fmt->flags |= AVFMT_FLAG_BITEXACT; // the same pictures give the same file
    if ((ret = add_video(j)) < 0) return ret;
    if (j->par->sound && (ret = open_sound(j)) < 0) return ret;
    if ((ret = add_chapters(j)) < 0) return ret;
    if ((error = avio_open(&j->fmt->pb, j->par->output, AVIO_FLAG_WRITE)) < 0)
        return failed(j, error, "cannot be written");
    AVDictionary *options = NULL;
    av_dict_set(&options, "movflags", "+faststart", 0);
    av_dict_set_int(&options, "video_track_timescale", TICKS, 0);
    error = avformat_write_header(j->fmt, &options);
    av_dict_free(&options);
    return error < 0 ? failed(j, error, "cannot be begun") : PH_OK;
}

// The part of a piece that lies before the end that was asked for.
static void cut_off(struct join *j, struct ph_samples *s)
{
    int64_t most = j->par->sound_ns;
    if (!most) return;
    int64_t end = av_rescale(most, PH_INPUT_RATE_HZ, PH_SECOND_NS);
    int64_t left = end - j->sound.written;
    if (s->count > left) s->count = left > 0 ? (int) left : 0;
    j->drained = s->count == 0 || j->drained;
}

static ph_err write_piece(struct join *j, int64_t pts_ns)
{
    struct ph_samples s = j->piece->samples;
    cut_off(j, &s);
    int64_t at = pts_ns - ph_input_start_ns(j->input);
    int error = s.count ? ph_sound_track_write(&j->sound, j->fmt, &s, at) : 0;
    j->sound_end_ns = av_rescale(j->sound.written, PH_SECOND_NS, PH_INPUT_RATE_HZ);
    ph_frame_unref(&j->piece);
    return error < 0 ? failed(j, error, "sound") : PH_OK;
}

// Sound up to that time; a damaged part becomes silence.
static ph_err write_sound(struct join *j, int64_t until_ns)
{
    while (j->input && !j->drained && j->sound_end_ns < until_ns) {
        struct ph_input_item item;
        ph_err ret = ph_input_read(j->input, &item);
        if (ret == PH_EFORMAT) continue;
        if (ret != PH_OK) {
            j->drained = true; // a file that ends early, too: the pictures go on
            break;
        }
        if (item.kind != PH_SAMPLES) continue;
        ret = ph_input_frame(j->input, NULL, &j->piece);
        if (ret == PH_MORE) continue;
        if (ret == PH_OK) ret = write_piece(j, item.pts_ns);
        if (ret < 0) return ret;
    }
    return PH_OK;
}

static ph_err write_packet(struct join *j, FILE *file, const struct packet *head, int segment)
{
    int64_t duration = av_rescale(TICKS, j->head.den, j->head.num);
    if (head->size <= 0 || head->size > MOST) return damaged(j, segment);
    int error = av_new_packet(j->packet, head->size);
    if (error < 0) return failed(j, error, "picture");
    if (fread(j->packet->data, 1, (size_t) head->size, file) != (size_t) head->size)
        return damaged(j, segment);
    j->packet->pts = j->packet->dts = j->ticks = head->pts;
    j->packet->duration = duration;
    j->packet->stream_index = j->video->index;
    if (head->key) j->packet->flags |= AV_PKT_FLAG_KEY;
    av_packet_rescale_ts(j->packet, (AVRational){ 1, TICKS }, j->video->time_base);
    error = av_interleaved_write_frame(j->fmt, j->packet);
    return error < 0 ? failed(j, error, "picture") : PH_OK;
}

static ph_err copy_segment(struct join *j, int segment)
{
    struct packet head;
    FILE *file;
    ph_err ret = open_segment(j, segment, &file);
    while (ret == PH_OK && fread(&head, sizeof head, 1, file) == 1) {
        if (j->par->cancelled && j->par->cancelled(j->par->opaque)) ret = PH_ESTOPPED;
        if (ret == PH_OK)
            ret = write_sound(j, av_rescale(head.pts, PH_SECOND_NS, TICKS) + PH_SECOND_NS / 2);
        if (ret == PH_OK) ret = write_packet(j, file, &head, segment);
    }
    if (file) fclose(file);
    return ret;
}

static ph_err copy_all(struct join *j)
{
    int count = ph_segments_count(j->par->folder);
    ph_err ret = PH_OK;
    for (int i = 0; i < count && ret == PH_OK; i++) ret = copy_segment(j, i);
    if (ret == PH_OK) ret = write_sound(j, PH_NEVER);
    if (ret < 0) return ret;
    int error = j->sound.enc ? ph_sound_track_end(&j->sound, j->fmt) : 0;
    if (error >= 0) error = av_write_trailer(j->fmt);
    if (error >= 0 && j->fmt->pb->error < 0) error = j->fmt->pb->error;
    return error < 0 ? failed(j, error, "cannot be completed") : PH_OK;
}

static void close_join(struct join *j)
{
    ph_input_close(&j->input);
    ph_sound_track_close(&j->sound);
    ph_frame_unref(&j->piece);
    av_packet_free(&j->packet);
    if (j->fmt && j->fmt->pb) avio_closep(&j->fmt->pb);
    avformat_free_context(j->fmt);
}

ph_err ph_segments_join(const struct ph_join_params *par, struct ph_fault *fault)
{
    struct join j = { .par = par, .fault = fault, .packet = av_packet_alloc() };
    FILE *first = NULL;
    ph_ff_init();
    j.sound_end_ns = par->sound_ns;
    ph_err ret = j.packet ? open_segment(&j, 0, &first) : PH_ENOMEM;
    if (first) fclose(first);
    if (ret == PH_OK) ret = open_film(&j);
    j.sound_end_ns = 0;
    if (ret == PH_OK) ret = copy_all(&j);
    close_join(&j);
    return ret;
}

// --- the sound's length

static ph_err count_samples(struct ph_input *in, int64_t *ns)
{
    struct ph_input_item item;
    struct ph_frame *f;
    int64_t count = 0;
    for (ph_err ret; (ret = ph_input_read(in, &item)) == PH_OK || ret == PH_EFORMAT;) {
        if (ret != PH_OK || item.kind != PH_SAMPLES) continue;
        if (ph_input_frame(in, NULL, &f) != PH_OK) continue;
        count += f->samples.count;
        ph_frame_unref(&f);
    }
    *ns = av_rescale(count, PH_SECOND_NS, PH_INPUT_RATE_HZ);
    return PH_OK;
}

ph_err ph_sound_length(const char *path, int64_t *ns, struct ph_fault *fault)
{
    struct ph_input *in;
    struct ph_input_params par = { .url = path, .sound = true, .who = "sound" };
    ph_err ret = ph_input_open(&in, &par, fault);
    if (ret < 0) return ret;
    const struct ph_input_info *info = ph_input_info(in);
    if (!info->sound)
        ret = ph_fail(fault, PH_EINVAL, "song", "%s has no sound", path);
    else if (info->duration_ns > 0)
        *ns = info->duration_ns;
    else {
        ph_input_use_sound(in, true);
        ret = count_samples(in, ns);
    }
    ph_input_close(&in);
    if (ret == PH_OK && *ns <= 0)
        ret = ph_fail(fault, PH_EINVAL, "song", "%s has not a single sample", path);
    return ret;
}
