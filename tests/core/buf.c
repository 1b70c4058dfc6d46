// SPDX-License-Identifier: MIT
#include "alloc_count.h"
#include "core/buf.h"
#include "test.h"

TEST(appends_grow_and_stay_terminated)
{
    struct ph_buf b = { 0 };
    char want[3001];
    for (int i = 0; i < 3000; i++) {
        want[i] = (char) ('a' + i % 26);
        ph_buf_put(&b, want + i, 1);
        CHECK_INT(b.data[b.len], ==, 0);
    }
    want[3000] = 0;
    CHECK_STR(b.data, want);
    CHECK_INT(b.len, ==, 3000);
    CHECK(b.cap > b.len && !b.failed);
    ph_buf_free(&b);
    CHECK(!b.data && !b.len && !b.cap);
}

TEST(bytes_may_be_nul)
{
    struct ph_buf b = { 0 };
    ph_buf_put(&b, "a\0b", 3);
    ph_buf_put(&b, "", 0);
    CHECK_INT(b.len, ==, 3);
    CHECK(!memcmp(b.data, "a\0b", 4));
    ph_buf_free(&b);
}

TEST(printf_of_every_length_around_the_capacity)
{
    for (int n = 0; n < 600; n++) {
        struct ph_buf b = { 0 };
        ph_buf_puts(&b, "x");
        ph_buf_printf(&b, "%0*d", n, 0);
        CHECK_INT(b.len, ==, 1 + (n ? n : 1));
        CHECK_INT(strlen(b.data), ==, b.len);
        ph_buf_free(&b);
    }
}

TEST(clear_keeps_the_memory)
{
    struct ph_buf b = { 0 };
    ph_buf_printf(&b, "%01000d", 1);
    char *data = b.data;
    size_t cap = b.cap;
    ph_buf_clear(&b);
    CHECK_STR(b.data, "");
    long before = alloc_count_here();
    ph_buf_printf(&b, "%0900d", 1);
    CHECK_INT(alloc_count_here(), ==, before);
    CHECK(b.data == data && b.cap == cap);
    ph_buf_free(&b);
}

TEST(steal_hands_over_and_empties)
{
    struct ph_buf b = { 0 };
    char *empty = ph_buf_steal(&b);
    CHECK_STR(empty, "");
    free(empty);
    ph_buf_puts(&b, "mine");
    char *text = ph_buf_steal(&b);
    CHECK_STR(text, "mine");
    CHECK(!b.data && !b.len && !b.cap && !b.failed);
    free(text);
}

TEST(the_first_failure_sticks)
{
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, "kept");
    alloc_fail_from(0);
    ph_buf_printf(&b, "%05000d", 1);
    CHECK(alloc_failed() > 0 && b.failed);
    alloc_fail_from(-1);
    ph_buf_puts(&b, "too late");
    CHECK_STR(b.data, "kept");
    CHECK(!ph_buf_steal(&b)); // a text with a hole in it is not handed out
    ph_buf_puts(&b, "anew");
    CHECK_STR(b.data, "anew");
    ph_buf_free(&b);
}

static char *json_of(const char *text)
{
    struct ph_buf b = { 0 };
    ph_json_str(&b, text);
    return ph_buf_steal(&b);
}

TEST(json_strings_are_escaped)
{
    char *s = json_of("a\"b\\c\nd\te\x01/\x7f");
    CHECK_HAS(s, "a\\\"b\\\\c\\n");
    CHECK_HAS(s, "\\u0001");
    for (char *p = s; *p; p++) CHECK((unsigned char) *p >= 0x20);
    free(s);
}

TEST(invalid_utf8_becomes_the_replacement_character)
{
    static const char *const bad[] = { "\xff",
                                       "\x80",
                                       "\xc3",
                                       "\xc0\xaf",
                                       "\xe0\x80\xaf",
                                       "\xed\xa0\x80",
                                       "\xf4\x90\x80\x80",
                                       "a\xf0\x9f\x98",
                                       "\xe2\x82z" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *s = json_of(bad[i]);
        CHECK_HAS(s, "\\ufffd");
        for (char *p = s; *p; p++) CHECK((unsigned char) *p < 0x80);
        free(s);
    }
    char *z = json_of("\xe2\x82z");
    CHECK(z[strlen(z) - 2] == 'z'); // what follows the damage is kept
    free(z);
}

TEST(json_numbers_are_json)
{
    struct ph_buf b = { 0 };
    ph_json_num(&b, 0.5);
    ph_json_sep(&b);
    ph_json_num(&b, NAN);
    ph_json_sep(&b);
    ph_json_num(&b, -INFINITY);
    ph_json_sep(&b);
    ph_json_num(&b, 1e300);
    CHECK_STR(b.data, "0.5,null,null,1e+300");
    ph_buf_free(&b);
}

TEST(separators_need_no_flag)
{
    struct ph_buf b = { 0 };
    ph_json_sep(&b);
    ph_buf_puts(&b, "{");
    ph_json_key(&b, "a");
    ph_buf_puts(&b, "[");
    for (int i = 0; i < 3; i++) {
        ph_json_sep(&b);
        ph_json_num(&b, i);
    }
    ph_buf_puts(&b, "]");
    ph_json_key(&b, "b");
    ph_json_str(&b, "[");
    ph_json_key(&b, "c");
    ph_buf_puts(&b, "{}}");
    CHECK_STR(b.data, "{\"a\":[0,1,2],\"b\":\"[\",\"c\":{}}");
    ph_buf_free(&b);
}
