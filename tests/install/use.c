// SPDX-License-Identifier: MIT
// What a stranger's first program does: built against the installed tree by check_install.
#include <phosphene/common.h>
#include <phosphene/frame.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct ph_pool *pool = NULL;
    struct ph_frame *frame = NULL;
    if (argc != 2 || strcmp(argv[1], ph_version())) {
        fprintf(stderr, "the library is %s\n", ph_version());
        return 1;
    }
    if (ph_pool_create(&pool) < 0 || ph_frame_picture(pool, PH_RGBA, 64, 48, &frame) < 0)
        return 2;
    int bad = frame->picture.width != 64 || frame->picture.stride[0] < 256;
    ph_frame_unref(&frame);
    ph_pool_destroy(&pool);
    return bad ? 3 : 0;
}
