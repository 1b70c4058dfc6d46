// SPDX-License-Identifier: MIT
// Module folders made for a test: a config of tests/data/models, changed or not, and random weights.
#ifndef PH_TEST_FOLDERS_H
#define PH_TEST_FOLDERS_H

#include <sys/stat.h>

#include "models/model.h"
#include "test.h"

static char folder_base[64];

static void folder_clean_up(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder_base);
    if (*folder_base && system(command)) printf("# %s stays\n", folder_base);
}

// A folder of that name, the same each time; valid until the second next call.
static inline const char *folder_new(const char *name)
{
    static char path[2][256];
    static int turn;
    if (!*folder_base) {
        strcpy(folder_base, P_tmpdir "/ph-models-XXXXXX");
        CHECK(mkdtemp(folder_base) != NULL);
        atexit(folder_clean_up);
    }
    char *out = path[turn ^= 1];
    snprintf(out, sizeof path[0], "%s/%s", folder_base, name);
    CHECK(mkdir(out, 0700) == 0 || errno == EEXIST);
    return out;
}

static inline const char *folder_data(const char *model)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/models/%s", getenv("PH_TEST_DATA"), model);
    return path;
}

static inline void file_write(const char *folder, const char *name, const char *text)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(text, 1, strlen(text), file) == strlen(text));
    fclose(file);
}

// The config of `model`, the first `from` replaced by `to` (NULL = as it is).
static inline void config_write(const char *folder, const char *model, const char *from,
                                const char *to)
{
    char path[1200], text[8192] = "", out[8192];
    const char *name = strcmp(model, "tiny-taef2") == 0 ? "taef2_config.json" : "config.json";
    snprintf(path, sizeof path, "%s/%s", folder_data(model), name);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    const char *at = from ? strstr(text, from) : text;
    if (!at) TEST_FAIL("%s has no %s", path, from);
    snprintf(out, sizeof out, "%.*s%s%s", (int) (at - text), text, from ? to : "",
             from ? at + strlen(from) : text);
    file_write(folder, name, out);
}

static inline struct ph_module *module_describe(const char *path)
{
    struct ph_fault fault = { 0 };
    struct ph_module *m;
    if (ph_module_describe(path, &m, &fault)) TEST_FAIL("%s", fault.message);
    return m;
}

// A folder of `model` with random f32 weights, open.
static inline struct ph_module *module_random(const char *model, uint64_t seed)
{
    struct ph_fault fault = { 0 };
    const char *folder = folder_new(model);
    config_write(folder, model, NULL, NULL);
    struct ph_module *m = module_describe(folder);
    if (ph_module_write_random(m, folder, PH_F32, seed, &fault)) TEST_FAIL("%s", fault.message);
    ph_module_close(&m);
    if (ph_module_open(folder, &m, &fault)) TEST_FAIL("%s: %s", model, fault.message);
    return m;
}

#endif
