// SPDX-License-Identifier: MIT
#include "nodes/media/v4l2_colors.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum AVColorSpace ph_v4l2_space(const struct v4l2_pix_format *pix)
{
    unsigned matrix = pix->ycbcr_enc;
    if (matrix == V4L2_YCBCR_ENC_DEFAULT) matrix = V4L2_MAP_YCBCR_ENC_DEFAULT(pix->colorspace);
    switch (matrix) {
    case V4L2_YCBCR_ENC_709:
    case V4L2_YCBCR_ENC_XV709: return AVCOL_SPC_BT709;
    case V4L2_YCBCR_ENC_BT2020: return AVCOL_SPC_BT2020_NCL;
    case V4L2_YCBCR_ENC_BT2020_CONST_LUM: return AVCOL_SPC_BT2020_CL;
    case V4L2_YCBCR_ENC_SMPTE240M: return AVCOL_SPC_SMPTE240M;
    default: return AVCOL_SPC_SMPTE170M;
    }
}

enum AVColorRange ph_v4l2_range(const struct v4l2_pix_format *pix)
{
    unsigned range = pix->quantization;
    if (range == V4L2_QUANTIZATION_DEFAULT)
        range = V4L2_MAP_QUANTIZATION_DEFAULT(0, pix->colorspace, pix->ycbcr_enc);
    return range == V4L2_QUANTIZATION_FULL_RANGE ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
}

void ph_v4l2_ask_colors(const char *path, AVCodecParameters *par)
{
    struct v4l2_format told = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return;
    if (!ioctl(fd, VIDIOC_G_FMT, &told)) {
        par->color_space = ph_v4l2_space(&told.fmt.pix);
        par->color_range = ph_v4l2_range(&told.fmt.pix);
    }
    close(fd);
}
