// SPDX-License-Identifier: MIT
#include "server/jpeg_check.h"

enum {
    SOF0 = 0xc0, // baseline
    SOF2 = 0xc2, // progressive; SOF1 is extended sequential
    DHT = 0xc4,
    JPG = 0xc8,
    DAC = 0xcc,
    RST0 = 0xd0,
    RST7 = 0xd7,
    SOI = 0xd8,
    EOI = 0xd9,
    SOS = 0xda,
    DQT = 0xdb,
    DNL = 0xdc,
    DHP = 0xde,
    EXP = 0xdf,
    TEM = 0x01
};

struct walk {
    const uint8_t *data;
    size_t size, at;
    const struct ph_jpeg_limits *limits;
    int width, height, components;
    int scans;
    struct ph_fault *fault;
};

static unsigned word(const uint8_t *p)
{
    return (unsigned) p[0] << 8 | p[1];
}

// Skips to the marker after fill bytes (0xff …) and reads it.
static ph_err next_marker(struct walk *w, int *marker)
{
    if (w->at >= w->size)
        return ph_fail(w->fault, PH_EFORMAT, "jpeg",
                       "it ends at byte %zu without EOI: truncated", w->size);
    if (w->data[w->at] != 0xff)
        return ph_fail(w->fault, PH_EFORMAT, "jpeg", "no marker at byte %zu", w->at);
    while (w->at < w->size && w->data[w->at] == 0xff) w->at++;
    if (w->at >= w->size)
        return ph_fail(w->fault, PH_EFORMAT, "jpeg",
                       "it ends at byte %zu without EOI: truncated", w->size);
    *marker = w->data[w->at++];
    return PH_OK;
}

// The segment's bytes after its length; w->at goes behind it.
static ph_err segment(struct walk *w, int marker, const uint8_t **body, size_t *len)
{
    size_t left = w->size - w->at;
    size_t n = left < 2 ? 0 : word(w->data + w->at);
    if (left < 2 || n > left)
        return ph_fail(w->fault, PH_EFORMAT, "jpeg",
                       "segment ff%02x at byte %zu is longer than the rest: truncated", marker,
                       w->at - 2);
    if (n < 2)
        return ph_fail(w->fault, PH_EFORMAT, "jpeg",
                       "segment ff%02x at byte %zu has length %zu", marker, w->at - 2, n);
    *body = w->data + w->at + 2;
    *len = n - 2;
    w->at += n;
    return PH_OK;
}

static ph_err check_size(struct walk *w)
{
    if (!w->width || !w->height)
        return ph_fail(w->fault, PH_EFORMAT, "jpeg", "a picture of %dx%d", w->width, w->height);
    if (w->width > w->limits->width || w->height > w->limits->height)
        return ph_fail(w->fault, PH_ELIMIT, "jpeg", "at most %dx%d pixels, it is %dx%d",
                       w->limits->width, w->limits->height, w->width, w->height);
    return PH_OK;
}

static ph_err frame_header(struct walk *w, int marker, const uint8_t *p, size_t len)
{
    if (marker > SOF2)
        return ph_fail(w->fault, PH_ENOTSUP, "jpeg",
                       "baseline or progressive, Huffman coded; this is SOF%d", marker - SOF0);
    if (w->components) return ph_fail(w->fault, PH_EFORMAT, "jpeg", "a second frame header");
    if (len < 6 || len != 6 + 3 * (size_t) p[5])
        return ph_fail(w->fault, PH_EFORMAT, "jpeg", "a frame header of %zu bytes", len);
    if (p[0] != 8)
        return ph_fail(w->fault, PH_ENOTSUP, "jpeg", "8 bits a sample, it has %d", p[0]);
    if (p[5] != 1 && p[5] != 3 && p[5] != 4)
        return ph_fail(w->fault, PH_EFORMAT, "jpeg", "1, 3 or 4 components, it has %d", p[5]);
    w->height = (int) word(p + 1);
    w->width = (int) word(p + 3);
    w->components = p[5];
    for (int i = 0; i < p[5]; i++) {
        int h = p[7 + 3 * i] >> 4, v = p[7 + 3 * i] & 15;
        if (h < 1 || h > 4 || v < 1 || v > 4 || p[8 + 3 * i] > 3)
            return ph_fail(w->fault, PH_EFORMAT, "jpeg",
                           "component %d has sampling %dx%d, table %d", i, h, v, p[8 + 3 * i]);
    }
    return check_size(w);
}

// The scan header, then entropy-coded bytes up to a marker that is neither stuffing nor restart.
static ph_err scan(struct walk *w, const uint8_t *p, size_t len)
{
    if (!w->components)
        return ph_fail(w->fault, PH_EFORMAT, "jpeg", "a scan before the frame header");
    if (len < 1 || p[0] < 1 || p[0] > w->components || len != 4 + 2 * (size_t) p[0])
        return ph_fail(w->fault, PH_EFORMAT, "jpeg", "a scan header of %zu bytes", len);
    if (++w->scans > w->limits->scans)
        return ph_fail(w->fault, PH_ELIMIT, "jpeg", "at most %d scans", w->limits->scans);
    for (; w->at + 1 < w->size; w->at++) {
        int next = w->data[w->at + 1];
        if (w->data[w->at] == 0xff && next && next != 0xff && (next < RST0 || next > RST7))
            return PH_OK;
    }
    return ph_fail(w->fault, PH_EFORMAT, "jpeg", "it ends within a scan: truncated");
}

static ph_err one_segment(struct walk *w, int marker)
{
    const uint8_t *body = NULL;
    size_t len = 0;
    if (marker == SOI || marker == 0 || marker == TEM || (marker >= RST0 && marker <= RST7))
        return ph_fail(w->fault, PH_EFORMAT, "jpeg",
                       "marker ff%02x at byte %zu is out of place", marker, w->at - 2);
    ph_err ret = segment(w, marker, &body, &len);
    if (ret < 0) return ret;
    if (marker == DAC || marker == DNL || marker == DHP || marker == EXP || marker == JPG)
        return ph_fail(w->fault, PH_ENOTSUP, "jpeg",
                       "baseline or progressive, Huffman coded; this has marker ff%02x",
                       marker);
    if (marker == SOS) return scan(w, body, len);
    if (marker >= SOF0 && marker <= 0xcf && marker != DHT)
        return frame_header(w, marker, body, len);
    return PH_OK;
}

static ph_err walk(struct walk *w)
{
    if (w->size < 4 || word(w->data) != 0xffd8)
        return ph_fail(w->fault, PH_EFORMAT, "jpeg", "a JPEG begins with ff d8");
    if (w->size > w->limits->bytes)
        return ph_fail(w->fault, PH_ELIMIT, "jpeg", "at most %zu bytes, it has %zu",
                       w->limits->bytes, w->size);
    w->at = 2;
    for (int marker = 0;;) {
        ph_err ret = next_marker(w, &marker);
        if (ret < 0) return ret;
        if (marker == EOI) break;
        ret = one_segment(w, marker);
        if (ret < 0) return ret;
    }
    if (!w->scans) return ph_fail(w->fault, PH_EFORMAT, "jpeg", "there is no picture in it");
    return PH_OK;
}

ph_err ph_jpeg_check(const void *bytes, size_t size, const struct ph_jpeg_limits *limits,
                     int *width, int *height, struct ph_fault *fault)
{
    struct ph_jpeg_limits l = limits ? *limits : (struct ph_jpeg_limits){ 0 };
    if (!l.bytes) l.bytes = 4 << 20;
    if (!l.width) l.width = 4096;
    if (!l.height) l.height = 4096;
    if (!l.scans) l.scans = 64;
    struct walk w = { .data = bytes, .size = size, .limits = &l, .fault = fault };
    ph_err ret = walk(&w);
    if (ret < 0) return ret;
    *width = w.width;
    *height = w.height;
    return PH_OK;
}
