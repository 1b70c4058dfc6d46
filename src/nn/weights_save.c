// SPDX-License-Identifier: MIT
#include "nn/weights.h"

#include "core/buf.h"
#include "nn/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TABLE (1 << 16)
#define BLOCK (1 << 18) // elements filled and written at once

// What a random fill needs: values are drawn from a table of normals, since drawing each by itself
// takes longer than writing it.
struct fill {
    float normal[TABLE], scaled[TABLE];
    uint8_t table[TABLE * 4]; // scaled, as the tensor's type
    uint8_t out[BLOCK * 8];
};

static const char *format_name(enum ph_dtype dtype)
{
    switch (dtype) {
    case PH_F32: return "F32";
    case PH_F16: return "F16";
    case PH_BF16: return "BF16";
    case PH_I8: return "I8";
    case PH_U8: return "U8";
    case PH_I32: return "I32";
    case PH_I64: return "I64";
    case PH_DTYPE_NONE: break;
    }
    return NULL;
}

static bool valid(const struct ph_tensor *t)
{
    if (!format_name(t->dtype) || t->rank < 0 || t->rank > PH_RANK_MAX) return false;
    int64_t bytes = (int64_t) ph_dtype_size(t->dtype);
    for (int i = 0; i < t->rank; i++)
        if (t->dim[i] < 1 || __builtin_mul_overflow(bytes, t->dim[i], &bytes)) return false;
    return true;
}

static ph_err make_header(struct ph_buf *b, const struct ph_named_tensor *tensors, int count,
                          struct ph_fault *fault)
{
    uint64_t at = 0;
    ph_buf_puts(b, "{");
    for (int i = 0; i < count; i++) {
        const struct ph_tensor *t = &tensors[i].tensor;
        if (!valid(t))
            return ph_fail(fault, PH_EINVAL, tensors[i].name,
                           "tensor '%.120s' has no valid shape", tensors[i].name);
        ph_json_key(b, tensors[i].name);
        ph_buf_printf(b, "{\"dtype\":\"%s\",\"shape\":[", format_name(t->dtype));
        for (int d = 0; d < t->rank; d++)
            ph_buf_printf(b, "%s%lld", d ? "," : "", (long long) t->dim[d]);
        uint64_t end = at + ph_tensor_bytes(t);
        ph_buf_printf(b, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long) at,
                      (unsigned long long) end);
        at = end;
    }
    ph_buf_puts(b, "}");
    while (!b->failed && b->len % 8) ph_buf_puts(b, " "); // so that the data is aligned
    return b->failed ? ph_fail(fault, PH_ENOMEM, NULL, "out of memory") : PH_OK;
}

static bool put(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n) {
        ssize_t wrote = write(fd, p, n < 1u << 30 ? n : 1u << 30);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        p += wrote;
        n -= (size_t) wrote;
    }
    return true;
}

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static void scatter16(uint64_t *state, const void *table, void *out)
{
    const uint16_t *values = table;
    uint16_t *p = out;
    for (int i = 0; i < BLOCK; i += 4) {
        uint64_t r = splitmix(state);
        p[i] = values[r & 0xffff];
        p[i + 1] = values[r >> 16 & 0xffff];
        p[i + 2] = values[r >> 32 & 0xffff];
        p[i + 3] = values[r >> 48];
    }
}

static void scatter32(uint64_t *state, const void *table, void *out)
{
    const uint32_t *values = table;
    uint32_t *p = out;
    for (int i = 0; i < BLOCK; i += 4) {
        uint64_t r = splitmix(state);
        p[i] = values[r & 0xffff];
        p[i + 1] = values[r >> 16 & 0xffff];
        p[i + 2] = values[r >> 32 & 0xffff];
        p[i + 3] = values[r >> 48];
    }
}

// Every tensor draws from a sequence of its own, so that none depends on those before it.
static bool put_random(int fd, struct fill *f, const struct ph_tensor *t, uint64_t state)
{
    int64_t count = ph_tensor_count(t), fan_in = t->rank ? count / t->dim[0] : 1;
    size_t size = ph_dtype_size(t->dtype);
    bool floats = t->dtype == PH_F32 || t->dtype == PH_F16 || t->dtype == PH_BF16;
    float deviation = 1 / sqrtf((float) fan_in);
    for (int i = 0; i < TABLE; i++) f->scaled[i] = f->normal[i] * deviation;
    if (floats)
        ph_convert(t->dtype, f->table, PH_F32, f->scaled, TABLE);
    else
        memset(f->out, 0, sizeof f->out);
    for (int64_t i = 0; i < count; i += BLOCK) {
        int64_t n = count - i < BLOCK ? count - i : BLOCK;
        if (floats && size == 2) scatter16(&state, f->table, f->out);
        if (floats && size == 4) scatter32(&state, f->table, f->out);
        if (!put(fd, f->out, (size_t) n * size)) return false;
    }
    return true;
}

static bool put_tensors(int fd, struct fill *f, const struct ph_named_tensor *tensors,
                        int count, uint64_t seed)
{
    for (int i = 0; i < count; i++) {
        const struct ph_tensor *t = &tensors[i].tensor;
        uint64_t state = seed;
        state = splitmix(&state) + (uint64_t) i * 0xD1342543DE82EF95u;
        if (t->data ? !put(fd, t->data, ph_tensor_bytes(t)) : !put_random(fd, f, t, state))
            return false;
    }
    return true;
}

static ph_err make_fill(const struct ph_named_tensor *tensors, int count, uint64_t seed,
                        struct fill **out, struct ph_fault *fault)
{
    bool needed = false;
    for (int i = 0; i < count; i++) needed |= !tensors[i].tensor.data;
    *out = needed ? malloc(sizeof **out) : NULL;
    if (!needed) return PH_OK;
    if (!*out) return ph_fail(fault, PH_ENOMEM, NULL, "out of memory");
    ph_rng_normal(seed, 0, 0, TABLE, (*out)->normal);
    return PH_OK;
}

static ph_err write_file(int fd, const struct ph_buf *header, struct fill *f,
                         const struct ph_named_tensor *tensors, int count, uint64_t seed)
{
    uint8_t length[8];
    for (int i = 0; i < 8; i++) length[i] = (uint8_t) ((uint64_t) header->len >> 8 * i);
    bool ok = put(fd, length, 8) && put(fd, header->data, header->len) &&
              put_tensors(fd, f, tensors, count, seed);
    return ok ? PH_OK : PH_EIO;
}

ph_err ph_weights_save(const char *path, const struct ph_named_tensor *tensors, int count,
                       uint64_t seed, struct ph_fault *fault)
{
    static atomic_uint turn;
    struct ph_buf header = { 0 }, part = { 0 };
    struct fill *f = NULL;
    ph_err ret;
    ph_buf_printf(&part, "%s.%d.%u.part", path, (int) getpid(), atomic_fetch_add(&turn, 1));
    if (part.failed) PH_TRY(ph_fail(fault, PH_ENOMEM, NULL, "out of memory"));
    PH_TRY(make_header(&header, tensors, count, fault));
    PH_TRY(make_fill(tensors, count, seed, &f, fault));
    int fd = open(part.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    ret = fd < 0 ? PH_EIO : write_file(fd, &header, f, tensors, count, seed);
    int why = errno;
    if (fd >= 0 && close(fd) && ret == PH_OK) ret = PH_EIO, why = errno;
    if (ret == PH_OK && rename(part.data, path)) ret = PH_EIO, why = errno;
    if (ret < 0) {
        if (fd >= 0) unlink(part.data);
        ph_fail(fault, ret, NULL, "cannot write %.300s: %s", path, strerror(why));
    }
fail:
    free(f);
    ph_buf_free(&header);
    ph_buf_free(&part);
    return ret;
}
