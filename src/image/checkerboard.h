// SPDX-License-Identifier: MIT
// Finds a checkerboard in a picture: the corners where four squares meet.
#ifndef PH_IMAGE_CHECKERBOARD_H
#define PH_IMAGE_CHECKERBOARD_H

#include <phosphene/frame.h>

#define PH_BOARD_MAX 32 // inner corners a side

// Inner corners, those where four squares meet. columns >= rows >= 3, and one of them is even and
// the other odd: else the board looks the same upside down.
struct ph_board {
    int columns, rows;
};
bool ph_board_valid(const struct ph_board *b);

// corners: columns * rows places in pixels (the middle of pixel (u, v) is at (u + 1/2, v + 1/2)),
// row by row. As the camera sees the board the rows follow one another to the right hand of the
// columns, and the square between the first two corners of the first two rows is dark.
// Responses: Bennett, Lasenby, ChESS: Quick and Robust Detection of Chess-board Features, 2014.
// Places finer than a pixel: Förstner, Gülch, A Fast Operator for Detection and Precise Location of
// Distinct Points, 1987: where all gradients around are at right angles to the way there.
// PH_OK; PH_MORE: there is no such board in the picture, *seen corners were found; PH_EINVAL: no
// RGBA picture, or no such board can be; PH_ENOMEM.                                  thread: any
ph_err ph_board_find(double (*corners)[2], int *seen, const struct ph_picture *picture,
                     const struct ph_board *board);

#endif
