// SPDX-License-Identifier: MIT
// What waits for one viewer: the drop policies as plain data, without lock, socket or clock. The
// owner locks.
#ifndef PH_SERVER_MAILBOX_H
#define PH_SERVER_MAILBOX_H

#include "server/server.h"

#define PH_MAILBOX_DEPTH_MAX 32

struct ph_mail {
    struct ph_frame *frame; // a reference
    int64_t posted_ns;
    uint8_t head[PH_POST_HEAD_MAX];
    size_t head_size;
    size_t size;     // of the payload that is sent
    size_t text_len; // of the mailbox's one text, LATEST only
};

struct ph_mailbox {
    enum ph_send_mode mode;
    int depth, count, first; // a ring
    bool need_key;           // only a key packet may come in
    struct ph_mail ring[PH_MAILBOX_DEPTH_MAX];
    uint64_t posted, dropped[PH_SENT_DROPS];
    char text[PH_POST_TEXT_MAX];
};

void ph_mailbox_init(struct ph_mailbox *m, enum ph_send_mode mode, int depth);
// Drops all that waits, for that reason.
void ph_mailbox_clear(struct ph_mailbox *m, enum ph_send_drop reason);
// As ph_conn_post; refs the frame. In DROP_TO_KEY mode the text is left to the caller.
ph_err ph_mailbox_put(struct ph_mailbox *m, const struct ph_post *post, int64_t now_ns);
// Moves the oldest out, with its text (room for PH_POST_TEXT_MAX); false when nothing waits.
bool ph_mailbox_take(struct ph_mailbox *m, struct ph_mail *out, char *text);
// When the oldest was posted; 0 = nothing waits.
int64_t ph_mailbox_oldest_ns(const struct ph_mailbox *m);

#endif
