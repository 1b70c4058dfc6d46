// SPDX-License-Identifier: MIT
// What a camera's driver says about its colours, which FFmpeg does not ask for.
#ifndef PH_NODES_MEDIA_V4L2_COLORS_H
#define PH_NODES_MEDIA_V4L2_COLORS_H

#include <linux/videodev2.h>

#include <libavcodec/avcodec.h>

// Matrix and range of the pictures, where they are Y'CbCr; the driver's "default" is resolved as
// videodev2.h does it (V4L2_MAP_YCBCR_ENC_DEFAULT, V4L2_MAP_QUANTIZATION_DEFAULT).
enum AVColorSpace ph_v4l2_space(const struct v4l2_pix_format *pix);
enum AVColorRange ph_v4l2_range(const struct v4l2_pix_format *pix);

// Asks the device at path, which is already open, and notes both in par. A device that does not
// answer leaves par as it is.
void ph_v4l2_ask_colors(const char *path, AVCodecParameters *par);

#endif
