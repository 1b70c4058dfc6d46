// SPDX-License-Identifier: MIT
// Counts flashes as WCAG 2.3.1 defines them: no cell of a 32 x 18 grid may see more than three in
// a second (six changes), where a quarter of any ten degrees of view does. That field is taken as
// a third of width and height, 11 x 6 cells, at any place.                   thread of all: any
//   general  a change of relative luminance of .1 or more against the extreme since the last
//            counted one, in the other direction, the darker side below .80
//   red      a change of 320 max(0, R - G - B) of more than 20, where since the last counted one a
//            saturated red, R / (R + G + B) >= .8, was shown
// R, G, B linear: c / 12.92 up to .04045, else ((c + .055) / 1.055)^2.4 of the sRGB value.
#ifndef PH_IMAGE_FLASHES_H
#define PH_IMAGE_FLASHES_H

#include <phosphene/frame.h>

enum { PH_FLASH_COLUMNS = 32, PH_FLASH_ROWS = 18, PH_FLASH_CELLS = 32 * 18 };

struct ph_flash_grid {
    float light[PH_FLASH_CELLS], red[PH_FLASH_CELLS]; // 0..1; 0..320
    bool saturated[PH_FLASH_CELLS];
};

// Means of a picture's cells, or of what ph_image_fade(a, b, t) would make of two of one size (b
// NULL: of a alone). Looks at up to 16 x 16 pixels of each cell. PH_EINVAL: not RGBA, not one size.
ph_err ph_flash_measure(struct ph_flash_grid *g, const struct ph_picture *a,
                        const struct ph_picture *b, int t);

enum { PH_FLASH_KEPT = 7 };

struct ph_flash_track { // of one cell, of one kind
    float low, high;    // extremes since the last counted change
    int8_t direction;   // of the last counted change; 0 = none yet
    bool red_seen;
    uint8_t next;                 // in at
    int64_t at_ns[PH_FLASH_KEPT]; // when the last changes were
};

// What has been seen. Copying it is a way to try what a picture would do.
struct ph_flashes {
    bool begun;
    struct ph_flash_track general[PH_FLASH_CELLS], red[PH_FLASH_CELLS];
};
void ph_flashes_begin(struct ph_flashes *f);
// Takes what is shown from now on; times rise. True: this is not safe.
bool ph_flashes_take(struct ph_flashes *f, const struct ph_flash_grid *g, int64_t now_ns);

struct ph_flash_report {
    int general, red;     // changes in the second up to now, of the cell with most
    double frame, window; // share of the cells with too many, in all and in the worst field
};
struct ph_flash_report ph_flashes_report(const struct ph_flashes *f, int64_t now_ns);

#endif
