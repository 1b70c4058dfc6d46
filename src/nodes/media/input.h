// SPDX-License-Identifier: MIT
// Pictures and sound out of anything FFmpeg opens: files, network streams, cameras, screens.
// One thread at a time; a read may wait for the network or the device, never past its deadline.
// Without FFmpeg in the build, opening fails with PH_ENOTSUP and says what to install.
#ifndef PH_NODES_MEDIA_INPUT_H
#define PH_NODES_MEDIA_INPUT_H

#include <phosphene/clock.h>
#include <phosphene/frame.h>
#include <phosphene/log.h>

#define PH_INPUT_OPTIONS  16
#define PH_INPUT_RATE_HZ  48000 // of all sound that comes out
#define PH_INPUT_NO_VALUE INT64_MIN

struct ph_input_params {
    const char *url;
    const char *device; // demuxer of a device: "v4l2", "x11grab", "lavfi"; NULL = by content
    const char *options[PH_INPUT_OPTIONS]; // demuxer's: name, value, …, NULL
    const char *prefer[2];    // one more, left out when the device refuses it; NULL = none
    bool live;                // little buffering, newest picture soonest
    bool sound;               // decode the sound too
    bool no_wait;             // the device is asked not to block; reading naps between tries
    int64_t open_ns, read_ns; // how long opening and one read may take; 0 = 10 s, 5 s
    bool (*cancelled)(void *opaque); // asked while waiting; may be NULL
    void *opaque;
    const struct ph_log *log;
    const char *who; // name in the log
};

struct ph_input_info {
    bool picture, sound;
    int width, height;   // as shown, after rotation
    double fps;          // mean; 0 = unknown
    int64_t duration_ns; // 0 = unknown or endless
    bool seekable;
    bool segments;     // comes in pieces of seconds (HLS, DASH), each faster than it plays
    const char *codec; // of the pictures; "" = none
};

struct ph_input;

// PH_ENOENT, PH_EFORMAT, PH_ENOTSUP, PH_EIO, PH_EDEVICE, PH_ETIMEOUT, PH_ESTOPPED (cancelled); the
// fault's message names the url (without passwords) and says what is wrong.
ph_err ph_input_open(struct ph_input **out, const struct ph_input_params *par,
                     struct ph_fault *fault);
void ph_input_close(struct ph_input **in);
const struct ph_input_info *ph_input_info(const struct ph_input *in);

struct ph_input_item {
    enum ph_kind kind;   // PH_PICTURE or PH_SAMPLES
    int64_t pts_ns;      // of the stream's own time; rises, starts anywhere
    int64_t duration_ns; // of this item, guessed from the rate where the stream does not say
    int64_t arrival_ns;  // ph_now_ns() when the bytes had come
    int64_t
        clock_ns; // pts as a moment of ph_now_ns(), where it is one (devices); else NO_VALUE
};

// Decodes up to the next picture or piece of sound, which waits inside until the next call.
// PH_OK; PH_EOF; PH_EFORMAT: a damaged part, go on; else the input is lost. ph_input_error says why.
ph_err ph_input_read(struct ph_input *in, struct ph_input_item *item);
// Reads one packet and decodes nothing: a stream nobody looks at. What is needed to decode the next
// picture is kept, so that ph_input_read shows the newest one at once.
ph_err ph_input_skip(struct ph_input *in);
// One sentence about the newest failure.
const char *ph_input_error(const struct ph_input *in);

// The item as a frame of RGBA, turned as the stream asks, or of 48 kHz sound; meta is zero. Once
// per item. PH_MORE: the resampler keeps the samples for the next piece.
ph_err ph_input_frame(struct ph_input *in, struct ph_pool *pool, struct ph_frame **out);

// The next item is the first at or after pts_ns (of the stream's own time), for pictures exactly.
ph_err ph_input_seek(struct ph_input *in, int64_t pts_ns);
int64_t ph_input_start_ns(const struct ph_input *in); // pts at which the stream begins
void ph_input_use_sound(struct ph_input *in, bool on);

// The url without user, password and query, for people to read; returns text.
char *ph_input_label(const char *url, char *text, size_t size);

#endif
