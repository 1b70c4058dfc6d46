// SPDX-License-Identifier: MIT
// Pictures over pictures. RGBA, alpha not premultiplied, all in integers:
//   div255(v) = (v + 127) / 255, which is v / 255 rounded
//   a  = div255(s.a * opacity)
//   da = div255(d.a * (255 - a)),  out.a = a + da
//   OVER: out.c = (s.c * a + d.c * da + out.a / 2) / out.a; nothing changes where a is 0
//         (for an opaque destination: div255(s.c * a + d.c * (255 - a)), out.a = 255)
//   ADD, MULTIPLY, SCREEN: m = min(255, s.c + d.c), div255(s.c * d.c),
//         s.c + d.c - div255(s.c * d.c); out.c = div255(m * a + d.c * (255 - a))
#ifndef PH_IMAGE_BLEND_H
#define PH_IMAGE_BLEND_H

#include <phosphene/frame.h>

enum ph_blend_mode { PH_BLEND_OVER, PH_BLEND_ADD, PH_BLEND_MULTIPLY, PH_BLEND_SCREEN };

// Puts src with its upper left corner at (x, y) of dst, clipped; opacity 0..255 of the whole.
// PH_EINVAL: not RGBA. dst and src do not overlap.                                  thread: any
ph_err ph_image_blend(const struct ph_picture *dst, const struct ph_picture *src, int x, int y,
                      enum ph_blend_mode mode, int opacity);

// dst = div255(a * (255 - t) + b * t) in all four channels: t 0 is a, 255 is b. dst may be a or b.
ph_err ph_image_fade(const struct ph_picture *dst, const struct ph_picture *a,
                     const struct ph_picture *b, int t);

#endif
