// SPDX-License-Identifier: MIT
// Tensors as a config has them, against those of a file.
#include <string.h>

#include "core/tree.h"
#include "nn/record.h"

void ph_prog_collect(struct ph_prog *p)
{
    p->collecting = true;
}

int ph_prog_expected(const struct ph_prog *p, const struct ph_weight *const **list)
{
    if (list) *list = (const struct ph_weight *const *) p->expected;
    return p->expected_count;
}

// The slot that holds the name, or the free one where it would go.
static int *slot_of(const struct ph_prog *p, const char *name)
{
    uint32_t hash = 2166136261u; // FNV-1a
    for (const char *c = name; *c; c++) hash = (hash ^ (unsigned char) *c) * 16777619u;
    for (;; hash++) {
        int *slot = &p->slot[hash & (uint32_t) (p->slot_count - 1)];
        if (!*slot || strcmp(p->expected[*slot - 1]->name, name) == 0) return slot;
    }
}

const struct ph_weight *ph_prog_lookup(const struct ph_prog *p, const char *full_name)
{
    if (!p->collecting) return p->set ? ph_weights_find(p->set, full_name) : NULL;
    int at = p->slot_count ? *slot_of(p, full_name) : 0;
    return at ? p->expected[at - 1] : NULL;
}

// Keeps half of the slots free, so that a search ends soon.
static bool grow_slots(struct ph_prog *p)
{
    if (2 * (p->expected_count + 1) <= p->slot_count) return true;
    int count = p->slot_count ? 2 * p->slot_count : 1024;
    int *slot = ph_new(p, int, (size_t) count);
    if (!slot) return false;
    ph_tree_free(p->slot);
    p->slot = slot;
    p->slot_count = count;
    for (int i = 0; i < p->expected_count; i++) *slot_of(p, p->expected[i]->name) = i + 1;
    return true;
}

static bool fits(const struct ph_tensor *t, int rank, const int64_t *dim)
{
    for (int i = 0; i < rank || i < t->rank; i++)
        if ((i < rank ? dim[i] : 1) != (i < t->rank ? t->dim[i] : 1)) return false;
    return true;
}

// The type of the file's own tensor, so that bytes are counted as stored. Its other faults are not
// for who only collects to find.
static enum ph_dtype stored_type(const struct ph_prog *p, const char *full_name)
{
    const struct ph_weight *w = p->set ? ph_weights_find(p->set, full_name) : NULL;
    enum ph_dtype t = w ? w->disk.dtype : PH_F16;
    return t == PH_F32 || t == PH_BF16 ? t : PH_F16;
}

static void collect(struct ph_prog *p, const char *full_name, int rank, const int64_t *dim)
{
    struct ph_weight *w = ph_new(p, struct ph_weight, 1);
    if (w) {
        w->name = ph_tree_text(w, full_name, strlen(full_name));
        w->file = "config.json";
        w->disk.dtype = stored_type(p, full_name);
        w->disk.rank = rank;
        memcpy(w->disk.dim, dim, sizeof *dim * (size_t) rank);
    }
    if (!w || !w->name || !grow_slots(p) || !ph_append(p, p->expected, p->expected_count, w)) {
        ph_prog_fail(p, PH_ENOMEM, "out of memory");
        return;
    }
    *slot_of(p, full_name) = p->expected_count;
}

void ph_expect(struct ph_prog *p, const char *name, int rank, const int64_t *dim)
{
    if (p->fault.code) return;
    char full[768], got[96], want[96];
    ph_prog_scoped(p, full, sizeof full, name, "");
    const struct ph_weight *w = ph_prog_lookup(p, full);
    if (p->collecting && !w) {
        collect(p, full, rank, dim);
        return;
    }
    struct ph_tensor t = { .rank = rank };
    memcpy(t.dim, dim, sizeof *dim * (size_t) rank);
    ph_tensor_shape(&t, want, sizeof want);
    if (!w)
        ph_fail(&p->fault, PH_ENOENT, full, "%s: no tensor %s %s",
                p->set ? ph_weights_path(p->set) : "no file", full, want);
    else if (!fits(&w->disk, rank, dim))
        ph_fail(&p->fault, PH_EFORMAT, full, "%s: %s is %s, expected %s as config.json has it",
                w->file, full, ph_tensor_shape(&w->disk, got, sizeof got), want);
}
