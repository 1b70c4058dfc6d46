// SPDX-License-Identifier: MIT
// A frame is a reference-counted carrier: a picture, audio samples, points, signals or an encoded
// packet, with its identity and times. A published frame is immutable; to change it, own it alone.
//
// Ownership words: *takes* (the callee now owns the reference, also on failure), *borrows* (for
// the call only), *refs* (the callee adds its own reference), *returns* (the caller owns it).
#ifndef PHOSPHENE_FRAME_H
#define PHOSPHENE_FRAME_H

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

// What a frame carries; a port says which ones it takes as a mask.
enum ph_kind { PH_PICTURE = 1, PH_SAMPLES = 2, PH_PACKET = 4, PH_POINTS = 8, PH_SIGNALS = 16 };

// Where its bytes lie; a port says which ones it takes as a mask.
enum ph_mem { PH_HOST = 1, PH_CUDA = 2 };

enum ph_format {
    PH_FORMAT_NONE,
    PH_RGBA,   // 8 bits each, alpha not premultiplied: the one picture format on links
    PH_GRAY8,  // masks
    PH_I420,   // 8-bit planes y, u, v; chroma (w+1)/2 x (h+1)/2: codecs and cameras
    PH_NV12,   // 8-bit planes y, interleaved uv
    PH_RGBF,   // three float planes r, g, b in 0..1: the tensor side
    PH_DEPTHF, // one float plane: depth along the optical axis, metres; 0 or infinite = nothing
    // one float plane: relative inverse depth as models see it, larger is nearer; its scale and
    // shift are unknown and drift from frame to frame
    PH_INVERSEF
};

enum ph_matrix { PH_BT601 = 0, PH_BT709 = 1 };
enum ph_range { PH_LIMITED = 0, PH_FULL = 1 };

#define PH_PLANES 3
#define PH_ALIGN  64 // of every plane and every stride

struct ph_picture {
    enum ph_format format;
    int width, height; // pixels; 1..16384
    uint8_t *data[PH_PLANES];
    ptrdiff_t stride[PH_PLANES]; // bytes
    enum ph_matrix matrix;       // I420 and NV12 only
    enum ph_range range;
};

struct ph_samples {
    float *data;  // interleaved, -1..1
    int count;    // per channel
    int channels; // 1..8
    int rate_hz;
};

enum ph_codec {
    PH_CODEC_NONE,
    PH_JPEG,
    PH_H264,
    PH_VP8,
    PH_PNG,
    PH_VP9,
    PH_CLOUD,  // a MessagePack map of points: docs/protocol.md
    PH_DEPTH16 // a picture and its depth in 16 bits: docs/protocol.md
};

struct ph_packet {
    enum ph_codec codec;
    uint8_t *data;
    size_t size, capacity; // bytes
    bool key;              // decodable without earlier packets
    int width, height;
    size_t extra; // of `size`: bytes at the end that only who asks for them is sent
};

// Pinhole camera that took a picture; fx 0 = unknown. The middle of pixel (u, v) is at
// (u + 1/2, v + 1/2).
struct ph_intrinsics {
    float fx, fy, cx, cy; // pixels
};

// Points of one or several cameras: x right, y up, z forward; metres, or of unknown scale.
struct ph_points {
    float *xyz;   // 3 numbers a point
    uint8_t *rgb; // 3 bytes a point
    int count, capacity;
    int views; // cameras
};

// Where the music is, at the pts of the frame that says so: at pts + t s it is at beat + t·bpm/60.
struct ph_beat {
    double bpm;       // 0 = no tempo is known, and beat stands still
    double beat;      // beats since the start; its fraction is the phase
    int per_bar;      // beats of a bar; bars begin where floor(beat) is a multiple of it
    float confidence; // 0..1 in bpm and beat
};

// Numbers that change all the time and drive parameters: how loud the kick drum is, where a fader
// stands. What the n-th is called, struct ph_node_info.signals of the node that made the frame says.
struct ph_signals {
    float *value;
    int count;
    struct ph_beat beat;
};

struct ph_frame {
    enum ph_kind kind;
    enum ph_mem mem;
    uint32_t
        epoch;   // rises on a hard cut; frames of an older epoch are never delivered after it
    uint64_t id; // of the source's tick; strictly rising on a link
    int64_t pts_ns;     // stream time, from 0
    int64_t capture_ns; // ph_now_ns() when the light fell in (virtual time on a virtual clock)
    union {
        struct ph_picture picture;
        struct ph_samples samples;
        struct ph_packet packet;
        struct ph_signals signals;
        struct ph_points points;
    };
    struct ph_intrinsics intrinsics;
};

// Adds a reference and returns f. NULL gives NULL.                                 thread: any
PH_API struct ph_frame *ph_frame_ref(struct ph_frame *f);
// Drops *f's reference and nulls it. The last one gives the memory back to its pool.
PH_API void ph_frame_unref(struct ph_frame **f);
// True when the caller holds the only reference and may write.
PH_API bool ph_frame_writable(const struct ph_frame *f);
// Copies when shared; *f is then the copy. On failure *f is released and NULL.     thread: any
PH_API ph_err ph_frame_make_writable(struct ph_frame **f);

// Id, epoch, pts, capture and intrinsics, as a node does that makes one frame from another.
PH_API void ph_frame_copy_meta(struct ph_frame *dst, const struct ph_frame *src);

// Frames of the same kind and size are recycled: after warm-up, no allocation. A pool outlives
// its frames by itself (it is counted); destroy only ends its use.
struct ph_pool;
PH_API ph_err ph_pool_create(struct ph_pool **pool);
PH_API void ph_pool_destroy(struct ph_pool **pool);

// Contents are undefined (recycled); meta is zero. pool NULL = a frame of its own.  thread: any
PH_API ph_err ph_frame_picture(struct ph_pool *pool, enum ph_format format, int width,
                               int height, struct ph_frame **out);
PH_API ph_err ph_frame_samples(struct ph_pool *pool, int count, int channels, int rate_hz,
                               struct ph_frame **out);
// A packet with room for at least `capacity` bytes (rounded up so that sizes recycle), size 0.
PH_API ph_err ph_frame_packet(struct ph_pool *pool, enum ph_codec codec, size_t capacity,
                              struct ph_frame **out);

// Room for at least `capacity` points (rounded up so that sizes recycle), count 0.
PH_API ph_err ph_frame_points(struct ph_pool *pool, int capacity, struct ph_frame **out);
// count 1..256.
PH_API ph_err ph_frame_signals(struct ph_pool *pool, int count, struct ph_frame **out);

// Bytes one row of a plane holds (without padding), and its rows; 0 when there is no such plane.
PH_API size_t ph_plane_row_bytes(enum ph_format format, int plane, int width);
PH_API int ph_plane_rows(enum ph_format format, int plane, int height);
PH_API const char *ph_format_name(enum ph_format format);
PH_API const char *ph_codec_name(enum ph_codec codec);

#ifdef __cplusplus
}
#endif
#endif
