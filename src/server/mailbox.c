// SPDX-License-Identifier: MIT
#include "server/mailbox.h"

#include <string.h>

void ph_mailbox_init(struct ph_mailbox *m, enum ph_send_mode mode, int depth)
{
    if (depth <= 0) depth = 8;
    if (depth > PH_MAILBOX_DEPTH_MAX) depth = PH_MAILBOX_DEPTH_MAX;
    m->mode = mode;
    m->depth = mode == PH_SEND_LATEST ? 1 : depth;
    m->count = m->first = 0;
    m->need_key = mode == PH_SEND_DROP_TO_KEY;
}

static struct ph_mail *slot(struct ph_mailbox *m, int i)
{
    return &m->ring[(m->first + i) % PH_MAILBOX_DEPTH_MAX];
}

void ph_mailbox_clear(struct ph_mailbox *m, enum ph_send_drop reason)
{
    for (int i = 0; i < m->count; i++) ph_frame_unref(&slot(m, i)->frame);
    m->dropped[reason] += (uint64_t) m->count;
    m->count = 0;
    if (m->mode == PH_SEND_DROP_TO_KEY) m->need_key = true;
}

static void append(struct ph_mailbox *m, const struct ph_post *post, int64_t now_ns)
{
    struct ph_mail *mail = slot(m, m->count++);
    mail->frame = ph_frame_ref(post->frame);
    mail->posted_ns = now_ns;
    mail->head_size = post->head_size;
    mail->size = post->frame->packet.size - (post->extra ? 0 : post->frame->packet.extra);
    if (post->head_size) memcpy(mail->head, post->head, post->head_size);
    mail->text_len = m->mode == PH_SEND_LATEST ? post->text_len : 0;
    if (mail->text_len) memcpy(m->text, post->text, mail->text_len);
}

// A key packet makes everything before it needless: after a drop it jumps the queue, so that the
// viewer is at once in the present.
static ph_err put_video(struct ph_mailbox *m, const struct ph_post *post, int64_t now_ns)
{
    bool key = post->frame->packet.key;
    if (key && (m->need_key || m->count == m->depth)) ph_mailbox_clear(m, PH_SENT_REPLACED);
    if (key) m->need_key = false;
    if (m->count == m->depth) m->need_key = true;
    if (m->need_key) {
        m->dropped[PH_SENT_NO_KEY]++;
        return PH_MORE;
    }
    append(m, post, now_ns);
    return PH_OK;
}

ph_err ph_mailbox_put(struct ph_mailbox *m, const struct ph_post *post, int64_t now_ns)
{
    const struct ph_frame *f = post->frame;
    if (!f || f->kind != PH_PACKET || f->mem != PH_HOST) return PH_EINVAL;
    if (post->head_size > PH_POST_HEAD_MAX || post->text_len > PH_POST_TEXT_MAX)
        return PH_ELIMIT;
    m->posted++;
    if (m->mode == PH_SEND_DROP_TO_KEY) return put_video(m, post, now_ns);
    ph_mailbox_clear(m, PH_SENT_REPLACED);
    append(m, post, now_ns);
    return PH_OK;
}

bool ph_mailbox_take(struct ph_mailbox *m, struct ph_mail *out, char *text)
{
    if (!m->count) return false;
    *out = *slot(m, 0);
    if (out->text_len) memcpy(text, m->text, out->text_len);
    m->first = (m->first + 1) % PH_MAILBOX_DEPTH_MAX;
    m->count--;
    return true;
}

int64_t ph_mailbox_oldest_ns(const struct ph_mailbox *m)
{
    return m->count ? m->ring[m->first].posted_ns : 0;
}
