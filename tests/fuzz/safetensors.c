// SPDX-License-Identifier: MIT
// Safetensors files, sharded indexes, and what is said of LoRAs in them: what is accepted lies
// within the file, and every value of it can be read, adapted or not.
#include "nn/weights.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 4096 // elements read of a tensor

static char folder[32] = "/tmp/ph-fuzz-XXXXXX", base_path[64], index_path[64];
static struct ph_weights *base;
static pid_t maker; // replays fork: only this process cleans up

static void clean_up(void)
{
    if (getpid() != maker) return;
    unlink(base_path);
    unlink(index_path);
    rmdir(folder);
}

// A model for the LoRAs of the corpus, and the shard that its indexes name.
__attribute__((constructor)) static void make_base(void)
{
    static float zeros[512];
    static const struct ph_named_tensor t[] = {
        { "a.to_q.weight", { PH_F32, 2, { 8, 16 }, zeros } },
        { "a.to_out.0.weight", { PH_F32, 2, { 8, 16 }, zeros } },
        { "b.conv.weight", { PH_F32, 4, { 4, 2, 3, 3 }, zeros } },
        { "mid_block.resnets.1.conv1.weight", { PH_F32, 2, { 8, 16 }, zeros } },
        { "text_model.fc1.weight", { PH_F32, 2, { 8, 16 }, zeros } },
        { "n.weight", { PH_F32, 1, { 8 }, zeros } },
        { "s", { PH_F32, 0, { 0 }, zeros } },
    };
    if (!mkdtemp(folder)) abort();
    snprintf(base_path, sizeof base_path, "%s/base.safetensors", folder);
    snprintf(index_path, sizeof index_path, "%s/x.index.json", folder);
    if (ph_weights_save(base_path, t, sizeof t / sizeof *t, 0, NULL) < 0) abort();
    if (ph_weights_open(base_path, &base, NULL) < 0) abort();
    maker = getpid();
    atexit(clean_up);
}

static void put(int fd, const uint8_t *data, size_t size)
{
    if (fd < 0 || (size && write(fd, data, size) != (ssize_t) size)) abort();
}

static void read_some(const struct ph_weights *w, const struct ph_weight *t)
{
    float out[MOST];
    int64_t count = ph_tensor_count(&t->disk), n = count < MOST ? count : MOST;
    enum ph_dtype d = t->disk.dtype;
    ph_err want = d == PH_F32 || d == PH_F16 || d == PH_BF16 ? PH_OK : PH_EINVAL;
    if (ph_weights_read(w, t, 0, n, out) != want) abort();
    if (ph_weights_read(w, t, count - n, n, out) != want) abort();
    if (ph_weights_read(w, t, count, 1, out) == PH_OK) abort();
}

static void walk(const struct ph_weights *w)
{
    for (int i = 0; i < ph_weights_count(w); i++) {
        const struct ph_weight *t = ph_weights_at(w, i);
        if (ph_weights_find(w, t->name) != t) abort();
        read_some(w, t);
    }
    ph_weights_check_finite(w, (struct ph_stop){ 0 }, NULL);
    ph_weights_metadata(w, "format");
}

static void fault_is_told(ph_err ret, const struct ph_fault *fault)
{
    if (ret < 0 && (fault->code != ret || !fault->message[0])) abort();
}

static void adapt(const char *path)
{
    struct ph_fault fault = { 0 };
    struct ph_lora *lora;
    ph_err ret = ph_lora_open(path, &lora, &fault);
    fault_is_told(ret, &fault);
    for (int part = PH_LORA_UNET; ret == PH_OK && part <= PH_LORA_TEXT2; part++) {
        struct ph_adapter two[] = { { lora, 0.5f }, { lora, -2 } };
        struct ph_weights *set;
        ph_err done = ph_weights_adapt(base, (enum ph_lora_part) part, two, 2, &set, &fault);
        fault_is_told(done, &fault);
        if (done == PH_OK) walk(set);
        ph_weights_unref(&set);
    }
    ph_lora_unref(&lora);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    bool index = size && data[0] == '{';
    int fd = index ? open(index_path, O_WRONLY | O_CREAT | O_TRUNC, 0600)
                   : memfd_create("fuzz", MFD_CLOEXEC);
    put(fd, data, size);
    if (index)
        strcpy(path, index_path);
    else
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct ph_fault fault = { 0 };
    struct ph_weights *w;
    ph_err ret = ph_weights_open(path, &w, &fault);
    fault_is_told(ret, &fault);
    if (ret == PH_OK) {
        walk(w);
        adapt(path);
    }
    ph_weights_unref(&w);
    close(fd);
    return 0;
}
