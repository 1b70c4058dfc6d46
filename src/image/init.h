// SPDX-License-Identifier: MIT
// How each subject puts its kernels into the table; called by ops.c only, C first, then upwards.
#ifndef PH_IMAGE_INIT_H
#define PH_IMAGE_INIT_H

#include "image/ops.h"

void ph_init_convert_c(struct ph_image_ops *o);
void ph_init_resize_c(struct ph_image_ops *o);
void ph_init_blend_c(struct ph_image_ops *o);
void ph_init_blur_c(struct ph_image_ops *o);
void ph_init_measure_c(struct ph_image_ops *o);
void ph_init_color_c(struct ph_image_ops *o);
void ph_init_hue_c(struct ph_image_ops *o);
void ph_init_geometry_c(struct ph_image_ops *o);
void ph_init_stroke_c(struct ph_image_ops *o);
void ph_init_warp_c(struct ph_image_ops *o);
void ph_init_split_c(struct ph_image_ops *o);
void ph_init_depth_c(struct ph_image_ops *o);
void ph_init_steady_c(struct ph_image_ops *o);
void ph_init_cloud_c(struct ph_image_ops *o);
void ph_init_convert_avx2(struct ph_image_ops *o);
void ph_init_resize_avx2(struct ph_image_ops *o);
void ph_init_blend_avx2(struct ph_image_ops *o);
void ph_init_blur_avx2(struct ph_image_ops *o);
void ph_init_measure_avx2(struct ph_image_ops *o);
void ph_init_color_avx2(struct ph_image_ops *o);
void ph_init_hue_avx2(struct ph_image_ops *o);
void ph_init_geometry_avx2(struct ph_image_ops *o);
void ph_init_stroke_avx2(struct ph_image_ops *o);
void ph_init_warp_avx2(struct ph_image_ops *o);
void ph_init_split_avx2(struct ph_image_ops *o);
void ph_init_cloud_avx2(struct ph_image_ops *o);
void ph_init_convert_avx512(struct ph_image_ops *o);
void ph_init_resize_avx512(struct ph_image_ops *o);
void ph_init_blend_avx512(struct ph_image_ops *o);
void ph_init_blur_avx512(struct ph_image_ops *o);
void ph_init_measure_avx512(struct ph_image_ops *o);
void ph_init_color_avx512(struct ph_image_ops *o);
void ph_init_hue_avx512(struct ph_image_ops *o);
void ph_init_geometry_avx512(struct ph_image_ops *o);
void ph_init_stroke_avx512(struct ph_image_ops *o);
void ph_init_warp_avx512(struct ph_image_ops *o);
void ph_init_split_avx512(struct ph_image_ops *o);
void ph_init_cloud_avx512(struct ph_image_ops *o);

#endif
