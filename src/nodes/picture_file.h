// SPDX-License-Identifier: MIT
// PNG and JPEG files, whole, by libpng and libjpeg-turbo.
#ifndef PH_NODES_PICTURE_FILE_H
#define PH_NODES_PICTURE_FILE_H

#include <phosphene/frame.h>

#define PH_PICTURE_FILE_MAX_SIDE 16384

// Reads a picture as RGBA into a frame of its own. PNG or JPEG, by what the file begins with. The
// fault says what is wrong with the file, or which library this build lacks. thread: any, may wait
ph_err ph_picture_load(const char *path, struct ph_frame **out, struct ph_fault *fault);

// A coder for one kind of file, chosen by the name's end (.png, .jpg, .jpeg), with its memory.
// PH_EINVAL: no such end; PH_ENOTSUP: this build lacks the library.
struct ph_picture_writer;
ph_err ph_picture_writer_create(struct ph_picture_writer **out, const char *path,
                                struct ph_fault *fault);
void ph_picture_writer_destroy(struct ph_picture_writer **w);
// Writes an RGBA picture to a new file beside `path` and then renames it, so that who reads `path`
// never sees a part of a picture; a failure leaves the old file and nothing else. quality 1..100
// is JPEG's. thread: one at a time, may wait
ph_err ph_picture_save(struct ph_picture_writer *w, const char *path,
                       const struct ph_picture *src, int quality, struct ph_fault *fault);

#endif
