// SPDX-License-Identifier: MIT
// Pictures to JPEG, once per frame however many look at it, and not at all when nobody does.
#include <phosphene/node.h>

#include "config.h"
#include "nodes/guard.h"
#include "nodes/util.h"

#if PH_HAVE_JPEG
#include <turbojpeg.h>
#endif

enum subsampling { S420, S422, S444, GRAY };

struct jpeg {
    int64_t q;
    int subsampling;
    bool limiter;
    void *encoder;
    struct ph_guard guard;
};

#if PH_HAVE_JPEG

static ph_err jpeg_open(struct ph_node *n, struct ph_fault *fault)
{
    struct jpeg *p = ph_priv(n);
    p->encoder = tjInitCompress();
    if (p->encoder) return PH_OK;
    return ph_fail(fault, PH_ENOMEM, "jpeg", "no JPEG encoder: %s", tjGetErrorStr());
}

static void jpeg_close(struct ph_node *n)
{
    struct jpeg *p = ph_priv(n);
    if (p->encoder) tjDestroy(p->encoder);
    ph_guard_finish(&p->guard);
}

// The packet has room for the worst case, of which only the pages that are written cost memory.
static ph_err encode(struct ph_node *n, const struct jpeg *p, const struct ph_frame *f,
                     struct ph_frame **out)
{
    static const int modes[] = { TJSAMP_420, TJSAMP_422, TJSAMP_444, TJSAMP_GRAY };
    const struct ph_picture *pic = &f->picture;
    size_t room = tjBufSize(pic->width, pic->height, modes[p->subsampling]);
    ph_err ret = ph_node_packet(n, f, PH_JPEG, room, out);
    if (ret < 0) return ret;
    struct ph_packet *packet = &(*out)->packet;
    unsigned char *data = packet->data;
    unsigned long size = packet->capacity;
    if (tjCompress2(p->encoder, pic->data[0], pic->width, (int) pic->stride[0], pic->height,
                    TJPF_RGBX, &data, &size, modes[p->subsampling], (int) p->q,
                    TJFLAG_NOREALLOC) < 0) {
        ph_node_problem(n, "cannot encode %dx%d: %s", pic->width, pic->height,
                        tjGetErrorStr2(p->encoder));
        ph_frame_unref(out);
        return PH_EFORMAT;
    }
    packet->size = size;
    packet->key = true;
    packet->width = pic->width;
    packet->height = pic->height;
    return PH_OK;
}

#else

static ph_err jpeg_open(struct ph_node *n, struct ph_fault *fault)
{
    return ph_fail(fault, PH_ENOTSUP, "jpeg",
                   "this build cannot encode JPEG: install libturbojpeg0-dev and build again");
}

static void jpeg_close(struct ph_node *n)
{
}

static ph_err encode(struct ph_node *n, const struct jpeg *p, const struct ph_frame *f,
                     struct ph_frame **out)
{
    return PH_ENOTSUP;
}

#endif

static ph_err jpeg_process(struct ph_node *n)
{
    struct jpeg *p = ph_priv(n);
    struct ph_frame *f, *packet = NULL;
    ph_err ret = ph_node_read_rgba(n, 0, &f);
    if (ret != PH_OK) return ret;
    bool wanted = ph_node_wanted(n, PH_JPEG);
    if (wanted) ret = ph_guard_pass(&p->guard, n, p->limiter, &f);
    if (wanted && ret == PH_OK) ret = encode(n, p, f, &packet);
    ph_frame_unref(&f);
    return wanted && ret == PH_OK ? ph_node_write(n, 0, packet) : ret;
}

// clang-format off
static const struct ph_param params[] = {
    PH_INT(struct jpeg, q, 1, 100, .def = "85", .flags = PH_PARAM_FIRST, .help = "quality; 85 is hard to tell from the original, 50 is small"),
    PH_ENUM(struct jpeg, subsampling, PH_NAMES("420", "422", "444", "gray"), .help = "of colour: 444 keeps thin coloured lines, 420 is half the size and faster"),
    PH_GUARD_PARAM(struct jpeg),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_jpeg = {
    .name = "jpeg",
    .group = "encode",
    .help = "encodes pictures as JPEG, what every browser shows",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "rgba pictures" }),
    .out = PH_PORTS({ "out", PH_PACKET, .help = "JPEG packets" }),
    .params = params,
    .priv_size = sizeof(struct jpeg),
    .open = jpeg_open,
    .close = jpeg_close,
    .process = jpeg_process,
};
