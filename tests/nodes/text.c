// SPDX-License-Identifier: MIT
#include "run.h"

#include "alloc_count.h"
#include "config.h"
#include "nodes/compose/glyphs.h"
#include "nodes/compose/template.h"

#include <sys/resource.h>

#if PH_HAVE_TEXT
#include <ft2build.h>
#include FT_FREETYPE_H
#include <fontconfig/fontconfig.h>

static struct run r;

#define SANS "font=\"DejaVu Sans\""
// White letters alone on black, in the corner
#define BARE SANS " box=transparent margin=0 "

static void need_font(void)
{
    struct ph_glyphs *g;
    if (ph_glyphs_create(&g, "DejaVu Sans", "", NULL) < 0 ||
        strcmp(ph_glyphs_name(g), "DejaVu Sans Book"))
        TEST_SKIP("fonts-dejavu-core is not installed");
    ph_glyphs_destroy(&g);
}

struct ink {
    int x0, y0, x1, y1, count; // where it is brighter than half; x1, y1 behind the last
};

static struct ink find_ink(const struct ph_picture *p)
{
    struct ink k = { p->width, p->height, 0, 0, 0 };
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            if ((px(p, x, y) >> 24) < 128) continue;
            if (x < k.x0) k.x0 = x;
            if (y < k.y0) k.y0 = y;
            if (x >= k.x1) k.x1 = x + 1;
            if (y >= k.y1) k.y1 = y + 1;
            k.count++;
        }
    return k;
}

static const struct ph_picture *written(const char *par)
{
    char text[600];
    snprintf(text, sizeof text,
             "pattern solid size=320x96 color=black fps=10 -> text %s -> live", par);
    return run_first(&r, text);
}

TEST(a_letter_has_the_pixels_that_freetype_gives_it)
{
    need_font();
    const struct ph_picture *p = written("E size=40 " BARE);
    FT_Library lib;
    FT_Face face;
    FcChar8 *file;
    FcPattern *pat = FcNameParse((const FcChar8 *) "DejaVu Sans");
    FcResult res;
    FcConfigSubstitute(NULL, pat, FcMatchPattern);
    FcDefaultSubstitute(pat);
    FcPattern *match = FcFontMatch(NULL, pat, &res);
    CHECK(FcPatternGetString(match, FC_FILE, 0, &file) == FcResultMatch);
    CHECK(!FT_Init_FreeType(&lib) && !FT_New_Face(lib, (const char *) file, 0, &face));
    CHECK(!FT_Set_Pixel_Sizes(face, 0, 40));
    CHECK(!FT_Load_Char(face, 'E', FT_LOAD_RENDER | FT_LOAD_TARGET_LIGHT));
    FT_GlyphSlot slot = face->glyph;
    int top = (int) (face->size->metrics.ascender + 63) / 64 - slot->bitmap_top;
    CHECK_INT(slot->bitmap.rows, >, 20);
    for (int y = 0; y < (int) slot->bitmap.rows; y++)
        for (int x = 0; x < (int) slot->bitmap.width; x++)
            CHECK_INT(px(p, slot->bitmap_left + x, top + y) >> 24, ==,
                      slot->bitmap.buffer[y * slot->bitmap.pitch + x]);
    struct ink k = find_ink(p);
    CHECK_INT(k.x1, <=, slot->bitmap_left + (int) slot->bitmap.width); // and nothing else
    CHECK_INT(k.y1, <=, top + (int) slot->bitmap.rows);
    run_close(&r);
    FT_Done_FreeType(lib);
    FcPatternDestroy(match);
    FcPatternDestroy(pat);
}

TEST(nine_places_are_where_they_say)
{
    need_font();
    static const char *const names[] = { "top-left",    "top",    "top-right",
                                         "left",        "middle", "right",
                                         "bottom-left", "bottom", "bottom-right" };
    for (int i = 0; i < 9; i++) {
        char par[200];
        snprintf(par, sizeof par, "HHH size=24 place=%s " SANS " box=transparent margin=8",
                 names[i]);
        struct ink k = find_ink(written(par));
        int left = k.x0, right = 320 - k.x1, above = k.y0, below = 96 - k.y1;
        if (i % 3 == 0) CHECK(left >= 8 && left < 14 && right > 100);
        if (i % 3 == 1) CHECK_INT(abs(left - right), <=, 2);
        if (i % 3 == 2) CHECK(right >= 8 && right < 14 && left > 100);
        if (i / 3 == 0) CHECK(above >= 8 && above < 20 && below > 40);
        if (i / 3 == 1) CHECK_INT(abs(above - below), <=, 4);
        if (i / 3 == 2) CHECK(below >= 8 && below < 20 && above > 40);
        run_close(&r);
    }
}

TEST(fields_of_a_frame_are_those_of_that_very_frame)
{
    need_font();
    run_open(&r, "pattern solid size=320x96 color=black fps=10 -> text \"{frame} at {time}, "
                 "{size} {{x}\" size=18 " BARE "-> live");
    run_until(&r, 1.3);
    uint64_t got = ph_image_hash(run_picture(&r, 13));
    run_close(&r);
    CHECK(ph_image_hash(written("\"13 at 0:00:01.300, 320x96 {{x}\" size=18 " BARE)) == got);
    run_close(&r);
    CHECK(ph_image_hash(written("\"14 at 0:00:01.300, 320x96 {{x}\" size=18 " BARE)) != got);
    run_close(&r);
}

TEST(metrics_are_asked_by_name_and_unknown_ones_are_a_question_mark)
{
    need_font();
    uint64_t unknown = ph_image_hash(written("\"a {nobody.p95} b\" size=18 " BARE));
    run_close(&r);
    CHECK(ph_image_hash(written("\"a ? b\" size=18 " BARE)) == unknown);
    run_close(&r);
    uint64_t param =
        ph_image_hash(written("\"{pattern.fps_wanted}{text.size}\" size=18 " BARE));
    run_close(&r);
    CHECK(ph_image_hash(written("\"?18\" size=18 " BARE)) == param);
    run_close(&r);
}

TEST(a_metric_is_looked_up_again_after_its_refresh_time_and_not_before)
{
    need_font();
    run_open(&r, "pattern solid size=320x96 color=black fps=10 speed=1 -> "
                 "text \"{pattern.speed}\" size=18 refresh=1000 " BARE "-> live");
    run_until(&r, 0.35);
    uint64_t one = ph_image_hash(run_picture(&r, 1));
    run_set(&r, "pattern", "speed", "3");
    run_until(&r, 0.9);
    CHECK(ph_image_hash(run_picture(&r, r.count - 1)) == one);
    run_until(&r, 1.1);
    uint64_t three = ph_image_hash(run_picture(&r, r.count - 1));
    run_close(&r);
    CHECK(three != one);
    CHECK(ph_image_hash(written("3 size=18 " BARE)) == three);
    run_close(&r);
}

TEST(text_size_and_colour_change_live)
{
    need_font();
    run_open(&r,
             "pattern solid size=320x96 color=black fps=10 -> text HH size=20 " BARE "-> live");
    run_until(&r, 0);
    struct ink small = find_ink(run_picture(&r, 0));
    run_set(&r, "text", "size", "40");
    run_until(&r, 0.1);
    struct ink large = find_ink(run_picture(&r, r.count - 1));
    CHECK_INT(abs((large.x1 - large.x0) - 2 * (small.x1 - small.x0)), <=, 4);
    run_set(&r, "text", "text", "H");
    run_set(&r, "text", "color", "red");
    run_until(&r, 0.2);
    const struct ph_picture *p = run_picture(&r, r.count - 1);
    struct ink one = find_ink(p);
    CHECK_INT(abs(2 * one.count - large.count), <=, 4);
    CHECK_PX(p, (one.x0 + one.x1) / 2, (one.y0 + one.y1) / 2, 0xff0000ff); // H's bar
    run_close(&r);
}

TEST(d2_45_an_emptied_text_leaves_nothing_behind)
{
    need_font();
    run_open(&r,
             "pattern solid size=320x96 color=black fps=10 -> text HH size=20 " SANS "-> live");
    run_until(&r, 0);
    CHECK_INT(find_ink(run_picture(&r, 0)).count, >, 50);
    run_set(&r, "text", "text", "");
    run_until(&r, 0.1);
    struct ph_moments m; // not even the box
    CHECK_OK(ph_image_moments(&m, run_picture(&r, r.count - 1)));
    CHECK_NUM(m.mean[0] + m.mean[1] + m.mean[2], ==, 0);
    run_close(&r);
}

TEST(outline_goes_around_and_the_box_behind)
{
    need_font();
    const struct ph_picture *p = written("H size=40 outline=3 outline_color=blue " BARE);
    int blue = 0;
    for (int y = 0; y < 96; y++)
        for (int x = 0; x < 320; x++) blue += px(p, x, y) == 0x0000ffff;
    struct ink k = find_ink(p);
    CHECK_INT(blue, >, 300);
    CHECK_PX(p, k.x0 - 2, (k.y0 + k.y1) / 2, 0x0000ffff);
    run_close(&r);
    p = written("H size=40 box=lime margin=10 color=black " SANS);
    CHECK_PX(p, 10, 30, 0x00ff00ff); // its left side
    CHECK_PX(p, 9, 30, 0x000000ff);
    CHECK_PX(p, 10, 10, 0x000000ff); // round corner
    run_close(&r);
}

TEST(a_text_far_larger_than_the_picture_costs_no_more_than_the_picture)
{
    need_font();
    static char wide[700], text[900];
    struct rusage before, after;
    memset(wide, 'W', sizeof wide - 1);
    snprintf(text, sizeof text,
             "pattern solid size=320x96 color=black fps=10 -> text \"%s\" size=1000 margin=0 "
             "padding=0 color=black box=white " SANS " -> live",
             wide);
    CHECK(!getrusage(RUSAGE_SELF, &before));
    const struct ph_picture *p = run_first(&r, text); // 690 megapixels, if it could be seen
    CHECK(!getrusage(RUSAGE_SELF, &after));
    CHECK_INT(after.ru_maxrss - before.ru_maxrss, <, 300 << 10);
    CHECK_INT(px(p, 0, 0) >> 24, ==, 0); // the round corner, as large as the letters are
    CHECK_INT(px(p, 319, 95) >> 24, ==, 255);
    run_close(&r);
}

TEST(lines_break_and_stand_below_each_other)
{
    need_font();
    struct ink one = find_ink(written("HHH size=20 " BARE));
    run_close(&r);
    struct ink two = find_ink(written("\"HHH\\nHHH\" size=20 " BARE));
    run_close(&r);
    CHECK_INT(two.count, ==, 2 * one.count);
    CHECK_INT(two.x1, ==, one.x1);
    CHECK_INT(two.y1 - one.y1, >=, 20);
    CHECK_INT(two.y1 - one.y1, <=, 28);
}

static struct ph_glyphs *sans(int size)
{
    struct ph_glyphs *g;
    need_font();
    CHECK_OK(ph_glyphs_create(&g, "DejaVu Sans", "", NULL));
    CHECK_OK(ph_glyphs_set_size(g, size, 0));
    return g;
}

static int width_of(struct ph_glyphs *g, const char *text)
{
    CHECK_OK(ph_glyphs_layout(g, text, 0));
    return ph_glyphs_width(g);
}

TEST(text_is_shaped_and_not_only_set_side_by_side)
{
    struct ph_glyphs *g = sans(100);
    CHECK_INT(width_of(g, "AV"), <, width_of(g, "A") + width_of(g, "V") - 2); // kerning
    CHECK_INT(width_of(g, "e\xcc\x81"), ==, width_of(g, "\xc3\xa9"));         // e + accent = é
    // Arabic letters join: the word is narrower than its letters alone
    CHECK_INT(width_of(g, "\xd8\xa8\xd8\xa8\xd8\xa8"), <, 3 * width_of(g, "\xd8\xa8") - 10);
    ph_glyphs_destroy(&g);
}

TEST(bad_utf8_and_empty_texts_do_no_harm)
{
    struct ph_glyphs *g = sans(30);
    struct ph_frame *f;
    CHECK_OK(ph_frame_picture(NULL, PH_RGBA, 64, 48, &f));
    static const char *const texts[] = { "",         "\n", "\xff\xfe",         "\xe2\x82",
                                         "a\n\n\nb", "\t", "\xf0\x9f\x98\x80", "\x01\x7f" };
    for (int i = 0; i < 8; i++) {
        CHECK_OK(ph_glyphs_layout(g, texts[i], 0.5f));
        ph_glyphs_draw(g, &f->picture, -5, 30, 0xffffffff, 0);
    }
    ph_frame_unref(&f);
    ph_glyphs_destroy(&g);
}

// UTF-8 of `count` letters from a code on
static char *letters(uint32_t code, int count)
{
    char *text = malloc((size_t) count * 3 + 1), *at = text;
    for (int i = 0; i < count; i++, code++) {
        if (code < 0x800) {
            *at++ = (char) (0xc0 | code >> 6);
        } else {
            *at++ = (char) (0xe0 | code >> 12);
            *at++ = (char) (0x80 | (code >> 6 & 63));
        }
        *at++ = (char) (0x80 | (code & 63));
    }
    *at = 0;
    return text;
}

TEST(a_full_cache_is_emptied_and_the_text_is_right_afterwards)
{
    struct ph_glyphs *g = sans(24), *fresh = sans(24);
    struct ph_frame *a, *b;
    CHECK_OK(ph_frame_picture(NULL, PH_RGBA, 4000, 48, &a));
    CHECK_OK(ph_frame_picture(NULL, PH_RGBA, 4000, 48, &b));
    memset(a->picture.data[0], 0, (size_t) a->picture.stride[0] * 48);
    memset(b->picture.data[0], 0, (size_t) b->picture.stride[0] * 48);
    for (uint32_t code = 0x100; code < 0x2800; code += 300) {
        char *many = letters(code, 300);
        CHECK_OK(ph_glyphs_layout(g, many, 0));
        free(many);
    }
    char *last = letters(0x400, 200);
    CHECK_OK(ph_glyphs_layout(g, last, 0));
    CHECK_OK(ph_glyphs_layout(fresh, last, 0));
    ph_glyphs_draw(g, &a->picture, 0, 0, 0xffffffff, 0);
    ph_glyphs_draw(fresh, &b->picture, 0, 0, 0xffffffff, 0);
    CHECK(ph_image_hash(&a->picture) == ph_image_hash(&b->picture));
    char *endless = letters(0x400, 5000);
    CHECK_INT(ph_glyphs_layout(g, endless, 0), ==, PH_ELIMIT);
    CHECK_OK(ph_glyphs_layout(g, last, 0));
    free(last);
    free(endless);
    ph_frame_unref(&a);
    ph_frame_unref(&b);
    ph_glyphs_destroy(&g);
    ph_glyphs_destroy(&fresh);
}

TEST(a_label_that_changes_every_frame_allocates_nothing)
{
    need_font();
    run_open(&r, "pattern size=320x240 fps=60 -> overlay -> waveform -> text \"{fps} fps "
                 "{frame} {time}\" outline=1 => null");
    run_until(&r, 4); // all digits have been seen, and the box has had its widths
    long before = alloc_count_here();
    run_until(&r, 12);
    long made = alloc_count_here() - before;
    if (made) TEST_FAIL("%ld allocations in 480 frames", made);
    ph_graph_destroy(&r.graph);
}

TEST(without_any_font_the_package_is_named)
{
    char config[] = "/tmp/ph-fonts-XXXXXX";
    int fd = mkstemp(config);
    CHECK(fd >= 0 && write(fd, "<fontconfig></fontconfig>", 25) == 25);
    close(fd);
    setenv("FONTCONFIG_FILE", config, 1);
    struct ph_fault fault = { 0 };
    CHECK_INT(run_try(&r, "pattern -> text -> live", &fault), <, 0);
    CHECK_HAS(fault.message, "fonts-dejavu-core");
    unlink(config);
    CHECK_INT(run_try(&r, "pattern -> text file=/etc/passwd -> live", &fault), <, 0);
    CHECK_HAS(fault.message, "/etc/passwd");
}

TEST(a_name_that_is_not_there_falls_back_to_another_font)
{
    need_font();
    const struct ph_picture *p =
        written("HH font=\"No Such Font At All\" size=30 box=transparent");
    CHECK_INT(find_ink(p).count, >, 50);
    run_close(&r);
}
#endif

static void expand(const char *text, char *out, size_t size)
{
    struct ph_template t;
    ph_template_parse(&t, text);
    for (int i = 0; i < t.count; i++) {
        struct ph_template_field *f = &t.fields[i];
        f->value[0] = '<';
        strcpy(stpcpy(f->value + 1, f->name), ">");
    }
    ph_template_print(&t, text, out, size);
}

TEST(templates_fill_in_fields_and_leave_the_rest)
{
    static const char *const cases[][2] = {
        { "{a} and {b.p95}", "<a> and <b.p95>" },
        { "{{a}", "{a}" },
        { "{", "{" },
        { "{}", "{}" },
        { "{a", "{a" },
        { "a\\nb", "a\nb" },
        { "}{x}{", "}<x>{" },
        { "{{{a}}", "{<a>}" },
        { "\xc3\xa9{a}", "\xc3\xa9<a>" },
        { "", "" },
    };
    char out[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expand(cases[i][0], out, sizeof out);
        CHECK_STR(out, cases[i][1]);
    }
    expand("\xc3\xa9\xc3\xa9\xc3\xa9", out, 6); // cut between characters
    CHECK_STR(out, "\xc3\xa9\xc3\xa9");
    char many[400] = "";
    for (int i = 0; i < 40; i++) strcat(many, "{a}");
    expand(many, out, sizeof out);
    CHECK_HAS(out, "<a>{a}");
}
