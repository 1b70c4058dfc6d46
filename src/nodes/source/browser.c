// SPDX-License-Identifier: MIT
// A visitor's webcam: JPEG pictures that the room pushes as they come in. Everything in them is a
// stranger's, so a picture is checked before a decoder sees it, and a bad one costs only itself.
#include <phosphene/node.h>

#include "config.h"

#if PH_HAVE_JPEG
#include "server/jpeg_check.h"

#include <turbojpeg.h>

struct browser {
    tjhandle decoder;
    int64_t first_ns, last_pts_ns; // capture time of the first picture; pts of the newest
    bool started, in_trouble;
};

static ph_err browser_open(struct ph_node *n, struct ph_fault *fault)
{
    struct browser *p = ph_priv(n);
    p->decoder = tjInitDecompress();
    if (!p->decoder)
        return ph_fail(fault, PH_ENOMEM, "browser", "no JPEG decoder: %s", tjGetErrorStr());
    ph_node_external(n, 0, PH_DROP_LATEST, 1);
    return PH_OK;
}

static void browser_close(struct ph_node *n)
{
    struct browser *p = ph_priv(n);
    if (p->decoder) tjDestroy(p->decoder);
}

static ph_err bad(struct ph_node *n, struct browser *p, const char *why)
{
    p->in_trouble = true;
    ph_node_problem(n, "a picture was thrown away: %s", why);
    ph_node_drop(n);
    return PH_EFORMAT;
}

// What any server lets in at most; its own limits are checked where the picture comes in.
static const struct ph_jpeg_limits most = { .bytes = 256u << 20,
                                            .width = 16384,
                                            .height = 16384 };

static ph_err decode(struct ph_node *n, struct browser *p, const struct ph_packet *packet,
                     struct ph_frame **out)
{
    struct ph_fault fault;
    int w, h;
    if (packet->codec != PH_JPEG) return bad(n, p, "it is not a JPEG packet");
    ph_err ret = ph_jpeg_check(packet->data, packet->size, &most, &w, &h, &fault);
    if (ret < 0) return bad(n, p, fault.message);
    if ((ret = ph_frame_picture(ph_node_pool(n), PH_RGBA, w, h, out)) < 0) return ret;
    struct ph_picture *pic = &(*out)->picture;
    // Also what the library only warns of (a damaged scan) is not shown.
    if (tjDecompress2(p->decoder, packet->data, packet->size, pic->data[0], w,
                      (int) pic->stride[0], h, TJPF_RGBA,
                      TJFLAG_FASTDCT | TJFLAG_LIMITSCANS | TJFLAG_STOPONWARNING) == 0)
        return PH_OK;
    ph_frame_unref(out);
    return bad(n, p, tjGetErrorStr2(p->decoder));
}

// Times of our own clock: what a visitor's clock says is not comparable with anything here.
static void stamp(struct ph_node *n, struct browser *p, int64_t capture_ns, struct ph_frame *f)
{
    if (!capture_ns) capture_ns = ph_node_now_ns(n);
    if (!p->started) p->first_ns = capture_ns;
    int64_t pts_ns = capture_ns - p->first_ns;
    if (p->started && pts_ns <= p->last_pts_ns) pts_ns = p->last_pts_ns + 1;
    p->started = true;
    p->last_pts_ns = pts_ns;
    ph_node_stamp_at(n, f, pts_ns, capture_ns);
}

static ph_err browser_process(struct ph_node *n)
{
    struct browser *p = ph_priv(n);
    struct ph_frame *in, *out = NULL;
    ph_err ret = ph_node_read(n, 0, &in);
    if (ret != PH_OK) return ret;
    ret = decode(n, p, &in->packet, &out);
    int64_t capture_ns = in->capture_ns;
    ph_frame_unref(&in);
    if (ret < 0) return ret;
    if (p->in_trouble) ph_node_problem(n, NULL);
    p->in_trouble = false;
    stamp(n, p, capture_ns, out);
    return ph_node_write(n, 0, out);
}

#else

struct browser {
    int none;
};

static ph_err browser_open(struct ph_node *n, struct ph_fault *fault)
{
    return ph_fail(fault, PH_ENOTSUP, "browser",
                   "this build cannot decode JPEG: install libturbojpeg0-dev and build again");
}

static void browser_close(struct ph_node *n)
{
}

static ph_err browser_process(struct ph_node *n)
{
    return PH_ENOTSUP;
}

#endif

const struct ph_node_info ph_node_browser = {
    .name = "browser",
    .group = "source",
    .help = "the webcam of a visitor of the studio page",
    .in = PH_PORTS({ "in", PH_PACKET, PH_PORT_EXTERNAL, .help = "JPEG pictures" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "rgba pictures" }),
    .priv_size = sizeof(struct browser),
    .open = browser_open,
    .close = browser_close,
    .process = browser_process,
};
