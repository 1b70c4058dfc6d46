// SPDX-License-Identifier: MIT
// A text becomes a picture: example_generate MODEL TEXT [SIZE [STEPS]] > picture.ppm
#include <phosphene/frame.h>
#include <phosphene/model.h>

#include <stdio.h>
#include <stdlib.h>

static bool say_step(void *arg, int done, int of)
{
    fprintf(stderr, "step %d of %d\n", done, of);
    return false; // true would stop it
}

static void write_ppm(const struct ph_picture *p)
{
    printf("P6 %d %d 255\n", p->width, p->height);
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++)
            fwrite(p->data[0] + y * p->stride[0] + x * 4, 1, 3, stdout); // alpha is left out
}

int main(int argc, char **argv)
{
    if (argc < 3) return fprintf(stderr, "usage: %s MODEL TEXT [SIZE [STEPS]]\n", argv[0]), 2;
    struct ph_fault fault = { 0 };
    struct ph_diffuser *d = NULL;
    struct ph_frame *frame = NULL;
    struct ph_diffuser_settings s;
    ph_err ret;

    PH_TRY(ph_diffuser_open(&(struct ph_diffuser_params){ .model = argv[1] }, &d, &fault));
    fprintf(stderr, "%s\n", ph_diffuser_describe(d));

    ph_diffuser_defaults(&s);
    s.painting = PH_PAINT_WHOLE; // every step of one picture; a live stream has PH_PAINT_STREAM
    s.from_picture = false;
    s.prompts = &(struct ph_prompt){ argv[2], 1 };
    s.prompt_count = 1;
    if (argc > 3) s.width = s.height = atoi(argv[3]);
    if (argc > 4) s.steps = atoi(argv[4]);
    PH_TRY(ph_diffuser_set(d, &s, &fault));
    PH_TRY(ph_diffuser_settle(d, &fault)); // prepared beside what is painted; here we wait

    ph_diffuser_on_step(d, say_step, NULL);
    PH_TRY(ph_frame_picture(NULL, PH_RGBA, s.width, s.height, &frame));
    PH_TRY(ph_diffuser_paint(d, NULL, NULL, &frame->picture, NULL, &fault));
    write_ppm(&frame->picture);
fail:
    if (ret < 0) fprintf(stderr, "%s\n", *fault.message ? fault.message : ph_strerror(ret));
    ph_frame_unref(&frame);
    ph_diffuser_close(&d);
    return ret < 0;
}
