// SPDX-License-Identifier: MIT
// LoRAs applied to a set of weights: the layers that their modules mean, and the sums.
#include "nn/lora.h"
#include "nn/rank_add.h"

#include "core/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ------------------------------------------------------------------------------------ the sum

static ph_rank_fn *rank_fn(void)
{
#if defined(__x86_64__)
    unsigned cpu = ph_cpu_flags();
    if (cpu & PH_CPU_AVX512) return ph_rank_avx512;
    if (cpu & PH_CPU_AVX2) return ph_rank_avx2;
#endif
    return ph_rank_c;
}

// Columns [col, col + cols) of ranks [k0, k0 + k) as F32; the rest of the panel's row is 0.
static void load_down(const struct ph_term *t, int64_t k0, int k, int64_t col, int cols,
                      float *panel)
{
    enum ph_dtype dtype = t->product ? PH_F32 : t->down->disk.dtype;
    const char *data = t->product ? (const char *) t->product : t->down->disk.data;
    for (int i = 0; i < k; i++, panel += PH_RANK_COLS) {
        size_t at = (size_t) ((k0 + i) * t->cols + col) * ph_dtype_size(dtype);
        ph_convert(PH_F32, panel, dtype, data + at, cols);
        memset(panel + cols, 0, (size_t) (PH_RANK_COLS - cols) * sizeof *panel);
    }
}

static void load_up(const struct ph_term *t, int64_t row, int rows, int64_t k0, int k,
                    float *up)
{
    size_t size = ph_dtype_size(t->up->disk.dtype);
    for (int r = 0; r < rows; r++) {
        const char *data = t->up->disk.data;
        data += (size_t) ((row + r) * t->rank + k0) * size;
        ph_convert(PH_F32, up + r * PH_RANK_K, t->up->disk.dtype, data, k);
    }
    for (int r = rows; r < PH_RANK_ROWS; r++)
        memset(up + r * PH_RANK_K, 0, PH_RANK_K * sizeof *up);
}

// Rows [row, row + rows) of one panel; out is that of (row, col).
static void add_rows(const struct ph_term *t, ph_rank_fn *fn, const float *panel, int64_t row,
                     int64_t rows, int64_t k0, int k, int cols, float *out)
{
    float up[PH_RANK_ROWS * PH_RANK_K], delta[PH_RANK_ROWS * PH_RANK_COLS];
    for (int64_t r = 0; r < rows; r += PH_RANK_ROWS) {
        int some = rows - r < PH_RANK_ROWS ? (int) (rows - r) : PH_RANK_ROWS;
        load_up(t, row + r, some, k0, k, up);
        fn(delta, up, panel, k, cols);
        for (int i = 0; i < some; i++) {
            float *to = out + (r + i) * t->cols;
            const float *from = delta + i * PH_RANK_COLS;
            for (int c = 0; c < cols; c++) to[c] += t->factor * from[c];
        }
    }
}

// The rectangle of rows [row, row + rows) and columns [col, col + cols).
static void add_rectangle(const struct ph_term *t, int64_t row, int64_t rows, int64_t col,
                          int64_t cols, float *out)
{
    float panel[PH_RANK_K * PH_RANK_COLS];
    ph_rank_fn *fn = rank_fn();
    for (int64_t c = 0; c < cols; c += PH_RANK_COLS) {
        int wide = cols - c < PH_RANK_COLS ? (int) (cols - c) : PH_RANK_COLS;
        for (int64_t k0 = 0; k0 < t->rank; k0 += PH_RANK_K) {
            int k = t->rank - k0 < PH_RANK_K ? (int) (t->rank - k0) : PH_RANK_K;
            load_down(t, k0, k, col + c, wide, panel);
            add_rows(t, fn, panel, row, rows, k0, k, wide, out + c);
        }
    }
}

// A range is the end of a row, whole rows, and the beginning of one.
void ph_term_add(const struct ph_term *t, int64_t first, int64_t n, float *out)
{
    int64_t row = first / t->cols, col = first % t->cols;
    if (col) {
        int64_t head = t->cols - col < n ? t->cols - col : n;
        add_rectangle(t, row++, 1, col, head, out);
        out += head;
        n -= head;
    }
    if (n >= t->cols) add_rectangle(t, row, n / t->cols, 0, t->cols, out);
    if (n % t->cols)
        add_rectangle(t, row + n / t->cols, 1, 0, n % t->cols, out + n / t->cols * t->cols);
}

void ph_term_free(struct ph_term *t)
{
    while (t) {
        struct ph_term *next = t->next;
        ph_lora_unref(&t->lora);
        free(t->product);
        free(t);
        t = next;
    }
}

// ------------------------------------------------------------------------------------ the layers

// The base's layers by their names with '_', for kohya's.
struct flat_name {
    const char *name;
    int index;
};

struct resolver {
    struct ph_weights *base;
    struct flat_name *flat; // sorted; NULL until needed
    char *texts;
    int count;
};

static int by_flat(const void *a, const void *b)
{
    return strcmp(((const struct flat_name *) a)->name, ((const struct flat_name *) b)->name);
}

static ph_err make_flat(struct resolver *s)
{
    size_t size = 1;
    for (int i = 0; i < s->base->count; i++) size += strlen(s->base->tensors[i].name) + 1;
    s->flat = calloc((size_t) s->base->count + 1, sizeof *s->flat);
    s->texts = malloc(size);
    if (!s->flat || !s->texts) return PH_ENOMEM;
    char *at = s->texts;
    for (int i = 0; i < s->base->count; i++) {
        const char *name = s->base->tensors[i].name;
        size_t n = strlen(name);
        if (n < 8 || strcmp(name + n - 7, ".weight")) continue;
        s->flat[s->count++] = (struct flat_name){ at, i };
        for (size_t k = 0; k < n - 7; k++) *at++ = name[k] == '.' ? '_' : name[k];
        *at++ = 0;
    }
    qsort(s->flat, (size_t) s->count, sizeof *s->flat, by_flat);
    return PH_OK;
}

static int find_flat(const struct resolver *s, const char *name)
{
    struct flat_name key = { name, 0 };
    const struct flat_name *found =
        bsearch(&key, s->flat, (size_t) s->count, sizeof key, by_flat);
    return found ? found->index : -1;
}

// The index of the layer's tensor, or -1.
static ph_err find_layer(struct resolver *s, const struct ph_lora_module *m, int *index)
{
    char name[1024];
    *index = -1;
    if (m->flat) {
        ph_err ret = s->flat ? PH_OK : make_flat(s);
        if (ret < 0) return ret;
        *index = find_flat(s, m->name);
        if (*index < 0 && m->part == PH_LORA_UNET &&
            ph_lora_name_modern(m->name, name, sizeof name))
            *index = find_flat(s, name);
        return PH_OK;
    }
    int n = snprintf(name, sizeof name, "%s.weight", m->name);
    if (n < 0 || (size_t) n >= sizeof name) return PH_OK;
    const struct ph_weight *w = ph_weights_find(s->base, name);
    if (w) *index = (int) (w - s->base->tensors);
    return PH_OK;
}

// mid x down of a convolution in three factors: [p, i, y, x] = sum over q of mid[p, q, y, x]
// down[q, i]. Small beside the weights, so made once.
static ph_err make_product(const struct ph_lora_module *m, struct ph_term *t)
{
    const struct ph_tensor *d = &m->down->disk, *mid = &m->mid->disk;
    int64_t ranks = d->dim[0], in = d->dim[1],
            taps = ph_tensor_count(mid) / (mid->dim[0] * ranks);
    float *down = malloc((size_t) (ranks * in) * sizeof *down);
    float *middle = malloc((size_t) ph_tensor_count(mid) * sizeof *middle);
    t->product = calloc((size_t) mid->dim[0], (size_t) t->cols * sizeof *t->product);
    bool ok = down && middle && t->product;
    if (ok) {
        ph_convert(PH_F32, down, d->dtype, d->data, ranks * in);
        ph_convert(PH_F32, middle, mid->dtype, mid->data, ph_tensor_count(mid));
    }
    for (int64_t p = 0; ok && p < mid->dim[0]; p++)
        for (int64_t q = 0; q < ranks; q++)
            for (int64_t i = 0; i < in; i++)
                for (int64_t x = 0; x < taps; x++)
                    t->product[(p * in + i) * taps + x] +=
                        middle[(p * ranks + q) * taps + x] * down[q * in + i];
    free(down);
    free(middle);
    return ok ? PH_OK : PH_ENOMEM;
}

struct change {
    struct resolver layers;
    struct ph_weights *set;
    enum ph_lora_part part;
    struct ph_fault *fault;
    int terms;
};

static ph_err bad_module(struct ph_fault *fault, const struct ph_lora *lora,
                         const struct ph_lora_module *m, const char *what)
{
    return ph_fail(fault, PH_EFORMAT, m->shown,
                   "%s is for another model: its module '%.120s' %.300s",
                   ph_path_tail(ph_weights_path(lora->file)), m->shown, what);
}

static ph_err check_fit(const struct change *c, const struct ph_lora *lora,
                        const struct ph_lora_module *m, const struct ph_weight *w, int64_t cols)
{
    const struct ph_tensor *t = &w->disk;
    int64_t down_cols = ph_tensor_count(&m->down->disk) / m->down->disk.dim[0];
    bool fits = true;
    if (m->mid) { // taps are of another tensor: only here may the product overflow
        const struct ph_tensor *mid = &m->mid->disk;
        int64_t taps = ph_tensor_count(mid) / (mid->dim[0] * mid->dim[1]);
        fits = !__builtin_mul_overflow(down_cols, taps, &down_cols);
    }
    bool floats = t->dtype == PH_F32 || t->dtype == PH_F16 || t->dtype == PH_BF16;
    if (fits && floats && m->up->disk.dim[0] == t->dim[0] && down_cols == cols) return PH_OK;
    char what[256], shape[96];
    snprintf(what, sizeof what, "makes [%lld, %lld], the layer is %s",
             (long long) m->up->disk.dim[0], (long long) down_cols,
             ph_tensor_shape(t, shape, sizeof shape));
    return bad_module(c->fault, lora, m, what);
}

// The key follows from all that the values follow from.
static uint64_t key_with(uint64_t key, const struct ph_term *t)
{
    uint32_t factor;
    memcpy(&factor, &t->factor, sizeof factor);
    key = ph_key_mix(key, t->down->key);
    key = ph_key_mix(key, t->up->key);
    key = ph_key_mix(key, t->mid ? t->mid->key : 0);
    return ph_key_mix(key, factor);
}

static ph_err add_term(struct change *c, struct ph_lora *lora, const struct ph_lora_module *m,
                       float scale)
{
    int index;
    ph_err ret = find_layer(&c->layers, m, &index);
    if (ret < 0) return ph_fail(c->fault, ret, NULL, "out of memory");
    if (index < 0) return bad_module(c->fault, lora, m, "has no layer there");
    struct ph_weight *w = &c->set->tensors[index];
    if (!w->disk.rank) return bad_module(c->fault, lora, m, "means a single number there");
    int64_t cols = ph_tensor_count(&w->disk) / w->disk.dim[0];
    ret = check_fit(c, lora, m, w, cols);
    if (ret < 0 || scale * m->factor == 0) return ret; // with 0 it only has to fit
    struct ph_term *t = calloc(1, sizeof *t);
    if (!t) return ph_fail(c->fault, PH_ENOMEM, NULL, "out of memory");
    *t = (struct ph_term){ .lora = ph_lora_ref(lora),
                           .down = m->down,
                           .mid = m->mid,
                           .up = m->up,
                           .rank = m->up->disk.dim[1],
                           .cols = cols,
                           .factor = scale * m->factor };
    struct ph_term **tail = &c->set->terms[index];
    while (*tail) tail = &(*tail)->next;
    *tail = t;
    w->key = key_with(w->key, t);
    c->terms++;
    ret = m->mid ? make_product(m, t) : PH_OK;
    return ret < 0 ? ph_fail(c->fault, ret, NULL, "out of memory") : ret;
}

static ph_err add_adapter(struct change *c, const struct ph_adapter *a)
{
    ph_err ret = PH_OK;
    for (int i = 0; i < a->lora->count && ret == PH_OK; i++) {
        const struct ph_lora_module *m = &a->lora->modules[i];
        if (m->part == c->part) ret = add_term(c, a->lora, m, a->scale);
    }
    return ret;
}

ph_err ph_weights_adapt(struct ph_weights *base, enum ph_lora_part part,
                        const struct ph_adapter *adapters, int count, struct ph_weights **out,
                        struct ph_fault *fault)
{
    *out = NULL;
    struct change c = { .layers.base = base, .part = part, .fault = fault };
    ph_err ret = PH_OK;
    c.set = ph_weights_derive(base);
    if (!c.set) ret = ph_fail(fault, PH_ENOMEM, NULL, "out of memory");
    for (int i = 0; i < count && ret == PH_OK; i++) ret = add_adapter(&c, &adapters[i]);
    free(c.layers.flat);
    free(c.layers.texts);
    if (ret == PH_OK) *out = c.terms ? ph_weights_ref(c.set) : ph_weights_ref(base);
    ph_weights_unref(&c.set);
    return ret;
}

ph_err ph_lora_check_parts(const struct ph_lora *lora, unsigned parts, struct ph_fault *fault)
{
    for (int i = 0; i < lora->count; i++)
        if (!(parts & 1u << lora->modules[i].part))
            return bad_module(fault, lora, &lora->modules[i],
                              "is of an encoder that this one has not");
    return PH_OK;
}
