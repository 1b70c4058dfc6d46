// SPDX-License-Identifier: MIT
#include "image/ops.h"
#include "image/init.h"

#include "core/cpu.h"

#include <pthread.h>
#include <string.h>

static struct ph_image_ops table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

void ph_image_ops_fill(struct ph_image_ops *o, unsigned flags)
{
    memset(o, 0, sizeof *o);
    o->level = "c";
    ph_init_convert_c(o);
    ph_init_resize_c(o);
    ph_init_blend_c(o);
    ph_init_blur_c(o);
    ph_init_measure_c(o);
    ph_init_color_c(o);
    ph_init_geometry_c(o);
    ph_init_stroke_c(o);
}

static void fill_table(void)
{
    ph_image_ops_fill(&table, ph_cpu_flags());
}

const struct ph_image_ops *ph_image_ops(void)
{
    pthread_once(&once, fill_table);
    return &table;
}

void ph_image_ops_limit(unsigned flags)
{
    pthread_once(&once, fill_table);
    ph_image_ops_fill(&table, ph_cpu_flags() & flags);
}
