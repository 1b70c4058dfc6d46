// SPDX-License-Identifier: MIT
// A frame id as a bar code in the picture: 8 x 8 cells, each 1/48 of the width and 1/30 of the
// height, so that it scales with the picture. White is 1. From the top: aa (says where white and
// black lie), 4 bytes of the id, 2 of their CRC-16/CCITT-FALSE, 33 (with the first row: which side
// is up); highest bits left, highest bytes first. Two cells away from the borders, or in the
// middle.
#ifndef PH_IMAGE_BARCODE_H
#define PH_IMAGE_BARCODE_H

#include <phosphene/frame.h>

enum ph_barcode_place {
    PH_BARCODE_TOP_LEFT,
    PH_BARCODE_TOP_RIGHT,
    PH_BARCODE_BOTTOM_LEFT,
    PH_BARCODE_BOTTOM_RIGHT,
    PH_BARCODE_CENTER
};

#define PH_BARCODE_MIN_WIDTH  48 // below this a cell has no pixel of its own
#define PH_BARCODE_MIN_HEIGHT 30

// RGBA; PH_EINVAL when the picture is not, or too small.                            thread: any
ph_err ph_barcode_draw(const struct ph_picture *dst, enum ph_barcode_place place, uint32_t id);

// Looks in all places, also mirrored and upside down. RGBA, GRAY8, I420, NV12. Stands JPEG at
// quality 50 with 4:2:0 where cells are still >= 3 pixels, and resizing by 0.5 to 2.
// PH_ENOENT: there is no bar code whose check is right. A picture that was put into a larger
// one is read through ph_picture_view.                                              thread: any
ph_err ph_barcode_read(const struct ph_picture *src, uint32_t *id);

#endif
