// SPDX-License-Identifier: MIT
// Small QR codes (ISO/IEC 18004): bytes, versions 1 to 6, error correction L. Enough for an address.
#ifndef PH_CORE_QR_H
#define PH_CORE_QR_H

#include <phosphene/common.h>

#define PH_QR_SIDE_MAX 41  // modules, without the quiet zone of 4 that a reader needs around
#define PH_QR_TEXT_MAX 134 // bytes

struct ph_qr {
    int side;
    uint8_t dark[PH_QR_SIDE_MAX][PH_QR_SIDE_MAX]; // [row][column]: 1 = dark
};

// The smallest version that holds the text, under the mask with the least penalty. PH_ELIMIT: the
// text is too long.                                                                 thread: any
ph_err ph_qr_encode(struct ph_qr *qr, const char *text);

#endif
