// SPDX-License-Identifier: MIT
#include "nodes/media/input.h"

#include "nodes/media/ff.h"
#include "nodes/media/v4l2_colors.h"

#include <libavutil/cpu.h>
#include <libavutil/time.h>

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#define GOP_PACKETS 600
#define GOP_BYTES   (32 << 20)
#define MAX_THREADS 8
#define MAX_PIXELS  (INT64_C(16384) * 16384)
#define MAX_GARBAGE 16 // packets in a row that make no sense before a stream is given up
#define CUT_RUN     10 // pictures of a camera

struct stream {
    AVStream *st; // NULL = there is none, or nobody wants it
    AVCodecContext *dec;
    AVFrame *frame;
    bool ended;
    int64_t next_ns;  // where the item before ended; NO_VALUE at first
    int64_t shift_ns; // added after a break in the stream's own time
    enum ph_turn turn;
};

struct ph_input {
    struct ph_input_params par;
    struct ph_input_info info;
    char label[256], error[320];
    AVFormatContext *fmt;
    AVPacket *packet;
    struct stream video, sound;
    struct stream *ready; // holds the item that ph_input_frame gives
    int64_t deadline_ns, arrival_ns;
    int64_t seek_ns;         // items that end before are not shown
    bool draining;           // the demuxer has ended, the decoders not yet
    int garbage;             // failed packets in a row
    int64_t picture_packets; // of a file so far; -1 = somebody has jumped into it
    bool told_short;         // that one of them ends too soon
    int cut_run;             // a device's pictures that ended too soon, in a row
    unsigned nap_us;         // between two looks at a device that does not block

    AVPacket **gop; // since the newest key packet, while nobody looks
    int gop_count, gop_next;
    size_t gop_bytes;
    bool gop_broken; // it was too long: wait for the next key packet

    struct ph_ff_picture pictures;
    struct ph_ff_sound samples;
};

// --- errors and waiting

static ph_err fail(struct ph_input *in, ph_err code, const char *fmt, ...) PH_PRINTF(3, 4);

static ph_err fail(struct ph_input *in, ph_err code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(in->error, sizeof in->error, fmt, args);
    va_end(args);
    return code;
}

static ph_err fail_ff(struct ph_input *in, int error)
{
    char text[128];
    if (in->par.cancelled && in->par.cancelled(in->par.opaque))
        return fail(in, PH_ESTOPPED, "%s: stopped", in->label);
    return fail(in, ph_ff_err(error), "%s: %s", in->label,
                ph_ff_text(error, text, sizeof text));
}

const char *ph_input_error(const struct ph_input *in)
{
    return in->error;
}

static int interrupted(void *opaque)
{
    const struct ph_input *in = opaque;
    if (in->par.cancelled && in->par.cancelled(in->par.opaque)) return 1;
    return ph_now_ns() > in->deadline_ns;
}

static void allow(struct ph_input *in, int64_t given_ns, int64_t usual_ns)
{
    in->deadline_ns = ph_now_ns() + (given_ns ? given_ns : usual_ns);
}

char *ph_input_label(const char *url, char *text, size_t size)
{
    const char *host = strstr(url, "://");
    snprintf(text, size, "%s", url);
    if (!host) return text;
    host += 3;
    size_t authority = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', authority);
    if (at) host = at + 1;
    snprintf(text, size, "%.*s://%.*s", (int) (strstr(url, "://") - url), url,
             (int) strcspn(host, "?#"), host);
    return text;
}

// --- opening

static AVDictionary *make_options(const struct ph_input_params *par, bool preferred)
{
    AVDictionary *d = NULL;
    for (int i = 0; i + 1 < PH_INPUT_OPTIONS && par->options[i]; i += 2)
        av_dict_set(&d, par->options[i], par->options[i + 1], 0);
    if (preferred) av_dict_set(&d, par->prefer[0], par->prefer[1], 0);
    return d;
}

static int try_open(struct ph_input *in, const AVInputFormat *device, bool preferred)
{
    if (!(in->fmt = avformat_alloc_context())) return AVERROR(ENOMEM);
    in->fmt->interrupt_callback = (AVIOInterruptCB){ interrupted, in };
    if (in->par.no_wait) in->fmt->flags |= AVFMT_FLAG_NONBLOCK;
    AVDictionary *options = make_options(&in->par, preferred);
    int ret = avformat_open_input(&in->fmt, in->par.url, device, &options); // frees on failure
    av_dict_free(&options);
    return ret;
}

// "host" of "rtsp://user:word@host:554/path", "::1" of "http://[::1]:80"; false = none is named.
static bool host_of(const char *url, char *host, size_t size)
{
    const char *at = strstr(url, "://");
    if (!at) return false;
    at += 3;
    const char *user = memrchr(at, '@', strcspn(at, "/?#"));
    if (user) at = user + 1;
    bool numeric = *at == '[';
    at += numeric;
    snprintf(host, size, "%.*s", (int) strcspn(at, numeric ? "]" : ":/?#"), at);
    return *host;
}

// FFmpeg has no word for a name that stands for no address; it says that reading failed.
static ph_err say_not_opened(struct ph_input *in, int error)
{
    char host[256];
    struct addrinfo *found = NULL;
    bool url = error == AVERROR(EIO) && !in->par.device;
    if (!url || !host_of(in->par.url, host, sizeof host)) return fail_ff(in, error);
    int missing = getaddrinfo(host, NULL, NULL, &found);
    if (!missing) freeaddrinfo(found);
    if (!missing) return fail_ff(in, error);
    return fail(in, PH_EIO, "%s: the host %s cannot be resolved: %s", in->label, host,
                gai_strerror(missing));
}

static ph_err open_container(struct ph_input *in)
{
    const char *name = in->par.device;
    const AVInputFormat *device = name ? av_find_input_format(name) : NULL;
    if (name && !device)
        return fail(in, PH_ENOTSUP, "%s: this FFmpeg has no %s", in->label, name);
    bool preferred = in->par.prefer[0] != NULL;
    int ret = try_open(in, device, preferred);
    if (ret < 0 && preferred && ret != AVERROR(ENOENT) && ret != AVERROR(EBUSY))
        ret = try_open(in, device, false);
    return ret < 0 ? say_not_opened(in, ret) : PH_OK;
}

static ph_err find_streams(struct ph_input *in)
{
    if (in->par.live && !in->par.device) {
        // enough for the parameter sets of a stream that is already running
        in->fmt->probesize = 1 << 20;
        in->fmt->max_analyze_duration = AV_TIME_BASE / 2;
        in->fmt->fps_probe_size = 0;
    }
    int ret = avformat_find_stream_info(in->fmt, NULL);
    if (interrupted(in)) return fail_ff(in, AVERROR_EXIT);
    return ret < 0 ? fail_ff(in, ret) : PH_OK;
}

static void tune(const struct ph_input *in, AVCodecContext *dec)
{
    int cpus = av_cpu_count();
    dec->thread_count = cpus < MAX_THREADS ? cpus : MAX_THREADS;
#ifdef __SANITIZE_THREAD__
    dec->thread_count = 1; // FFmpeg is not instrumented: its own hand-overs look like races
#endif
    dec->max_pixels = MAX_PIXELS;
    if (!in->par.live) return;
    // frame threads would hold back a picture for each of them
    dec->thread_type = FF_THREAD_SLICE;
    dec->flags |= AV_CODEC_FLAG_LOW_DELAY;
}

static ph_err open_stream(struct ph_input *in, struct stream *s, int index)
{
    AVStream *st = in->fmt->streams[index];
    const AVCodec *codec = avcodec_find_decoder(st->codecpar->codec_id);
    if (!codec)
        return fail(in, PH_ENOTSUP, "%s: this FFmpeg cannot decode %s", in->label,
                    avcodec_get_name(st->codecpar->codec_id));
    s->dec = avcodec_alloc_context3(codec);
    s->frame = av_frame_alloc();
    if (!s->dec || !s->frame) return PH_ENOMEM;
    // a JPEG says it itself
    bool raw = st->codecpar->codec_id == AV_CODEC_ID_RAWVIDEO;
    if (raw && in->par.device && !strcmp(in->par.device, "v4l2"))
        ph_v4l2_ask_colors(in->par.url, st->codecpar);
    int ret = avcodec_parameters_to_context(s->dec, st->codecpar);
    if (ret < 0) return fail_ff(in, ret);
    s->dec->pkt_timebase = st->time_base;
    tune(in, s->dec);
    if ((ret = avcodec_open2(s->dec, codec, NULL)) < 0) return fail_ff(in, ret);
    s->st = st;
    s->next_ns = PH_INPUT_NO_VALUE;
    return PH_OK;
}

static ph_err open_streams(struct ph_input *in)
{
    ph_err ret;
    int video = av_find_best_stream(in->fmt, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    int sound = av_find_best_stream(in->fmt, AVMEDIA_TYPE_AUDIO, -1, video, NULL, 0);
    if (video < 0 && sound < 0)
        return fail(in, PH_EFORMAT, "%s: has neither pictures nor sound", in->label);
    for (unsigned i = 0; i < in->fmt->nb_streams; i++)
        in->fmt->streams[i]->discard = AVDISCARD_ALL;
    if (video >= 0 && (ret = open_stream(in, &in->video, video)) < 0) return ret;
    if (sound >= 0) {
        ret = open_stream(in, &in->sound, sound);
        // pictures without their sound are better than nothing
        if (ret < 0 && video < 0) return ret;
        if (ret < 0) ph_warn(in->par.log, in->par.who, "no sound: %s", in->error);
        if (ret < 0) in->sound.st = NULL;
    }
    if (in->video.st) in->video.st->discard = AVDISCARD_DEFAULT;
    ph_input_use_sound(in, in->par.sound);
    return PH_OK;
}

static void describe(struct ph_input *in)
{
    struct ph_input_info *i = &in->info;
    AVFormatContext *fmt = in->fmt;
    i->sound = in->sound.st != NULL;
    i->codec = "";
    if (fmt->duration > 0) i->duration_ns = fmt->duration * (PH_SECOND_NS / AV_TIME_BASE);
    i->seekable = fmt->pb && fmt->pb->seekable & AVIO_SEEKABLE_NORMAL;
    i->segments = !strcmp(fmt->iformat->name, "hls") || !strcmp(fmt->iformat->name, "dash");
    AVStream *st = in->video.st;
    if (!st) return;
    in->video.turn = ph_ff_turn((const int32_t *) (const void *) av_stream_get_side_data(
        st, AV_PKT_DATA_DISPLAYMATRIX, NULL));
    bool swap = ph_turn_swaps(in->video.turn);
    i->picture = true;
    i->codec = avcodec_get_name(st->codecpar->codec_id);
    i->width = swap ? st->codecpar->height : st->codecpar->width;
    i->height = swap ? st->codecpar->width : st->codecpar->height;
    AVRational rate = av_guess_frame_rate(fmt, st, NULL);
    i->fps = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
    AVRational sar = av_guess_sample_aspect_ratio(fmt, st, NULL);
    if (sar.num > 0 && sar.den > 0 && sar.num != sar.den)
        ph_info(in->par.log, in->par.who,
                "%s: its pixels are %d:%d and shown as squares; resize to the shape it has",
                in->label, sar.num, sar.den);
}

static ph_err open_all(struct ph_input *in)
{
    ph_err ret;
    allow(in, in->par.open_ns, 10 * PH_SECOND_NS);
    if (!(in->packet = av_packet_alloc())) return PH_ENOMEM;
    if (!(in->gop = calloc(GOP_PACKETS, sizeof *in->gop))) return PH_ENOMEM;
    if ((ret = open_container(in)) < 0 || (ret = find_streams(in)) < 0 ||
        (ret = open_streams(in)) < 0)
        return ret;
    describe(in);
    return PH_OK;
}

ph_err ph_input_open(struct ph_input **out, const struct ph_input_params *par,
                     struct ph_fault *fault)
{
    ph_ff_init();
    struct ph_input *in = calloc(1, sizeof *in);
    *out = NULL;
    if (!in) return ph_fail(fault, PH_ENOMEM, "input", "out of memory");
    in->par = *par;
    in->seek_ns = PH_INPUT_NO_VALUE;
    ph_input_label(par->url, in->label, sizeof in->label);
    ph_err ret = open_all(in);
    if (ret == PH_OK) {
        *out = in;
        return PH_OK;
    }
    ph_fail(fault, ret, "path", "%s", in->error[0] ? in->error : ph_strerror(ret));
    ph_input_close(&in);
    return ret;
}

static void clear_gop(struct ph_input *in)
{
    for (int i = in->gop_next; i < in->gop_count; i++) av_packet_free(&in->gop[i]);
    in->gop_count = in->gop_next = 0;
    in->gop_bytes = 0;
}

static void close_stream(struct stream *s)
{
    avcodec_free_context(&s->dec);
    av_frame_free(&s->frame);
}

void ph_input_close(struct ph_input **out)
{
    struct ph_input *in = *out;
    *out = NULL;
    if (!in) return;
    if (in->gop) clear_gop(in);
    free(in->gop);
    close_stream(&in->video);
    close_stream(&in->sound);
    ph_ff_picture_finish(&in->pictures);
    ph_ff_sound_finish(&in->samples);
    av_packet_free(&in->packet);
    allow(in, PH_SECOND_NS / 2, 0); // a farewell to a server that is gone
    avformat_close_input(&in->fmt);
    free(in);
}

const struct ph_input_info *ph_input_info(const struct ph_input *in)
{
    return &in->info;
}

void ph_input_use_sound(struct ph_input *in, bool on)
{
    if (in->sound.st) in->sound.st->discard = on ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    in->par.sound = on;
}

int64_t ph_input_start_ns(const struct ph_input *in)
{
    return in->fmt->start_time == AV_NOPTS_VALUE
               ? 0
               : in->fmt->start_time * (PH_SECOND_NS / AV_TIME_BASE);
}

// --- packets

static struct stream *stream_of(struct ph_input *in, const AVPacket *p)
{
    if (in->video.st && p->stream_index == in->video.st->index) return &in->video;
    if (in->sound.st && p->stream_index == in->sound.st->index && in->par.sound)
        return &in->sound;
    return NULL;
}

static ph_err damaged(struct ph_input *in, int error)
{
    char text[128];
    int64_t at_ms = 0;
    const struct stream *s = &in->video;
    if (s->st && s->next_ns != PH_INPUT_NO_VALUE)
        at_ms = (s->next_ns - ph_input_start_ns(in)) / PH_MS_NS;
    return fail(in, PH_EFORMAT, "%s: damaged at %.1f s (%s)", in->label, (double) at_ms * 1e-3,
                error == AVERROR_INVALIDDATA ? "data that makes no sense"
                                             : ph_ff_text(error, text, sizeof text));
}

static ph_err read_failed(struct ph_input *in, int error)
{
    if (interrupted(in)) return fail_ff(in, AVERROR_EXIT);
    if (error == AVERROR_EOF) return PH_EOF;
    if (error != AVERROR_INVALIDDATA) return fail_ff(in, error);
    damaged(in, error);
    return ++in->garbage < MAX_GARBAGE ? PH_EFORMAT : PH_EOF;
}

static ph_err read_packet(struct ph_input *in)
{
    int ret;
    av_packet_unref(in->packet);
    while ((ret = av_read_frame(in->fmt, in->packet)) == AVERROR(EAGAIN) && !interrupted(in))
        av_usleep(in->nap_us);
    in->arrival_ns = ph_now_ns();
    if (ret < 0) return read_failed(in, ret);
    in->garbage = 0;
    return PH_OK;
}

// Takes packets that were kept while nobody looked before new ones.
static ph_err next_packet(struct ph_input *in)
{
    if (in->gop_next == in->gop_count) return read_packet(in);
    av_packet_unref(in->packet);
    av_packet_move_ref(in->packet, in->gop[in->gop_next]);
    av_packet_free(&in->gop[in->gop_next++]);
    if (in->gop_next == in->gop_count) clear_gop(in);
    return PH_OK;
}

static void keep_packet(struct ph_input *in)
{
    if (in->packet->flags & AV_PKT_FLAG_KEY) {
        clear_gop(in);
        in->gop_broken = false;
    }
    bool full =
        in->gop_count == GOP_PACKETS || in->gop_bytes + (size_t) in->packet->size > GOP_BYTES;
    AVPacket *kept = full || in->gop_broken ? NULL : av_packet_alloc();
    if (!kept) {
        clear_gop(in);
        in->gop_broken = true;
        return;
    }
    av_packet_move_ref(kept, in->packet);
    in->gop_bytes += (size_t) kept->size;
    in->gop[in->gop_count++] = kept;
}

ph_err ph_input_skip(struct ph_input *in)
{
    allow(in, in->par.read_ns, 5 * PH_SECOND_NS);
    in->ready = NULL;
    in->nap_us = 10000;
    ph_err ret = read_packet(in);
    if (ret == PH_OK && stream_of(in, in->packet) == &in->video) keep_packet(in);
    return ret;
}

static ph_err send_end(struct ph_input *in)
{
    in->draining = true;
    if (in->video.st) avcodec_send_packet(in->video.dec, NULL);
    if (in->sound.st) avcodec_send_packet(in->sound.dec, NULL);
    return PH_OK;
}

// The decoder fills what is missing of a cut JPEG with grey and says nothing. Zeros may follow the
// end marker.
static bool is_cut(const AVPacket *p)
{
    int n = p->size;
    while (n > 2 && !p->data[n - 1]) n--;
    return n < 4 || p->data[0] != 0xff || p->data[1] != 0xd8 || p->data[n - 2] != 0xff ||
           p->data[n - 1] != 0xd9;
}

static void check_whole(struct ph_input *in)
{
    char which[64];
    int64_t number = in->picture_packets < 0 ? -1 : in->picture_packets++;
    bool jpeg = in->video.st->codecpar->codec_id == AV_CODEC_ID_MJPEG;
    if (!jpeg || in->told_short || in->par.live || in->par.device || !is_cut(in->packet))
        return;
    in->told_short = true;
    if (number >= 0)
        snprintf(which, sizeof which, "frame %lld", (long long) number);
    else
        snprintf(which, sizeof which, "the frame at %.2f s",
                 (double) in->packet->pts * av_q2d(in->video.st->time_base));
    ph_warn(in->par.log, in->par.who,
            "%s: %s is cut short and shown as far as it goes (others may be, too)", in->label,
            which);
}

// A camera's first picture, or one that the cable spoilt: the next one is better than half of it in
// green. Of a camera whose pictures never have the end marker, all are shown.
static bool is_spoilt(struct ph_input *in)
{
    bool jpeg = in->video.st->codecpar->codec_id == AV_CODEC_ID_MJPEG;
    if (!jpeg || !in->par.device) return false;
    in->cut_run = is_cut(in->packet) ? in->cut_run + 1 : 0;
    return in->cut_run > 0 && in->cut_run < CUT_RUN;
}

static ph_err feed_decoders(struct ph_input *in)
{
    ph_err ret = next_packet(in);
    if (ret == PH_EOF) return send_end(in);
    if (ret < 0) return ret;
    struct stream *s = stream_of(in, in->packet);
    if (!s) return PH_OK;
    if (s == &in->video && in->gop_broken) {
        if (!(in->packet->flags & AV_PKT_FLAG_KEY)) return PH_OK;
        in->gop_broken = false;
    }
    if (s == &in->video && is_spoilt(in)) return PH_OK;
    if (s == &in->video) check_whole(in);
    int sent = avcodec_send_packet(s->dec, in->packet);
    return sent < 0 && sent != AVERROR(EAGAIN) && sent != AVERROR_EOF ? damaged(in, sent)
                                                                      : PH_OK;
}

// --- items

static int64_t to_ns(const struct stream *s, int64_t ticks)
{
    return av_rescale_q(ticks, s->st->time_base, (AVRational){ 1, PH_SECOND_NS });
}

static int64_t duration_of(const struct ph_input *in, const struct stream *s)
{
    const AVFrame *f = s->frame;
    if (s == &in->sound)
        return f->sample_rate > 0 ? f->nb_samples * PH_SECOND_NS / f->sample_rate : 0;
    if (f->pkt_duration > 0) return to_ns(s, f->pkt_duration);
    return in->info.fps > 0 ? (int64_t) (1e9 / in->info.fps) : PH_SECOND_NS / 25;
}

// A stream whose time jumps (a recording of several broadcasts, a wrapped counter) goes on where
// it was. In files that say times properly, a long pause is meant.
static bool is_break(const struct ph_input *in, int64_t step_ns)
{
    if (step_ns < -PH_SECOND_NS) return true;
    return in->fmt->iformat->flags & AVFMT_TS_DISCONT && step_ns > 10 * PH_SECOND_NS;
}

static void date(struct ph_input *in, struct stream *s, struct ph_input_item *item)
{
    int64_t ticks = s->frame->best_effort_timestamp;
    item->duration_ns = duration_of(in, s);
    item->arrival_ns = in->arrival_ns;
    if (ticks == AV_NOPTS_VALUE)
        item->pts_ns = s->next_ns != PH_INPUT_NO_VALUE ? s->next_ns : ph_input_start_ns(in);
    else
        item->pts_ns = to_ns(s, ticks) + s->shift_ns;
    if (s->next_ns != PH_INPUT_NO_VALUE && is_break(in, item->pts_ns - s->next_ns)) {
        s->shift_ns += s->next_ns - item->pts_ns;
        item->pts_ns = s->next_ns;
    }
    s->next_ns = item->pts_ns + item->duration_ns;
}

// Devices stamp with CLOCK_MONOTONIC or with the wall clock; both can be told by their values.
static int64_t moment_of(const struct ph_input *in, int64_t pts_ns)
{
    int64_t now = ph_now_ns();
    if (!in->par.device) return PH_INPUT_NO_VALUE;
    if (llabs(now - pts_ns) < 10 * PH_SECOND_NS) return pts_ns;
    int64_t wall = av_gettime() * 1000;
    return llabs(wall - pts_ns) < 10 * PH_SECOND_NS ? now - (wall - pts_ns) : PH_INPUT_NO_VALUE;
}

// true = *ret is the answer of ph_input_read.
static bool receive(struct ph_input *in, struct stream *s, struct ph_input_item *item,
                    ph_err *ret)
{
    while (s->st && !s->ended) {
        int got = avcodec_receive_frame(s->dec, s->frame);
        if (got == AVERROR(EAGAIN)) return false;
        if (got == AVERROR_EOF) {
            s->ended = true;
            return false;
        }
        if (got < 0) {
            *ret = damaged(in, got);
            return true;
        }
        date(in, s, item);
        bool early =
            in->seek_ns != PH_INPUT_NO_VALUE && item->pts_ns + item->duration_ns <= in->seek_ns;
        bool stale = s == &in->video && in->gop_count > 0; // newer ones are waiting
        if (early || stale) continue;
        item->kind = s == &in->video ? PH_PICTURE : PH_SAMPLES;
        item->clock_ns = moment_of(in, item->pts_ns);
        in->ready = s;
        *ret = PH_OK;
        return true;
    }
    return false;
}

ph_err ph_input_read(struct ph_input *in, struct ph_input_item *item)
{
    ph_err ret;
    in->ready = NULL;
    in->nap_us = 1000;
    allow(in, in->par.read_ns, 5 * PH_SECOND_NS);
    for (;;) {
        if (receive(in, &in->video, item, &ret) || receive(in, &in->sound, item, &ret))
            return ret;
        if (in->draining) return PH_EOF;
        if ((ret = feed_decoders(in)) < 0) return ret;
    }
}

static enum ph_turn turn_of(const struct ph_input *in)
{
    const AVFrameSideData *side =
        av_frame_get_side_data(in->video.frame, AV_FRAME_DATA_DISPLAYMATRIX);
    if (!side) return in->video.turn;
    return ph_ff_turn((const int32_t *) (const void *) side->data);
}

ph_err ph_input_frame(struct ph_input *in, struct ph_pool *pool, struct ph_frame **out)
{
    struct stream *s = in->ready;
    in->ready = NULL;
    *out = NULL;
    if (!s) return PH_EINVAL;
    ph_err ret = s == &in->video
                     ? ph_ff_picture_convert(&in->pictures, pool, s->frame, turn_of(in), out)
                     : ph_ff_sound_convert(&in->samples, pool, s->frame, out);
    if (ret == PH_ELIMIT)
        fail(in, ret, "%s: its pictures are %dx%d, 16384x16384 is the most", in->label,
             s->frame->width, s->frame->height);
    else if (ret == PH_ENOTSUP)
        fail(in, ret, "%s: %s in a form that FFmpeg does not convert", in->label,
             s == &in->video ? "pictures" : "sound");
    else if (ret < 0)
        fail(in, ret, "%s: %s", in->label, ph_strerror(ret));
    return ret;
}

static void restart(struct stream *s)
{
    if (!s->st) return;
    avcodec_flush_buffers(s->dec);
    s->ended = false;
    s->next_ns = PH_INPUT_NO_VALUE;
    s->shift_ns = 0;
}

ph_err ph_input_seek(struct ph_input *in, int64_t pts_ns)
{
    allow(in, in->par.read_ns, 5 * PH_SECOND_NS);
    bool begin = pts_ns <= ph_input_start_ns(in);
    int64_t target = pts_ns / (PH_SECOND_NS / AV_TIME_BASE);
    int ret = av_seek_frame(in->fmt, -1, target, AVSEEK_FLAG_BACKWARD);
    // streams without an index or times can at least go back to their first byte
    if (ret < 0 && begin) ret = av_seek_frame(in->fmt, -1, 0, AVSEEK_FLAG_BYTE);
    if (ret < 0) return fail(in, PH_ENOTSUP, "%s: cannot seek in it", in->label);
    restart(&in->video);
    restart(&in->sound);
    clear_gop(in);
    in->draining = false;
    in->ready = NULL;
    in->seek_ns = begin ? PH_INPUT_NO_VALUE : pts_ns;
    in->picture_packets = begin ? 0 : -1;
    return PH_OK;
}
