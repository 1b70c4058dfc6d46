// SPDX-License-Identifier: MIT
#include "room/message.h"

#include "core/nearest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EXACT INT64_C(9007199254740992) // 2^53: what a browser's number holds exactly
#define CLOCK_MOST_MS                                                                          \
    2.2e12 // half of it more than 1970 until now; sums of four are below 2^63 ns

ph_err ph_json_only(const struct ph_json *v, const char *const *known, struct ph_fault *fault)
{
    for (const struct ph_json *m = v->child; m; m = m->next) {
        int i = 0;
        while (known[i] && strcmp(known[i], m->key)) i++;
        if (known[i]) continue;
        const char *near = ph_nearest(m->key, known);
        return ph_fail(fault, PH_EINVAL, m->key, "unknown member \"%.60s\"%s%s%s", m->key,
                       near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    return PH_OK;
}

static ph_err whole(const struct ph_json *v, const char *name, int64_t min, int64_t max,
                    int64_t *out, struct ph_fault *fault)
{
    bool ok =
        v->type == PH_JSON_NUMBER && v->is_integer && v->integer >= min && v->integer <= max;
    if (!ok)
        return ph_fail(fault, PH_EINVAL, name, "%s is a whole number, %lld … %lld", name,
                       (long long) min, (long long) max);
    *out = v->integer;
    return PH_OK;
}

// What has been read so far; its texts are those of the JSON document.
struct draft {
    struct ph_message m;
    struct ph_message_value values[PH_MESSAGE_VALUES];
};

// --- set

static ph_err value_text(const struct ph_json *v, struct ph_message_value *out,
                         struct ph_fault *fault)
{
    out->param = v->key;
    switch (v->type) {
    case PH_JSON_NULL: out->text = NULL; return PH_OK;
    case PH_JSON_BOOL: out->text = ph_json_bool(v, false) ? "on" : "off"; return PH_OK;
    case PH_JSON_NUMBER:
    case PH_JSON_STRING: out->text = v->text; return PH_OK;
    default: break;
    }
    return ph_fail(fault, PH_EINVAL, v->key,
                   "%s is a number, a text, true, false or null (its default)", v->key);
}

static ph_err read_drives(struct draft *d, const struct ph_json *drives, struct ph_fault *fault)
{
    if (drives->type != PH_JSON_OBJECT || !drives->count)
        return ph_fail(fault, PH_EINVAL, "drives",
                       "drives is an object of expressions: {\"strength\":\"kick * 0.3\"}");
    if (d->m.count + drives->count > PH_MESSAGE_VALUES)
        return ph_fail(fault, PH_ELIMIT, "drives", "at most %d values and drives at once",
                       PH_MESSAGE_VALUES);
    for (const struct ph_json *c = drives->child; c; c = c->next) {
        bool none = c->type == PH_JSON_NULL;
        if (!none && c->type != PH_JSON_STRING)
            return ph_fail(fault, PH_EINVAL, c->key,
                           "a drive is an expression, as a text, or null (by hand again)");
        d->values[d->m.count++] =
            (struct ph_message_value){ c->key, none ? NULL : c->text, true };
    }
    return PH_OK;
}

static ph_err read_at(struct draft *d, const struct ph_json *at, struct ph_fault *fault)
{
    static const char *const names[] = { "now", "beat", "bar", "2bars", "4bars" };
    const char *name = ph_json_string(at, "");
    for (d->m.at = 0; d->m.at < 5; d->m.at++)
        if (!strcmp(names[d->m.at], name)) return PH_OK;
    return ph_fail(fault, PH_EINVAL, "at",
                   "at is \"now\", \"beat\", \"bar\", \"2bars\" or \"4bars\", got \"%.60s\"",
                   name);
}

static ph_err read_set(struct draft *d, const struct ph_json *v, struct ph_fault *fault)
{
    const struct ph_json *values = ph_json_get(v, "values"), *at = ph_json_get(v, "at"),
                         *drives = ph_json_get(v, "drives");
    d->m.node = ph_json_string(ph_json_get(v, "node"), NULL);
    if (!d->m.node)
        return ph_fail(fault, PH_EINVAL, "node", "node is the name of a node, as a text");
    ph_err ret = at ? read_at(d, at, fault) : PH_OK;
    if (ret < 0) return ret;
    if (at && drives)
        return ph_fail(fault, PH_EINVAL, "at", "values can wait for a beat, drives cannot");
    if (!values && drives) return read_drives(d, drives, fault);
    if (!values || values->type != PH_JSON_OBJECT || !values->count)
        return ph_fail(fault, PH_EINVAL, "values",
                       "values is an object of at least one parameter: {\"strength\":0.6}");
    if (values->count > PH_MESSAGE_VALUES)
        return ph_fail(fault, PH_ELIMIT, "values", "at most %d values at once, got %d",
                       PH_MESSAGE_VALUES, values->count);
    for (const struct ph_json *c = values->child; c; c = c->next) {
        ret = value_text(c, &d->values[d->m.count++], fault);
        if (ret < 0) return ret;
    }
    return drives ? read_drives(d, drives, fault) : PH_OK;
}

// --- cut

static ph_err read_cut(struct draft *d, const struct ph_json *v, struct ph_fault *fault)
{
    const struct ph_json *chunks = ph_json_get(v, "chunks");
    const char *kind = ph_json_string(ph_json_get(v, "kind"), "");
    int64_t n = 1;
    d->m.hard = !strcmp(kind, "hard");
    if (!d->m.hard && strcmp(kind, "soft"))
        return ph_fail(fault, PH_EINVAL, "kind", "kind is \"hard\" or \"soft\", got \"%.60s\"",
                       kind);
    if (chunks && d->m.hard)
        return ph_fail(fault, PH_EINVAL, "chunks", "only a soft cut has chunks");
    ph_err ret = chunks ? whole(chunks, "chunks", 1, 64, &n, fault) : PH_OK;
    d->m.chunks = d->m.hard ? 0 : (int) n;
    return ret;
}

// --- ping, subscribe, shown

// The ping before: when it was sent, what its pong said, when that was heard. All three or none.
static ph_err read_timing(struct draft *d, const struct ph_json *v, struct ph_fault *fault)
{
    const struct ph_json *sent = ph_json_get(v, "sent"), *heard = ph_json_get(v, "heard"),
                         *server = ph_json_get(v, "server_ns");
    if (!sent && !heard && !server) return PH_OK;
    if (!sent || !heard || sent->type != PH_JSON_NUMBER || heard->type != PH_JSON_NUMBER ||
        !(fabs(sent->number) < CLOCK_MOST_MS) || !(fabs(heard->number) < CLOCK_MOST_MS))
        return ph_fail(fault, PH_EINVAL, "sent",
                       "sent and heard are the client's clock in milliseconds, when the ping "
                       "before was sent and its pong came");
    if (!server || server->type != PH_JSON_NUMBER || !(server->number >= 0) ||
        !(server->number < CLOCK_MOST_MS * 1e6))
        return ph_fail(fault, PH_EINVAL, "server_ns", "server_ns is what that pong said");
    d->m.timed = true;
    d->m.sent_ms = sent->number;
    d->m.heard_ms = heard->number;
    d->m.server_ns = server->is_integer ? server->integer : (int64_t) server->number;
    return PH_OK;
}

static ph_err read_ping(struct draft *d, const struct ph_json *v, struct ph_fault *fault)
{
    const struct ph_json *t = ph_json_get(v, "t");
    if (t && (t->type != PH_JSON_NUMBER || t->len > 64))
        return ph_fail(fault, PH_EINVAL, "t", "t is a number of at most 64 digits");
    d->m.t = t ? t->text : NULL;
    return read_timing(d, v, fault);
}

static ph_err read_subscribe(struct draft *d, const struct ph_json *v, struct ph_fault *fault)
{
    const struct ph_json *room = ph_json_get(v, "room"), *hz = ph_json_get(v, "hz"),
                         *signals = ph_json_get(v, "signals");
    double often = ph_json_double(signals, 0);
    if (signals && (signals->type != PH_JSON_NUMBER || !(often >= 1 || often == 0) ||
                    often > PH_MESSAGE_SIGNALS_HZ))
        return ph_fail(fault, PH_EINVAL, "signals",
                       "signals is 1 … %d times a second, or 0 for no more",
                       PH_MESSAGE_SIGNALS_HZ);
    d->m.signals_hz = ph_json_double(signals, -1);
    d->m.hz = -1;
    if (signals && !room && !hz) return PH_OK;
    if (!room || room->type != PH_JSON_BOOL)
        return ph_fail(fault, PH_EINVAL, "room", "room is true or false");
    if (hz && (hz->type != PH_JSON_NUMBER || hz->number < 1 || hz->number > 10))
        return ph_fail(fault, PH_EINVAL, "hz",
                       "hz is 1 … 10 room documents a second, got %.20s",
                       hz->type == PH_JSON_NUMBER ? hz->text : "no number");
    d->m.hz = ph_json_bool(room, false) ? ph_json_double(hz, 4) : 0;
    return PH_OK;
}

static ph_err read_shown(struct draft *d, const struct ph_json *v, struct ph_fault *fault)
{
    const struct ph_json *frame = ph_json_get(v, "frame"), *t = ph_json_get(v, "t"),
                         *count = ph_json_get(v, "count");
    int64_t n = 0, shown = 1;
    if (!frame) return ph_fail(fault, PH_EINVAL, "frame", "frame is missing");
    ph_err ret = whole(frame, "frame", 0, MAX_EXACT, &n, fault);
    if (ret == PH_OK && count) ret = whole(count, "count", 1, 1000, &shown, fault);
    if (ret < 0) return ret;
    if (t && t->type != PH_JSON_NUMBER)
        return ph_fail(fault, PH_EINVAL, "t", "t is the client's clock in milliseconds");
    d->m.frame = (uint64_t) n;
    d->m.shown = (int) shown;
    d->m.t_ms = ph_json_double(t, NAN);
    return PH_OK;
}

// --- codecs

static const struct {
    const char *name;
    enum ph_codec codec;
} codecs[] = { { "jpeg", PH_JPEG }, { "h264", PH_H264 },   { "vp8", PH_VP8 },
               { "vp9", PH_VP9 },   { "cloud", PH_CLOUD }, { "depth16", PH_DEPTH16 } };
#define CODECS (int) (sizeof codecs / sizeof *codecs)

static enum ph_codec codec_of(const char *name)
{
    for (int i = 0; name && i < CODECS; i++)
        if (!strcmp(name, codecs[i].name)) return codecs[i].codec;
    return PH_CODEC_NONE;
}

static void add_codec(struct ph_message *m, enum ph_codec codec)
{
    for (int i = 0; i < m->codec_count; i++)
        if (m->codecs[i] == codec) return;
    if (m->codec_count < PH_MESSAGE_CODECS) m->codecs[m->codec_count++] = codec;
}

// Optional parts of messages; as with codecs, a newer client may know more of them.
static ph_err read_parts(struct draft *d, const struct ph_json *list, struct ph_fault *fault)
{
    if (list && (list->type != PH_JSON_ARRAY || list->count > 32))
        return ph_fail(fault, PH_EINVAL, "parts",
                       "parts is a list of at most 32 names: [\"confidence\"]");
    for (const struct ph_json *c = list ? list->child : NULL; c; c = c->next) {
        if (c->type != PH_JSON_STRING)
            return ph_fail(fault, PH_EINVAL, "parts", "parts is a list of texts");
        if (!strcmp(c->text, "confidence")) d->m.confidence = true;
    }
    return PH_OK;
}

// Codecs that this server never heard of may stand in the list: a newer client has them.
static ph_err read_hello(struct draft *d, const struct ph_json *v, struct ph_fault *fault)
{
    const struct ph_json *list = ph_json_get(v, "codecs");
    if (list && (list->type != PH_JSON_ARRAY || list->count > 32))
        return ph_fail(fault, PH_EINVAL, "codecs",
                       "codecs is a list of at most 32 names: [\"h264\",\"jpeg\"]");
    for (const struct ph_json *c = list ? list->child : NULL; c; c = c->next) {
        if (c->type != PH_JSON_STRING)
            return ph_fail(fault, PH_EINVAL, "codecs", "codecs is a list of texts");
        enum ph_codec codec = codec_of(c->text);
        if (codec) add_codec(&d->m, codec);
    }
    add_codec(&d->m, PH_JPEG);
    return read_parts(d, ph_json_get(v, "parts"), fault);
}

static ph_err read_codec(struct draft *d, const struct ph_json *v, struct ph_fault *fault)
{
    const char *name = ph_json_string(ph_json_get(v, "codec"), "");
    enum ph_codec codec = codec_of(name);
    if (!codec)
        return ph_fail(
            fault, PH_EINVAL, "codec",
            "codec is \"jpeg\", \"h264\", \"vp8\", \"vp9\", \"cloud\" or \"depth16\", got "
            "\"%.60s\"",
            name);
    add_codec(&d->m, codec);
    add_codec(&d->m, PH_JPEG);
    return PH_OK;
}

// The clock of a camera is measured by its pings; this one moment says nothing of it.
static ph_err read_role(struct draft *d, const struct ph_json *v, struct ph_fault *fault)
{
    const char *role = ph_json_string(ph_json_get(v, "role"), "");
    const struct ph_json *node = ph_json_get(v, "node");
    if (node && node->type != PH_JSON_STRING)
        return ph_fail(fault, PH_EINVAL, "node",
                       "node is the name of a browser node, as a text");
    d->m.inlet = ph_json_string(node, NULL);
    d->m.camera = !strcmp(role, "camera");
    if (d->m.camera || !strcmp(role, "viewer")) return PH_OK;
    return ph_fail(fault, PH_EINVAL, "role", "role is \"viewer\" or \"camera\", got \"%.60s\"",
                   role);
}

// --- the message

static const struct kind {
    const char *name;
    ph_err (*read)(struct draft *d, const struct ph_json *v, struct ph_fault *fault);
    const char *members[6]; // besides type and id
} kinds[] = {
    [PH_MESSAGE_SET] = { "set", read_set, { "node", "values", "drives", "at" } },
    [PH_MESSAGE_CUT] = { "cut", read_cut, { "kind", "chunks" } },
    [PH_MESSAGE_PING] = { "ping", read_ping, { "t", "sent", "heard", "server_ns" } },
    [PH_MESSAGE_SUBSCRIBE] = { "subscribe", read_subscribe, { "room", "hz", "signals" } },
    [PH_MESSAGE_SHOWN] = { "shown", read_shown, { "frame", "t", "count" } },
    [PH_MESSAGE_HELLO] = { "hello", read_hello, { "codecs", "parts" } },
    [PH_MESSAGE_CODEC] = { "codec", read_codec, { "codec" } },
    [PH_MESSAGE_ROLE] = { "register_role", read_role, { "role", "timestamp", "node" } },
};
#define KINDS (int) (sizeof kinds / sizeof *kinds)

static ph_err read_kind(struct draft *d, const struct ph_json *v, bool typed,
                        struct ph_fault *fault)
{
    const struct kind *k = &kinds[d->m.type];
    const char *known[10];
    int n = 0;
    for (; k->members[n]; n++) known[n] = k->members[n];
    if (typed) known[n++] = "type", known[n++] = "id";
    known[n] = NULL;
    ph_err ret = ph_json_only(v, known, fault);
    return ret < 0 ? ret : k->read(d, v, fault);
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static const char *move_text(const char *text, char **to)
{
    size_t n = text_size(text);
    char *copy = n ? memcpy(*to, text, n) : NULL;
    *to += n;
    return copy;
}

static ph_err pack(const struct draft *d, struct ph_message **out, struct ph_fault *fault)
{
    size_t values = sizeof *d->values * (size_t) d->m.count;
    size_t size =
        sizeof d->m + values + text_size(d->m.node) + text_size(d->m.t) + text_size(d->m.inlet);
    for (int i = 0; i < d->m.count; i++)
        size += text_size(d->values[i].param) + text_size(d->values[i].text);
    struct ph_message *m = malloc(size);
    if (!m) return ph_fail(fault, PH_ENOMEM, "message", "out of memory");
    char *to = (char *) (m + 1) + values;
    *m = d->m;
    m->bytes = size;
    m->values = (struct ph_message_value *) (m + 1);
    m->node = move_text(d->m.node, &to);
    m->t = move_text(d->m.t, &to);
    m->inlet = move_text(d->m.inlet, &to);
    for (int i = 0; i < m->count; i++) {
        m->values[i].drive = d->values[i].drive;
        m->values[i].param = move_text(d->values[i].param, &to);
        m->values[i].text = move_text(d->values[i].text, &to);
    }
    *out = m;
    return PH_OK;
}

static ph_err find_type(struct draft *d, const char *name, struct ph_fault *fault)
{
    const char *names[KINDS + 1] = { 0 };
    for (int i = 0; i < KINDS; i++) names[i] = kinds[i].name;
    for (int i = 0; name && i < KINDS; i++) {
        if (strcmp(name, names[i])) continue;
        d->m.type = (enum ph_message_type) i;
        return PH_OK;
    }
    if (!name)
        return ph_fail(
            fault, PH_EINVAL, "type",
            "type is missing: set, cut, ping, subscribe, shown, hello, codec or register_role");
    const char *near = ph_nearest(name, names);
    return ph_fail(fault, PH_EINVAL, "type", "unknown type \"%.60s\"%s%s%s", name,
                   near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static ph_err read_root(struct draft *d, struct ph_message_id *id, const struct ph_json *root,
                        struct ph_fault *fault)
{
    const struct ph_json *number = ph_json_get(root, "id");
    ph_err ret = PH_OK;
    if (root->type != PH_JSON_OBJECT)
        return ph_fail(fault, PH_EFORMAT, "json", "a message is a JSON object");
    if (number) ret = whole(number, "id", -MAX_EXACT, MAX_EXACT, &id->value, fault);
    if (ret < 0) return ret;
    id->given = number != NULL;
    ret = find_type(d, ph_json_string(ph_json_get(root, "type"), NULL), fault);
    return ret < 0 ? ret : read_kind(d, root, true, fault);
}

ph_err ph_message_parse(struct ph_message **out, struct ph_message_id *id, const char *text,
                        size_t len, struct ph_fault *fault)
{
    struct draft d = { 0 };
    struct ph_json_doc *doc = NULL;
    *out = NULL;
    *id = (struct ph_message_id){ 0 };
    ph_err ret = ph_json_parse(&doc, text, len, 0, fault);
    if (ret == PH_OK) ret = read_root(&d, id, ph_json_root(doc), fault);
    if (ret == PH_OK) ret = pack(&d, out, fault);
    ph_json_free(&doc);
    return ret;
}

ph_err ph_message_body(struct ph_message **out, enum ph_message_type type,
                       const struct ph_json *body, struct ph_fault *fault)
{
    struct draft d = { .m.type = type };
    *out = NULL;
    ph_err ret = read_kind(&d, body, false, fault);
    return ret < 0 ? ret : pack(&d, out, fault);
}
