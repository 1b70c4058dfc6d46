// SPDX-License-Identifier: MIT
#include "nodes/media/ff.h"

#include "image/convert.h"

#include <libavutil/pixdesc.h>

#include <stdlib.h>

// What a stream that does not say is usually made with: BT.601 for JPEG and standard definition,
// BT.709 above (as mpv and browsers take it).
static int guess_space(const AVFrame *f)
{
    switch (f->colorspace) {
    case AVCOL_SPC_BT709: return SWS_CS_ITU709;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL: return SWS_CS_BT2020;
    case AVCOL_SPC_SMPTE240M: return SWS_CS_SMPTE240M;
    case AVCOL_SPC_FCC: return SWS_CS_FCC;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M: return SWS_CS_ITU601;
    default: break;
    }
    bool hd = f->width >= 1280 || f->height > 576;
    return hd && f->color_range != AVCOL_RANGE_JPEG ? SWS_CS_ITU709 : SWS_CS_ITU601;
}

static bool is_full_range(const AVFrame *f)
{
    switch (f->format) {
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ444P:
    case AV_PIX_FMT_YUVJ440P:
    case AV_PIX_FMT_YUVJ411P: return true;
    default: return f->color_range == AVCOL_RANGE_JPEG;
    }
}

// Borrows the planes when our own kernels know the format.
static bool as_picture(const AVFrame *f, int space, bool full, struct ph_picture *pic)
{
    enum ph_format format = f->format == AV_PIX_FMT_YUV420P || f->format == AV_PIX_FMT_YUVJ420P
                                ? PH_I420
                            : f->format == AV_PIX_FMT_NV12 ? PH_NV12
                            : f->format == AV_PIX_FMT_RGBA ? PH_RGBA
                                                           : PH_FORMAT_NONE;
    if (!format || (space != SWS_CS_ITU601 && space != SWS_CS_ITU709)) return false;
    *pic = (struct ph_picture){ .format = format,
                                .width = f->width,
                                .height = f->height,
                                .matrix = space == SWS_CS_ITU709 ? PH_BT709 : PH_BT601,
                                .range = full ? PH_FULL : PH_LIMITED };
    for (int p = 0; p < PH_PLANES; p++) {
        pic->data[p] = f->data[p];
        pic->stride[p] = f->linesize[p];
    }
    return true;
}

static ph_err prepare(struct ph_ff_picture *c, const AVFrame *f, int space, bool full)
{
    if (c->sws && c->width == f->width && c->height == f->height && c->format == f->format &&
        c->space == space && c->full == full)
        return PH_OK;
    sws_freeContext(c->sws);
    c->sws = NULL;
    if (!sws_isSupportedInput(f->format)) return PH_ENOTSUP;
    c->sws = sws_getContext(f->width, f->height, f->format, f->width, f->height,
                            AV_PIX_FMT_RGBA, SWS_BILINEAR, NULL, NULL, NULL);
    if (!c->sws) return PH_ENOMEM;
    // refused for formats that have no matrix, which is as well
    sws_setColorspaceDetails(c->sws, sws_getCoefficients(space), full,
                             sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
    c->width = f->width;
    c->height = f->height;
    c->format = f->format;
    c->space = space;
    c->full = full;
    return PH_OK;
}

static ph_err to_rgba(struct ph_ff_picture *c, const struct ph_picture *dst, const AVFrame *f)
{
    struct ph_picture src;
    int space = guess_space(f);
    bool full = is_full_range(f);
    if (as_picture(f, space, full, &src))
        return src.format == PH_RGBA ? ph_image_copy(dst, &src) : ph_image_convert(dst, &src);
    ph_err ret = prepare(c, f, space, full);
    if (ret < 0) return ret;
    uint8_t *const data[4] = { dst->data[0] };
    int stride[4] = { (int) dst->stride[0] };
    int rows = sws_scale(c->sws, (const uint8_t *const *) f->data, f->linesize, 0, f->height,
                         data, stride);
    return rows == f->height ? PH_OK : PH_EFORMAT;
}

ph_err ph_ff_picture_convert(struct ph_ff_picture *c, struct ph_pool *pool, const AVFrame *f,
                             enum ph_turn turn, struct ph_frame **out)
{
    struct ph_frame *flat = NULL, *turned = NULL;
    *out = NULL;
    ph_err ret = ph_frame_picture(pool, PH_RGBA, f->width, f->height, &flat);
    if (ret < 0) return ret == PH_EINVAL ? PH_ELIMIT : ret;
    if ((ret = to_rgba(c, &flat->picture, f)) < 0 || turn == PH_TURN_0) goto done;
    bool swap = ph_turn_swaps(turn);
    ret = ph_frame_picture(pool, PH_RGBA, swap ? f->height : f->width,
                           swap ? f->width : f->height, &turned);
    if (ret == PH_OK) ret = ph_image_turn(&turned->picture, &flat->picture, turn);
    ph_frame_unref(&flat);
    flat = turned;
done:
    if (ret < 0) ph_frame_unref(&flat);
    *out = flat;
    return ret;
}

void ph_ff_picture_finish(struct ph_ff_picture *c)
{
    sws_freeContext(c->sws);
    *c = (struct ph_ff_picture){ 0 };
}

// Display matrix: x' = a x + c y, y' = b x + d y with [a b u | c d v | x y w], 16.16 (ISO/IEC
// 14496-12, 8.2.2.3). Other angles than quarters are taken as the nearest quarter.
enum ph_turn ph_ff_turn(const int32_t m[9])
{
    if (!m) return PH_TURN_0;
    int64_t a = m[0], b = m[1], c = m[3], d = m[4];
    if (llabs(a) + llabs(d) >= llabs(b) + llabs(c)) {
        if (a >= 0) return d >= 0 ? PH_TURN_0 : PH_MIRROR_V;
        return d >= 0 ? PH_MIRROR_H : PH_TURN_180;
    }
    if (b >= 0) return c >= 0 ? PH_TRANSPOSE : PH_TURN_90;
    return c >= 0 ? PH_TURN_270 : PH_TRANSVERSE;
}
