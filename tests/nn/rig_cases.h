// SPDX-License-Identifier: MIT
// What every kernel is tried with beside the plain one: tails, odd widths, big values, all operations
// but products. Tables of struct rig_case, each ended by an empty one.
#ifndef TEST_NN_RIG_CASES_H
#define TEST_NN_RIG_CASES_H

#include "rig.h"
#include "shapes.h"

#define ATTEND(label, n, t, s, c, h, ...)                                                      \
    {                                                                                          \
        .name = label,                                                                         \
        .step = { .op = PH_OP_ATTEND, .attention = { .heads = h, __VA_ARGS__ } },              \
        .in = { TOKENS(n, t, c), TOKENS(n, s, c), TOKENS(n, s, c) }, .out = TOKENS(n, t, c),   \
    }

static const struct rig_case attention_cases[] = {
    ATTEND("one head of 64", 1, 200, 200, 64, 1, .scale = 0.125f),
    ATTEND("heads of 40", 2, 333, 333, 120, 3, .scale = 0.158f),
    ATTEND("heads of 24", 1, 50, 300, 72, 3, .scale = 0.2f),
    ATTEND("heads of 8", 1, 50, 300, 16, 2, .scale = 0.35f),
    ATTEND("heads of 80", 1, 65, 300, 160, 2, .scale = 0.11f),
    ATTEND("heads of 160", 1, 64, 64, 320, 2, .scale = 0.079f),
    ATTEND("one head of 512", 1, 70, 131, 512, 1, .scale = 0.044f),
    ATTEND("77 keys", 2, 130, 77, 128, 2, .scale = 0.125f),
    ATTEND("causal", 2, 77, 77, 128, 2, .causal = true, .scale = 0.125f),
    ATTEND("causal over many tiles", 1, 421, 421, 64, 1, .causal = true, .scale = 0.125f),
    ATTEND("odd heads", 1, 37, 53, 21, 3, .scale = 0.4f),
    ATTEND("heads of one", 1, 5, 9, 4, 4, .scale = 1),
    ATTEND("one key", 1, 3, 1, 24, 3, .scale = 0.3f),
    ATTEND("one query", 3, 1, 130, 48, 1, .scale = 0.144f),
    ATTEND("negative scale", 1, 20, 40, 32, 2, .scale = -0.2f),
    { .name = "big scores",
      .step = { .op = PH_OP_ATTEND, .attention = { .heads = 2, .scale = 1 } },
      .in = { TOKENS(1, 50, 96), TOKENS(1, 333, 96), TOKENS(1, 333, 96) },
      .out = TOKENS(1, 50, 96),
      .size = 3 },
    { .name = "scores whose powers overflow",
      .step = { .op = PH_OP_ATTEND, .attention = { .heads = 2, .scale = 1 } },
      .in = { TOKENS(1, 50, 80), TOKENS(1, 700, 80), TOKENS(1, 700, 80) },
      .out = TOKENS(1, 50, 80),
      .size = 4 },
    { .name = "all scores far from zero",
      .step = { .op = PH_OP_ATTEND, .attention = { .heads = 1, .scale = 1 } },
      .in = { TOKENS(1, 50, 64), TOKENS(1, 140, 64), TOKENS(1, 140, 64) },
      .out = TOKENS(1, 50, 64),
      .size = 0.1f,
      .mean = 2 },
    { 0 },
};

#define GROUP(label, g, a, ...)                                                                \
    {                                                                                          \
        .name = label,                                                                         \
        .step = { .op = PH_OP_GROUP_NORM, .groups = g, .act = a, .eps = 1e-5f }, __VA_ARGS__   \
    }
#define LAYER(label, a, ...)                                                                   \
    {                                                                                          \
        .name = label, .step = { .op = PH_OP_LAYER_NORM, .act = a, .eps = 1e-5f }, __VA_ARGS__ \
    }

static const struct rig_case norm_cases[] = {
    GROUP("320 channels", 32, PH_ACT_SILU, .in = { SPACE(2, 320, 9, 11) },
          .out = SPACE(2, 320, 9, 11), .weight = VECTOR(320)),
    GROUP("with a row", 32, PH_ACT_SILU, .in = { SPACE(2, 320, 8, 8) },
          .out = SPACE(2, 320, 8, 8), .weight = VECTOR(320), .row = ROWS(2, 320)),
    GROUP("with one row for all", 8, PH_ACT_NONE, .in = { SPACE(3, 64, 5, 5) },
          .out = SPACE(3, 64, 5, 5), .weight = VECTOR(64), .row = ROWS(1, 64)),
    GROUP("groups of three", 5, PH_ACT_NONE, .in = { SPACE(1, 15, 7, 33) },
          .out = SPACE(1, 15, 7, 33), .weight = VECTOR(15)),
    GROUP("one group", 1, PH_ACT_RELU, .in = { SPACE(2, 37, 3, 3) }, .out = SPACE(2, 37, 3, 3),
          .weight = VECTOR(37)),
    GROUP("a group a channel", 24, PH_ACT_NONE, .in = { SPACE(1, 24, 16, 16) },
          .out = SPACE(1, 24, 16, 16), .weight = VECTOR(24)),
    GROUP("tokens", 32, PH_ACT_NONE, .in = { TOKENS(2, 130, 64) }, .out = TOKENS(2, 130, 64),
          .weight = VECTOR(64)),
    GROUP("one pixel", 4, PH_ACT_NONE, .in = { SPACE(2, 64, 1, 1) }, .out = SPACE(2, 64, 1, 1),
          .weight = VECTOR(64)),
    GROUP("many blocks", 32, PH_ACT_SILU, .in = { SPACE(1, 128, 70, 65) },
          .out = SPACE(1, 128, 70, 65), .weight = VECTOR(128)),
    GROUP("2560 channels", 32, PH_ACT_SILU, .in = { SPACE(1, 2560, 3, 5) },
          .out = SPACE(1, 2560, 3, 5), .weight = VECTOR(2560)),
    GROUP("far from zero", 4, PH_ACT_NONE, .in = { SPACE(1, 64, 40, 40) },
          .out = SPACE(1, 64, 40, 40), .weight = VECTOR(64), .mean = 300),
    LAYER("768 channels", PH_ACT_NONE, .in = { TOKENS(2, 77, 768) }, .out = TOKENS(2, 77, 768),
          .weight = VECTOR(768)),
    LAYER("without weights", PH_ACT_NONE, .in = { TOKENS(1, 9, 40) }, .out = TOKENS(1, 9, 40)),
    LAYER("tail of one", PH_ACT_GELU, .in = { ROWS(5, 33) }, .out = ROWS(5, 33),
          .weight = VECTOR(33)),
    LAYER("three channels", PH_ACT_NONE, .in = { ROWS(1, 3) }, .out = ROWS(1, 3),
          .weight = VECTOR(3)),
    LAYER("far off", PH_ACT_NONE, .in = { TOKENS(1, 9, 320) }, .out = TOKENS(1, 9, 320),
          .weight = VECTOR(320), .mean = -300),
    { 0 },
};

#define LIKE(label, operation, ...)                                                            \
    {                                                                                          \
        .name = label, .step = { .op = operation, __VA_ARGS__ }, .in = { SPACE(2, 36, 7, 9) }, \
        .out = SPACE(2, 36, 7, 9)                                                              \
    }
#define TWO(label, operation, shape, other, ...)                                               \
    {                                                                                          \
        .name = label, .step = { .op = operation, __VA_ARGS__ }, .in = { shape, other },       \
        .out = shape                                                                           \
    }
#define JOIN(label, ax, one, two, both)                                                        \
    {                                                                                          \
        .name = label, .step = { .op = PH_OP_CONCAT, .axis = ax }, .in = { one, two },         \
        .out = both                                                                            \
    }
#define SLICE(label, ax, at, whole, part)                                                      \
    {                                                                                          \
        .name = label, .step = { .op = PH_OP_SLICE, .axis = ax, .first = at },                 \
        .in = { whole }, .out = part                                                           \
    }
#define MOVE(label, operation, from, to)                                                       \
    {                                                                                          \
        .name = label, .step = { .op = operation }, .in = { from }, .out = to                  \
    }
#define U8_SPACE(n, h, w)                                                                      \
    {                                                                                          \
        4, { n, h, w, 4 }, PH_U8                                                               \
    }

static const struct rig_case chain_cases[] = {
    LIKE("relu", PH_OP_ACTIVATE, .act = PH_ACT_RELU),
    LIKE("silu", PH_OP_ACTIVATE, .act = PH_ACT_SILU),
    LIKE("gelu", PH_OP_ACTIVATE, .act = PH_ACT_GELU),
    LIKE("tanh gelu", PH_OP_ACTIVATE, .act = PH_ACT_GELU_TANH),
    LIKE("quick gelu", PH_OP_ACTIVATE, .act = PH_ACT_QUICK_GELU),
    LIKE("sigmoid", PH_OP_ACTIVATE, .act = PH_ACT_SIGMOID),
    LIKE("tanh", PH_OP_ACTIVATE, .act = PH_ACT_TANH),
    LIKE("exp", PH_OP_ACTIVATE, .act = PH_ACT_EXP),
    { .name = "big gelu",
      .step = { .op = PH_OP_ACTIVATE, .act = PH_ACT_GELU },
      .in = { ROWS(3, 501) },
      .out = ROWS(3, 501),
      .size = 60 },
    { .name = "big silu",
      .step = { .op = PH_OP_ACTIVATE, .act = PH_ACT_SILU },
      .in = { ROWS(3, 501) },
      .out = ROWS(3, 501),
      .size = 100 },
    { .name = "tiny tanh",
      .step = { .op = PH_OP_ACTIVATE, .act = PH_ACT_TANH },
      .in = { ROWS(3, 501) },
      .out = ROWS(3, 501),
      .size = 1e-4f },
    LIKE("affine", PH_OP_AFFINE, .scale = 0.37f, .offset = -2),
    LIKE("clamp", PH_OP_CLAMP, .scale = -0.5f, .offset = 0.75f),
    LIKE("copy", PH_OP_COPY, 0),
    TWO("add", PH_OP_ADD, SPACE(2, 36, 7, 9), SPACE(2, 36, 7, 9), 0),
    TWO("add, then relu", PH_OP_ADD, SPACE(2, 36, 7, 9), SPACE(2, 36, 7, 9),
        .act = PH_ACT_RELU),
    TWO("add one", PH_OP_ADD, TOKENS(2, 9, 7), VECTOR(1), 0),
    TWO("add a number a row", PH_OP_ADD, SPACE(3, 5, 7, 9), VECTOR(3), 0),
    TWO("add a number a channel", PH_OP_ADD, TOKENS(2, 9, 37), VECTOR(37), 0),
    TWO("add channels of each row", PH_OP_ADD, SPACE(2, 37, 5, 3), ROWS(2, 37), 0),
    TWO("add channels of each token", PH_OP_ADD, TOKENS(2, 9, 37), ROWS(9, 37), 0),
    TWO("mul", PH_OP_MUL, TOKENS(2, 9, 64), TOKENS(2, 9, 64), 0),
    TWO("mul a number a row", PH_OP_MUL, TOKENS(2, 9, 64), VECTOR(2), 0),
    TWO("mul channels of each row", PH_OP_MUL, SPACE(2, 40, 5, 3), ROWS(2, 40), 0),
    { .name = "axpby",
      .step = { .op = PH_OP_AXPBY },
      .in = { VECTOR(3), SPACE(3, 4, 9, 7), VECTOR(3), SPACE(3, 4, 9, 7) },
      .out = SPACE(3, 4, 9, 7) },
    { .name = "geglu",
      .step = { .op = PH_OP_GEGLU },
      .in = { TOKENS(2, 9, 2 * 37) },
      .out = TOKENS(2, 9, 37) },
    JOIN("concat channels", 1, SPACE(2, 36, 5, 3), SPACE(2, 17, 5, 3), SPACE(2, 53, 5, 3)),
    JOIN("concat rows", 0, SPACE(1, 6, 5, 3), SPACE(2, 6, 5, 3), SPACE(3, 6, 5, 3)),
    JOIN("concat height", 2, SPACE(2, 6, 5, 3), SPACE(2, 6, 2, 3), SPACE(2, 6, 7, 3)),
    JOIN("concat width", 3, SPACE(2, 6, 5, 3), SPACE(2, 6, 5, 4), SPACE(2, 6, 5, 7)),
    JOIN("concat tokens", 1, TOKENS(2, 5, 33), TOKENS(2, 7, 33), TOKENS(2, 12, 33)),
    JOIN("concat vectors", 1, ROWS(2, 320), ROWS(2, 33), ROWS(2, 353)),
    SLICE("slice channels", 1, 3, SPACE(2, 36, 5, 3), SPACE(2, 17, 5, 3)),
    SLICE("slice tokens", 1, 2, TOKENS(2, 9, 33), TOKENS(2, 5, 33)),
    SLICE("slice rows", 0, 1, SPACE(3, 6, 5, 3), SPACE(2, 6, 5, 3)),
    MOVE("upsample", PH_OP_UPSAMPLE, SPACE(2, 36, 5, 7), SPACE(2, 36, 10, 14)),
    MOVE("upsample by fractions", PH_OP_UPSAMPLE, SPACE(1, 5, 5, 7), SPACE(1, 5, 13, 9)),
    MOVE("upsample a pixel", PH_OP_UPSAMPLE, SPACE(2, 36, 1, 1), SPACE(2, 36, 4, 4)),
    MOVE("repeat", PH_OP_REPEAT, TOKENS(1, 9, 37), TOKENS(3, 9, 37)),
    MOVE("stretch", PH_OP_STRETCH, SPACE(2, 36, 5, 7), SPACE(2, 36, 10, 14)),
    MOVE("stretch by fractions", PH_OP_STRETCH, SPACE(1, 19, 5, 7), SPACE(1, 19, 13, 9)),
    MOVE("shrink", PH_OP_STRETCH, SPACE(1, 5, 12, 9), SPACE(1, 5, 3, 1)),
    MOVE("stretch a pixel", PH_OP_STRETCH, SPACE(2, 36, 1, 1), SPACE(2, 36, 4, 5)),
    { .name = "spread",
      .step = { .op = PH_OP_SPREAD, .groups = 4 },
      .in = { TOKENS(2, 6, 16 * 7) },
      .out = SPACE(2, 7, 8, 12) },
    TWO("rotary", PH_OP_ROTARY, TOKENS(2, 9, 3 * 64), ROWS(9, 64), .groups = 3),
    TWO("rotary of narrow heads", PH_OP_ROTARY, TOKENS(1, 5, 2 * 12), ROWS(5, 12), .groups = 2),
    { .name = "from pixels",
      .step = { .op = PH_OP_FROM_PIXELS, .scale = 2, .offset = -1 },
      .in = { U8_SPACE(2, 7, 11) },
      .out = SPACE(2, 3, 7, 11) },
    { .name = "to pixels",
      .step = { .op = PH_OP_TO_PIXELS, .scale = 0.5f, .offset = 0.5f },
      .in = { SPACE(2, 3, 7, 11) },
      .out = U8_SPACE(2, 7, 11) },
    { 0 },
};

#endif
