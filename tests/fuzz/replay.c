// SPDX-License-Identifier: MIT
// Runs a fuzz target over its corpus without libFuzzer, so that any compiler can, and once more
// for every allocation that may fail.
#include "alloc_count.h"
#include "test.h"

#include <dirent.h>
#include <stdint.h>
#include <sys/stat.h>

#define MAX_FAILURES 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    char name[256];
    uint8_t *data;
    size_t size;
};

static struct input *read_corpus(int *count)
{
    const char *folder = getenv("PH_FUZZ_CORPUS");
    struct dirent **entries = NULL;
    int n = folder ? scandir(folder, &entries, NULL, alphasort) : -1;
    if (n < 0) TEST_FAIL("PH_FUZZ_CORPUS names no folder: %s", folder ? folder : "(unset)");
    struct input *inputs = calloc((size_t) n + 1, sizeof *inputs);
    *count = 0;
    for (int i = 0; i < n; i++) {
        struct input *in = &inputs[*count];
        char path[1024];
        struct stat info;
        snprintf(in->name, sizeof in->name, "%s", entries[i]->d_name);
        snprintf(path, sizeof path, "%s/%s", folder, in->name);
        free(entries[i]);
        if (stat(path, &info) || !S_ISREG(info.st_mode)) continue;
        in->size = (size_t) info.st_size;
        in->data = malloc(in->size ? in->size : 1); // not a byte to spare
        FILE *f = fopen(path, "rb");
        CHECK(f && fread(in->data, 1, in->size, f) == in->size);
        fclose(f);
        (*count)++;
    }
    free(entries);
    return inputs;
}

static void free_corpus(struct input *inputs, int count)
{
    for (int i = 0; i < count; i++) free(inputs[i].data);
    free(inputs);
}

// libFuzzer's crash reports name the input; here stdout does.
static void announce(const struct input *in, long failing)
{
    printf("# input %s, allocation %ld fails\n", in->name, failing);
    fflush(stdout);
}

TEST_LIMIT(every_input_of_the_corpus_is_survived, 120)
{
    int count;
    struct input *inputs = read_corpus(&count);
    CHECK_INT(count, >=, 3);
    for (int i = 0; i < count; i++) {
        announce(&inputs[i], -1);
        LLVMFuzzerTestOneInput(inputs[i].data, inputs[i].size);
    }
    free_corpus(inputs, count);
}

TEST_LIMIT(every_truncation_of_the_corpus_is_survived, 120)
{
    int count;
    struct input *inputs = read_corpus(&count);
    for (int i = 0; i < count; i++) {
        size_t step = inputs[i].size / 512 + 1;
        for (size_t n = 0; n < inputs[i].size; n += step) {
            uint8_t *exact = malloc(n ? n : 1);
            memcpy(exact, inputs[i].data, n);
            LLVMFuzzerTestOneInput(exact, n);
            free(exact);
        }
    }
    free_corpus(inputs, count);
}

static void fail_each(void (*fail)(long n))
{
    int count;
    long most = 0;
    struct input *inputs = read_corpus(&count);
    for (int i = 0; i < count; i++) {
        for (long n = 0; n < MAX_FAILURES; n++) {
            if (n == 0) announce(&inputs[i], n);
            fail(n);
            LLVMFuzzerTestOneInput(inputs[i].data, inputs[i].size);
            long failed = alloc_failed();
            alloc_fail_from(-1);
            if (!failed) break;
            if (n > most) most = n;
        }
    }
    free_corpus(inputs, count);
    printf("# up to %ld allocations an input\n", most);
}

TEST_LIMIT(memory_running_out_anywhere_is_survived, 120)
{
    fail_each(alloc_fail_from);
}

TEST_LIMIT(each_single_failing_allocation_is_survived, 120)
{
    fail_each(alloc_fail_only);
}
