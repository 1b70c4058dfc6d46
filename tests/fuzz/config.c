// SPDX-License-Identifier: MIT
// A module's config.json: whatever it says, it is refused with a message or its graph is recorded;
// and what tensors it wants is known.
#include "models/model.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ph_module *m;
    struct ph_fault fault = { 0 };
    if (ph_module_describe_text((const char *) data, size, "config.json", &m, &fault) < 0) {
        if (m || !fault.message[0]) abort();
        return 0;
    }
    const struct ph_module_size small = { .height = 64, .width = 64, .tokens = 8 };
    for (int i = 0; i < ph_module_parts(m); i++) {
        struct ph_prog_cost cost;
        struct ph_tensor_list list;
        if (ph_module_cost(m, i, &small, &cost, &fault) < 0 && !fault.message[0]) abort();
        if (ph_module_tensors(m, i, &list, &fault) < 0) continue;
        for (int k = 0; k < list.count; k++)
            if (ph_tensor_count(&list.tensor[k].tensor) < 1) abort();
        ph_tensor_list_free(&list);
    }
    ph_module_close(&m);
    return 0;
}
