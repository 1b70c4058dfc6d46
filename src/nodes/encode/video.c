// SPDX-License-Identifier: MIT
// Pictures to a video stream for browsers: a tenth of what JPEG needs. Nothing is encoded while
// nobody wants the codec; the first picture after that is a key frame.
#include <phosphene/node.h>

#include "nodes/guard.h"
#include "nodes/media/encoder.h"
#include "nodes/util.h"

#include <string.h>

enum codec { H264, VP8 };

struct video {
    int codec;
    int64_t quality, bitrate, refresh;
    float gop;
    bool limiter;
    struct ph_guard guard;

    struct ph_encoder *encoder;
    int width, height;            // of the encoder's pictures
    bool key;                     // the next one is a key frame
    int64_t refreshed;            // value of `refresh` that has been answered
    int64_t last_pts;             // microseconds
    int64_t last_key_ns;          // pts
    int64_t seen_ns, interval_ns; // pts of the newest picture; from one to the next, smoothed
    double fps;                   // what the encoder was made for
};

static enum ph_codec codec_of(const struct video *p)
{
    return p->codec == H264 ? PH_H264 : PH_VP8;
}

static ph_err video_open(struct ph_node *n, struct ph_fault *fault)
{
    struct video *p = ph_priv(n);
    p->refreshed = p->refresh;
    return ph_encoder_check(codec_of(p), fault);
}

static void video_close(struct ph_node *n)
{
    struct video *p = ph_priv(n);
    ph_encoder_destroy(&p->encoder);
    ph_guard_finish(&p->guard);
}

static double rate_of(const struct video *p)
{
    return p->interval_ns > 0 ? 1e9 / (double) p->interval_ns : 30;
}

static void measure_rate(struct video *p, int64_t pts_ns)
{
    int64_t step_ns = pts_ns - p->seen_ns;
    p->seen_ns = pts_ns;
    if (step_ns <= 0 || step_ns > PH_SECOND_NS) return;
    p->interval_ns =
        p->interval_ns ? p->interval_ns + (step_ns - p->interval_ns) / 16 : step_ns;
}

// The encoder shares out a bitrate by the rate it was told.
static bool rate_has_changed(const struct video *p)
{
    double now = rate_of(p);
    return p->bitrate && (now > p->fps * 1.25 || now < p->fps * 0.8);
}

static ph_err make_encoder(struct ph_node *n, struct video *p, const struct ph_picture *pic)
{
    if (p->encoder && p->width == pic->width && p->height == pic->height) return PH_OK;
    struct ph_fault fault;
    ph_encoder_destroy(&p->encoder);
    p->fps = rate_of(p);
    ph_err ret = ph_encoder_create(&p->encoder,
                                   &(struct ph_encoder_params){ .codec = codec_of(p),
                                                                .width = pic->width,
                                                                .height = pic->height,
                                                                .quality = (int) p->quality,
                                                                .bitrate = (int) p->bitrate,
                                                                .fps = p->fps,
                                                                .ticks_per_second = 1000000 },
                                   &fault);
    if (ret < 0) ph_node_problem(n, "%s", fault.message);
    p->width = pic->width;
    p->height = pic->height;
    p->last_pts = -1;
    p->key = true;
    return ret;
}

static bool wants_key(const struct video *p, int64_t pts_ns)
{
    int64_t since_ns = pts_ns - p->last_key_ns;
    return p->key || p->refresh != p->refreshed || since_ns < 0 ||
           since_ns >= (int64_t) ((double) p->gop * 1e9);
}

static ph_err send(struct ph_node *n, struct video *p, const struct ph_frame *f,
                   const struct ph_encoded *e)
{
    struct ph_frame *packet;
    ph_err ret = ph_node_packet(n, f, codec_of(p), e->size, &packet);
    if (ret < 0) return ret;
    memcpy(packet->packet.data, e->data, e->size);
    packet->packet.size = e->size;
    packet->packet.key = e->key;
    packet->packet.width = ph_encoder_width(p->encoder);
    packet->packet.height = ph_encoder_height(p->encoder);
    return ph_node_write(n, 0, packet);
}

static ph_err encode(struct ph_node *n, struct video *p, const struct ph_frame *f)
{
    struct ph_encoded e;
    bool key = wants_key(p, f->pts_ns);
    if (key && rate_has_changed(p)) ph_encoder_destroy(&p->encoder);
    ph_err ret = make_encoder(n, p, &f->picture);
    if (ret < 0) return ret;
    int64_t pts = f->pts_ns / 1000;
    key = key || p->key;
    if (pts <= p->last_pts)
        pts = p->last_pts + 1; // the encoder's clock rises, whatever ours does
    p->last_pts = pts;
    ret = ph_encoder_encode(p->encoder, &f->picture, pts, key, &e);
    if (ret != PH_OK) return ret == PH_MORE ? PH_OK : ret;
    if (e.key) {
        p->key = false;
        p->refreshed = p->refresh;
        p->last_key_ns = f->pts_ns;
    }
    return send(n, p, f, &e);
}

static ph_err video_process(struct ph_node *n)
{
    struct video *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_read_rgba(n, 0, &f);
    if (ret != PH_OK) return ret;
    measure_rate(p, f->pts_ns);
    if (!ph_node_wanted(n, codec_of(p)))
        p->key = true; // who comes next has seen nothing
    else if ((ret = ph_guard_pass(&p->guard, n, p->limiter, &f)) == PH_OK)
        ret = encode(n, p, f);
    ph_frame_unref(&f);
    return ret;
}

static ph_err video_apply(struct ph_node *n)
{
    struct video *p = ph_priv(n);
    if (!p->encoder) return PH_OK;
    if (!ph_encoder_set_quality(p->encoder, (int) p->quality, (int) p->bitrate))
        ph_encoder_destroy(&p->encoder);
    return PH_OK;
}

static ph_err video_cut(struct ph_node *n, const struct ph_cut *cut)
{
    struct video *p = ph_priv(n);
    p->key = p->key || cut->hard;
    return PH_OK;
}

// clang-format off
static const struct ph_param params[] = {
    PH_ENUM(struct video, codec, PH_NAMES("h264", "vp8"), .flags = PH_PARAM_FIRST | PH_PARAM_SETUP, .help = "h264 (Annex B, parameter sets with each key frame) or vp8"),
    PH_INT(struct video, quality, 1, 100, .def = "70", .help = "how good it looks, when bitrate is 0"),
    PH_INT(struct video, bitrate, 0, 200000, .unit = "kbit/s", .help = "how much it may send; 0 = what the quality needs"),
    PH_FLOAT(struct video, gop, 0.1, 60, .def = "2", .unit = "s", .help = "from one key frame to the next: who joins or has lost a packet waits for one"),
    PH_INT(struct video, refresh, 0, 0x7fffffff, .help = "any change asks for a key frame now"),
    PH_GUARD_PARAM(struct video),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_video = {
    .name = "video",
    .group = "encode",
    .help = "encodes pictures as H.264 or VP8, without delay",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "rgba pictures" }),
    .out =
        PH_PORTS({ "out", PH_PACKET, PH_PORT_KEYED, .help = "packets, one for each picture" }),
    .params = params,
    .priv_size = sizeof(struct video),
    .open = video_open,
    .close = video_close,
    .process = video_process,
    .apply = video_apply,
    .cut = video_cut,
};
