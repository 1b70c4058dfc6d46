// SPDX-License-Identifier: MIT
// Drawing on RGBA pictures. All is clipped to the picture, costs what the touched pixels cost, and
// allocates nothing. Pixel (i, j) covers [i, i+1) x [j, j+1), its centre is at (i+.5, j+.5).
// Colours are 0xRRGGBBAA, as PH_TYPE_COLOR; alpha below ff blends (blend.h, OVER). Calls with a
// picture that is not RGBA, or with a size or thickness <= 0, draw nothing.   thread of all: any
#ifndef PH_IMAGE_DRAW_H
#define PH_IMAGE_DRAW_H

#include <phosphene/frame.h>

void ph_draw_clear(const struct ph_picture *dst, uint32_t color); // overwrites, alpha too
void ph_draw_rect(const struct ph_picture *dst, int x, int y, int w, int h, uint32_t color);
// The outline of that rectangle, `thickness` pixels wide, growing inwards.
void ph_draw_frame(const struct ph_picture *dst, int x, int y, int w, int h, int thickness,
                   uint32_t color);

// Anti-aliased by distance: coverage falls from 1 to 0 over the pixel at the border. Lines have
// round ends.
void ph_draw_line(const struct ph_picture *dst, float x0, float y0, float x1, float y1,
                  float thickness, uint32_t color);
// n points (x, y), joined; drawn as one shape, so that joints of a transparent colour do not show.
void ph_draw_polyline(const struct ph_picture *dst, const float *xy, int n, float thickness,
                      uint32_t color);
// Columns x .. x + n - 1, each from top[i] down to bottom[i], ends anti-aliased: envelopes, bars.
// A column with a value that is not finite, or with bottom <= top, stays empty.
void ph_draw_band(const struct ph_picture *dst, int x, const float *top, const float *bottom,
                  int n, uint32_t color);
// A curve with one value y[i] for each column: meets its neighbours half-way. `thickness` counts
// vertically, so steep parts look thinner than a polyline's; many times faster than one.
void ph_draw_wave(const struct ph_picture *dst, int x, const float *y, int n, float thickness,
                  uint32_t color);
void ph_draw_disc(const struct ph_picture *dst, float x, float y, float radius, uint32_t color);
// The outline of that disc, its middle at the radius.
void ph_draw_circle(const struct ph_picture *dst, float x, float y, float radius,
                    float thickness, uint32_t color);

// A glyph or another 8-bit coverage mask in one colour; opacity is the colour's alpha.
void ph_draw_mask(const struct ph_picture *dst, const uint8_t *mask, ptrdiff_t stride, int w,
                  int h, int x, int y, uint32_t color);
// Pictures: ph_image_blend in blend.h.

#endif
