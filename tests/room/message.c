// SPDX-License-Identifier: MIT
// What a client may say, taken apart.
#include "test.h"

#include "room/message.h"
#include "room/room_priv.h"
#include "server/http.h"

#include <phosphene/common.h>

static struct ph_message_id id;

static ph_err parse(struct ph_message **m, const char *text, struct ph_fault *fault)
{
    *fault = (struct ph_fault){ 0 };
    return ph_message_parse(m, &id, text, strlen(text), fault);
}

TEST(set_carries_every_kind_of_value_as_text_of_the_graph)
{
    struct ph_message *m;
    struct ph_fault f;
    CHECK_OK(parse(&m,
                   "{\"type\":\"set\",\"id\":7,\"node\":\"a\",\"values\":{\"s\":\"x \\u00e9\","
                   "\"n\":0.60,\"b\":true,\"c\":false,\"d\":null}}",
                   &f));
    CHECK_INT(m->type, ==, PH_MESSAGE_SET);
    CHECK(id.given);
    CHECK_INT(id.value, ==, 7);
    CHECK_STR(m->node, "a");
    CHECK_INT(m->count, ==, 5);
    CHECK_STR(m->values[0].text, "x \xc3\xa9");
    CHECK_STR(m->values[1].text, "0.60");
    CHECK_STR(m->values[2].text, "on");
    CHECK_STR(m->values[3].text, "off");
    CHECK(!m->values[4].text);
    free(m);
}

TEST(set_carries_drives_and_the_beat_it_waits_for)
{
    struct ph_message *m;
    struct ph_fault f;
    CHECK_OK(
        parse(&m,
              "{\"type\":\"set\",\"node\":\"a\",\"drives\":{\"x\":\"kick * 2\",\"y\":null},"
              "\"values\":{\"s\":1}}",
              &f));
    CHECK_INT(m->count, ==, 3);
    CHECK(!m->values[0].drive && m->values[1].drive && m->values[2].drive);
    CHECK_STR(m->values[1].text, "kick * 2");
    CHECK(!m->values[2].text);
    free(m);
    CHECK_OK(parse(
        &m, "{\"type\":\"set\",\"node\":\"a\",\"values\":{\"s\":1},\"at\":\"2bars\"}", &f));
    CHECK_INT(m->at, ==, PH_AT_2_BARS);
    free(m);
    CHECK(parse(&m, "{\"type\":\"set\",\"node\":\"a\",\"values\":{\"s\":1},\"at\":\"soon\"}",
                &f) < 0);
    CHECK_STR(f.field, "at");
    CHECK(parse(&m, "{\"type\":\"set\",\"node\":\"a\",\"drives\":{\"x\":1}}", &f) < 0);
    CHECK_STR(f.field, "x");
    CHECK(parse(&m, "{\"type\":\"set\",\"node\":\"a\",\"drives\":{}}", &f) < 0);
    CHECK_STR(f.field, "drives");
}

TEST(cuts_pings_and_reports_are_taken_apart)
{
    struct ph_message *m;
    struct ph_fault f;
    CHECK_OK(parse(&m, "{\"type\":\"cut\",\"kind\":\"hard\"}", &f));
    CHECK(m->hard && !id.given);
    free(m);
    CHECK_OK(parse(&m, "{\"type\":\"cut\",\"id\":9,\"kind\":\"soft\",\"chunks\":3}", &f));
    CHECK(!m->hard);
    CHECK_INT(m->chunks, ==, 3);
    free(m);
    CHECK_OK(parse(&m, "{\"type\":\"ping\",\"t\":123.450}", &f));
    CHECK_STR(m->t, "123.450");
    free(m);
    CHECK_OK(parse(&m, "{\"type\":\"shown\",\"frame\":12,\"t\":5.5,\"count\":3}", &f));
    CHECK_INT(m->frame, ==, 12);
    CHECK_INT(m->shown, ==, 3);
    CHECK_NUM(m->t_ms, ==, 5.5);
    free(m);
    CHECK_OK(parse(&m, "{\"type\":\"subscribe\",\"room\":true}", &f));
    CHECK_NUM(m->hz, ==, 4);
    CHECK_NUM(m->signals_hz, ==, -1);
    free(m);
    CHECK_OK(parse(&m, "{\"type\":\"subscribe\",\"signals\":20}", &f));
    CHECK_NUM(m->hz, ==, -1); // the room documents go on as they were
    CHECK_NUM(m->signals_hz, ==, 20);
    free(m);
    static const char *const rates[] = { "1e-12", "0.5", "31", "-1", "true" };
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        char text[80];
        snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"signals\":%s}", rates[i]);
        CHECK_INT(parse(&m, text, &f), ==, PH_EINVAL);
        CHECK_STR(f.field, "signals");
    }
    CHECK_OK(parse(&m, "{\"type\":\"subscribe\",\"room\":false,\"signals\":0}", &f));
    CHECK_NUM(m->hz, ==, 0);
    CHECK_NUM(m->signals_hz, ==, 0);
    free(m);
}

TEST(hello_keeps_the_order_ignores_what_it_never_heard_of_and_ends_with_jpeg)
{
    struct ph_message *m;
    struct ph_fault f;
    CHECK_OK(
        parse(&m, "{\"type\":\"hello\",\"codecs\":[\"av9\",\"vp8\",\"h264\",\"vp8\"]}", &f));
    CHECK_INT(m->codec_count, ==, 3);
    CHECK_INT(m->codecs[0], ==, PH_VP8);
    CHECK_INT(m->codecs[1], ==, PH_H264);
    CHECK_INT(m->codecs[2], ==, PH_JPEG);
    free(m);
    CHECK_OK(parse(&m, "{\"type\":\"hello\"}", &f));
    CHECK_INT(m->codec_count, ==, 1);
    free(m);
}

struct bad {
    const char *text, *field, *part;
    bool has_id;
};

TEST(what_is_wrong_is_refused_with_the_name_of_the_member)
{
    static const struct bad bads[] = {
        { "", "json", "expected a value" },
        { "{", "json", "quoted member name" },
        { "[1]", "json", "JSON object" },
        { "{}", "type", "type is missing" },
        { "{\"type\":\"sett\",\"id\":4}", "type", "did you mean \"set\"", true },
        { "{\"type\":5}", "type", "type is missing" },
        { "{\"type\":\"ping\",\"id\":1.5}", "id", "whole number" },
        { "{\"type\":\"ping\",\"id\":\"x\"}", "id", "whole number" },
        { "{\"type\":\"ping\",\"tt\":1}", "tt", "did you mean \"t\"" },
        { "{\"type\":\"ping\",\"t\":\"1\"}", "t", "number" },
        { "{\"type\":\"set\",\"id\":3,\"values\":{\"a\":1}}", "node", "name of a node", true },
        { "{\"type\":\"set\",\"node\":\"a\"}", "values", "at least one" },
        { "{\"type\":\"set\",\"node\":\"a\",\"values\":{}}", "values", "at least one" },
        { "{\"type\":\"set\",\"node\":\"a\",\"values\":{\"p\":[1]}}", "p", "null" },
        { "{\"type\":\"set\",\"node\":\"a\",\"values\":{\"p\":1,\"p\":2}}", "json", "twice" },
        { "{\"type\":\"cut\",\"kind\":\"wet\"}", "kind", "\"hard\" or \"soft\"" },
        { "{\"type\":\"cut\",\"kind\":\"soft\",\"chunks\":0}", "chunks", "1 … 64" },
        { "{\"type\":\"cut\",\"kind\":\"hard\",\"chunks\":1}", "chunks", "only a soft cut" },
        { "{\"type\":\"subscribe\",\"hz\":4}", "room", "true or false" },
        { "{\"type\":\"subscribe\",\"room\":true,\"hz\":60}", "hz", "1 … 10" },
        { "{\"type\":\"subscribe\",\"signals\":31}", "signals", "1 … 30" },
        { "{\"type\":\"subscribe\",\"signals\":true}", "signals", "1 … 30" },
        { "{\"type\":\"subscribe\",\"hz\":4,\"signals\":1}", "room", "true or false" },
        { "{\"type\":\"shown\",\"t\":1}", "frame", "missing" },
        { "{\"type\":\"shown\",\"frame\":-1}", "frame", "0 … " },
        { "{\"type\":\"hello\",\"codecs\":\"h264\"}", "codecs", "list" },
        { "{\"type\":\"hello\",\"codecs\":[1]}", "codecs", "texts" },
        { "{\"type\":\"codec\",\"codec\":\"mp3\"}", "codec", "\"jpeg\"" },
    };
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        struct ph_message *m;
        struct ph_fault f;
        if (parse(&m, bads[i].text, &f) >= 0) TEST_FAIL("accepted: %s", bads[i].text);
        if (strcmp(f.field, bads[i].field) || !strstr(f.message, bads[i].part))
            TEST_FAIL("%s: %s: %s", bads[i].text, f.field, f.message);
        CHECK_INT(id.given, ==, bads[i].has_id);
        CHECK(!m);
        free(m);
    }
}

TEST(more_values_than_a_message_holds_are_refused)
{
    char text[4096];
    struct ph_message *m;
    struct ph_fault f;
    size_t n = (size_t) snprintf(text, sizeof text,
                                 "{\"type\":\"set\",\"node\":\"a\",\"values\":{\"p\":1");
    for (int i = 0; i < PH_MESSAGE_VALUES; i++)
        n += (size_t) snprintf(text + n, sizeof text - n, ",\"p%d\":1", i);
    snprintf(text + n, sizeof text - n, "}}");
    CHECK_INT(parse(&m, text, &f), ==, PH_ELIMIT);
    CHECK_HAS(f.message, "at most 64 values");
    free(m);
}

TEST(a_model_s_name_in_any_bytes_leaves_the_metrics_a_valid_text)
{
    static const char *const names[] = { "sd-turbo", "caf\xc3\xa9", "caf\xc3",
                                         "\xff\xfe\"\\\n" };
    static struct ph_room room;
    static const struct ph_frame frame;
    char text[PH_METRICS_MAX];
    for (int i = 0; i < 4; i++) {
        struct ph_json_doc *doc = NULL;
        snprintf(room.report.model, sizeof room.report.model, "%s", names[i]);
        int n = ph_metrics_text(&room, &frame, 0, 0, text);
        CHECK(n > 0 && ph_utf8_valid(text, (size_t) n));
        CHECK_OK(ph_json_parse(&doc, text, (size_t) n, 0, NULL));
        const struct ph_json *data = ph_json_get(ph_json_root(doc), "data");
        const char *name = ph_json_string(ph_json_get(data, "modelName"), "");
        CHECK_STR(name, i < 2 ? names[i] : i == 2 ? "caf?" : "?????");
        ph_json_free(&doc);
    }
}
