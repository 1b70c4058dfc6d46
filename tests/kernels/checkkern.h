// SPDX-License-Identifier: MIT
// Every picture kernel once, as a case: checked (each variant against the C truth, byte for byte)
// by test_kernels_variants and timed by `phosphene bench kernels`.
//
// Inputs and outputs end at an unmapped page, so that a read or write past the end is a crash, and
// have 64 guard bytes before them and padding between their rows, which are compared too.
#ifndef PH_CHECKKERN_H
#define PH_CHECKKERN_H

#include "image/ops.h"

#include <phosphene/frame.h>

enum kern_fill {
    FILL_RANDOM,    // bytes 0..255; floats -0.5..1.5
    FILL_EXTREMES,  // 0 or 255 at random; floats also huge, tiny, negative
    FILL_ALTERNATE, // 0, 255, 0, 255: by byte, so that neighbours differ in all channels
    FILL_ZERO,
    FILL_MAX,
    FILL_OPAQUE, // random, alpha 255
    FILL_EDGES,  // random colours, alpha one of 0 1 2 127 128 254 255
    FILLS
};

struct kern_buffer {
    uint8_t *map;
    size_t size;   // of the mapping, without the unmapped page
    uint8_t *from; // guard bytes before the first row
    size_t span;   // from there to the end
};

struct kern {
    const struct kern_case *c;
    int width, height, arg;
    struct ph_picture a, b, out; // as far as the case has them
    uint8_t result[8192];        // of cases without a picture for a result
    void *scratch;               // SCRATCH_BYTES
    void *state;                 // of setup
    struct kern_buffer buffer[3][PH_PLANES];
};
enum { KERN_SCRATCH = 40 << 20, KERN_GUARD = 64, KERN_ARGS = 6 };

struct kern_case {
    const char *name;           // stable: kernels/<name>-<level>
    enum ph_format a, b, out;   // NONE = has none
    int args[KERN_ARGS], nargs; // what `run` makes of them is its own; the first is benchmarked
    int width, height;          // of the benchmark; 0 = 1920 x 1080
    int most;                   // widest picture of the check; 0 = any
    // Size of the output, given that of the input; NULL = the same.
    void (*size)(int *w, int *h, int arg);
    void (*setup)(struct kern *k);
    void (*run)(struct kern *k);
    void (*finish)(struct kern *k);
    bool exclude_nan; // floats stay finite
    bool timed;       // touches a part of the picture: microseconds say more than GB/s
};

extern const struct kern_case kern_cases[]; // name NULL ends it

struct kern_level {
    const char *name;
    unsigned flags;
};
// "c" first; as many as this machine has, at most 3.
int kern_levels(struct kern_level out[3]);

// Makes the pictures of a case and fills them; kern_refill gives the output its first content
// again. Exits the program when there is no memory.
void kern_begin(struct kern *k, const struct kern_case *c, int width, int height, int arg,
                enum kern_fill fill, int padding);
void kern_refill(struct kern *k);
void kern_end(struct kern *k);           // setup's state
void kern_free(struct kern *k);          // all memory
double kern_bytes(const struct kern *k); // read and written by one run

#endif
