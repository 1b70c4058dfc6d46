// SPDX-License-Identifier: MIT
// OSC packets against bytes written by hand (OSC 1.0, "Examples"), and what strangers send.
#include "audio/live/osc.h"

#include "test.h"

static struct ph_osc_message last;
static char trail[256]; // addresses in order

static void got(void *opaque, const struct ph_osc_message *m)
{
    (void) opaque;
    last = *m;
    strncat(trail, m->address, sizeof trail - strlen(trail) - 1);
}

static ph_err read_packet(const void *bytes, size_t size)
{
    memset(&last, 0, sizeof last);
    trail[0] = 0;
    return ph_osc_read(bytes, size, got, NULL);
}

// The specification's own two examples.
static const char example_1[] = "/oscillator/4/frequency\0,f\0\0\x43\xdc\0\0";
static const char example_2[] = "/foo\0\0\0\0,iisff\0\0\0\0\x03\xe8\xff\xff\xff\xffhello\0\0\0"
                                "\x3f\x9d\xf3\xb6\x40\xb5\xb2\x2d";

TEST(the_examples_of_the_specification_are_read)
{
    CHECK_OK(read_packet(example_1, sizeof example_1 - 1));
    CHECK_STR(last.address, "/oscillator/4/frequency");
    CHECK(last.count == 1 && last.arg[0].type == 'f' && last.arg[0].number == 440);
    CHECK_OK(read_packet(example_2, sizeof example_2 - 1));
    CHECK_INT(last.count, ==, 5);
    CHECK_NUM(last.arg[0].number, ==, 1000);
    CHECK_NUM(last.arg[1].number, ==, -1);
    CHECK_STR(last.arg[2].text, "hello");
    CHECK_NUM(fabs(last.arg[3].number - 1.234), <=, 1e-6);
    CHECK_NUM(fabs(last.arg[4].number - 5.678), <=, 1e-6);
}

TEST(what_is_written_is_the_specifications_bytes)
{
    static struct ph_osc_writer w;
    float hz = 440;
    ph_osc_put_floats(&w, "/oscillator/4/frequency", &hz, 1);
    CHECK_INT(w.size, ==, sizeof example_1 - 1);
    CHECK(memcmp(w.bytes, example_1, w.size) == 0);
    CHECK(!w.full);
    ph_osc_put_floats(&w, "/another", &hz, 1); // a packet is one message, or a bundle
    CHECK(w.full && w.size == sizeof example_1 - 1);
}

TEST(bundles_are_read_in_order_and_filled_to_the_brim)
{
    static struct ph_osc_writer w;
    float v[3] = { 1, 2, 3 };
    ph_osc_begin_bundle(&w);
    ph_osc_put_floats(&w, "/a", v, 3);
    ph_osc_put_text(&w, "/b", "text");
    CHECK_OK(read_packet(w.bytes, w.size));
    CHECK_STR(trail, "/a/b");
    CHECK_STR(last.arg[0].text, "text");
    for (int i = 0; i < 10000 && !w.full; i++) ph_osc_put_floats(&w, "/c", v, 3);
    CHECK(w.full && w.size <= PH_OSC_MAX);
    CHECK_OK(read_packet(w.bytes, w.size));
}

TEST(packets_that_make_no_sense_are_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = { { "", 0 },
                  { "/a\0", 3 },
                  { "/abc", 4 },
                  { "abc\0,\0\0\0", 8 },
                  { "/a\0\0ff\0\0", 8 },
                  { "/a\0\0,f\0\0", 8 },
                  { "/a\0\0,b\0\0\xff\xff\xff\xff", 12 },
                  { "/a\0\0,s\0\0abcd", 12 },
                  { "#bundle\0", 8 },
                  { "#bundle\0\0\0\0\0\0\0\0\1\x7f\xff\xff\xff", 20 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_INT(read_packet(cases[i].bytes, cases[i].size), ==, PH_EFORMAT);
    CHECK_OK(read_packet("/old\0\0\0\0", 8)); // without types, as old senders do
    CHECK_INT(last.count, ==, 0);
}

TEST(patterns_mean_addresses)
{
    CHECK(ph_osc_match("/a/b", "/a/b"));
    CHECK(!ph_osc_match("/a/b", "/a/bc"));
    CHECK(ph_osc_match("/a/?", "/a/b"));
    CHECK(!ph_osc_match("/a?b", "/a/b"));
    CHECK(ph_osc_match("/*/b", "/abc/b"));
    CHECK(!ph_osc_match("/*", "/a/b"));
    CHECK(ph_osc_match("/a*z", "/abcz"));
    CHECK(ph_osc_match("/fader[1-4]", "/fader3"));
    CHECK(!ph_osc_match("/fader[!1-4]", "/fader3"));
    CHECK(ph_osc_match("/{kick,snare}/level", "/snare/level"));
    CHECK(!ph_osc_match("/{kick,snare}/level", "/hat/level"));
    CHECK(!ph_osc_match("/[a", "/a"));
    CHECK(!ph_osc_match("/{a", "/a"));
    char pattern[200] = "/", address[200] = "/"; // would take years without a bound
    for (int i = 0; i < 40; i++) strcat(pattern, "*a");
    strcat(pattern, "b");
    for (int i = 0; i < 150; i++) strcat(address, "a");
    CHECK(!ph_osc_match(pattern, address));
}

// Few tries, however a stranger nests what stands for anything: this returns.
TEST(hostile_patterns_give_up)
{
    char pattern[8192] = "/{,,,,,,,,,,,,,,,,,,,,}{,,,,,,,,,,,,,,,,,,,,}{", *at;
    for (at = pattern + strlen(pattern); at < pattern + 200; at += 2) memcpy(at, "x,", 2);
    strcpy(at, "y}");
    for (int i = 0; i < 100; i++) CHECK(!ph_osc_match(pattern, "/phosphene/1"));
    memset(pattern, '*', sizeof pattern - 1); // longer than any address
    CHECK(!ph_osc_match(pattern, "/phosphene/1"));
}
