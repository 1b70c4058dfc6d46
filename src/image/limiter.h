// SPDX-License-Identifier: MIT
// The flash limiter: what goes out is safe by the rule of flashes.h, whatever comes in. While what
// comes in is safe it goes out as it is, bit for bit. While it is not, what goes out follows it
// slowly (a running mean), and when even that would flash, it stays as it is: a picture that does
// not change adds no flash, so there is always a safe one. Looks at pictures and their times only.
#ifndef PH_IMAGE_LIMITER_H
#define PH_IMAGE_LIMITER_H

#include <phosphene/frame.h>

struct ph_limiter; // 0.3 MB; one thread at a time

ph_err ph_limiter_create(struct ph_limiter **out);
void ph_limiter_destroy(struct ph_limiter **l);

// How much of `next`, of 255, may be mixed into `shown`, the picture that went out before it:
// ph_image_fade(out, shown, next, t) makes what goes out, and 255 is next itself. shown NULL: the
// first one. Both RGBA and of one size; PH_EINVAL (negative) otherwise. pts: that of next; time that
// goes back counts as no time.
int ph_limiter_look(struct ph_limiter *l, const struct ph_picture *shown,
                    const struct ph_picture *next, int64_t pts_ns);

#endif
