// SPDX-License-Identifier: MIT
#include "nodes.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct seen test_seen[1 << 17];
_Atomic int test_seen_count, test_seen_by[256];
_Atomic int test_opened, test_closed, test_cut_calls, test_cut_failures;

#define ANY (PH_PICTURE | PH_PACKET)

// --- count

struct count {
    float fps, value;
    int64_t fail_every;
    const char *label; // setup
};

static ph_err count_open(struct ph_node *n, struct ph_fault *fault)
{
    const struct count *c = ph_priv(n);
    if (!strcmp(c->label, "broken"))
        return ph_fail(fault, PH_EDEVICE, "label", "cannot open \"broken\"");
    ph_node_set_rate(n, (int64_t) (c->fps * 1000), 1000);
    atomic_fetch_add(&test_opened, 1);
    return PH_OK;
}

static void count_close(struct ph_node *n)
{
    (void) n;
    atomic_fetch_add(&test_closed, 1);
}

static ph_err count_apply(struct ph_node *n)
{
    const struct count *c = ph_priv(n);
    ph_node_set_rate(n, (int64_t) (c->fps * 1000), 1000);
    return PH_OK;
}

static ph_err count_process(struct ph_node *n)
{
    const struct count *c = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_picture(n, NULL, PH_DEPTHF, 1, 1, &f);
    if (ret < 0) return ret;
    if (c->fail_every && f->id % (uint64_t) c->fail_every == 0) {
        ph_frame_unref(&f);
        return PH_EDEVICE;
    }
    *(float *) (void *) f->picture.data[0] = c->value;
    return ph_node_write(n, 0, f);
}

static const struct ph_node_info node_count = {
    .name = "count",
    .group = "source",
    .help = "numbers",
    .out = PH_PORTS({ "out", PH_PICTURE }),
    .params =
        (const struct ph_param[]){ PH_FLOAT(struct count, fps, 0, 100000, .def = "60"),
                                   PH_FLOAT(struct count, value, -1e6, 1e6),
                                   PH_INT(struct count, fail_every, 0, 1000),
                                   PH_STRING(struct count, label, .flags = PH_PARAM_SETUP),
                                   { 0 } },
    .priv_size = sizeof(struct count),
    .open = count_open,
    .close = count_close,
    .apply = count_apply,
    .process = count_process,
};

// --- drums: signals

struct drums {
    float fps, bpm;
};

static ph_err drums_open(struct ph_node *n, struct ph_fault *fault)
{
    const struct drums *d = ph_priv(n);
    (void) fault;
    ph_node_set_rate(n, (int64_t) (d->fps * 1000), 1000);
    return PH_OK;
}

static ph_err drums_process(struct ph_node *n)
{
    const struct drums *d = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_signals(n, NULL, &f);
    if (ret < 0) return ret;
    double s = (double) f->pts_ns * 1e-9, beat = s * (double) d->bpm / 60;
    f->signals.value[0] = (float) s;
    f->signals.value[1] = d->bpm > 0 && beat - (double) (int64_t) beat < 1e-6;
    f->signals.value[2] = (float) f->id;
    f->signals.beat = (struct ph_beat){ (double) d->bpm, beat, 4, 1 };
    return ph_node_write(n, 0, f);
}

static const struct ph_node_info node_drums = {
    .name = "drums",
    .group = "source",
    .help = "signals",
    .out = PH_PORTS({ "signals", PH_SIGNALS }),
    .params = (const struct ph_param[]){ PH_FLOAT(struct drums, fps, 0, 100000, .def = "100"),
                                         PH_FLOAT(struct drums, bpm, 0, 1000, .def = "60"),
                                         { 0 } },
    .signals = PH_SIGNALS_OF({ "level", 0, 1, "the time" }, { "kick", 0, 1, "beats" },
                             { "steps", 0, 100, "ticks" }),
    .priv_size = sizeof(struct drums),
    .open = drums_open,
    .process = drums_process,
};

// --- tell: says what comes by

static ph_err tell_process(struct ph_node *n)
{
    struct ph_frame *in, *out;
    ph_err ret = ph_node_read(n, 0, &in);
    if (ret != PH_OK) return ret;
    ret = ph_node_signals(n, in, &out);
    if (ret == PH_OK) {
        out->signals.value[0] = (float) in->id;
        ret = ph_node_write(n, 0, out);
    }
    ph_frame_unref(&in);
    return ret;
}

static const struct ph_node_info node_tell = {
    .name = "tell",
    .group = "prepare",
    .help = "signals of frames",
    .in = PH_PORTS({ "in", ANY }),
    .out = PH_PORTS({ "signals", PH_SIGNALS }),
    .signals = PH_SIGNALS_OF({ "number", 0, 100, "of the frame" }),
    .process = tell_process,
};

// --- stream: packets that need their predecessors

static ph_err stream_open(struct ph_node *n, struct ph_fault *fault)
{
    (void) fault;
    ph_node_set_rate(n, 100, 1);
    return PH_OK;
}

static ph_err stream_process(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_packet(n, NULL, PH_H264, 16, &f);
    if (ret < 0) return ret;
    f->packet.key = f->id % 10 == 0;
    return ph_node_write(n, 0, f);
}

static const struct ph_node_info node_stream = {
    .name = "stream",
    .group = "encode",
    .help = "packets",
    .out = PH_PORTS({ "out", PH_PACKET, PH_PORT_KEYED }),
    .open = stream_open,
    .process = stream_process,
};

// --- thin: drops frames

struct thin {
    int64_t n;
};

static ph_err thin_process(struct ph_node *n)
{
    const struct thin *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    if (f->id % (uint64_t) p->n == 0) return ph_node_write(n, 0, f);
    ph_frame_unref(&f);
    return PH_OK;
}

static const struct ph_node_info node_thin = {
    .name = "thin",
    .group = "prepare",
    .help = "every n-th frame",
    .in = PH_PORTS({ "in", ANY }),
    .out = PH_PORTS({ "out", ANY }),
    .params = (const struct ph_param[]){ PH_INT(struct thin, n, 1, 1000, .def = "5"), { 0 } },
    .priv_size = sizeof(struct thin),
    .process = thin_process,
};

// --- pass, work, add, pair

static ph_err pass_process(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    return ret == PH_OK ? ph_node_write(n, 0, f) : ret;
}

static const struct ph_node_info node_pass = {
    .name = "pass",
    .group = "prepare",
    .help = "hands on",
    .in = PH_PORTS({ "in", ANY }),
    .out = PH_PORTS({ "out", ANY }),
    .process = pass_process,
};

struct work {
    float ms;
};

static ph_err work_process(struct ph_node *n)
{
    const struct work *w = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    ph_node_work(n, (int64_t) ((double) w->ms * 1e6));
    return ph_node_write(n, 0, f);
}

static const struct ph_node_info node_work = {
    .name = "work",
    .group = "prepare",
    .help = "takes time",
    .in = PH_PORTS({ "in", ANY }),
    .out = PH_PORTS({ "out", ANY }),
    .params = (const struct ph_param[]){ PH_FLOAT(struct work, ms, 0, 10000), { 0 } },
    .priv_size = sizeof(struct work),
    .process = work_process,
};

struct add {
    float amount;
    int64_t whole;
    bool twice;
    int kind;
    uint32_t color;
};

static ph_err add_process(struct ph_node *n)
{
    const struct add *a = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK || (ret = ph_frame_make_writable(&f)) < 0) return ret;
    *(float *) (void *) f->picture.data[0] +=
        (a->amount + (float) a->whole + (float) a->kind * 1000) * (a->twice ? 2 : 1);
    return ph_node_write(n, 0, f);
}

static const struct ph_node_info node_add = {
    .name = "add",
    .group = "prepare",
    .help = "adds",
    .in = PH_PORTS({ "in", PH_PICTURE }),
    .out = PH_PORTS({ "out", PH_PICTURE }),
    .params =
        (const struct ph_param[]){ PH_FLOAT(struct add, amount, -1000, 1000),
                                   PH_INT(struct add, whole, -10, 10),
                                   PH_BOOL(struct add, twice),
                                   PH_ENUM(struct add, kind, PH_NAMES("none", "one", "two")),
                                   PH_COLOR(struct add, color),
                                   { 0 } },
    .priv_size = sizeof(struct add),
    .process = add_process,
};

struct pair {
    float ms;
};

static ph_err pair_process(struct ph_node *n)
{
    const struct pair *p = ph_priv(n);
    struct ph_frame *a, *b;
    ph_err ret = ph_node_read(n, 0, &a);
    if (p->ms > 0) ph_node_work(n, (int64_t) ((double) p->ms * 1e6));
    if (ret != PH_OK || (ret = ph_frame_make_writable(&a)) < 0) return ret;
    bool both = ph_node_read(n, 1, &b) == PH_OK;
    *(float *) (void *) a->picture.data[0] =
        (float) a->id * 1000 + (both ? (float) b->id : 999);
    ph_frame_unref(&b);
    return ph_node_write(n, 0, a);
}

// Two of each: the second a little later.
static ph_err twin_process(struct ph_node *n)
{
    struct ph_frame *f, *second;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK || (ret = ph_frame_make_writable(&f)) < 0) return ret;
    f->id *= 2;
    second = ph_frame_ref(f);
    if ((ret = ph_frame_make_writable(&second)) < 0) {
        ph_frame_unref(&f);
        return ret;
    }
    second->id++;
    second->pts_ns++;
    ret = ph_node_write(n, 0, f);
    if (ret == PH_OK) return ph_node_write(n, 0, second);
    ph_frame_unref(&second);
    return ret;
}

static const struct ph_node_info node_twin = {
    .name = "twin",
    .group = "prepare",
    .help = "each frame twice",
    .in = PH_PORTS({ "in", ANY }),
    .out = PH_PORTS({ "out", ANY }),
    .process = twin_process,
};

static const struct ph_node_info node_pair = {
    .name = "pair",
    .group = "compose",
    .help = "two inputs",
    .in = PH_PORTS({ "a", PH_PICTURE }, { "b", PH_PICTURE, PH_PORT_HOLD }),
    .out = PH_PORTS({ "out", PH_PICTURE }),
    .params = (const struct ph_param[]){ PH_FLOAT(struct pair, ms, 0, 1000), { 0 } },
    .priv_size = sizeof(struct pair),
    .process = pair_process,
};

// --- cutter

struct cutter {
    int64_t fail;
    int64_t failed;
};

static ph_err cutter_cut(struct ph_node *n, const struct ph_cut *cut)
{
    struct cutter *c = ph_priv(n);
    (void) cut;
    if (c->failed < c->fail) {
        c->failed++;
        atomic_fetch_add(&test_cut_failures, 1);
        return PH_EDEVICE;
    }
    atomic_fetch_add(&test_cut_calls, 1);
    return PH_OK;
}

static const struct ph_node_info node_cutter = {
    .name = "cutter",
    .group = "model",
    .help = "counts cuts",
    .in = PH_PORTS({ "in", ANY }),
    .out = PH_PORTS({ "out", ANY }),
    .params = (const struct ph_param[]){ PH_INT(struct cutter, fail, 0, 100), { 0 } },
    .priv_size = sizeof(struct cutter),
    .process = pass_process,
    .cut = cutter_cut,
};

// --- sinks

static ph_err sink_process(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    int i = atomic_fetch_add(&test_seen_count, 1);
    if (i < (int) (sizeof test_seen / sizeof *test_seen)) {
        struct seen *s = &test_seen[i];
        *s = (struct seen){ f->id, f->epoch, f->pts_ns, ph_node_now_ns(n), 0, "" };
        if (f->kind == PH_PICTURE && f->picture.format == PH_I420)
            s->value = (float) (10 * f->picture.matrix + f->picture.range) + f->intrinsics.fx;
        else if (f->kind == PH_PICTURE)
            s->value = *(float *) (void *) f->picture.data[0];
        snprintf(s->node, sizeof s->node, "%s", ph_node_name(n));
    }
    atomic_fetch_add(&test_seen_by[(unsigned char) *ph_node_name(n)], 1);
    ph_node_publish(n, f);
    ph_frame_unref(&f);
    return PH_OK;
}

void test_flow(const char *letters, int frames)
{
    int until[256];
    for (const char *c = letters; *c; c++)
        until[(unsigned char) *c] = test_seen_by[(unsigned char) *c] + frames;
    for (const char *c = letters; *c; c++)
        while (test_seen_by[(unsigned char) *c] < until[(unsigned char) *c])
            ph_sleep_until_ns(ph_now_ns() + PH_MS_NS);
}

static const struct ph_node_info node_sink = {
    .name = "sink",
    .group = "deliver",
    .help = "records",
    .in = PH_PORTS({ "in", ANY, PH_PORT_MANY }),
    .process = sink_process,
};

static bool viewed_wants(struct ph_node *n, enum ph_codec codec)
{
    return ph_node_subscribers(n, codec) > 0;
}

struct few {
    int64_t frames, seen;
};

static ph_err few_process(struct ph_node *n)
{
    struct few *p = ph_priv(n);
    ph_err ret = p->seen++ < p->frames ? sink_process(n) : PH_EOF;
    return ret;
}

static const struct ph_node_info node_few = {
    .name = "few",
    .group = "deliver",
    .help = "ends by itself",
    .in = PH_PORTS({ "in", ANY }),
    .params = (const struct ph_param[]){ PH_INT(struct few, frames, 0, 100), { 0 } },
    .priv_size = sizeof(struct few),
    .process = few_process,
};

static const struct ph_node_info node_viewed = {
    .name = "viewed",
    .group = "deliver",
    .help = "wants what is subscribed to",
    .in = PH_PORTS({ "in", ANY, PH_PORT_MANY }),
    .process = sink_process,
    .wants = viewed_wants,
};

// --- push

static const struct ph_node_info node_push = {
    .name = "push",
    .group = "source",
    .help = "from outside",
    .in = PH_PORTS({ "in", ANY, PH_PORT_EXTERNAL }),
    .out = PH_PORTS({ "out", ANY }),
    .process = pass_process,
};

// --- brief: ends by itself

struct brief {
    int64_t n;
};

static ph_err brief_open(struct ph_node *n, struct ph_fault *fault)
{
    (void) fault;
    ph_node_set_rate(n, 100, 1);
    return PH_OK;
}

static ph_err brief_process(struct ph_node *n)
{
    const struct brief *p = ph_priv(n);
    struct ph_frame *f;
    if (ph_node_tick(n).index >= (uint64_t) p->n) return PH_EOF;
    ph_err ret = ph_node_picture(n, NULL, PH_DEPTHF, 1, 1, &f);
    if (ret < 0) return ret;
    *(float *) (void *) f->picture.data[0] = 0;
    return ph_node_write(n, 0, f);
}

static const struct ph_node_info node_brief = {
    .name = "brief",
    .group = "source",
    .help = "ends after n",
    .out = PH_PORTS({ "out", PH_PICTURE }),
    .params = (const struct ph_param[]){ PH_INT(struct brief, n, 0, 1000000), { 0 } },
    .priv_size = sizeof(struct brief),
    .open = brief_open,
    .process = brief_process,
};

// --- own: a source that keeps its own time and has an external port, as a file has

struct own {
    int64_t next_ns;
};

static int64_t own_due(struct ph_node *n, int64_t now_ns)
{
    struct own *p = ph_priv(n);
    if (!p->next_ns) p->next_ns = now_ns;
    return p->next_ns;
}

static ph_err own_process(struct ph_node *n)
{
    struct own *p = ph_priv(n);
    struct ph_frame *f;
    if (ph_node_read(n, 0, &f) == PH_OK) return ph_node_write(n, 0, f);
    if (!ph_node_offline(n) && ph_node_now_ns(n) < p->next_ns) return PH_MORE;
    p->next_ns += 5 * PH_MS_NS;
    ph_err ret = ph_frame_picture(NULL, PH_DEPTHF, 1, 1, &f);
    if (ret < 0) return ret;
    ph_node_stamp_at(n, f, p->next_ns, 0);
    f->pts_ns = (int64_t) f->id * 5 * PH_MS_NS;
    *(float *) (void *) f->picture.data[0] = 0;
    return ph_node_write(n, 0, f);
}

static const struct ph_node_info node_own = {
    .name = "own",
    .group = "source",
    .help = "200 per second of its own clock",
    .in = PH_PORTS({ "stream", ANY, PH_PORT_EXTERNAL }),
    .out = PH_PORTS({ "out", ANY }),
    .priv_size = sizeof(struct own),
    .due = own_due,
    .process = own_process,
};

// --- asker: a thread of its own asks while the graph is edited and closed

struct asker {
    pthread_t thread;
    _Atomic bool stop;
};

static void *ask(void *opaque)
{
    struct ph_node *n = opaque;
    struct asker *p = ph_priv(n);
    while (!p->stop) {
        ph_node_wanted(n, PH_CODEC_NONE);
        ph_node_linked(n, true, 0);
    }
    return NULL;
}

static ph_err asker_open(struct ph_node *n, struct ph_fault *fault)
{
    struct asker *p = ph_priv(n);
    (void) fault;
    pthread_create(&p->thread, NULL, ask, n);
    return PH_OK;
}

static void asker_close(struct ph_node *n)
{
    struct asker *p = ph_priv(n);
    ph_sleep_until_ns(ph_now_ns() + 2 * PH_MS_NS); // a device takes its time
    p->stop = true;
    pthread_join(p->thread, NULL);
}

static const struct ph_node_info node_asker = {
    .name = "asker",
    .group = "source",
    .help = "asks from a thread of its own",
    .in = PH_PORTS({ "in", ANY, PH_PORT_EXTERNAL }),
    .out = PH_PORTS({ "out", ANY }),
    .priv_size = sizeof(struct asker),
    .open = asker_open,
    .close = asker_close,
    .process = pass_process,
};

// --- meter: the value is the metrics it was told, as one number

struct meter {
    const char *names; // separated by blanks
};

static ph_err meter_process(struct ph_node *n)
{
    const struct meter *p = ph_priv(n);
    struct ph_frame *f;
    char names[1024], text[256], *state = NULL;
    unsigned sum = 0;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK || (ret = ph_frame_make_writable(&f)) < 0) return ret;
    snprintf(names, sizeof names, "%s", p->names);
    for (char *w = strtok_r(names, " ", &state); w; w = strtok_r(NULL, " ", &state)) {
        int len = ph_node_metric(n, w, text, sizeof text);
        sum = sum * 31 + (unsigned) (len + 1);
        for (int i = 0; i < len && i < (int) sizeof text - 1; i++)
            sum = sum * 31 + (unsigned char) text[i];
    }
    *(float *) (void *) f->picture.data[0] = (float) (sum & 0xffffff);
    return ph_node_write(n, 0, f);
}

static const struct ph_node_info node_meter = {
    .name = "meter",
    .group = "compose",
    .help = "reads metrics",
    .in = PH_PORTS({ "in", PH_PICTURE }),
    .out = PH_PORTS({ "out", PH_PICTURE }),
    .params = (const struct ph_param[]){ PH_STRING(struct meter, names), { 0 } },
    .priv_size = sizeof(struct meter),
    .process = meter_process,
};

// --- an encoder

static ph_err encoder_process(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    if (ph_node_wanted(n, PH_JPEG)) return ph_node_write(n, 0, f);
    ph_frame_unref(&f);
    return PH_OK;
}

static const struct ph_node_info node_encoder = {
    .name = "encoder",
    .group = "encode",
    .help = "passes on what somebody wants",
    .in = PH_PORTS({ "in", PH_PICTURE }),
    .out = PH_PORTS({ "out", PH_PICTURE }),
    .process = encoder_process,
};

// --- device memory (nothing is really moved)

static const struct ph_node_info node_gpu = {
    .name = "gpu",
    .group = "model",
    .help = "works on the device",
    .in = PH_PORTS({ "in", PH_PICTURE, 0, PH_CUDA }),
    .out = PH_PORTS({ "out", PH_PICTURE, 0, PH_CUDA }),
    .process = pass_process,
};
static const struct ph_node_info node_both = {
    .name = "both",
    .group = "model",
    .help = "works on either",
    .in = PH_PORTS({ "in", PH_PICTURE, 0, PH_HOST | PH_CUDA }),
    .out = PH_PORTS({ "out", PH_PICTURE, 0, PH_HOST | PH_CUDA }),
    .process = pass_process,
};
static const struct ph_node_info node_upload = {
    .name = "upload",
    .group = "prepare",
    .help = "host to device",
    .in = PH_PORTS({ "in", PH_PICTURE, 0, PH_HOST }),
    .out = PH_PORTS({ "out", PH_PICTURE, 0, PH_CUDA }),
    .process = pass_process,
};
static const struct ph_node_info node_download = {
    .name = "download",
    .group = "prepare",
    .help = "device to host",
    .in = PH_PORTS({ "in", PH_PICTURE, 0, PH_CUDA }),
    .out = PH_PORTS({ "out", PH_PICTURE, 0, PH_HOST }),
    .process = pass_process,
};

const struct ph_node_info *const test_nodes[] = {
    &node_count,   &node_stream, &node_pass,  &node_work,   &node_add,
    &node_pair,    &node_cutter, &node_sink,  &node_viewed, &node_few,
    &node_push,    &node_gpu,    &node_both,  &node_upload, &node_download,
    &node_brief,   &node_own,    &node_asker, &node_thin,   &node_meter,
    &node_encoder, &node_drums,  &node_tell,  &node_twin,   NULL,
};
