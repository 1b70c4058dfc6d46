// SPDX-License-Identifier: MIT
#include "audio/fft.h"
#include "core/tree.h"

#include <math.h>
#include <string.h>

// Vectors of four doubles pass between static functions only: no ABI to keep.
#pragma GCC diagnostic ignored "-Wpsabi"

#define FFT      ph_fft
#define NAME(x)  ph_fft_##x
#define LOCAL(x) x##_f32
#define REAL     float
#include "audio/fft_body.h"

#define FFT      ph_fft64
#define NAME(x)  ph_fft64_##x
#define LOCAL(x) x##_f64
#define REAL     double
#include "audio/fft_body.h"
