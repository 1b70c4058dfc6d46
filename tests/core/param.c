// SPDX-License-Identifier: MIT
#include <phosphene/param.h>

#include "core/nearest.h"
#include "test.h"

struct demo {
    float amount, gain;
    int64_t seed, count;
    bool on;
    const char *title;
    int mode;
    struct ph_size size;
    uint32_t color;
};

static const struct ph_param table[] = {
    PH_FLOAT(struct demo, amount, 0, 1, .def = "0.5", .help = "1 is all", .unit = "px"),
    PH_FLOAT(struct demo, gain, 0, 0),
    PH_INT(struct demo, seed, 0, 0),
    PH_INT(struct demo, count, -3, 100),
    PH_BOOL(struct demo, on),
    PH_STRING(struct demo, title, .max = 8),
    PH_ENUM(struct demo, mode, PH_NAMES("alpha", "side", "stacked", "grid")),
    PH_SIZE(struct demo, size, 16, 4096),
    PH_COLOR(struct demo, color),
    { 0 },
};

static const struct ph_param *named(const char *name)
{
    const struct ph_param *p = ph_param_find(table, name, NULL);
    if (!p) TEST_FAIL("no parameter %s", name);
    return p;
}

static union ph_value value_of(const char *name, const char *text)
{
    union ph_value v;
    struct ph_fault fault = { 0 };
    memset(&v, 0, sizeof v);
    if (ph_param_parse(named(name), text, &v, &fault) != PH_OK)
        TEST_FAIL("%s=%s: %s", name, text, fault.message);
    return v;
}

// Expects a refusal that names the parameter, shows what came and holds `hint`.
static void check_refused(const char *name, const char *text, const char *hint)
{
    union ph_value v;
    struct ph_fault fault = { 0 };
    ph_err ret = ph_param_parse(named(name), text, &v, &fault);
    if (ret != PH_EINVAL) TEST_FAIL("%s=%s gives %d", name, text, ret);
    CHECK_INT(fault.code, ==, PH_EINVAL);
    CHECK_STR(fault.field, name);
    CHECK_HAS(fault.message, name);
    CHECK_HAS(fault.message, hint);
    CHECK_INT(ph_param_parse(named(name), text, &v, NULL), ==, PH_EINVAL);
}

TEST(floats_are_read_and_their_range_kept)
{
    CHECK_NUM(value_of("amount", "0").f, ==, 0);
    CHECK_NUM(value_of("amount", "1").f, ==, 1);
    CHECK_NUM(value_of("amount", ".25").f, ==, 0.25);
    CHECK_NUM(value_of("amount", "2.5e-1").f, ==, 0.25);
    CHECK_NUM(value_of("gain", "-1e30").f, ==, -1e30f);
    check_refused("amount", "1.0001", "0 … 1 px, got 1.0001");
    check_refused("amount", "-0.1", "0 … 1");
    check_refused("amount", "", "number");
    check_refused("amount", "half", "got \"half\"");
    check_refused("amount", "0.5x", "number");
    check_refused("amount", "nan", "number");
    check_refused("gain", "inf", "number");
    check_refused("gain", "-inf", "number");
    check_refused("gain", " 1", "number");
    check_refused("gain", "1 ", "number");
    check_refused("gain", "0x10", "number");
    check_refused("gain", "infinity", "number");
    check_refused("gain", "1e400", "number");
    CHECK_NUM(value_of("gain", "+5").f, ==, 5);
}

TEST(a_float_without_range_stays_finite)
{
    union ph_value v;
    if (ph_param_parse(named("gain"), "1e39", &v, NULL) == PH_OK) CHECK(isfinite(v.f));
}

TEST(whole_numbers_are_exact_to_64_bits)
{
    CHECK_INT(value_of("seed", "9223372036854775807").i, ==, INT64_MAX);
    CHECK_INT(value_of("seed", "-9223372036854775808").i, ==, INT64_MIN);
    CHECK_INT(value_of("seed", "9007199254740993").i, ==, 9007199254740993);
    CHECK_INT(value_of("count", "-3").i, ==, -3);
    check_refused("seed", "9223372036854775808", "whole number");
    check_refused("seed", "1.5", "whole number");
    check_refused("seed", "1e3", "whole number");
    check_refused("seed", " 5", "whole number");
    check_refused("seed", "\n5", "whole number");
    check_refused("seed", "0x10", "whole number");
    CHECK_INT(value_of("seed", "+5").i, ==, 5);
    check_refused("seed", "", "whole number");
    check_refused("count", "101", "-3 … 100, got 101");
    check_refused("count", "-4", "-3 … 100");
}

TEST(booleans_have_eight_spellings)
{
    static const char *const yes[] = { "on", "true", "yes", "1", "ON", "True" };
    static const char *const no[] = { "off", "false", "no", "0", "Off", "FALSE" };
    for (int i = 0; i < 6; i++) {
        CHECK(value_of("on", yes[i]).b);
        CHECK(!value_of("on", no[i]).b);
    }
    check_refused("on", "2", "on or off");
    check_refused("on", "", "on or off");
    check_refused("on", "onn", "got \"onn\"");
}

TEST(strings_are_borrowed_and_limited)
{
    const char *text = "12345678";
    CHECK(value_of("title", text).s == text);
    CHECK_STR(value_of("title", "").s, "");
    check_refused("title", "123456789", "at most 8 bytes, got 9");
}

TEST(enums_suggest_the_nearest_name)
{
    CHECK_INT(value_of("mode", "alpha").e, ==, 0);
    CHECK_INT(value_of("mode", "grid").e, ==, 3);
    check_refused("mode", "stackd", "did you mean \"stacked\"?");
    check_refused("mode", "gird", "did you mean \"grid\"?");
    check_refused("mode", "Alpha", "alpha, side, stacked, grid");
    union ph_value v;
    struct ph_fault fault;
    CHECK_INT(ph_param_parse(named("mode"), "qqqqqqqqqq", &v, &fault), ==, PH_EINVAL);
    CHECK(!strstr(fault.message, "did you mean")); // nothing is like it
}

TEST(sizes_need_two_sides_in_range)
{
    struct ph_size s = value_of("size", "640x480").size;
    CHECK(s.width == 640 && s.height == 480);
    s = value_of("size", "16X4096").size;
    CHECK(s.width == 16 && s.height == 4096);
    check_refused("size", "640", "such as 640x480");
    check_refused("size", "640x", "such as");
    check_refused("size", "x480", "such as");
    check_refused("size", "640x480x2", "such as");
    check_refused("size", "640*480", "got \"640*480\"");
    check_refused("size", " 640x480", "such as");
    check_refused("size", "640x 480", "such as");
    check_refused("size", "15x480", "16 … 4096");
    check_refused("size", "640x4097", "16 … 4096");
    check_refused("size", "-640x480", "16 … 4096");
    check_refused("size", "99999999999999999999x480", "16 … 4096");
    check_refused("size", "4294967936x480", "16 … 4096"); // 640 + 2^32
}

TEST(colours_are_hex_or_a_basic_name)
{
    CHECK_INT(value_of("color", "#f80").color, ==, 0xff8800ff);
    CHECK_INT(value_of("color", "#102030").color, ==, 0x102030ff);
    CHECK_INT(value_of("color", "#10203040").color, ==, 0x10203040);
    CHECK_INT(value_of("color", "ABCDEF").color, ==, 0xabcdefff);
    CHECK_INT(value_of("color", "White").color, ==, 0xffffffff);
    CHECK_INT(value_of("color", "transparent").color, ==, 0);
    CHECK_INT(value_of("color", "teal").color, ==, 0x008080ff);
    check_refused("color", "#ff88", "such as #ff8800");
    check_refused("color", "#gg0000", "such as");
    check_refused("color", "", "such as");
    check_refused("color", "0x1234", "such as");
    check_refused("color", "whitish", "got \"whitish\"");
}

static void check_round_trip(const char *name, union ph_value v)
{
    const struct ph_param *p = named(name);
    char text[64], small[4] = "";
    int n = ph_param_print(p, v, text, sizeof text);
    CHECK_INT(n, ==, strlen(text));
    CHECK_INT(ph_param_print(p, v, small, sizeof small), ==, n); // like snprintf
    CHECK_INT(strlen(small), ==, n < 3 ? n : 3);
    union ph_value back = value_of(name, text);
    char again[64];
    ph_param_print(p, back, again, sizeof again);
    CHECK_STR(again, text);
    if (p->type == PH_TYPE_FLOAT) CHECK_NUM(back.f, ==, v.f);
    if (p->type == PH_TYPE_INT) CHECK_INT(back.i, ==, v.i);
    if (p->type == PH_TYPE_COLOR) CHECK_INT(back.color, ==, v.color);
}

TEST(what_is_printed_reads_back_to_the_same_value)
{
    unsigned seed = 5;
    for (int i = 0; i < 20000; i++) {
        union ph_value v;
        uint32_t bits = (uint32_t) rand_r(&seed) << 16 ^ (uint32_t) rand_r(&seed);
        memcpy(&v.f, &bits, sizeof v.f);
        if (isfinite(v.f)) check_round_trip("gain", v);
        v.color = bits;
        check_round_trip("color", v);
        v.i = (int64_t) ((uint64_t) bits << 32 | (uint32_t) rand_r(&seed));
        check_round_trip("seed", v);
    }
    for (int e = 0; e < 4; e++) check_round_trip("mode", (union ph_value){ .e = e });
    for (int b = 0; b < 2; b++) check_round_trip("on", (union ph_value){ .b = b });
    check_round_trip("size", (union ph_value){ .size = { 1920, 1080 } });
    check_round_trip("title", (union ph_value){ .s = "a b" });
    check_round_trip("title", (union ph_value){ .s = "" });
}

TEST(a_float_prints_as_it_was_typed)
{
    static const char *const typed[] = { "0.1", "0.7", "1", "-2.5", "1e-05", "16777216" };
    char text[32];
    for (size_t i = 0; i < sizeof typed / sizeof *typed; i++) {
        ph_param_print(named("gain"), value_of("gain", typed[i]), text, sizeof text);
        if (strtod(text, NULL) != strtod(typed[i], NULL))
            TEST_FAIL("%s became %s", typed[i], text);
    }
}

TEST(find_gives_the_nearest_when_there_is_none)
{
    const char *near = "x";
    CHECK(ph_param_find(table, "size", &near) == &table[7]);
    CHECK(!ph_param_find(table, "colour", &near));
    CHECK_STR(near, "color");
    CHECK(!ph_param_find(table, "amuont", &near));
    CHECK_STR(near, "amount");
    CHECK(!ph_param_find(table, "somethingelse", &near));
    CHECK(!near);
    CHECK(!ph_param_find(table, "sizes", NULL));
    CHECK(!ph_param_find(NULL, "size", &near));
}

TEST(a_long_hostile_text_makes_a_short_message)
{
    char text[5000];
    memset(text, 'A', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (const struct ph_param *p = table; p->name; p++) {
        union ph_value v;
        struct ph_fault fault = { 0 };
        CHECK_INT(ph_param_parse(p, text, &v, &fault), ==, PH_EINVAL);
        CHECK_INT(strnlen(fault.message, sizeof fault.message), <, sizeof fault.message);
        CHECK_HAS(fault.message, p->name);
    }
}

TEST(edit_distance_counts_swaps_as_one)
{
    static const struct {
        const char *a, *b;
        int want;
    } cases[] = { { "", "", 0 },
                  { "a", "", 1 },
                  { "", "abc", 3 },
                  { "blur", "blur", 0 },
                  { "blur", "blru", 1 },
                  { "blur", "bluer", 1 },
                  { "kitten", "sitting", 3 },
                  { "overlay", "ovrelay", 1 },
                  { "ab", "ba", 1 },
                  { "ca", "abc", 3 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_INT(ph_edit_distance(cases[i].a, cases[i].b), ==, cases[i].want);
        CHECK_INT(ph_edit_distance(cases[i].b, cases[i].a), ==, cases[i].want);
    }
    char longer[100];
    memset(longer, 'x', 99);
    longer[99] = 0;
    CHECK_INT(ph_edit_distance(longer, "x"), >=, PH_NEAREST_LIMIT);
    longer[63] = 0;
    CHECK_INT(ph_edit_distance(longer, longer), ==, 0);
}
