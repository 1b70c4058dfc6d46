// SPDX-License-Identifier: MIT
#include "nodes/source/bytes.h"

#include <stdio.h>
#include <string.h>

#define WAITING 256 // packets that a lane may be behind

static void *bytes_main(void *opaque)
{
    struct ph_bytes *b = opaque;
    b->run(b, b->opaque);
    return NULL;
}

ph_err ph_bytes_start(struct ph_bytes *b, struct ph_node *n,
                      void (*run)(struct ph_bytes *b, void *opaque), void *opaque)
{
    char name[16];
    b->node = n;
    b->run = run;
    b->opaque = opaque;
    ph_node_external(n, 0, ph_node_offline(n) ? PH_DROP_BLOCK : PH_DROP_OLDEST, WAITING);
    if (ph_node_replaying(n)) return PH_OK;
    if (ph_node_rendering(n)) { // nobody turns a fader while a film is made
        ph_node_push_eof(n, 0);
        return PH_OK;
    }
    if (pthread_create(&b->thread, NULL, bytes_main, b)) return PH_ENOMEM;
    snprintf(name, sizeof name, "ph:%.12s", ph_node_name(n));
    pthread_setname_np(b->thread, name);
    b->running = true;
    return PH_OK;
}

void ph_bytes_stop(struct ph_bytes *b)
{
    atomic_store(&b->stop, true);
    if (b->running) pthread_join(b->thread, NULL);
    b->running = false;
}

bool ph_bytes_stopped(struct ph_bytes *b)
{
    return atomic_load_explicit(&b->stop, memory_order_relaxed) || ph_node_stopping(b->node);
}

void ph_bytes_push(struct ph_bytes *b, const void *bytes, size_t size)
{
    struct ph_frame *f;
    if (ph_frame_packet(ph_node_pool(b->node), PH_CODEC_NONE, size, &f) < 0) return;
    memcpy(f->packet.data, bytes, size);
    f->packet.size = size;
    f->capture_ns = ph_node_now_ns(b->node);
    if (ph_node_push(b->node, 0, &f) == PH_MORE) ph_node_drop(b->node);
    ph_frame_unref(&f);
}

ph_err ph_bytes_read(struct ph_bytes *b, struct ph_node *n, struct ph_frame **f)
{
    ph_err ret = ph_node_read(n, 0, f);
    if (ret != PH_OK) return ret;
    ret = ph_frame_make_writable(f); // the journal may hold it too
    if (ret < 0) return ret;
    int64_t at_ns = (*f)->capture_ns;
    if (!b->started) {
        b->first_ns = at_ns;
        b->newest_ns = -1;
    }
    b->started = true;
    int64_t pts_ns = at_ns - b->first_ns;
    if (pts_ns <= b->newest_ns) pts_ns = b->newest_ns + 1;
    (*f)->pts_ns = b->newest_ns = pts_ns;
    return PH_OK;
}
