// SPDX-License-Identifier: MIT
#include "server/protocol.h"

#include <string.h>

static void put(uint8_t *at, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) at[i] = (uint8_t) (v >> (8 * i));
}

static uint64_t get(const uint8_t *at, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint64_t) at[i] << (8 * i);
    return v;
}

void ph_wire_pack(const struct ph_wire *h, uint8_t out[PH_WIRE_BYTES])
{
    put(out, PH_WIRE_MAGIC, 4);
    out[4] = (uint8_t) h->kind;
    out[5] = (uint8_t) h->codec;
    put(out + 6, h->flags, 2);
    put(out + 8, h->frame, 4);
    put(out + 12, h->epoch, 4);
    put(out + 16, (uint64_t) h->pts_ns, 8);
    put(out + 24, h->payload_bytes, 4);
    put(out + 28, (uint64_t) h->width, 2);
    put(out + 30, (uint64_t) h->height, 2);
}

static ph_err check(const struct ph_wire *h, size_t payload, struct ph_fault *fault)
{
    if (h->kind < PH_WIRE_PICTURE || h->kind > PH_WIRE_AUDIO)
        return ph_fail(fault, PH_EFORMAT, "kind",
                       "1 picture, 2 depth, 3 cloud, 4 audio, got %d", (int) h->kind);
    if (h->kind == PH_WIRE_PICTURE && (h->codec < PH_WIRE_JPEG || h->codec > PH_WIRE_PNG))
        return ph_fail(fault, PH_EFORMAT, "codec", "1 JPEG, 2 H.264, 3 VP8/VP9, 4 PNG, got %d",
                       h->codec);
    if (h->flags & ~(unsigned) (PH_WIRE_KEY | PH_WIRE_EPOCH | PH_WIRE_EXTRA))
        return ph_fail(fault, PH_EFORMAT, "flags",
                       "1 key, 2 epoch change, 4 optional part, got 0x%x", h->flags);
    if (h->payload_bytes != payload)
        return ph_fail(fault, PH_EFORMAT, "payload_bytes",
                       "%zu bytes follow, the header says %u", payload, h->payload_bytes);
    return PH_OK;
}

ph_err ph_wire_unpack(const void *bytes, size_t size, struct ph_wire *out,
                      struct ph_fault *fault)
{
    const uint8_t *p = bytes;
    memset(out, 0, sizeof *out);
    if (size < PH_WIRE_BYTES)
        return ph_fail(fault, PH_EFORMAT, "size", "a header of %d bytes, got %zu",
                       PH_WIRE_BYTES, size);
    if (get(p, 4) != PH_WIRE_MAGIC)
        return ph_fail(fault, PH_EFORMAT, "magic", "\"PHS1\" as the first four bytes");
    out->kind = p[4];
    out->codec = p[5];
    out->flags = (unsigned) get(p + 6, 2);
    out->frame = (uint32_t) get(p + 8, 4);
    out->epoch = (uint32_t) get(p + 12, 4);
    out->pts_ns = (int64_t) get(p + 16, 8);
    out->payload_bytes = (uint32_t) get(p + 24, 4);
    out->width = (int) get(p + 28, 2);
    out->height = (int) get(p + 30, 2);
    return check(out, size - PH_WIRE_BYTES, fault);
}

size_t ph_wire_of_frame(const struct ph_frame *f, bool epoch_changed, bool extra,
                        uint8_t out[PH_WIRE_BYTES])
{
    static const struct {
        uint8_t kind, codec;
    } codecs[] = {
        [PH_JPEG] = { PH_WIRE_PICTURE, PH_WIRE_JPEG },
        [PH_H264] = { PH_WIRE_PICTURE, PH_WIRE_H264 },
        [PH_VP8] = { PH_WIRE_PICTURE, PH_WIRE_VPX },
        [PH_PNG] = { PH_WIRE_PICTURE, PH_WIRE_PNG },
        [PH_VP9] = { PH_WIRE_PICTURE, PH_WIRE_VPX },
        [PH_CLOUD] = { PH_WIRE_CLOUD, 0 },
        [PH_DEPTH16] = { PH_WIRE_DEPTH, 0 },
    };
    unsigned codec = f->kind == PH_PACKET ? f->packet.codec : 0;
    if (codec >= sizeof codecs / sizeof *codecs || !codecs[codec].kind) return 0;
    if (f->packet.size > UINT32_MAX) return 0;
    extra = extra && f->packet.extra;
    bool key = f->packet.key || codec == PH_JPEG || codec == PH_PNG;
    ph_wire_pack(
        &(struct ph_wire){
            .kind = codecs[codec].kind,
            .codec = codecs[codec].codec,
            .flags = (key ? PH_WIRE_KEY : 0u) | (epoch_changed ? PH_WIRE_EPOCH : 0u) |
                     (extra ? PH_WIRE_EXTRA : 0u),
            .frame = (uint32_t) f->id,
            .epoch = f->epoch,
            .pts_ns = f->pts_ns,
            .payload_bytes = (uint32_t) (f->packet.size - (extra ? 0 : f->packet.extra)),
            .width = f->packet.width,
            .height = f->packet.height },
        out);
    return PH_WIRE_BYTES;
}
