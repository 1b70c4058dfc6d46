// SPDX-License-Identifier: MIT
// What a model folder was made for, so that a command without options paints a good picture.
#ifndef PH_CLI_MADE_H
#define PH_CLI_MADE_H

struct cli_made {
    int side;       // pixels: the UNet's sample_size
    int steps;      // 1: distilled to a single step; 4: to a few; 20: not distilled
    float guidance; // 7.5 where it was not distilled, else 1
};
// Of a pipeline's folder, read from its configs; 512, 20 and 7.5 where they do not tell.
struct cli_made cli_made_for(const char *folder);

#endif
