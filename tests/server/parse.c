// SPDX-License-Identifier: MIT
// The parsers by themselves: request heads, ranges, lists, wire headers, JPEG markers.
#include "test.h"

#include "server/http.h"
#include "server/jpeg_check.h"
#include "server/protocol.h"

#include "config.h"
#if PH_HAVE_JPEG
#include <turbojpeg.h>
#endif

TEST(ranges_as_rfc_9110_has_them)
{
    static const struct {
        const char *range;
        uint64_t size;
        ph_err want;
        uint64_t first, count;
    } cases[] = {
        { "bytes=0-9", 100, PH_OK, 0, 10 },
        { "bytes=90-", 100, PH_OK, 90, 10 },
        { "bytes=-10", 100, PH_OK, 90, 10 },
        { "bytes=-1000", 100, PH_OK, 0, 100 },
        { "bytes=99-5000", 100, PH_OK, 99, 1 },
        { "bytes=100-", 100, PH_ELIMIT, 0, 0 },
        { "bytes=-0", 100, PH_ELIMIT, 0, 0 },
        { "bytes=0-", 0, PH_ELIMIT, 0, 0 },
        { "bytes=-5", 0, PH_ELIMIT, 0, 0 },
        { "bytes=9-5", 100, PH_MORE, 0, 0 },
        { "bytes=0-1,3-4", 100, PH_MORE, 0, 0 },
        { "bytes=", 100, PH_MORE, 0, 0 },
        { "bytes=a-b", 100, PH_MORE, 0, 0 },
        { "lines=0-1", 100, PH_MORE, 0, 0 },
        { "bytes=99999999999999999999-", 100, PH_MORE, 0, 0 },
        { "bytes=--5", 100, PH_MORE, 0, 0 },
        { NULL, 100, PH_MORE, 0, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t first = 0, count = 0;
        ph_err ret = ph_http_range(cases[i].range, cases[i].size, &first, &count);
        if (ret != cases[i].want) TEST_FAIL("%s gives %d", cases[i].range, ret);
        if (ret != PH_OK) continue;
        CHECK_INT(first, ==, cases[i].first);
        CHECK_INT(count, ==, cases[i].count);
    }
}

TEST(lists_have_elements_of_any_case)
{
    CHECK(ph_http_has_token("keep-alive, Upgrade", "upgrade"));
    CHECK(ph_http_has_token("upgrade", "upgrade"));
    CHECK(ph_http_has_token(" , ,upgrade ,", "upgrade"));
    CHECK(!ph_http_has_token("upgrades", "upgrade"));
    CHECK(!ph_http_has_token("not-upgrade", "upgrade"));
    CHECK(!ph_http_has_token("", "upgrade"));
    CHECK(!ph_http_has_token(NULL, "upgrade"));
    CHECK(ph_http_accepts_gzip("gzip, deflate, br"));
    CHECK(ph_http_accepts_gzip("br;q=1.0, gzip;q=0.8"));
    CHECK(ph_http_accepts_gzip("GZIP"));
    CHECK(!ph_http_accepts_gzip("gzip;q=0"));
    CHECK(!ph_http_accepts_gzip("gzip; q=0.000, br"));
    CHECK(!ph_http_accepts_gzip("deflate"));
    CHECK(!ph_http_accepts_gzip(NULL));
}

TEST(the_end_of_a_head_is_found_wherever_the_pieces_break)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nbody";
    for (size_t cut = 0; cut <= sizeof head - 1; cut++) {
        size_t scanned = 0, len = 0;
        ph_err ret = ph_http_scan(head, cut, &scanned, &len, NULL);
        CHECK_INT(ret, ==, cut >= sizeof head - 5 ? PH_OK : PH_MORE);
        if (ret == PH_MORE) CHECK_OK(ph_http_scan(head, sizeof head - 1, &scanned, &len, NULL));
        CHECK_INT(len, ==, sizeof head - 5);
    }
}

TEST(d2_15_a_wire_header_is_read_back_and_its_length_not_trusted)
{
    const struct ph_wire h = { .kind = PH_WIRE_PICTURE,
                               .codec = PH_WIRE_H264,
                               .flags = PH_WIRE_KEY | PH_WIRE_EPOCH,
                               .frame = 0x01020304,
                               .epoch = 0x05060708,
                               .pts_ns = -2,
                               .payload_bytes = 5,
                               .width = 1920,
                               .height = 1080 };
    static const uint8_t want[PH_WIRE_BYTES] = {
        'P', 'H', 'S', '1', 1,    2,    3,    0,    4, 3, 2, 1, 8,   7, 6,    5,
        254, 255, 255, 255, 0xff, 0xff, 0xff, 0xff, 5, 0, 0, 0, 128, 7, 0x38, 4,
    };
    uint8_t bytes[PH_WIRE_BYTES + 5];
    struct ph_wire back;
    struct ph_fault fault = { 0 };
    ph_wire_pack(&h, bytes);
    CHECK(!memcmp(bytes, want, PH_WIRE_BYTES));
    CHECK_OK(ph_wire_unpack(bytes, sizeof bytes, &back, &fault));
    uint8_t again[PH_WIRE_BYTES];
    ph_wire_pack(&back, again);
    CHECK(!memcmp(again, want, sizeof want));
    CHECK_INT(ph_wire_unpack(bytes, sizeof bytes - 1, &back, &fault), ==, PH_EFORMAT);
    CHECK_STR(fault.field, "payload_bytes");
    CHECK_INT(ph_wire_unpack(bytes, 31, &back, &fault), ==, PH_EFORMAT);
    CHECK_STR(fault.field, "size");
    static const struct {
        int at;
        uint8_t value;
        const char *field;
    } bad[] = { { 0, 'X', "magic" },
                { 4, 0, "kind" },
                { 4, 5, "kind" },
                { 5, 0, "codec" },
                { 5, 9, "codec" },
                { 6, 8, "flags" },
                { 27, 0xff, "payload_bytes" } };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ph_wire_pack(&h, bytes);
        bytes[bad[i].at] = bad[i].value;
        CHECK_INT(ph_wire_unpack(bytes, sizeof bytes, &back, &fault), ==, PH_EFORMAT);
        CHECK_STR(fault.field, bad[i].field);
    }
}

TEST(a_frame_becomes_its_wire_header)
{
    struct ph_frame *f;
    struct ph_wire back;
    uint8_t bytes[PH_WIRE_BYTES + 10];
    CHECK_OK(ph_frame_packet(NULL, PH_VP9, 10, &f));
    f->packet.size = 10;
    f->packet.width = 640;
    f->packet.height = 480;
    f->id = (UINT64_C(1) << 32) + 9;
    f->epoch = 3;
    f->pts_ns = 123456789012;
    CHECK_INT(ph_wire_of_frame(f, true, false, bytes), ==, PH_WIRE_BYTES);
    CHECK_OK(ph_wire_unpack(bytes, sizeof bytes, &back, NULL));
    CHECK_INT(back.codec, ==, PH_WIRE_VPX);
    CHECK_INT(back.flags, ==, PH_WIRE_EPOCH);
    CHECK_INT(back.frame, ==, 9);
    CHECK_INT(back.pts_ns, ==, 123456789012);
    CHECK_INT(back.width, ==, 640);
    f->packet.codec = PH_CODEC_NONE;
    CHECK_INT(ph_wire_of_frame(f, false, false, bytes), ==, 0);
    ph_frame_unref(&f);
}

// ---------------------------------------------------------------------------------------- JPEG

static uint8_t *picture;
static unsigned long picture_size;

// A real one, by the library that will read them.
static void make_picture(int width, int height, int flags)
{
#if PH_HAVE_JPEG
    static uint8_t rgb[64 * 64 * 3];
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t) (i * 31 ^ i >> 5);
    tjhandle tj = tjInitCompress();
    tjFree(picture);
    picture = NULL;
    CHECK_OK(tjCompress2(tj, rgb, width, 0, height, TJPF_RGB, &picture, &picture_size,
                         TJSAMP_420, 80, flags));
    tjDestroy(tj);
#else
    TEST_SKIP("this build has no libjpeg-turbo to make pictures with");
#endif
}

static ph_err check(const void *bytes, size_t size, struct ph_fault *fault)
{
    int w = 0, h = 0;
    // an exact copy, so that a sanitizer sees a byte too far
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    ph_err ret = ph_jpeg_check(copy, size, NULL, &w, &h, fault);
    free(copy);
    return ret;
}

TEST(real_jpegs_pass_with_their_size)
{
    for (int progressive = 0; progressive < 2; progressive++) {
        int w, h;
        struct ph_fault fault = { 0 };
        make_picture(61, 47, progressive ? 16384 /* TJFLAG_PROGRESSIVE */ : 0);
        if (ph_jpeg_check(picture, picture_size, NULL, &w, &h, &fault) < 0)
            TEST_FAIL("%s", fault.message);
        CHECK_INT(w, ==, 61);
        CHECK_INT(h, ==, 47);
    }
}

TEST(a_jpeg_cut_anywhere_is_told_to_be_truncated)
{
    for (int progressive = 0; progressive < 2; progressive++) {
        make_picture(64, 64, progressive ? 16384 : 0);
        for (size_t n = 0; n < picture_size; n++) {
            struct ph_fault fault = { 0 };
            CHECK_INT(check(picture, n, &fault), ==, PH_EFORMAT);
            if (n >= 4) CHECK_HAS(fault.message, "truncated");
        }
    }
}

static size_t find_marker(int marker)
{
    for (size_t i = 0; i + 1 < picture_size; i++)
        if (picture[i] == 0xff && picture[i + 1] == marker) return i;
    TEST_FAIL("no marker %02x", marker);
}

TEST(d2_15_a_jpeg_that_lies_about_itself_is_refused)
{
    struct ph_fault fault;
    make_picture(64, 64, 0);
    size_t sof = find_marker(0xc0);
    // 65500 x 65500: 17 GB of pixels from 2 KB
    memcpy(picture + sof + 5, "\xff\xdc\xff\xdc", 4);
    CHECK_INT(check(picture, picture_size, &fault), ==, PH_ELIMIT);
    CHECK_HAS(fault.message, "at most 4096x4096 pixels, it is 65500x65500");
    memcpy(picture + sof + 5, "\x10\x00\x10\x01", 4);
    CHECK_INT(check(picture, picture_size, &fault), ==, PH_ELIMIT);
    memcpy(picture + sof + 5, "\x10\x00\x10\x00", 4);
    CHECK_OK(check(picture, picture_size, &fault));
    memcpy(picture + sof + 5, "\0\0\0\x40", 4);
    CHECK_INT(check(picture, picture_size, &fault), ==, PH_EFORMAT);
    make_picture(64, 64, 0);
    picture[sof + 1] = 0xc9; // arithmetic coding
    CHECK_INT(check(picture, picture_size, &fault), ==, PH_ENOTSUP);
    picture[sof + 1] = 0xc0;
    picture[sof + 4] = 12; // bits
    CHECK_INT(check(picture, picture_size, &fault), ==, PH_ENOTSUP);
    picture[sof + 4] = 8;
    picture[sof + 9] = 2; // components: does not fit the length either
    CHECK_INT(check(picture, picture_size, &fault), ==, PH_EFORMAT);
    picture[sof + 9] = 3;
    picture[sof + 11] = 0x05; // no horizontal sampling
    CHECK_INT(check(picture, picture_size, &fault), ==, PH_EFORMAT);
    picture[sof + 11] = 0x22;
    CHECK_OK(check(picture, picture_size, &fault));
    picture[2 + 3] = 0; // length of the first segment
    picture[2 + 2] = 0;
    CHECK_INT(check(picture, picture_size, &fault), ==, PH_EFORMAT);
}

TEST(what_is_no_jpeg_is_called_so)
{
    struct ph_fault fault;
    CHECK_INT(check("\x89PNG\r\n\x1a\n", 8, &fault), ==, PH_EFORMAT);
    CHECK_HAS(fault.message, "begins with ff d8");
    CHECK_INT(check("", 0, &fault), ==, PH_EFORMAT);
    CHECK_INT(check("\xff\xd8\xff\xd9", 4, &fault), ==, PH_EFORMAT);
    CHECK_HAS(fault.message, "no picture");
    CHECK_INT(check("\xff\xd8hello", 7, &fault), ==, PH_EFORMAT);
    CHECK_HAS(fault.message, "no marker at byte 2");
    CHECK_INT(check("\xff\xd8\xff\xd0\xff\xd9", 6, &fault), ==, PH_EFORMAT);
    CHECK_HAS(fault.message, "out of place");
}

TEST(limits_of_a_jpeg_can_be_set)
{
    int w, h;
    struct ph_fault fault;
    make_picture(64, 64, 0);
    CHECK_INT(ph_jpeg_check(picture, picture_size, &(struct ph_jpeg_limits){ .width = 63 }, &w,
                            &h, &fault),
              ==, PH_ELIMIT);
    CHECK_INT(ph_jpeg_check(picture, picture_size, &(struct ph_jpeg_limits){ .bytes = 100 }, &w,
                            &h, &fault),
              ==, PH_ELIMIT);
    CHECK_HAS(fault.message, "at most 100 bytes");
    make_picture(64, 64, 16384);
    CHECK_INT(ph_jpeg_check(picture, picture_size, &(struct ph_jpeg_limits){ .scans = 3 }, &w,
                            &h, &fault),
              ==, PH_ELIMIT);
    CHECK_HAS(fault.message, "at most 3 scans");
}
