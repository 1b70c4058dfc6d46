// SPDX-License-Identifier: MIT
#include "alloc_count.h"
#include "core/buf.h"
#include "core/json.h"
#include "test.h"

// Parses a copy without a byte to spare, so that the sanitizers see any read beyond it.
static ph_err parse_n(struct ph_json_doc **doc, const char *text, size_t len,
                      struct ph_fault *fault)
{
    char *exact = malloc(len ? len : 1);
    memcpy(exact, text, len);
    ph_err ret = ph_json_parse(doc, exact, len, 0, fault);
    free(exact);
    return ret;
}

static ph_err verdict_n(const char *text, size_t len)
{
    struct ph_json_doc *doc;
    ph_err ret = parse_n(&doc, text, len, NULL);
    if ((ret == PH_OK) != (doc != NULL)) TEST_FAIL("result %d and document disagree", ret);
    ph_json_free(&doc);
    return ret;
}

static ph_err verdict(const char *text)
{
    return verdict_n(text, strlen(text));
}

static struct ph_json_doc *parsed(const char *text)
{
    struct ph_json_doc *doc;
    struct ph_fault fault = { 0 };
    if (parse_n(&doc, text, strlen(text), &fault) != PH_OK)
        TEST_FAIL("%s: %s", text, fault.message);
    return doc;
}

TEST(accepts_what_rfc_8259_allows)
{
    static const char *const good[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-1",
        "1.5",
        "1e5",
        "1E+5",
        "1e-5",
        "0.0e0",
        "\"\"",
        "\"a\"",
        "[]",
        "{}",
        "[1,2]",
        "{\"a\":1}",
        "{\"\":0}",
        " \t\r\n[ 1 , 2 ] \n",
        "{ \"a\" : [ { } , null ] }",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\u00e9\\uD83D\\uDE00\"",
        "\"\xc3\xa9\xf0\x9f\x98\x80\"",
        "\"\x7f\"",
        "123456789",
        "[[],[[]],{}]",
        "1e-400",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (verdict(good[i]) != PH_OK) TEST_FAIL("refused: %s", good[i]);
}

TEST(refuses_what_rfc_8259_forbids)
{
    static const char *const bad[] = {
        "",           " ",           "nul",      "nulll",   "True",      "NaN",
        "Infinity",   "-",           "+1",       "01",      "-01",       "1.",
        ".5",         "1e",          "1e+",      "0x10",    "1 2",       "1,",
        "[",          "]",           "[1",       "[1,",     "[1,]",      "[,1]",
        "[1 2]",      "{",           "{\"a\"",   "{\"a\":", "{\"a\":1",  "{\"a\":1,",
        "{\"a\":1,}", "{a:1}",       "{'a':1}",  "{1:1}",   "{\"a\" 1}", "{\"a\":1 \"b\":2}",
        "{,}",        "\"",          "\"a",      "'a'",     "\"\\x41\"", "\"\\\"",
        "\"\\u12\"",  "\"\\u123g\"", "\"\\\n\"", "\"\n\"",  "\"\t\"",    "\"\x01\"",
        "\"\x1f\"",   "// x\n1",     "/* */1",   "[1]]",    "{}{}",      "\xef\xbb\xbf{}",
        "1e400",      "-1e400",      "\v1",      "\f1",     "[1}",       "{\"a\":1]",
        "\"a\" b",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (verdict(bad[i]) != PH_EFORMAT) TEST_FAIL("not refused: %s", bad[i]);
}

TEST(refuses_nul_bytes_anywhere)
{
    CHECK_INT(verdict_n("\0", 1), ==, PH_EFORMAT);
    CHECK_INT(verdict_n("1\0", 2), ==, PH_EFORMAT);
    CHECK_INT(verdict_n("[1,\0]", 5), ==, PH_EFORMAT);
    CHECK_INT(verdict_n("\"a\0b\"", 5), ==, PH_EFORMAT);
    CHECK_INT(verdict("\"a\\u0000b\""), ==, PH_EFORMAT);
    CHECK_INT(verdict("{\"a\\u0000\":1}"), ==, PH_EFORMAT);
}

TEST(gives_values_children_and_members)
{
    struct ph_json_doc *doc = parsed("{\"a\":[1,\"two\",true,null,{\"b\":2.5}],\"c\":{}}");
    const struct ph_json *root = ph_json_root(doc), *a = ph_json_get(root, "a");
    CHECK_INT(root->type, ==, PH_JSON_OBJECT);
    CHECK_INT(root->count, ==, 2);
    CHECK_INT(a->count, ==, 5);
    CHECK_STR(a->key, "a");
    CHECK_INT(ph_json_int(ph_json_at(a, 0), -1), ==, 1);
    CHECK_STR(ph_json_string(ph_json_at(a, 1), "?"), "two");
    CHECK(ph_json_bool(ph_json_at(a, 2), false));
    CHECK_INT(ph_json_at(a, 3)->type, ==, PH_JSON_NULL);
    CHECK_NUM(ph_json_double(ph_json_get(ph_json_at(a, 4), "b"), 0), ==, 2.5);
    CHECK(!ph_json_at(a, 5) && !ph_json_at(a, -1));
    CHECK_INT(ph_json_get(root, "c")->count, ==, 0);
    CHECK(!ph_json_get(root, "c")->child);
    ph_json_free(&doc);
    CHECK(!doc);
    ph_json_free(&doc); // NULL is fine
}

TEST(look_ups_chain_and_fall_back_on_the_wrong_type)
{
    struct ph_json_doc *doc = parsed("{\"n\":7,\"s\":\"x\",\"f\":7.0,\"b\":true}");
    const struct ph_json *root = ph_json_root(doc);
    CHECK(!ph_json_get(ph_json_get(ph_json_at(root, 0), "x"), "y"));
    CHECK(!ph_json_get(ph_json_get(root, "n"), "x"));
    CHECK_STR(ph_json_string(ph_json_get(root, "n"), "no"), "no");
    CHECK_INT(ph_json_int(ph_json_get(root, "s"), -3), ==, -3);
    CHECK_INT(ph_json_int(ph_json_get(root, "f"), -3), ==, -3); // 7.0 was not written whole
    CHECK_NUM(ph_json_double(ph_json_get(root, "b"), -1), ==, -1);
    CHECK(ph_json_bool(ph_json_get(root, "n"), true));
    CHECK(!ph_json_bool(ph_json_get(root, "n"), false));
    ph_json_free(&doc);
}

TEST(integers_are_exact_to_64_bits_and_no_further)
{
    struct ph_json_doc *doc = parsed("[9007199254740993,9223372036854775807,"
                                     "-9223372036854775808,9223372036854775808,1e2,-0]");
    const struct ph_json *v = ph_json_root(doc);
    CHECK_INT(ph_json_int(ph_json_at(v, 0), 0), ==, 9007199254740993);
    CHECK_INT(ph_json_int(ph_json_at(v, 1), 0), ==, INT64_MAX);
    CHECK_INT(ph_json_int(ph_json_at(v, 2), 0), ==, INT64_MIN);
    CHECK(!ph_json_at(v, 3)->is_integer);
    CHECK_NUM(ph_json_at(v, 3)->number, ==, 9223372036854775808.0);
    CHECK_STR(ph_json_at(v, 3)->text, "9223372036854775808");
    CHECK(!ph_json_at(v, 4)->is_integer);
    CHECK_NUM(ph_json_at(v, 4)->number, ==, 100);
    CHECK_INT(ph_json_int(ph_json_at(v, 5), 1), ==, 0);
    ph_json_free(&doc);
}

TEST(doubles_are_read_to_the_last_bit)
{
    unsigned seed = 1;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = (uint64_t) rand_r(&seed) << 42 ^ (uint64_t) rand_r(&seed) << 21 ^
                        (uint64_t) rand_r(&seed);
        double want;
        memcpy(&want, &bits, sizeof want);
        if (!isfinite(want)) continue;
        char text[64];
        snprintf(text, sizeof text, "%.17g", want);
        struct ph_json_doc *doc = parsed(text);
        double got = ph_json_root(doc)->number;
        if (memcmp(&got, &want, sizeof want)) TEST_FAIL("%s became %.17g", text, got);
        ph_json_free(&doc);
    }
}

TEST(escapes_become_utf8)
{
    struct ph_json_doc *doc =
        parsed("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\uFFFF\"");
    const struct ph_json *v = ph_json_root(doc);
    CHECK_STR(v->text, "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbf");
    CHECK_INT(v->len, ==, strlen(v->text));
    ph_json_free(&doc);
}

TEST(lone_surrogates_are_refused)
{
    static const char *const bad[] = { "\"\\ud800\"",        "\"\\udc00\"",
                                       "\"\\ud800x\"",       "\"\\ud800\\n\"",
                                       "\"\\ud800\\u0041\"", "\"\\ud800\\ud800\"",
                                       "\"\\udc00\\ud800\"", "\"\\ud800\\u\"" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (verdict(bad[i]) != PH_EFORMAT) TEST_FAIL("not refused: %s", bad[i]);
}

// RFC 3629 by decoding: the shortest form of a scalar value, and nothing else.
static bool is_utf8(const unsigned char *s, int n)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    for (int i = 0; i < n;) {
        int len = s[i] < 0x80       ? 1
                  : s[i] >> 5 == 6  ? 2
                  : s[i] >> 4 == 14 ? 3
                  : s[i] >> 3 == 30 ? 4
                                    : 0;
        if (!len || i + len > n) return false;
        uint32_t c = len == 1 ? s[i] : s[i] & (0x7fu >> len);
        for (int k = 1; k < len; k++) {
            if (s[i + k] >> 6 != 2) return false;
            c = c << 6 | (s[i + k] & 63);
        }
        if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) return false;
        i += len;
    }
    return true;
}

static void check_utf8(const unsigned char *bytes, int n)
{
    char text[8] = "\"";
    memcpy(text + 1, bytes, (size_t) n);
    text[n + 1] = '"';
    bool accepted = verdict_n(text, (size_t) n + 2) == PH_OK;
    if (accepted != is_utf8(bytes, n))
        TEST_FAIL("%s: %02x %02x %02x %02x", accepted ? "accepted" : "refused", bytes[0],
                  bytes[1], bytes[2], bytes[3]);
}

TEST(bad_utf8_is_refused_and_good_is_not)
{
    static const unsigned char edge[] = { 'a',  0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0,
                                          0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef,
                                          0xf0, 0xf4, 0xf5, 0xf8, 0xfe, 0xff };
    const int edges = sizeof edge;
    for (int a = 0x80; a < 256; a++) {
        check_utf8((unsigned char[4]){ (unsigned char) a }, 1);
        for (int b = 0x20; b < 256; b++) {
            if (b == '"' || b == '\\') continue;
            check_utf8((unsigned char[4]){ (unsigned char) a, (unsigned char) b }, 2);
        }
        for (int b = 0; b < edges; b++) {
            for (int c = 0; c < edges; c++) {
                unsigned char s[4] = { (unsigned char) a, edge[b], edge[c] };
                check_utf8(s, 3);
                for (int d = 0; d < edges && a >= 0xe0; d++) {
                    s[3] = edge[d];
                    check_utf8(s, 4);
                }
            }
        }
    }
}

TEST(duplicate_members_are_refused_however_they_are_written)
{
    CHECK_INT(verdict("{\"a\":1,\"a\":1}"), ==, PH_EFORMAT);
    CHECK_INT(verdict("{\"a\":1,\"b\":2,\"\\u0061\":3}"), ==, PH_EFORMAT);
    CHECK_INT(verdict("[{\"x\":{\"k\":1,\"l\":2,\"k\":3}}]"), ==, PH_EFORMAT);
    CHECK_INT(verdict("{\"a\":{\"a\":1},\"b\":{\"a\":1}}"), ==, PH_OK);
    CHECK_INT(verdict("{\"a\":1,\"A\":1,\"\":1,\" \":1}"), ==, PH_OK);
}

static char *nested(int depth, char open, char close)
{
    struct ph_buf b = { 0 };
    for (int i = 0; i < depth; i++) {
        ph_buf_put(&b, &open, 1);
        if (open == '{') ph_buf_puts(&b, "\"k\":");
    }
    ph_buf_puts(&b, "1");
    for (int i = 0; i < depth; i++) ph_buf_put(&b, &close, 1);
    return ph_buf_steal(&b);
}

TEST(depth_of_64_is_fine_and_65_is_not)
{
    static const struct {
        int depth;
        ph_err want;
    } cases[] = { { 64, PH_OK }, { 65, PH_EFORMAT }, { 200000, PH_EFORMAT } };
    for (size_t i = 0; i < 3; i++) {
        char *a = nested(cases[i].depth, '[', ']'), *o = nested(cases[i].depth, '{', '}');
        CHECK_INT(verdict(a), ==, cases[i].want);
        CHECK_INT(verdict(o), ==, cases[i].want);
        free(a);
        free(o);
    }
}

TEST(depth_is_given_back_when_a_container_closes)
{
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, "[0");
    for (int i = 0; i < 1000; i++) ph_buf_puts(&b, ",[{}]");
    ph_buf_puts(&b, "]");
    CHECK_INT(verdict(b.data), ==, PH_OK);
    ph_buf_free(&b);
}

TEST(a_text_over_the_limit_is_refused_before_it_is_read)
{
    struct ph_json_doc *doc = (struct ph_json_doc *) &doc;
    struct ph_fault fault;
    CHECK_INT(ph_json_parse(&doc, "[1,2,3]", 7, 6, &fault), ==, PH_ELIMIT);
    CHECK(!doc);
    CHECK_HAS(fault.message, "6");
    CHECK_HAS(fault.message, "7");
    CHECK_OK(ph_json_parse(&doc, "[1,2,3]", 7, 7, &fault));
    ph_json_free(&doc);
    size_t over = (16u << 20) + 1;
    char *spaces = malloc(over);
    memset(spaces, ' ', over);
    spaces[0] = '1';
    CHECK_INT(verdict_n(spaces, over), ==, PH_ELIMIT);
    CHECK_INT(verdict_n(spaces, over - 1), ==, PH_OK);
    free(spaces);
}

TEST(every_truncation_is_refused)
{
    static const char text[] = "{\"a\":[1.5e3,\"x\\u00e9\xc3\xa9\\n\",true,false,null],"
                               "\"b\":{\"c\":\"\",\"d\":[-0,[[]]]}}";
    for (size_t n = 0; n < sizeof text - 1; n++)
        if (verdict_n(text, n) != PH_EFORMAT) TEST_FAIL("accepted the first %zu bytes", n);
    CHECK_INT(verdict(text), ==, PH_OK);
}

TEST(a_fault_names_line_and_column)
{
    struct ph_json_doc *doc;
    struct ph_fault fault = { 0 };
    CHECK_INT(parse_n(&doc, "{\n  \"a\": 1,\n  \"b\": oops\n}", 26, &fault), ==, PH_EFORMAT);
    CHECK_INT(fault.code, ==, PH_EFORMAT);
    CHECK_INT(fault.line, ==, 3);
    CHECK_INT(fault.column, ==, 8);
    CHECK_HAS(fault.message, "line 3, column 8");
}

TEST(random_damage_never_crashes)
{
    static const char text[] = "{\"type\":\"set\",\"id\":7,\"values\":{\"prompt\":\"f\\u00e9\","
                               "\"x\":[1,2.5e-3,-4,true,null]}}";
    unsigned seed = 7;
    int accepted = 0;
    for (int i = 0; i < 40000; i++) {
        char copy[sizeof text];
        memcpy(copy, text, sizeof text);
        for (int k = rand_r(&seed) % 4; k >= 0; k--)
            copy[rand_r(&seed) % (sizeof text - 1)] = (char) rand_r(&seed);
        accepted += verdict_n(copy, sizeof text - 1) == PH_OK;
    }
    CHECK_INT(accepted, >, 0); // the damage is not so heavy that only the first check runs
}

TEST(strings_written_are_read_back)
{
    static const char *const texts[] = { "",
                                         "plain",
                                         "\"quoted\" \\ /",
                                         "\b\f\n\r\t\x01\x1f\x7f",
                                         "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
                                         "</script>" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct ph_buf b = { 0 };
        ph_json_str(&b, texts[i]);
        struct ph_json_doc *doc = parsed(b.data);
        CHECK_STR(ph_json_root(doc)->text, texts[i]);
        ph_json_free(&doc);
        ph_buf_free(&b);
    }
}

TEST(a_failing_allocation_is_an_error_and_no_leak)
{
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, "[");
    for (int i = 0; i < 300; i++) ph_buf_printf(&b, "{\"k\":%d,\"text\":\"%060d\"},", i, i);
    ph_buf_puts(&b, "0]");
    for (long n = 0;; n++) {
        struct ph_json_doc *doc;
        alloc_fail_from(n);
        ph_err ret = ph_json_parse(&doc, b.data, b.len, 0, NULL);
        long failed = alloc_failed();
        alloc_fail_from(-1);
        ph_json_free(&doc);
        if (!failed) {
            CHECK_OK(ret);
            CHECK_INT(n, >, 3);
            break;
        }
        CHECK_INT(ret, ==, PH_ENOMEM);
    }
    ph_buf_free(&b);
}
