// SPDX-License-Identifier: MIT
// Messages of clients: whatever comes is refused with a reason, or is within the bounds that its
// type promises.
#include "room/message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_set(const struct ph_message *m)
{
    if (!m->node || m->count < 1 || m->count > PH_MESSAGE_VALUES) abort();
    for (int i = 0; i < m->count; i++) {
        if (!m->values[i].param) abort();
        // every byte of the texts is read
        if (m->values[i].text && strlen(m->values[i].text) > (1u << 20)) abort();
    }
}

static void check_codecs(const struct ph_message *m)
{
    bool jpeg = false;
    if (m->codec_count < 1 || m->codec_count > PH_MESSAGE_CODECS) abort();
    for (int i = 0; i < m->codec_count; i++) {
        jpeg = jpeg || m->codecs[i] == PH_JPEG;
        for (int k = 0; k < i; k++)
            if (m->codecs[i] == m->codecs[k]) abort();
    }
    if (!jpeg) abort();
}

static void check(const struct ph_message *m)
{
    switch (m->type) {
    case PH_MESSAGE_SET: check_set(m); break;
    case PH_MESSAGE_CUT:
        if (m->hard ? m->chunks != 0 : m->chunks < 1 || m->chunks > 64) abort();
        break;
    case PH_MESSAGE_PING:
        if (m->t && (!*m->t || strlen(m->t) > 64)) abort();
        break;
    case PH_MESSAGE_SUBSCRIBE:
        if (!(m->hz == 0 || (m->hz >= 1 && m->hz <= 10))) abort();
        break;
    case PH_MESSAGE_SHOWN:
        if (m->shown < 1 || m->shown > 1000) abort();
        break;
    case PH_MESSAGE_HELLO:
    case PH_MESSAGE_CODEC: check_codecs(m); break;
    default: abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ph_message *m;
    struct ph_message_id id;
    struct ph_fault fault = { 0 };
    ph_err ret = ph_message_parse(&m, &id, (const char *) data, size, &fault);
    if (ret == PH_OK)
        check(m);
    else if (m || !fault.message[0])
        abort();
    free(m);
    return 0;
}
