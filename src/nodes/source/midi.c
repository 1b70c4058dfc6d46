// SPDX-License-Identifier: MIT
// MIDI through the ALSA sequencer as signals: sixteen controllers that are learnt by moving them, the
// newest note, and the beat of a MIDI clock. The keyboard may be unplugged and plugged in again.
#include <phosphene/node.h>

#include "config.h"

#include "audio/live/midi.h"
#include "core/number.h"
#include "nodes/source/bytes.h"

#include <math.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLOTS 16
#define FOUND 64   // controllers that are told
#define SENSE 0xfe // "active sensing": a byte that means nothing but that time goes on

struct slot {
    int number, channel; // of its controller; number -1 = none; channel -1 = any
    bool mapped;
    struct ph_pickup pickup;
    float value;
};

// Written by the lane: number and channel once, before it is counted; others only read.
struct found {
    int number, channel;
    _Atomic int signal; // the slot that it is; -1 = none
    _Atomic float value;
    _Atomic unsigned count;
};

struct midi {
    const char *device, *map, *recall;
    int64_t learn;
    bool pickup;

    struct ph_bytes bytes;
    _Atomic bool told; // the thread's: that there is no sequencer, no device
    // the lane's
    bool misread;                 // the map
    char *seen_map, *seen_recall; // what map and recall were when they were last taken
    struct ph_midi_parser parser;
    struct ph_midi_clock clock;
    struct slot slot[SLOTS];
    int held; // notes that are down
    float note, velocity, bend, pressure;
    double clock_s; // moment of the newest tick
    struct found found[FOUND];
    _Atomic int founds;
};

enum { NOTE = SLOTS, VELOCITY, GATE, BEND, PRESSURE, PLAYING, SIGNALS };

// --- the sequencer, on a thread of its own

#if PH_HAVE_ALSA
#include <alsa/asoundlib.h>

// What goes wrong is said in our words; ALSA's own go to stderr, twice a second.
PH_PRINTF(5, 6)
static void say_nothing(const char *file, int line, const char *function, int err,
                        const char *fmt, ...)
{
}

static snd_seq_t *open_sequencer(struct midi *p, struct ph_node *n)
{
    snd_seq_t *seq = NULL;
    snd_lib_error_set_handler(say_nothing);
    int err = snd_seq_open(&seq, "default", SND_SEQ_OPEN_INPUT, SND_SEQ_NONBLOCK);
    if (err < 0) {
        if (!p->told)
            ph_node_problem(n,
                            "no MIDI: the ALSA sequencer says %s; trying again (modprobe "
                            "snd-seq brings it, and the group audio may use it)",
                            snd_strerror(err));
        p->told = true;
        return NULL;
    }
    snd_seq_set_client_name(seq, "phosphene");
    snd_seq_create_simple_port(seq, ph_node_name(n),
                               SND_SEQ_PORT_CAP_WRITE | SND_SEQ_PORT_CAP_SUBS_WRITE,
                               SND_SEQ_PORT_TYPE_MIDI_GENERIC | SND_SEQ_PORT_TYPE_APPLICATION);
    return seq;
}

// "" leaves the connecting to others (aconnect, a patch bay).
static bool connect_device(struct midi *p, struct ph_node *n, snd_seq_t *seq)
{
    snd_seq_addr_t from;
    bool found = !p->device[0] || (snd_seq_parse_address(seq, &from, p->device) == 0 &&
                                   (snd_seq_connect_from(seq, 0, from.client, from.port) == 0 ||
                                    errno == EBUSY)); // it is connected already
    if (!found && !p->told)
        ph_node_problem(n,
                        "there is no MIDI device %s; waiting for it (aconnect -i lists them)",
                        p->device);
    if (found && p->told) ph_node_problem(n, NULL);
    p->told = !found;
    return found;
}

static void pass_events(struct ph_bytes *b, snd_seq_t *seq, snd_midi_event_t *decoder)
{
    snd_seq_event_t *event;
    while (snd_seq_event_input(seq, &event) >= 0) {
        unsigned char bytes[64];
        long n = snd_midi_event_decode(decoder, bytes, sizeof bytes, event);
        if (n > 0) ph_bytes_push(b, bytes, (size_t) n);
    }
}

static void serve(struct ph_bytes *b, struct midi *p, snd_seq_t *seq)
{
    snd_midi_event_t *decoder = NULL;
    struct pollfd fds[4];
    int64_t looked_ns = 0;
    if (snd_midi_event_new(64, &decoder) < 0) return;
    snd_midi_event_no_status(decoder, 1); // each message with its status
    int count = snd_seq_poll_descriptors(seq, fds, 4, POLLIN);
    while (!ph_bytes_stopped(b)) {
        if (!looked_ns || ph_now_ns() - looked_ns > 2 * PH_SECOND_NS) {
            connect_device(p, b->node, seq); // also when it was pulled out and is back
            looked_ns = ph_now_ns();
        }
        int ready = poll(fds, (nfds_t) count, 200);
        if (ready > 0) pass_events(b, seq, decoder);
        const unsigned char sense = SENSE;
        if (ready == 0) ph_bytes_push(b, &sense, 1);
    }
    snd_midi_event_free(decoder);
}

static void run(struct ph_bytes *b, void *opaque)
{
    struct midi *p = opaque;
    while (!ph_bytes_stopped(b)) {
        snd_seq_t *seq = open_sequencer(p, b->node);
        if (seq) {
            serve(b, p, seq);
            snd_seq_close(seq);
        }
        for (int i = 0; i < 10 && !ph_bytes_stopped(b); i++)
            ph_sleep_until_ns(ph_now_ns() + PH_SECOND_NS / 5);
    }
}

static ph_err can_hear(struct ph_fault *fault)
{
    return PH_OK;
}
#else
static void run(struct ph_bytes *b, void *opaque)
{
}

static ph_err can_hear(struct ph_fault *fault)
{
    return ph_fail(fault, PH_ENOTSUP, "midi",
                   "this build has no MIDI: install libasound2-dev and build again");
}
#endif

// --- controllers

static bool read_pair(const char *word, struct slot *slots, struct ph_fault *fault)
{
    int slot, number, channel = 0, used = 0;
    bool ok = sscanf(word, "%d:%d%n/%d%n", &slot, &number, &used, &channel, &used) >= 2;
    ok = ok && !word[used] && slot >= 1 && slot <= SLOTS && number >= 0 && number < 128 &&
         channel >= 0 && channel <= 16;
    if (!ok) {
        ph_fail(fault, PH_EINVAL, "map",
                "%s: write slot:controller or slot:controller/channel, as 1:74 or 2:71/10",
                word);
        return false;
    }
    struct slot *s = &slots[slot - 1];
    channel = channel ? channel - 1 : -1;
    s->mapped = true;
    if (s->number == number && s->channel == channel) return true; // its fader is in the hand
    s->number = number;
    s->channel = channel;
    s->pickup = (struct ph_pickup){ .last = -1 };
    return true;
}

static ph_err read_map(const char *text, struct slot *slots, struct ph_fault *fault)
{
    char copy[512], *rest = copy;
    snprintf(copy, sizeof copy, "%s", text);
    for (int i = 0; i < SLOTS; i++) slots[i].mapped = false;
    for (char *word; (word = strsep(&rest, " ,"));)
        if (*word && !read_pair(word, slots, fault)) return PH_EINVAL;
    for (int i = 0; i < SLOTS; i++)
        if (!slots[i].mapped) slots[i].number = -1;
    return PH_OK;
}

// Values that a preset brings: faders stand elsewhere and have to pick them up. "-" is left alone.
static void read_values(struct midi *p)
{
    const char *at = p->recall;
    for (int i = 0; i < SLOTS; i++) {
        char *end;
        at += strspn(at, " ,");
        if (at[0] == '-' && (!at[1] || strchr(" ,", at[1]))) {
            at++;
            continue;
        }
        float v = ph_strtof(at, &end);
        if (end == at) return;
        p->slot[i].value = v > 0 ? v < 1 ? v : 1 : 0;
        p->slot[i].pickup.holding = false;
        at = end;
    }
}

static bool changed(char **seen, const char *now)
{
    if (*seen && !strcmp(*seen, now)) return false;
    free(*seen);
    *seen = strdup(now);
    return true;
}

// --- what came

static int slot_of(const struct midi *p, int number, int channel)
{
    for (int i = 0; i < SLOTS; i++) {
        const struct slot *s = &p->slot[i];
        if (s->number == number && (s->channel < 0 || s->channel == channel)) return i;
    }
    return -1;
}

static void name_found(struct midi *p)
{
    int n = atomic_load_explicit(&p->founds, memory_order_relaxed);
    for (int i = 0; i < n; i++)
        atomic_store_explicit(&p->found[i].signal,
                              slot_of(p, p->found[i].number, p->found[i].channel),
                              memory_order_relaxed);
}

static void note(struct midi *p, const struct ph_midi_message *m)
{
    int i = 0, n = atomic_load_explicit(&p->founds, memory_order_relaxed);
    while (i < n && (p->found[i].number != m->number || p->found[i].channel != m->channel)) i++;
    if (i == FOUND) return;
    struct found *f = &p->found[i];
    if (i == n) {
        f->number = m->number;
        f->channel = m->channel;
        atomic_store_explicit(&f->signal, slot_of(p, m->number, m->channel),
                              memory_order_relaxed);
        atomic_store_explicit(&p->founds, n + 1, memory_order_release);
    }
    atomic_store_explicit(&f->value, (float) m->value / 127, memory_order_relaxed);
    atomic_fetch_add_explicit(&f->count, 1, memory_order_relaxed);
}

static int midi_found(struct ph_node *n, struct ph_found *out, int max)
{
    struct midi *p = ph_priv(n);
    int count = atomic_load_explicit(&p->founds, memory_order_acquire);
    for (int i = 0; i < count && i < max; i++) {
        struct found *f = &p->found[i];
        out[i] = (struct ph_found){
            .value = atomic_load_explicit(&f->value, memory_order_relaxed),
            .count = atomic_load_explicit(&f->count, memory_order_relaxed),
            .signal = atomic_load_explicit(&f->signal, memory_order_relaxed),
        };
        snprintf(out[i].name, sizeof out[i].name, "%d/%d", f->number, f->channel + 1);
    }
    return count < max ? count : max;
}

static void take_controller(struct ph_node *n, struct midi *p, const struct ph_midi_message *m)
{
    double at = m->value / 127.0;
    if (p->learn > 0) {
        struct slot *s = &p->slot[p->learn - 1];
        *s = (struct slot){ .number = m->number,
                            .channel = m->channel,
                            .pickup = { .last = -1, .holding = true } };
        ph_info(ph_node_log(n), ph_node_name(n),
                "c%d is controller %d of channel %d: map=%d:%d/%d", (int) p->learn, m->number,
                m->channel + 1, (int) p->learn, m->number, m->channel + 1);
        p->learn = 0;
        name_found(p);
    }
    note(p, m);
    for (int i = 0; i < SLOTS; i++) {
        struct slot *s = &p->slot[i];
        if (s->number != m->number || (s->channel >= 0 && s->channel != m->channel)) continue;
        if (ph_pickup_move(&s->pickup, at, (double) s->value) || !p->pickup)
            s->value = (float) at;
    }
}

// --- the node

static ph_err midi_open(struct ph_node *n, struct ph_fault *fault)
{
    struct midi *p = ph_priv(n);
    ph_err ret = ph_node_replaying(n) ? PH_OK : can_hear(fault);
    for (int i = 0; i < SLOTS; i++) p->slot[i].number = -1;
    if (ret == PH_OK) ret = read_map(p->map, p->slot, fault);
    if (ret < 0) return ret;
    ret = ph_bytes_start(&p->bytes, n, run, p);
    return ret < 0 ? ph_fail(fault, ret, "midi", "no thread for it") : PH_OK;
}

static void midi_close(struct ph_node *n)
{
    struct midi *p = ph_priv(n);
    ph_bytes_stop(&p->bytes);
    free(p->seen_map);
    free(p->seen_recall);
}

static void take(struct ph_node *n, struct midi *p, double now_s,
                 const struct ph_midi_message *m)
{
    ph_midi_clock_take(&p->clock, now_s, m);
    if (m->status == PH_MIDI_CLOCK) p->clock_s = now_s;
    if (m->status == PH_MIDI_CONTROL) take_controller(n, p, m);
    if (m->status == PH_MIDI_BEND) p->bend = (float) (m->value - 8192) / 8192;
    if (m->status == PH_MIDI_PRESSURE) p->pressure = (float) m->value / 127;
    if (m->status == PH_MIDI_NOTE_ON) {
        p->note = (float) m->number / 127;
        p->velocity = (float) m->value / 127;
        p->held++;
    }
    if (m->status == PH_MIDI_NOTE_OFF && p->held) p->held--;
    if (!p->held) p->velocity = 0;
}

static void put_signals(const struct midi *p, double now_s, struct ph_signals *out)
{
    for (int i = 0; i < SLOTS; i++) out->value[i] = p->slot[i].value;
    out->value[NOTE] = p->note;
    out->value[VELOCITY] = p->velocity;
    out->value[GATE] = p->held > 0;
    out->value[BEND] = p->bend;
    out->value[PRESSURE] = p->pressure;
    out->value[PLAYING] = p->clock.playing;
    struct ph_tempo_hint hint = ph_midi_clock_hint(&p->clock, now_s);
    out->beat = (struct ph_beat){ .bpm = hint.bpm,
                                  .beat = ph_midi_clock_beat(&p->clock, now_s),
                                  .per_bar = 4,
                                  .confidence = hint.confidence };
}

static ph_err midi_process(struct ph_node *n)
{
    struct midi *p = ph_priv(n);
    struct ph_frame *in, *out;
    ph_err ret = ph_bytes_read(&p->bytes, n, &in);
    if (ret != PH_OK) return ret;
    double now_s = (double) in->pts_ns * 1e-9;
    for (size_t i = 0; i < in->packet.size; i++) {
        struct ph_midi_message m;
        if (ph_midi_byte(&p->parser, in->packet.data[i], &m)) take(n, p, now_s, &m);
    }
    ret = ph_node_signals(n, in, &out);
    if (ret == PH_OK) {
        put_signals(p, now_s, &out->signals);
        ph_node_stamp_at(n, out, in->pts_ns, in->capture_ns);
        ret = ph_node_write(n, 0, out);
    }
    ph_frame_unref(&in);
    return ret;
}

static ph_err midi_apply(struct ph_node *n)
{
    struct midi *p = ph_priv(n);
    struct ph_fault fault = { 0 };
    struct slot slots[SLOTS];
    memcpy(slots, p->slot, sizeof slots);
    if (changed(&p->seen_map, p->map)) {
        bool misread = p->misread;
        p->misread = read_map(p->map, slots, &fault) < 0;
        if (p->misread) ph_node_problem(n, "%s", fault.message);
        if (!p->misread) memcpy(p->slot, slots, sizeof slots);
        if (misread && !p->misread) {
            ph_node_problem(n, NULL);
            p->told = false; // what else is wrong is said again
        }
        name_found(p);
    }
    if (changed(&p->seen_recall, p->recall)) read_values(p);
    return PH_OK;
}

// clang-format off
static const struct ph_param params[] = {
    PH_STRING(struct midi, device, .max = 100, .flags = PH_PARAM_FIRST | PH_PARAM_SETUP | PH_PARAM_PATH, .help = "whom it hears, by name or number (aconnect -i): nanoKONTROL2, 20:0; empty = whoever connects"),
    PH_STRING(struct midi, map, .max = 500, .help = "controllers of c1, c2 …: \"1:74 2:71/10\" is controller 74 of any channel, 71 of channel 10"),
    PH_INT(struct midi, learn, 0, SLOTS, .help = "the controller that moves next becomes this one; the log says how to write it as a map"),
    PH_BOOL(struct midi, pickup, .def = "on", .help = "a fader that stands elsewhere moves nothing until it has passed the present value"),
    PH_STRING(struct midi, recall, .max = 500, .help = "sets c1, c2 … to these values: \"0.5 - 1\"; - leaves one alone"),
    { 0 }
};

#define C(i) { .name = "c" #i, .max = 1, .help = "its controller" }
static const struct ph_signal_info signals[] = {
    C(1), C(2), C(3), C(4), C(5), C(6), C(7), C(8), C(9), C(10), C(11), C(12), C(13), C(14), C(15), C(16),
    { .name = "note", .max = 1, .help = "newest note, of all 128" },
    { .name = "velocity", .max = 1, .help = "of the newest note; 0 when none is held" },
    { .name = "gate", .max = 1, .help = "1 while a note is held" },
    { .name = "bend", .min = -1, .max = 1, .help = "pitch wheel" },
    { .name = "pressure", .max = 1, .help = "channel pressure" },
    { .name = "playing", .max = 1, .help = "1 while the MIDI clock plays" },
    { 0 }
};
// clang-format on
_Static_assert(sizeof signals / sizeof *signals == SIGNALS + 1, "a name for each signal");

const struct ph_node_info ph_node_midi = {
    .name = "midi",
    .group = "source",
    .help = "controllers, notes and clock of MIDI devices",
    .in = PH_PORTS({ "bytes", PH_PACKET, PH_PORT_EXTERNAL, .help = "from the devices" }),
    .out = PH_PORTS({ "out", PH_SIGNALS, .help = "a frame for each message" }),
    .params = params,
    .signals = signals,
    .priv_size = sizeof(struct midi),
    .open = midi_open,
    .close = midi_close,
    .process = midi_process,
    .apply = midi_apply,
    .found = midi_found,
};
