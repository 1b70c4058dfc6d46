// SPDX-License-Identifier: MIT
// Pictures to H.264, VP8 or VP9 without delay: what is sent in comes out by the same call, so
// nothing is lost with a killed process and a recording closes at once. Films that nobody waits for
// are made with some delay, which keeps more cores busy.
#ifndef PH_NODES_MEDIA_ENCODER_H
#define PH_NODES_MEDIA_ENCODER_H

#include <phosphene/frame.h>
#include <phosphene/log.h>

struct ph_encoder_params {
    enum ph_codec codec;
    int width,
        height;  // of the pictures; odd ones are encoded one pixel larger, the edge repeated
    int quality; // 1..100, about as JPEG's; used when bitrate is 0
    int bitrate; // kbit/s, 0 = as the quality needs
    // x264's, "ultrafast" … "slow"; NULL = "veryfast". "nvenc": H.264 by an NVIDIA GPU, or as NULL
    // where that does not open.
    const char *preset;
    int ticks_per_second; // unit of pts
    double fps;           // about what will come, for the rate control; 0 = 30
    bool in_file; // parameter sets once, in the file's header; else before each key frame
    const struct ph_log *log; // borrowed for the call that makes it; NULL = the default one
    const char *who;          // in the log; NULL = "encoder"
    bool delayed; // H.264: packets come some calls later; the same bytes on any number of cores
};

struct ph_encoded {
    const uint8_t *data; // borrowed until the next call
    size_t size;
    bool key;
    int64_t pts;
};

struct ph_encoder;

// PH_ENOTSUP: this build or FFmpeg lacks the codec. The fault says what to install.
ph_err ph_encoder_create(struct ph_encoder **out, const struct ph_encoder_params *par,
                         struct ph_fault *fault);
void ph_encoder_destroy(struct ph_encoder **e);
// Whether ph_encoder_create could make it.
ph_err ph_encoder_check(enum ph_codec codec, struct ph_fault *fault);
// RGBA of just the size. pts must rise. On PH_OK, out is the packet; PH_MORE: none for this one.
ph_err ph_encoder_encode(struct ph_encoder *e, const struct ph_picture *src, int64_t pts,
                         bool key, struct ph_encoded *out);
// After the last picture: the packets that are still to come, one a call, then PH_EOF.
ph_err ph_encoder_drain(struct ph_encoder *e, struct ph_encoded *out);
// From the next picture on. false: this codec cannot change it, make a new encoder.
bool ph_encoder_set_quality(struct ph_encoder *e, int quality, int bitrate);
int ph_encoder_width(const struct ph_encoder *e); // as encoded: even
int ph_encoder_height(const struct ph_encoder *e);
// The codec's own context, for a muxer's parameters.
struct AVCodecContext;
const struct AVCodecContext *ph_encoder_context(const struct ph_encoder *e);

#endif
