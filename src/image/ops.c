// SPDX-License-Identifier: MIT
#include "image/ops.h"
#include "image/init.h"

#include "core/cpu.h"

#include <pthread.h>
#include <string.h>

static struct ph_image_ops table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_c(struct ph_image_ops *o)
{
    memset(o, 0, sizeof *o);
    o->level = "c";
    ph_init_convert_c(o);
    ph_init_resize_c(o);
    ph_init_blend_c(o);
    ph_init_blur_c(o);
    ph_init_measure_c(o);
    ph_init_color_c(o);
    ph_init_hue_c(o);
    ph_init_geometry_c(o);
    ph_init_stroke_c(o);
    ph_init_warp_c(o);
    ph_init_split_c(o);
    ph_init_depth_c(o);
    ph_init_steady_c(o);
    ph_init_cloud_c(o);
}

#if defined(__x86_64__)
static void fill_avx2(struct ph_image_ops *o)
{
    o->level = "avx2";
    ph_init_convert_avx2(o);
    ph_init_resize_avx2(o);
    ph_init_blend_avx2(o);
    ph_init_blur_avx2(o);
    ph_init_measure_avx2(o);
    ph_init_color_avx2(o);
    ph_init_hue_avx2(o);
    ph_init_geometry_avx2(o);
    ph_init_stroke_avx2(o);
    ph_init_warp_avx2(o);
    ph_init_split_avx2(o);
    ph_init_cloud_avx2(o);
}

static void fill_avx512(struct ph_image_ops *o)
{
    o->level = "avx512";
    ph_init_convert_avx512(o);
    ph_init_resize_avx512(o);
    ph_init_blend_avx512(o);
    ph_init_blur_avx512(o);
    ph_init_measure_avx512(o);
    ph_init_color_avx512(o);
    ph_init_hue_avx512(o);
    ph_init_geometry_avx512(o);
    ph_init_stroke_avx512(o);
    ph_init_warp_avx512(o);
    ph_init_split_avx512(o);
    ph_init_cloud_avx512(o);
}
#endif

void ph_image_ops_fill(struct ph_image_ops *o, unsigned flags)
{
    fill_c(o);
#if defined(__x86_64__)
    if (!(flags & PH_CPU_AVX2)) return;
    fill_avx2(o);
    if (!(flags & PH_CPU_AVX512)) return;
    fill_avx512(o);
#endif
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
