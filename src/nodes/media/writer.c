// SPDX-License-Identifier: MIT
#include "nodes/media/writer.h"

#include "image/resize.h"
#include "nodes/fit.h"
#include "nodes/media/encoder.h"
#include "nodes/media/sound_track.h"

#include <phosphene/clock.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES (256 << 10)
#if LIBAVFORMAT_VERSION_MAJOR >= 61 // FFmpeg 7
#define IO_CONST const
#else
#define IO_CONST
#endif

struct kind {
    const char *end, *muxer, *flags;
    enum ph_codec video;
    enum AVCodecID sound;
    int ticks_per_second; // of the muxer
};

#define MP4_FLAGS "frag_keyframe+empty_moov+default_base_moof"
static const struct kind kinds[] = {
    { ".mp4", "mp4", MP4_FLAGS, PH_H264, AV_CODEC_ID_AAC, 90000 },
    { ".m4v", "mp4", MP4_FLAGS, PH_H264, AV_CODEC_ID_AAC, 90000 },
    { ".mov", "mov", MP4_FLAGS, PH_H264, AV_CODEC_ID_AAC, 90000 },
    { ".mkv", "matroska", NULL, PH_H264, AV_CODEC_ID_AAC, 1000 },
    { ".webm", "webm", NULL, PH_VP8, AV_CODEC_ID_OPUS, 1000 },
};

struct ph_writer {
    struct ph_writer_params par; // path and preset are copies
    const struct kind *kind;
    char error[400];
    bool failed, use_sound;

    int fd;
    int64_t at;    // where the next byte goes
    int64_t whole; // all before this is complete fragments
    int io_error;  // errno of the first write that failed
    int64_t writing, begun,
        whole_ticks; // the packet under way, the open fragment, what is whole

    AVFormatContext *fmt;
    struct ph_encoder *encoder;
    AVStream *video;
    struct ph_sound_track sound;
    AVPacket *held; // written when the next one tells how long it lasts
    bool has_held;

    int width, height; // of the first picture
    struct ph_resize *resize;
    struct ph_frame *fitted;
    struct ph_frame *waiting; // the first picture
    int64_t first_ns;         // pts that is time 0
    int64_t last, step;       // ticks of the newest picture, and since the one before
    int64_t key;              // of the newest key frame
    bool started;
};

static ph_err broken(struct ph_writer *w, ph_err code, const char *fmt, ...) PH_PRINTF(3, 4);

// --- the file

static int write_bytes(void *opaque, IO_CONST uint8_t *buf, int size)
{
    struct ph_writer *w = opaque;
    for (int done = 0; done < size;) {
        ssize_t n = pwrite(w->fd, buf + done, (size_t) (size - done), w->at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            if (!w->io_error) w->io_error = n < 0 ? errno : ENOSPC;
            return AVERROR(w->io_error);
        }
        done += (int) n;
        w->at += n;
    }
    return size;
}

// The Matroska muxer does not say; each cluster comes in a write of its own.
static bool begins_cluster(const uint8_t *buf, int size)
{
    return size >= 4 && !memcmp(buf, "\x1f\x43\xb6\x75", 4);
}

// The muxer says what begins: when it is a fragment, all before it is one too.
static int write_marked(void *opaque, IO_CONST uint8_t *buf, int size,
                        enum AVIODataMarkerType type, int64_t time)
{
    struct ph_writer *w = opaque;
    bool begins = type == AVIO_DATA_MARKER_SYNC_POINT ||
                  type == AVIO_DATA_MARKER_BOUNDARY_POINT || type == AVIO_DATA_MARKER_TRAILER ||
                  begins_cluster(buf, size);
    if (begins && !w->io_error) {
        w->whole = w->at;
        w->whole_ticks = w->begun; // a fragment is written when the next one begins
        w->begun = w->writing;
    }
    return write_bytes(opaque, buf, size);
}

static int64_t seek_file(void *opaque, int64_t offset, int whence)
{
    struct ph_writer *w = opaque;
    struct stat st;
    if (whence & AVSEEK_SIZE) return fstat(w->fd, &st) ? AVERROR(errno) : st.st_size;
    if ((whence & ~AVSEEK_FORCE) != SEEK_SET) return AVERROR(EINVAL);
    return w->at = offset;
}

static ph_err open_file(struct ph_writer *w, struct ph_fault *fault)
{
    const char *path = w->par.path;
    int flags = O_CREAT | O_WRONLY | O_CLOEXEC | (w->par.overwrite ? O_TRUNC : O_EXCL);
    w->fd = open(path, flags, 0666);
    if (w->fd >= 0) return PH_OK;
    switch (errno) {
    case EEXIST:
        return ph_fail(fault, PH_EBUSY, "path",
                       "%s exists already: choose another name, or say overwrite=on", path);
    case ENOENT: return ph_fail(fault, PH_ENOENT, "path", "%s: there is no such folder", path);
    default: return ph_fail(fault, PH_EIO, "path", "%s: %s", path, strerror(errno));
    }
}

static bool open_muxer(struct ph_writer *w)
{
    if (avformat_alloc_output_context2(&w->fmt, NULL, w->kind->muxer, NULL) < 0) return false;
    uint8_t *buffer = av_malloc(BUFFER_BYTES);
    w->fmt->pb =
        buffer ? avio_alloc_context(buffer, BUFFER_BYTES, 1, w, NULL, write_bytes, seek_file)
               : NULL;
    if (!w->fmt->pb) {
        av_free(buffer);
        return false;
    }
    w->fmt->pb->write_data_type = write_marked;
    w->fmt->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_FLUSH_PACKETS;
    w->fmt->flags |= AVFMT_FLAG_BITEXACT; // no random ids: the same pictures give the same file
    w->fmt->flush_packets = 1;
    w->fmt->max_interleave_delta = AV_TIME_BASE; // pictures do not wait longer for their sound
    w->fmt->avoid_negative_ts = AVFMT_AVOID_NEG_TS_DISABLED;
    return true;
}

static void close_muxer(struct ph_writer *w)
{
    if (w->fmt && w->fmt->pb) {
        av_freep(&w->fmt->pb->buffer);
        avio_context_free(&w->fmt->pb);
    }
    avformat_free_context(w->fmt);
    w->fmt = NULL;
}

static ph_err broken(struct ph_writer *w, ph_err code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(w->error, sizeof w->error, fmt, args);
    va_end(args);
    w->failed = true;
    close_muxer(w);
    if (w->fd >= 0) {
        // half a fragment at the end would only make players complain
        if (w->started && ftruncate(w->fd, w->whole)) {}
        close(w->fd);
    }
    w->fd = -1;
    return code;
}

static ph_err broken_ff(struct ph_writer *w, int error)
{
    char text[128];
    double seconds = (double) w->whole_ticks / w->kind->ticks_per_second;
    const char *why =
        w->io_error ? strerror(w->io_error) : ph_ff_text(error, text, sizeof text);
    if (w->io_error == ENOSPC || w->io_error == EDQUOT) why = "the disk is full";
    if (w->io_error == EFBIG) why = "the file may not grow any larger";
    if (!w->whole_ticks)
        return broken(w, PH_EIO, "%s: %s; nothing is recorded, not even the first second",
                      w->par.path, why);
    return broken(w, PH_EIO,
                  "%s: %s; the recording ends after about %.1f s, all up to there is playable",
                  w->par.path, why, seconds);
}

// --- life

static const struct kind *find_kind(const char *path)
{
    const char *end = strrchr(path, '.');
    for (size_t i = 0; end && i < sizeof kinds / sizeof *kinds; i++)
        if (!strcasecmp(end, kinds[i].end)) return &kinds[i];
    return NULL;
}

ph_err ph_writer_create(struct ph_writer **out, const struct ph_writer_params *par,
                        struct ph_fault *fault)
{
    ph_ff_init();
    *out = NULL;
    const struct kind *kind = find_kind(par->path);
    if (!kind)
        return ph_fail(fault, PH_EINVAL, "path",
                       "a recording is .mp4, .mov, .mkv or .webm, got \"%s\"", par->path);
    ph_err ret = ph_encoder_check(kind->video, fault);
    if (ret < 0) return ret;
    struct ph_writer *w = calloc(1, sizeof *w);
    if (!w) return ph_fail(fault, PH_ENOMEM, "path", "out of memory");
    w->fd = -1;
    w->par = *par;
    w->par.path = strdup(par->path);
    w->par.preset = par->preset ? strdup(par->preset) : NULL;
    w->kind = kind;
    w->held = av_packet_alloc();
    if (!w->par.path || !w->held || !open_muxer(w))
        ret = ph_fail(fault, PH_ENOMEM, "path", "out of memory");
    else
        ret = open_file(w, fault);
    if (ret < 0) ph_writer_destroy(&w);
    *out = w;
    return ret;
}

// --- the first picture

static ph_err add_video(struct ph_writer *w)
{
    const AVCodecContext *ctx = ph_encoder_context(w->encoder);
    if (!(w->video = avformat_new_stream(w->fmt, NULL))) return PH_ENOMEM;
    w->video->time_base = ctx->time_base;
    w->video->sample_aspect_ratio = (AVRational){ 1, 1 };
    return avcodec_parameters_from_context(w->video->codecpar, ctx) < 0 ? PH_ENOMEM : PH_OK;
}

// The usual rate that is nearest to the first step, so that a camera's jitter is not taken for one.
static double guess_fps(int64_t step_ns)
{
    static const double usual[] = {
        10, 12, 12.5,          15, 20, 24000 / 1001., 24, 25, 30000 / 1001., 30,
        48, 50, 60000 / 1001., 60, 90, 100,           120
    };
    double fps = step_ns > 0 ? 1e9 / (double) step_ns : 30, best = fps;
    double off = fps * 0.02;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        if (fabs(fps - usual[i]) >= off) continue;
        off = fabs(fps - usual[i]);
        best = usual[i];
    }
    return best < 1 ? 1 : best > 1000 ? 1000 : best;
}

static ph_err start(struct ph_writer *w, int64_t step_ns)
{
    const struct ph_picture *src = &w->waiting->picture;
    struct ph_fault fault = { 0 };
    struct ph_encoder_params par = { .codec = w->kind->video,
                                     .width = src->width,
                                     .height = src->height,
                                     .quality = w->par.quality,
                                     .preset = w->par.preset,
                                     .ticks_per_second = w->kind->ticks_per_second,
                                     .fps = guess_fps(step_ns),
                                     .log = w->par.log,
                                     .who = w->par.who,
                                     .in_file = true };
    ph_err ret = ph_encoder_create(&w->encoder, &par, &fault);
    if (ret < 0) return broken(w, ret, "%s: %s", w->par.path, fault.message);
    ret = add_video(w);
    if (ret == PH_OK && w->use_sound)
        ret = ph_sound_track_open(&w->sound, w->fmt, w->kind->sound);
    if (ret < 0)
        return broken(w, ret, "%s: %s", w->par.path,
                      ret == PH_ENOTSUP ? "this FFmpeg lacks the encoder for its sound"
                                        : ph_strerror(ret));
    AVDictionary *options = NULL;
    if (w->kind->flags) av_dict_set(&options, "movflags", w->kind->flags, 0);
    if (!w->kind->flags) av_dict_set(&options, "cluster_time_limit", "1000", 0);
    int written = avformat_write_header(w->fmt, &options);
    av_dict_free(&options);
    w->started = true;
    if (written < 0 || w->io_error) return broken_ff(w, written);
    w->width = src->width;
    w->height = src->height;
    w->first_ns = w->waiting->pts_ns;
    w->last = -1;
    w->step = av_rescale(w->kind->ticks_per_second, step_ns, PH_SECOND_NS);
    return PH_OK;
}

// --- pictures

// Ticks of a time; they rise whatever the times do.
static int64_t ticks_of(struct ph_writer *w, int64_t pts_ns)
{
    int rate = w->kind->ticks_per_second;
    int64_t t = av_rescale(pts_ns - w->first_ns, rate, PH_SECOND_NS);
    if (w->last >= 0 &&
        t < w->last - rate / 4) { // another source: go on where the last one was
        t = w->last + w->step;
        w->first_ns = pts_ns - av_rescale(t, PH_SECOND_NS, rate);
    }
    return t > w->last ? t : w->last + 1;
}

static ph_err closed(struct ph_writer *w)
{
    if (!w->error[0])
        snprintf(w->error, sizeof w->error, "%s is closed: record to another file",
                 w->par.path);
    return PH_EIO;
}

static ph_err fit(struct ph_writer *w, const struct ph_picture **src)
{
    if ((*src)->width == w->width && (*src)->height == w->height) return PH_OK;
    ph_err ret = PH_OK;
    if (!w->fitted) ret = ph_frame_picture(NULL, PH_RGBA, w->width, w->height, &w->fitted);
    if (ret == PH_OK)
        ret = ph_fit_draw(&w->resize, &w->fitted->picture, *src, PH_FIT_CONTAIN, PH_FIT_AUTO,
                          0x000000ff);
    if (ret == PH_OK) *src = &w->fitted->picture;
    return ret;
}

static int write_held(struct ph_writer *w, int64_t duration)
{
    if (!w->has_held) return 0;
    w->has_held = false;
    w->writing = w->held->pts;
    w->held->duration = duration;
    w->held->stream_index = w->video->index;
    av_packet_rescale_ts(w->held, (AVRational){ 1, w->kind->ticks_per_second },
                         w->video->time_base);
    return av_interleaved_write_frame(w->fmt, w->held); // takes its bytes
}

static int hold(struct ph_writer *w, const struct ph_encoded *e)
{
    int ret = write_held(w, w->has_held ? e->pts - w->held->pts : 0);
    if (ret < 0 || w->io_error) return ret;
    if ((ret = av_new_packet(w->held, (int) e->size)) < 0) return ret;
    memcpy(w->held->data, e->data, e->size);
    w->held->pts = w->held->dts = e->pts;
    if (e->key) w->held->flags |= AV_PKT_FLAG_KEY;
    w->has_held = true;
    return 0;
}

static ph_err write_picture(struct ph_writer *w, const struct ph_picture *src, int64_t pts_ns)
{
    struct ph_encoded encoded;
    ph_err ret = fit(w, &src);
    if (ret < 0) return ret;
    int64_t t = ticks_of(w, pts_ns);
    bool first = w->last < 0, key = first || t - w->key >= w->kind->ticks_per_second;
    if (!first) w->step = t - w->last;
    w->last = t;
    if (key) w->key = t;
    ret = ph_encoder_encode(w->encoder, src, t, key, &encoded);
    if (ret == PH_MORE) return PH_OK;
    if (ret < 0)
        return broken(w, ret, "%s: the encoder failed: %s", w->par.path, ph_strerror(ret));
    int written = hold(w, &encoded);
    return written < 0 || w->io_error ? broken_ff(w, written) : PH_OK;
}

static ph_err write_waiting(struct ph_writer *w, int64_t step_ns)
{
    ph_err ret = start(w, step_ns > 0 ? step_ns : PH_SECOND_NS / 30);
    if (ret == PH_OK) ret = write_picture(w, &w->waiting->picture, w->waiting->pts_ns);
    ph_frame_unref(&w->waiting);
    return ret;
}

ph_err ph_writer_picture(struct ph_writer *w, struct ph_frame *f)
{
    if (w->failed) return closed(w);
    if (!w->started && !w->waiting) {
        w->waiting = ph_frame_ref(f);
        return PH_OK;
    }
    ph_err ret = w->waiting ? write_waiting(w, f->pts_ns - w->waiting->pts_ns) : PH_OK;
    return ret < 0 ? ret : write_picture(w, &f->picture, f->pts_ns);
}

ph_err ph_writer_sound(struct ph_writer *w, const struct ph_samples *src, int64_t pts_ns)
{
    if (w->failed) return closed(w);
    if (!w->started || !w->sound.enc) return PH_OK;
    int ret = ph_sound_track_write(&w->sound, w->fmt, src, pts_ns - w->first_ns);
    return ret < 0 || w->io_error ? broken_ff(w, ret) : PH_OK;
}

void ph_writer_use_sound(struct ph_writer *w, bool on)
{
    w->use_sound = on;
}

void ph_writer_set_quality(struct ph_writer *w, int quality)
{
    if (w->encoder) ph_encoder_set_quality(w->encoder, quality, 0);
    w->par.quality = quality;
}

const char *ph_writer_error(const struct ph_writer *w)
{
    return w->error;
}

// --- the end

static ph_err finish_muxer(struct ph_writer *w)
{
    int ret = write_held(w, w->step);
    if (ret >= 0 && w->sound.enc) ret = ph_sound_track_end(&w->sound, w->fmt);
    if (ret >= 0) ret = av_write_trailer(w->fmt);
    return ret < 0 || w->io_error ? broken_ff(w, ret) : PH_OK;
}

ph_err ph_writer_finish(struct ph_writer *w)
{
    if (w->failed) return w->error[0] ? PH_EIO : PH_OK;
    ph_err ret = w->waiting ? write_waiting(w, 0) : PH_OK;
    if (w->failed) return ret;
    if (w->started) ret = finish_muxer(w);
    if (!w->started && w->fd >= 0) unlink(w->par.path);
    int fd = w->fd;
    w->fd = -1;
    if (fd >= 0 && close(fd) < 0 && ret == PH_OK)
        ret = broken(w, PH_EIO, "%s: %s", w->par.path, strerror(errno));
    w->failed = true;
    return ret;
}

void ph_writer_destroy(struct ph_writer **out)
{
    struct ph_writer *w = *out;
    *out = NULL;
    if (!w) return;
    ph_writer_finish(w);
    close_muxer(w);
    ph_sound_track_close(&w->sound);
    ph_encoder_destroy(&w->encoder);
    ph_resize_destroy(&w->resize);
    ph_frame_unref(&w->fitted);
    ph_frame_unref(&w->waiting);
    av_packet_free(&w->held);
    free((char *) w->par.path);
    free((char *) w->par.preset);
    free(w);
}
