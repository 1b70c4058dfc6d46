// SPDX-License-Identifier: MIT
// Pictures to many viewers: nobody pays for another one, everybody sees the present.
#include "fixture.h"

#include "server/mailbox.h"

#include <malloc.h>
#include <stdatomic.h>

static const struct ph_server_params defaults = { 0 };

// ------------------------------------------------------------------------ drop policies alone

static struct ph_frame *packet(enum ph_codec codec, bool key, uint64_t id)
{
    struct ph_frame *f;
    CHECK_OK(ph_frame_packet(NULL, codec, 16, &f));
    f->packet.size = 16;
    f->packet.key = key;
    f->id = id;
    return f;
}

static ph_err put(struct ph_mailbox *m, bool key, uint64_t id)
{
    struct ph_frame *f = packet(m->mode == PH_SEND_LATEST ? PH_JPEG : PH_H264, key, id);
    ph_err ret = ph_mailbox_put(m, ph_post(.frame = f), (int64_t) id);
    ph_frame_unref(&f);
    return ret;
}

// Takes all and writes the ids down: "1 2 3 ".
static const char *take_all(struct ph_mailbox *m)
{
    static char text[1000], metrics[PH_POST_TEXT_MAX];
    struct ph_mail mail;
    text[0] = 0;
    while (ph_mailbox_take(m, &mail, metrics)) {
        sprintf(text + strlen(text), "%d ", (int) mail.frame->id);
        ph_frame_unref(&mail.frame);
    }
    return text;
}

TEST(d2_4_a_slow_viewer_next_gets_the_newest_picture)
{
    static struct ph_mailbox m;
    ph_mailbox_init(&m, PH_SEND_LATEST, 0);
    for (uint64_t i = 1; i <= 250; i++) CHECK_OK(put(&m, false, i));
    CHECK_INT(ph_mailbox_oldest_ns(&m), ==, 250);
    CHECK_STR(take_all(&m), "250 ");
    CHECK_INT(m.dropped[PH_SENT_REPLACED], ==, 249);
    CHECK_INT(m.posted, ==, 250);
}

TEST(the_text_of_a_replaced_picture_goes_with_it)
{
    static struct ph_mailbox m;
    static char text[PH_POST_TEXT_MAX], too_long[PH_POST_TEXT_MAX + 1];
    struct ph_mail mail;
    struct ph_frame *f = packet(PH_JPEG, false, 1);
    ph_mailbox_init(&m, PH_SEND_LATEST, 0);
    CHECK_OK(ph_mailbox_put(
        &m,
        ph_post(.frame = f, .text = "first one", .text_len = 9, .head = "ab", .head_size = 2),
        1));
    CHECK_OK(ph_mailbox_put(&m, ph_post(.frame = f, .text = "second", .text_len = 6), 2));
    CHECK(ph_mailbox_take(&m, &mail, text));
    CHECK_INT(mail.text_len, ==, 6);
    CHECK(!memcmp(text, "second", 6));
    CHECK_INT(mail.head_size, ==, 0);
    ph_frame_unref(&mail.frame);
    CHECK(!ph_mailbox_take(&m, &mail, text));
    CHECK_INT(ph_mailbox_put(
                  &m, ph_post(.frame = f, .text = too_long, .text_len = sizeof too_long), 3),
              ==, PH_ELIMIT);
    CHECK_INT(ph_mailbox_put(&m, ph_post(.frame = f, .head = too_long, .head_size = 65), 3), ==,
              PH_ELIMIT);
    CHECK_INT(m.count, ==, 0);
    ph_frame_unref(&f);
}

TEST(d2_14_encoded_video_is_never_torn_a_drop_lasts_to_the_next_key)
{
    static struct ph_mailbox m;
    ph_mailbox_init(&m, PH_SEND_DROP_TO_KEY, 3);
    CHECK(m.need_key);
    CHECK_INT(put(&m, false, 1), ==, PH_MORE); // joined between two key packets
    CHECK_OK(put(&m, true, 2));
    CHECK_OK(put(&m, false, 3));
    CHECK_OK(put(&m, false, 4));
    CHECK_INT(put(&m, false, 5), ==, PH_MORE); // full
    CHECK(m.need_key);
    CHECK_STR(take_all(&m), "2 3 4 ");         // decodable to its end
    CHECK_INT(put(&m, false, 6), ==, PH_MORE); // there is room, but 5 is missing
    CHECK_OK(put(&m, true, 7));
    CHECK_OK(put(&m, false, 8));
    CHECK_STR(take_all(&m), "7 8 ");
    CHECK_INT(m.dropped[PH_SENT_NO_KEY], ==, 3);
    // a key packet after a drop makes what still waits needless
    CHECK_OK(put(&m, false, 9));
    CHECK_OK(put(&m, false, 10));
    CHECK_OK(put(&m, false, 11));
    CHECK_INT(put(&m, false, 12), ==, PH_MORE);
    CHECK_OK(put(&m, true, 13));
    CHECK_STR(take_all(&m), "13 ");
    CHECK_INT(m.dropped[PH_SENT_REPLACED], ==, 3);
    // without a drop it waits its turn
    CHECK_OK(put(&m, false, 14));
    CHECK_OK(put(&m, true, 15));
    CHECK_STR(take_all(&m), "14 15 ");
}

TEST(any_sequence_of_video_packets_stays_decodable_and_is_accounted_for)
{
    static struct ph_mailbox m;
    static char metrics[PH_POST_TEXT_MAX];
    uint64_t taken = 0, last = 0;
    unsigned random = 1;
    ph_mailbox_init(&m, PH_SEND_DROP_TO_KEY, 5);
    for (uint64_t i = 1; i <= 20000; i++) {
        random = random * 1664525 + 1013904223;
        struct ph_mail mail;
        put(&m, random >> 24 < 20, i);
        if ((random >> 8 & 255) >= 180 || !ph_mailbox_take(&m, &mail, metrics)) continue;
        // each follows the one before it, or is a key
        CHECK(mail.frame->packet.key || mail.frame->id == last + 1);
        last = mail.frame->id;
        taken++;
        ph_frame_unref(&mail.frame);
    }
    CHECK_INT(m.posted, ==,
              taken + m.dropped[PH_SENT_REPLACED] + m.dropped[PH_SENT_NO_KEY] +
                  (uint64_t) m.count);
    CHECK(taken > 1000 && m.dropped[PH_SENT_NO_KEY] > 100 && m.dropped[PH_SENT_REPLACED] > 10);
    ph_mailbox_clear(&m, PH_SENT_CLOSED);
}

// ------------------------------------------------------------------------------ real sockets

TEST(d2_41_metrics_go_directly_before_their_picture_and_counters_are_true)
{
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    fixture_ws(&f, &c, "/ws");
    fixture_wait(&f, &f.seen.count, 1);
    for (uint64_t i = 0; i < 200; i++) {
        char text[100];
        snprintf(text, sizeof text, "{\"type\":\"metrics\",\"data\":{\"frame\":%d}}", (int) i);
        struct ph_frame *frame = stamped_frame(NULL, PH_JPEG, true, i, 30000 + i);
        post_all(&f, frame, text);
        ph_frame_unref(&frame);
        if (i % 3 == 0) ph_ws_send_text(fixture_conn(&f, 0), "between", 7);
        if (i % 10 == 9) sleep_ms(3);
    }
    // whatever was dropped: a picture follows exactly its own metrics
    char before[100] = "";
    int pictures = 0;
    for (uint64_t last = 0; last != 199;) {
        struct message m = ws_next(&c);
        if (m.opcode == 1) {
            if (strcmp(m.data, "between") != 0)
                snprintf(before, sizeof before, "%s", m.data);
            else
                CHECK_STR(before, "");
        } else {
            char want[100];
            CHECK_INT(m.opcode, ==, 2);
            last = stamp_of(&m).number;
            snprintf(want, sizeof want, "{\"type\":\"metrics\",\"data\":{\"frame\":%d}}",
                     (int) last);
            CHECK_STR(before, want);
            CHECK_INT(m.size, ==, 30000 + last);
            CHECK_INT((uint8_t) m.data[m.size - 1], ==, last & 255);
            before[0] = 0;
            pictures++;
        }
        message_free(&m);
    }
    struct ph_conn_stats s;
    do { // a picture is counted after its last byte is on the way
        ph_conn_stats(fixture_conn(&f, 0), &s);
    } while ((int) s.sent < pictures);
    CHECK_INT(s.sent, ==, pictures);
    CHECK_INT(s.posted, ==, 200);
    CHECK_INT(s.dropped[PH_SENT_REPLACED], ==, 200 - pictures);
    CHECK_INT(s.waiting, ==, 0);
    CHECK_HAS(s.remote, "127.0.0.1:");
    client_close(&c);
    fixture_stop(&f);
}

TEST(the_head_precedes_the_payload_in_one_message)
{
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    fixture_ws(&f, &c, "/ws");
    fixture_wait(&f, &f.seen.count, 1);
    struct ph_frame *frame = stamped_frame(NULL, PH_JPEG, true, 7, 1000);
    CHECK_OK(
        ph_conn_post(fixture_conn(&f, 0),
                     ph_post(.frame = frame, .head = "0123456789abcdef", .head_size = 16)));
    struct message m = ws_wait(&c, 2);
    CHECK_INT(m.size, ==, 1016);
    CHECK(!memcmp(m.data, "0123456789abcdef", 16));
    CHECK(!memcmp(m.data + 16, frame->packet.data, 1000));
    message_free(&m);
    ph_frame_unref(&frame);
    client_close(&c);
    fixture_stop(&f);
}

TEST(a_payload_is_shared_and_given_back)
{
    struct fixture f;
    struct client c[5];
    fixture_start(&f, &defaults);
    for (int i = 0; i < 5; i++) fixture_ws(&f, &c[i], "/ws");
    fixture_wait(&f, &f.seen.count, 5);
    struct ph_frame *frame = stamped_frame(NULL, PH_JPEG, true, 1, 300000);
    post_all(&f, frame, NULL);
    for (int i = 0; i < 5; i++) {
        struct message m = ws_wait(&c[i], 2);
        CHECK_INT(m.size, ==, 300000);
        message_free(&m);
    }
    while (!ph_frame_writable(frame)) sleep_ms(2); // until nobody holds it any more
    ph_frame_unref(&frame);
    for (int i = 0; i < 5; i++) client_close(&c[i]);
    fixture_stop(&f);
}

// A source at 60 pictures a second of `size` bytes for everybody.
struct source {
    struct fixture *f;
    size_t size;
    atomic_bool stop;
    pthread_t thread;
    uint64_t made;
};

static void *produce(void *arg)
{
    struct source *s = arg;
    struct ph_pool *pool;
    ph_pool_create(&pool);
    int64_t next = ph_now_ns();
    for (uint64_t i = 1; !atomic_load(&s->stop); i++) {
        struct ph_frame *frame = stamped_frame(pool, PH_JPEG, true, i, s->size);
        s->made = i;
        post_all(s->f, frame, "{\"type\":\"metrics\"}");
        ph_frame_unref(&frame);
        next += PH_SECOND_NS / 60;
        ph_sleep_until_ns(next);
    }
    ph_pool_destroy(&pool);
    return NULL;
}

static void source_start(struct source *s, struct fixture *f, size_t size)
{
    *s = (struct source){ .f = f, .size = size };
    CHECK_OK(pthread_create(&s->thread, NULL, produce, s));
}

static void source_stop(struct source *s)
{
    atomic_store(&s->stop, true);
    pthread_join(s->thread, NULL);
}

TEST(a_viewer_that_stops_reading_costs_others_nothing_and_then_sees_the_present)
{
    struct fixture f;
    struct client good, stalled;
    struct source source;
    fixture_start(&f, &defaults);
    fixture_ws(&f, &good, "/ws");
    fixture_ws(&f, &stalled, "/ws");
    fixture_wait(&f, &f.seen.count, 2);
    source_start(&source, &f, 260000);
    for (int i = 0; i < 30; i++) { // it has read for a while, so its window has grown
        struct message m = ws_wait(&stalled, 2);
        message_free(&m);
        m = ws_wait(&good, 2);
        message_free(&m);
    }
    uint64_t last = 0;
    int missed = 0, got = 0;
    for (int64_t end = client_now_ns() + 3 * PH_SECOND_NS; client_now_ns() < end;) {
        struct message m = ws_wait(&good, 2);
        CHECK_INT(m.opcode, ==, 2);
        uint64_t n = stamp_of(&m).number;
        if (last) missed += (int) (n - last - 1);
        last = n;
        got++;
        message_free(&m);
    }
    // of 180; a busy machine may cost some, a stalled neighbour would cost nearly all
    CHECK_INT(missed, <=, 4 * got);
    struct ph_conn_stats s;
    ph_conn_stats(fixture_conn(&f, 1), &s);
    CHECK_INT(s.dropped[PH_SENT_REPLACED], >, 100 / TEST_SLOW);
    CHECK_INT(s.waiting, ==, 1);
    CHECK_INT(s.queue_age_ns / MS, <, 100 * TEST_SLOW); // what waits is new
    // it reads again: what the kernel still had is old, right behind it come those made since
    int64_t begin = client_now_ns();
    for (int64_t made = 0; made < begin;) {
        struct message m = ws_wait(&stalled, 2);
        CHECK_INT(m.opcode, ==, 2);
        made = stamp_of(&m).made_ns;
        message_free(&m);
    }
    ph_conn_stats(fixture_conn(&f, 1), &s);
    CHECK_INT(s.dropped[PH_SENT_REPLACED], >, s.sent); // and not all that was between
    source_stop(&source);
    client_close(&good);
    client_close(&stalled);
    fixture_stop(&f);
}

TEST(a_viewer_on_a_slow_line_sees_pictures_below_one_second_old)
{
    struct fixture f;
    struct client c;
    struct source source;
    fixture_start(&f, &defaults);
    client_open_from(&c, f.port, NULL, 32768); // a small window, as slow lines have
    CHECK_INT(ws_open(&c, "/ws", NULL), ==, 101);
    fixture_wait(&f, &f.seen.count, 1);
    source_start(&source, &f, 130000);
    // 1 MB/s where 7.8 MB/s are offered
    int64_t begin = client_now_ns(), worst = 0;
    size_t got = 0;
    int pictures = 0;
    while (client_now_ns() < begin + 4 * PH_SECOND_NS) {
        while (c.len < 140000) {
            char part[10000];
            size_t n = c.len;
            client_fill(&c, n + sizeof part);
            got += c.len - n;
            int64_t due = begin + (int64_t) got * 1000;
            if (due > client_now_ns()) ph_sleep_until_ns(due);
        }
        struct message m = ws_next(&c);
        if (m.opcode == 2) {
            int64_t age = client_now_ns() - stamp_of(&m).made_ns;
            if (client_now_ns() > begin + PH_SECOND_NS && age > worst) worst = age;
            pictures++;
        }
        message_free(&m);
    }
    printf("# %d pictures, oldest %d ms\n", pictures, (int) (worst / MS));
    CHECK_INT(pictures, >, 15 / TEST_SLOW);
    CHECK_INT(worst / MS, <, 3000); // all in order would be 3.5 s old
    source_stop(&source);
    client_close(&c);
    fixture_stop(&f);
}

TEST(a_viewer_that_never_reads_is_closed_with_1013)
{
    struct fixture f;
    struct client c, good;
    struct source source;
    fixture_start(&f, &(struct ph_server_params){ .limits = { .stall_ns = 500 * MS } });
    fixture_ws(&f, &good, "/ws");
    client_open_from(&c, f.port, NULL, 4096);
    CHECK_INT(ws_open(&c, "/ws", NULL), ==, 101);
    fixture_wait(&f, &f.seen.count, 2);
    int64_t begin = client_now_ns();
    source_start(&source, &f, 100000);
    while (!fixture_read(&f, &f.seen.closed)) {
        struct message m = ws_wait(&good, 2);
        CHECK_INT(m.opcode, ==, 2);
        message_free(&m);
        CHECK_INT((client_now_ns() - begin) / MS, <, 3000 * TEST_SLOW);
    }
    CHECK_INT((client_now_ns() - begin) / MS, >=, 450);
    CHECK_INT(fixture_read(&f, &f.seen.last_code), ==, PH_WS_TRY_LATER);
    // what it had begun to get is whole, then it is told why
    ws_expect_close(&c, PH_WS_TRY_LATER, "nothing read for 0.5 s");
    client_close(&c);
    client_close(&good);
    fixture_wait(&f, &f.seen.closed, 2);
    // one that does not even then
    client_open_from(&c, f.port, NULL, 4096);
    CHECK_INT(ws_open(&c, "/ws", NULL), ==, 101);
    fixture_wait(&f, &f.seen.closed, 3);
    struct ph_server_stats s = fixture_wait_empty(&f);
    CHECK_INT(s.refused[PH_REFUSED_TIMEOUT], ==, 2);
    source_stop(&source);
    client_close(&c);
    fixture_stop(&f);
}

TEST(d2_36_thirty_two_viewers_get_every_picture_once)
{
    struct fixture f;
    struct client c[32];
    fixture_start(&f, &defaults);
    for (int i = 0; i < 32; i++) {
        char from[20];
        snprintf(from, sizeof from, "127.0.2.%d", 1 + i / 16);
        client_open_from(&c[i], f.port, from, 0);
        CHECK_INT(ws_open(&c[i], "/ws", NULL), ==, 101);
    }
    fixture_wait(&f, &f.seen.count, 32);
    for (uint64_t n = 1; n <= 30; n++) {
        struct ph_frame *frame = stamped_frame(NULL, PH_JPEG, true, n, 27000);
        post_all(&f, frame, NULL);
        ph_frame_unref(&frame);
        for (int i = 0; i < 32; i++) {
            struct message m = ws_wait(&c[i], 2);
            CHECK_INT(stamp_of(&m).number, ==, n);
            CHECK_INT(m.size, ==, 27000);
            message_free(&m);
        }
    }
    struct ph_server_stats s;
    ph_server_stats(f.server, &s);
    CHECK_INT(s.viewers, ==, 32);
    for (int i = 0; i < 32; i++) client_close(&c[i]);
    fixture_stop(&f);
}

TEST(video_after_a_stall_goes_on_with_a_key)
{
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    client_open_from(&c, f.port, NULL, 4096);
    CHECK_INT(ws_open(&c, "/ws?video=1", NULL), ==, 101);
    fixture_wait(&f, &f.seen.count, 1);
    struct ph_conn *conn = fixture_conn(&f, 0);
    CHECK(ph_conn_wants_key(conn));
    uint64_t dropped = 0;
    for (uint64_t n = 1; n <= 600; n++) { // it reads nothing
        struct ph_frame *frame = stamped_frame(NULL, PH_H264, n % 60 == 1, n, 20000);
        dropped += ph_conn_post(conn, ph_post(.frame = frame)) == PH_MORE;
        ph_frame_unref(&frame);
        if (n % 8 == 0) sleep_ms(1);
    }
    CHECK_INT(dropped, >, 100 / TEST_SLOW);
    CHECK(ph_conn_wants_key(conn));
    struct ph_frame *frame = stamped_frame(NULL, PH_H264, true, 601, 20000);
    CHECK_OK(ph_conn_post(conn, ph_post(.frame = frame)));
    CHECK(!ph_conn_wants_key(conn));
    ph_frame_unref(&frame);
    uint64_t last = 0;
    while (last != 601) {
        struct message m = ws_wait(&c, 2);
        uint64_t n = stamp_of(&m).number;
        CHECK(n == last + 1 || n % 60 == 1); // nothing is torn out of between
        last = n;
        message_free(&m);
    }
    client_close(&c);
    fixture_stop(&f);
}

TEST(mjpeg_is_a_stream_of_parts_for_simple_viewers)
{
    static struct response r;
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    client_open(&c, f.port);
    client_sendf(&c, "GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(client_head(&c, &r));
    CHECK_INT(r.status, ==, 200);
    CHECK_STR(response_header(&r, "Content-Type"),
              "multipart/x-mixed-replace; boundary=phosphene-frame");
    fixture_wait(&f, &f.seen.count, 1);
    CHECK(client_fill(&c, 19));
    CHECK(!memcmp(c.in, "--phosphene-frame\r\n", 19));
    client_take(&c, 19);
    for (uint64_t n = 1; n <= 20; n++) {
        struct ph_frame *frame = stamped_frame(NULL, PH_JPEG, true, n, 5000 + n);
        post_all(&f, frame, "{\"type\":\"metrics\"}"); // not for it
        char head[200];
        int len = snprintf(head, sizeof head,
                           "Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n",
                           (int) (5000 + n));
        CHECK(client_fill(&c, (size_t) len + 5000 + n + 21));
        CHECK(!memcmp(c.in, head, (size_t) len));
        CHECK(!memcmp(c.in + len, frame->packet.data, 5000 + n));
        CHECK(!memcmp(c.in + (size_t) len + 5000 + n, "\r\n--phosphene-frame\r\n", 21));
        client_take(&c, (size_t) len + 5000 + n + 21);
        ph_frame_unref(&frame);
    }
    CHECK_INT(ph_ws_send_text(fixture_conn(&f, 0), "x", 1), ==, PH_ENOTSUP);
    ph_conn_close(fixture_conn(&f, 0), 0, NULL);
    client_close(&c);
    fixture_wait(&f, &f.seen.closed, 1);
    fixture_stop(&f);
}

static _Atomic int log_lines;

static void count_line(void *opaque, enum ph_log_level level, const char *who, const char *line)
{
    log_lines++;
}

TEST(d2_10_ten_thousand_pictures_for_one_who_reads_none_cost_no_memory_and_no_log)
{
    struct fixture f;
    struct client c;
    struct ph_pool *pool;
    struct ph_log log = { .level = PH_LOG_DEBUG, .write = count_line };
    fixture_start(&f, &(struct ph_server_params){ .log = &log });
    CHECK_OK(ph_pool_create(&pool));
    client_open_from(&c, f.port, NULL, 4096);
    CHECK_INT(ws_open(&c, "/ws", NULL), ==, 101);
    fixture_wait(&f, &f.seen.count, 1);
    long before = 0;
    for (uint64_t n = 1; n <= 10000; n++) {
        struct ph_frame *frame = stamped_frame(pool, PH_JPEG, true, n, 50000);
        post_all(&f, frame, "{\"type\":\"metrics\"}");
        ph_frame_unref(&frame);
        if (n % 100 == 0) sleep_ms(1);
        if (n == 1000) before = (long) mallinfo2().uordblks;
    }
    struct ph_conn_stats s;
    ph_conn_stats(fixture_conn(&f, 0), &s);
    CHECK_INT(s.posted, ==, 10000);
    CHECK_INT(s.dropped[PH_SENT_REPLACED], >, 9900);
    CHECK_INT(s.waiting, ==, 1);
    CHECK_INT((long) mallinfo2().uordblks - before, <, 200000); // a few frames more or less
    CHECK_INT(log_lines, <, 5);
    client_close(&c);
    fixture_stop(&f);
    ph_pool_destroy(&pool);
}

TEST(posting_to_a_connection_that_is_gone_does_nothing)
{
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    fixture_ws(&f, &c, "/ws");
    fixture_wait(&f, &f.seen.count, 1);
    struct ph_conn *held = ph_conn_ref(fixture_conn(&f, 0));
    client_close(&c);
    fixture_wait(&f, &f.seen.closed, 1);
    struct ph_frame *frame = stamped_frame(NULL, PH_JPEG, true, 1, 100);
    CHECK_INT(ph_conn_post(held, ph_post(.frame = frame)), ==, PH_ESTOPPED);
    CHECK_INT(ph_ws_send_text(held, "x", 1), ==, PH_ESTOPPED);
    fixture_stop(&f);
    CHECK_INT(ph_conn_post(held, ph_post(.frame = frame)), ==, PH_ESTOPPED);
    ph_conn_close(held, 1000, NULL);
    ph_conn_mode(held, PH_SEND_LATEST, 0);
    struct ph_conn_stats s;
    ph_conn_stats(held, &s);
    CHECK(ph_frame_writable(frame));
    ph_frame_unref(&frame);
    ph_conn_unref(&held);
}
