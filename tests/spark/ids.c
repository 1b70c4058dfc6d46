// SPDX-License-Identifier: MIT
// ids FOLDER LENGTH: each line of stdin as the engine's tokenizer encodes it, ids with spaces
// between. What tools/spark is compared with.
#include "models/clip/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_MAX 77

int main(int argc, char **argv)
{
    struct ph_clip_tokenizer *t = NULL;
    struct ph_fault fault = { 0 };
    char line[4096];
    int32_t ids[LENGTH_MAX];
    int n = argc == 3 ? atoi(argv[2]) : 0;
    if (n < 2 || n > LENGTH_MAX || ph_clip_tokenizer_open(argv[1], &t, &fault) < 0) {
        fprintf(stderr, "ids FOLDER LENGTH: %s\n", fault.message);
        return 1;
    }
    while (fgets(line, sizeof line, stdin)) {
        size_t len = strcspn(line, "\n");
        if (ph_clip_tokenizer_encode(t, line, len, PH_CLIP_PAD_OWN, ids, n, NULL, &fault) < 0)
            return 1;
        for (int i = 0; i < n; i++) printf(i ? " %d" : "%d", ids[i]);
        printf("\n");
    }
    ph_clip_tokenizer_destroy(&t);
    return 0;
}
