// SPDX-License-Identifier: MIT
// Files of a test: a folder of its own that goes with the process, safetensors with random values.
#ifndef PH_TEST_NN_FILES_H
#define PH_TEST_NN_FILES_H

#include "nn/weights.h"
#include "test.h"

static char folder[64];

// The path of a file in the folder; valid until the eighth next call.
static inline const char *in_folder(const char *name)
{
    static char paths[8][256];
    static int turn;
    char *path = paths[turn++ % 8];
    if (!folder[0]) {
        strcpy(folder, "/tmp/ph-nn-XXXXXX");
        CHECK(mkdtemp(folder));
    }
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void clean_up(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (folder[0] && system(command)) printf("# %s stays\n", folder);
}

__attribute__((constructor)) static void clean_up_at_end(void)
{
    atexit(clean_up);
}

static inline void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(bytes, 1, n, f) == n && !fclose(f));
}

static inline struct ph_weights *open_ok(const char *path)
{
    struct ph_weights *w;
    struct ph_fault fault = { 0 };
    if (ph_weights_open(path, &w, &fault) < 0) TEST_FAIL("%s", fault.message);
    return w;
}

#endif
