// SPDX-License-Identifier: MIT
// The JPEG marker walk: never a byte too far, and where the decoder reads a size it is ours.
#include "server/jpeg_check.h"

#include "config.h"

#include <stdlib.h>
#include <string.h>
#if PH_HAVE_JPEG
#include <turbojpeg.h>
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(const uint8_t *bytes, size_t size, int width, int height)
{
#if PH_HAVE_JPEG
    int w = 0, h = 0, sampling, space;
    tjhandle tj = tjInitDecompress();
    if (tj && tjDecompressHeader3(tj, bytes, size, &w, &h, &sampling, &space) == 0 &&
        (w != width || h != height))
        abort();
    if (tj) tjDestroy(tj);
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int width = -1, height = -1;
    struct ph_fault fault = { 0 };
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact) return 0;
    if (size) memcpy(exact, data, size);
    ph_err ret = ph_jpeg_check(exact, size, NULL, &width, &height, &fault);
    if (ret == PH_OK) {
        if (width < 1 || width > 4096 || height < 1 || height > 4096) abort();
        compare(exact, size, width, height);
    } else if (ret > 0 || !fault.message[0] || width != -1) {
        abort();
    }
    free(exact);
    return 0;
}
