// SPDX-License-Identifier: MIT
// A film file that is playable at every moment: fragments of a second each, written as they are
// made. A write that fails (full disk) ends the file at the last whole fragment.
#ifndef PH_NODES_MEDIA_WRITER_H
#define PH_NODES_MEDIA_WRITER_H

#include <phosphene/frame.h>
#include <phosphene/log.h>

struct ph_writer_params {
    const char *path;   // .mp4, .m4v, .mov, .mkv: H.264 and AAC; .webm: VP8 and Opus
    bool overwrite;     // else a file of that name is left alone: PH_EBUSY
    int quality;        // 1..100
    const char *preset; // x264's
    const struct ph_log
        *log;        // what it does otherwise than it was told; outlives it, as `who` does
    const char *who; // in the log
};

struct ph_writer;

// Creates the file, checks everything that can be checked. The fault says what is wrong with the
// path, or what this build lacks.                                                   thread: ctl
ph_err ph_writer_create(struct ph_writer **out, const struct ph_writer_params *par,
                        struct ph_fault *fault);
// Closes the file properly; one that never got a picture is removed. After it all calls fail.
ph_err ph_writer_finish(struct ph_writer *w);
// Finishes too. Nulls *w.
void ph_writer_destroy(struct ph_writer **w);

// An RGBA picture. The first one gives the file its size and its time 0; one of another size is fitted
// into it. Times rise: one that repeats or goes back a little is moved on by the least step, one
// that goes back far (another source) goes on where the last one was.
// After a failure all later calls fail: the file is closed and ends where it was whole.
// The first one is kept (refs) until the second tells the rate.                    borrows f
ph_err ph_writer_picture(struct ph_writer *w, struct ph_frame *f);
// Whether there will be sound; heard until the first picture.
void ph_writer_use_sound(struct ph_writer *w, bool on);
// 48 kHz, mono or stereo. What comes before the first picture is left out, gaps become silence.
ph_err ph_writer_sound(struct ph_writer *w, const struct ph_samples *src, int64_t pts_ns);
void ph_writer_set_quality(struct ph_writer *w, int quality);

// One sentence about the failure; "" = all is well.
const char *ph_writer_error(const struct ph_writer *w);

#endif
