// SPDX-License-Identifier: MIT
// WebSocket frames of a client: the messages do not depend on how the bytes were cut, no limit is
// passed, every text is clean. The first byte says how to cut.
#include "server/http.h"
#include "server/ws.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX   600
#define BINARY_MAX 2000

struct heard {
    uint64_t hash; // of all messages in order
    int messages;
};

static void check(int ok)
{
    if (!ok) abort();
}

static void on_message(void *opaque, bool text, const char *bytes, size_t size)
{
    struct heard *h = opaque;
    check(bytes[size] == 0 && size <= (text ? TEXT_MAX : BINARY_MAX));
    if (text) check(ph_utf8_valid(bytes, size) && strlen(bytes) == size);
    h->messages++;
    h->hash = h->hash * 31 + (text ? 7 : 3) + size;
    for (size_t i = 0; i < size; i++) h->hash = h->hash * 31 + (uint8_t) bytes[i];
}

// A server sends whole, unmasked control frames only.
static void on_control(void *opaque, const void *bytes, size_t size)
{
    check(size <= 127);
}

static void on_pong(void *opaque)
{
}

static ph_err run(const uint8_t *data, size_t size, size_t step, struct heard *h)
{
    struct ph_ws_in *w;
    ph_err ret = ph_ws_in_create(&w, &(struct ph_ws_in_params){ .text_bytes = TEXT_MAX,
                                                                .binary_bytes = BINARY_MAX,
                                                                .messages_per_s = 1000000,
                                                                .message = on_message,
                                                                .control = on_control,
                                                                .pong = on_pong,
                                                                .opaque = h });
    for (size_t at = 0; ret == PH_OK && at < size;) {
        int code = 0;
        const char *reason = NULL;
        size_t n = size - at < step ? size - at : step;
        uint8_t *exact = malloc(n);
        if (!exact) {
            ret = PH_ENOMEM;
            break;
        }
        memcpy(exact, data + at, n);
        ret = ph_ws_in_feed(w, exact, n, (int64_t) at, &code, &reason);
        if (ret != PH_OK) check(code >= 1000 && code < 5000 && reason);
        free(exact);
        at += n;
    }
    ph_ws_in_destroy(&w);
    return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heard whole = { 0 }, pieces = { 0 };
    if (size < 2) return 0;
    ph_err first = run(data + 1, size - 1, size, &whole);
    ph_err second = run(data + 1, size - 1, 1 + data[0] % 64, &pieces);
    if (first != PH_ENOMEM && second != PH_ENOMEM && first != PH_ENOTSUP && first == second)
        check(whole.messages == pieces.messages && whole.hash == pieces.hash);
    return 0;
}
