// SPDX-License-Identifier: MIT
// What sizes alone give: tables of places, sizes of pictures, cameras.
#include <math.h>

#include "models/depth/depth.h"

// ------------------------------------------------------------------------------ tables
// One axis of one token: cosines and sines of its place times d/4 falling frequencies (base 100).
static void angles(int place, int d, float *cosine, float *sine)
{
    for (int i = 0; i < d / 4; i++) {
        double angle = place * pow(100, -4.0 * i / d);
        cosine[i] = (float) cos(angle);
        sine[i] = (float) sin(angle);
    }
}

void ph_depth_rotary_table(int views, int h, int w, int d, bool global, float *out)
{
    int patches = h * w;
    for (int t = 0; t < views * (1 + patches); t++, out += d) {
        int i = t % (1 + patches) - 1; // -1: the camera, at 0, 0
        int y = i < 0 ? 0 : global ? 1 : i / w + 1, x = i < 0 ? 0 : global ? 1 : i % w + 1;
        angles(y, d, out, out + d / 2);
        angles(x, d, out + d / 4, out + 3 * d / 4);
    }
}

// n places from -span (n-1)/n to the same on the other side.
static double place_at(int i, int n, double span)
{
    double end = span * (n - 1) / n;
    return n > 1 ? -end + 2 * end * i / (n - 1) : -end;
}

void ph_depth_place_table(int c, int h, int w, double aspect, float *out)
{
    double diagonal = sqrt(aspect * aspect + 1), wide = aspect / diagonal, high = 1 / diagonal;
    int quarter = c / 4;
    for (int k = 0; k < c; k++) {
        double omega = quarter ? pow(100, -(double) (k % quarter) / quarter) : 0;
        bool vertical = k >= 2 * quarter, cosine = k / (quarter ? quarter : 1) % 2;
        for (int i = 0; i < h * w; i++) {
            double at = vertical ? place_at(i / w, h, high) : place_at(i % w, w, wide);
            *out++ = (float) (0.1 * (cosine ? cos(at * omega) : sin(at * omega)));
        }
    }
}

// ------------------------------------------------------------------------------ sizes
#define SIDE_MOST (16384 / PH_DEPTH_PATCH * PH_DEPTH_PATCH) // of any picture

static int in_range(double v)
{
    if (!(v >= PH_DEPTH_PATCH)) return PH_DEPTH_PATCH;
    return v > SIDE_MOST ? SIDE_MOST : (int) v;
}

static int fourteens_at_least(double side, int least)
{
    double n = rint(side / PH_DEPTH_PATCH) * PH_DEPTH_PATCH;
    if (n < least) n = ceil(side / PH_DEPTH_PATCH) * PH_DEPTH_PATCH;
    return in_range(n);
}

struct ph_depth_size ph_depth_size_v2(int width, int height, int side)
{
    double high = (double) side / height, wide = (double) side / width;
    double scale = wide > high ? wide : high;
    return (struct ph_depth_size){ fourteens_at_least(scale * width, side),
                                   fourteens_at_least(scale * height, side) };
}

// The nearest multiple; halfway up.
static int nearest_fourteens(int side)
{
    int low = side / PH_DEPTH_PATCH * PH_DEPTH_PATCH, high = low + PH_DEPTH_PATCH;
    return in_range(high - side <= side - low ? high : low);
}

struct ph_depth_size ph_depth_size_da3(int width, int height, int side,
                                       struct ph_depth_size *first)
{
    double scale = (double) side / (width > height ? width : height);
    struct ph_depth_size s = { (int) fmax(1, rint(width * scale)),
                               (int) fmax(1, rint(height * scale)) };
    if (first) *first = s;
    return (struct ph_depth_size){ nearest_fourteens(s.width), nearest_fourteens(s.height) };
}

// ------------------------------------------------------------------------------ cameras
static void rotation(const float q[4], double r[9]) // q need not be of length 1
{
    double i = (double) q[0], j = (double) q[1], k = (double) q[2], w = (double) q[3];
    double s = 2 / (i * i + j * j + k * k + w * w);
    r[0] = 1 - s * (j * j + k * k), r[1] = s * (i * j - k * w), r[2] = s * (i * k + j * w);
    r[3] = s * (i * j + k * w), r[4] = 1 - s * (i * i + k * k), r[5] = s * (j * k - i * w);
    r[6] = s * (i * k - j * w), r[7] = s * (j * k + i * w), r[8] = 1 - s * (i * i + j * j);
}

static float focal(int side, float angle)
{
    double half = tan((double) angle / 2);
    return (float) (side / 2.0 / (half < 1e-6 ? 1e-6 : half));
}

void ph_depth_camera_of(const float pose[9], int width, int height, struct ph_depth_camera *out)
{
    double r[9];
    rotation(pose + 3, r);
    for (int i = 0; i < 3; i++) {
        double t = 0;
        for (int k = 0; k < 3; k++) {
            out->c2w[4 * i + k] = (float) r[3 * i + k];
            out->w2c[4 * i + k] = (float) r[3 * k + i];
            t -= r[3 * k + i] * (double) pose[k];
        }
        out->c2w[4 * i + 3] = pose[i];
        out->w2c[4 * i + 3] = (float) t;
    }
    out->k[0] = focal(width, pose[8]);
    out->k[1] = focal(height, pose[7]);
    out->k[2] = (float) width / 2;
    out->k[3] = (float) height / 2;
}
