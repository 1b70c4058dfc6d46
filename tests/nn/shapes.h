// SPDX-License-Identifier: MIT
// Shapes of values, for tables of cases: struct rig_shape.
#ifndef TEST_NN_SHAPES_H
#define TEST_NN_SHAPES_H

#define SPACE(n, c, h, w)                                                                      \
    {                                                                                          \
        4,                                                                                     \
        {                                                                                      \
            n, c, h, w                                                                         \
        }                                                                                      \
    }
#define TOKENS(n, t, c)                                                                        \
    {                                                                                          \
        3,                                                                                     \
        {                                                                                      \
            n, t, c                                                                            \
        }                                                                                      \
    }
#define ROWS(n, c)                                                                             \
    {                                                                                          \
        2,                                                                                     \
        {                                                                                      \
            n, c                                                                               \
        }                                                                                      \
    }
#define VECTOR(n)                                                                              \
    {                                                                                          \
        1,                                                                                     \
        {                                                                                      \
            n                                                                                  \
        }                                                                                      \
    }

#endif
