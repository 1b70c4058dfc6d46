// SPDX-License-Identifier: MIT
// Sound to signals, 100 times a second: how loud, which hits, which notes, where the beat is. All of
// it depends on the samples, their pts and the parameters, so that a replay says the same.
//
// A frame of signals is about the middle of the last 16 ms heard; it is there 18 ms after that sound
// at most (PH_HEAR_LATENCY_S) and whatever the samples' own frames take to fill.
#include <phosphene/node.h>

#include "audio/live/hear.h"
#include "audio/live/pulse.h"
#include "audio/live/sense.h"
#include "audio/live/tempo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DRIFT    0.02 // part of a difference of clocks that is made up for at once
#define BREAK_NS (PH_SECOND_NS / 10) // a difference that is a break in the sound
#define FORGET_S 3.0                 // after a break as long, the beat is looked for anew

enum scale { NORMAL, HALF, DOUBLE };

struct listen {
    float gain, bass_gain, mid_gain, high_gain, kick_gain, snare_gain, hat_gain;
    float attack, release, memory;
    bool spring;
    float offset, nudge, bpm, min_bpm, max_bpm;
    bool tap, resync, hold;
    int scale;
    int64_t per_bar;

    struct ph_hear *hear;
    struct ph_pulse *pulse;
    struct ph_tempo tempo;
    struct ph_taps taps;
    struct ph_sense sense;
    struct ph_sense_params how;
    bool started;
    int64_t base_ns;   // pts of the hearing's first sample
    int64_t samples;   // that it has taken
    int64_t newest_ns; // pts of the newest signals
    float set_bpm;     // the tempo by hand that holds
    bool deaf;         // samples of a rate that cannot be analysed
};

static ph_err listen_open(struct ph_node *n, struct ph_fault *fault)
{
    struct listen *p = ph_priv(n);
    ph_err ret = ph_pulse_create(&p->pulse);
    return ret < 0 ? ph_fail(fault, ret, "listen", "out of memory") : PH_OK;
}

static void listen_close(struct ph_node *n)
{
    struct listen *p = ph_priv(n);
    ph_hear_destroy(&p->hear);
    ph_pulse_destroy(&p->pulse);
}

// --- when

static double seconds(int64_t ns)
{
    return (double) ns * 1e-9;
}

static int64_t expected_ns(const struct listen *p)
{
    int64_t rate = ph_hear_rate(p->hear); // whole seconds apart: a show may last for weeks
    return p->base_ns + p->samples / rate * PH_SECOND_NS +
           p->samples % rate * PH_SECOND_NS / rate;
}

// The rate may change in mid-stream; what has been learnt about the music stays.
static ph_err prepare(struct ph_node *n, struct listen *p, const struct ph_frame *f)
{
    int rate = f->samples.rate_hz;
    if (p->hear && ph_hear_rate(p->hear) == rate) return PH_OK;
    ph_hear_destroy(&p->hear);
    p->started = false;
    ph_err ret = ph_hear_create(&p->hear, rate);
    if (ret < 0)
        ph_node_problem(n, "sound of %d Hz cannot be listened to: it takes %d to %d Hz", rate,
                        PH_HEAR_MIN_HZ, PH_HEAR_MAX_HZ);
    else if (p->deaf)
        ph_node_problem(n, NULL);
    p->deaf = ret < 0;
    return ret;
}

// Another film or device has taken the place of the last one, and its time begins at 0.
static void begin_again(struct listen *p, int64_t pts_ns)
{
    p->newest_ns = pts_ns - PH_SECOND_NS;
    p->tempo.now_s = seconds(pts_ns);
    memset(&p->taps, 0, sizeof p->taps);
}

// Samples are counted, and their pts corrects the count: clocks of devices drift.
static void date(struct listen *p, const struct ph_frame *f)
{
    if (p->started) {
        int64_t off = f->pts_ns - expected_ns(p);
        if (llabs(off) < BREAK_NS) {
            p->base_ns += (int64_t) ((double) off * DRIFT);
            return;
        }
        if (fabs(seconds(off)) > FORGET_S) ph_pulse_reset(p->pulse);
        if (off < 0) begin_again(p, f->pts_ns);
    }
    if (p->started) ph_hear_reset(p->hear);
    p->base_ns = f->pts_ns;
    p->samples = 0;
    p->started = true;
}

// --- one frame of signals

static struct ph_tempo_hint hint_of(const struct listen *p, const struct ph_pulse_state *state)
{
    return (struct ph_tempo_hint){ .bpm = state->bpm,
                                   .next_s = state->next_s + (double) p->offset * 1e-3,
                                   .confidence = state->confidence };
}

static ph_err emit(struct ph_node *n, struct listen *p, const struct ph_heard *heard,
                   const struct ph_frame *like)
{
    struct ph_pulse_state state;
    struct ph_frame *f;
    double about_s = heard->end_s - PH_HEAR_WINDOW_S / 2;
    int64_t pts_ns = p->base_ns + (int64_t) llround(about_s * 1e9);
    if (pts_ns <= p->newest_ns) pts_ns = p->newest_ns + 1000;
    ph_err ret = ph_node_signals(n, like, &f);
    if (ret < 0) return ret;
    p->newest_ns = pts_ns;
    ph_pulse_step(p->pulse, heard->accent, &state);
    struct ph_tempo_hint hint = hint_of(p, &state);
    ph_tempo_step(&p->tempo, seconds(pts_ns), p->set_bpm > 0 ? NULL : &hint, &f->signals.beat);
    if (p->set_bpm > 0) f->signals.beat.confidence = 1;
    ph_sense_step(&p->sense, heard, &f->signals.beat, &p->how, f->signals.value);
    ph_node_stamp_at(n, f, pts_ns, like->capture_ns);
    return ph_node_write(n, 0, f);
}

static ph_err hear(struct ph_node *n, struct listen *p, const struct ph_frame *in)
{
    const struct ph_samples *s = &in->samples;
    ph_err ret = PH_OK;
    for (int at = 0; at < s->count && ret >= 0;) {
        struct ph_heard heard;
        int used;
        bool whole = ph_hear_take(p->hear, s->data + (ptrdiff_t) at * s->channels,
                                  s->count - at, s->channels, &used, &heard);
        at += used;
        p->samples += used;
        if (whole) ret = emit(n, p, &heard, in);
    }
    return ret;
}

static ph_err listen_process(struct ph_node *n)
{
    struct listen *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    ret = prepare(n, p, f);
    if (ret >= 0) {
        date(p, f);
        ret = hear(n, p, f);
    }
    ph_frame_unref(&f);
    return ret;
}

// --- what performers do

static void tap(struct listen *p)
{
    double now_s = seconds(p->newest_ns);
    ph_taps_add(&p->taps, now_s);
    struct ph_tempo_hint hint = ph_taps_hint(&p->taps, now_s);
    if (p->taps.count < 4 || hint.bpm <= 0) return;
    ph_pulse_set(p->pulse, hint.bpm, hint.next_s);
    ph_tempo_set(&p->tempo, hint.bpm, now_s + hint.next_s);
}

static void set_by_hand(struct listen *p)
{
    if (p->bpm == p->set_bpm) return;
    p->set_bpm = p->bpm;
    if (p->bpm <= 0) return;
    const struct ph_tempo *t = &p->tempo;
    double left = t->running ? (floor(t->beat) + 1 - t->beat) * 60 / (double) p->bpm : 0;
    ph_tempo_set(&p->tempo, (double) p->bpm, t->now_s + left);
}

static ph_err listen_apply(struct ph_node *n)
{
    struct listen *p = ph_priv(n);
    const float gains[PH_BANDS] = { p->bass_gain,  p->mid_gain, p->high_gain, p->kick_gain,
                                    p->snare_gain, p->hat_gain, p->gain };
    static const double scales[] = { 1, 0.5, 2 };
    // 0 means "as usual" to the senses, here it is silence
    for (int i = 0; i < PH_BANDS; i++) p->how.gain[i] = fmax((double) gains[i], 1e-9);
    p->how.attack = (double) p->attack;
    p->how.release = (double) p->release;
    p->how.memory_s = (double) p->memory;
    p->how.spring = p->spring;
    p->tempo.per_bar = (int) p->per_bar;
    ph_pulse_limit(p->pulse, (double) p->min_bpm, (double) p->max_bpm);
    ph_tempo_hold(&p->tempo, p->hold);
    ph_tempo_scale(&p->tempo, scales[p->scale]);
    set_by_hand(p);
    if (p->tap) tap(p);
    if (p->resync) ph_tempo_resync(&p->tempo);
    if (p->nudge != 0) ph_tempo_nudge(&p->tempo, (double) p->nudge * 1e-3);
    p->tap = p->resync = false; // asked for once
    p->nudge = 0;
    return PH_OK;
}

// clang-format off
static const struct ph_param params[] = {
    PH_FLOAT(struct listen, gain, 0, 10, .def = "1", .help = "of all that goes from 0 to 1; it stops at 1"),
    PH_FLOAT(struct listen, bass_gain, 0, 10, .def = "1", .help = "of bass"),
    PH_FLOAT(struct listen, mid_gain, 0, 10, .def = "1", .help = "of mid"),
    PH_FLOAT(struct listen, high_gain, 0, 10, .def = "1", .help = "of high"),
    PH_FLOAT(struct listen, kick_gain, 0, 10, .def = "1", .help = "of kick"),
    PH_FLOAT(struct listen, snare_gain, 0, 10, .def = "1", .help = "of snare"),
    PH_FLOAT(struct listen, hat_gain, 0, 10, .def = "1", .help = "of hat"),
    PH_FLOAT(struct listen, attack, 0.05, 20, .def = "1", .help = "how slowly signals rise, as a factor of each one's own time"),
    PH_FLOAT(struct listen, release, 0.05, 20, .def = "1", .help = "how slowly they fall, likewise"),
    PH_FLOAT(struct listen, memory, 0.5, 600, .def = "10", .unit = "s", .help = "how long a loud moment is the measure of what follows"),
    PH_BOOL(struct listen, spring, .help = "bass, mid, kick and energy swing like a weight on a spring"),
    PH_FLOAT(struct listen, offset, -500, 1000, .unit = "ms", .help = "beats are later by this: what speakers or a Bluetooth link delay the sound by"),
    PH_BOOL(struct listen, tap, .help = "turn it on at each beat: four taps set tempo and beat, and it follows the music from there"),
    PH_FLOAT(struct listen, nudge, -500, 500, .unit = "ms", .help = "set it to move the beat once, positive is later"),
    PH_BOOL(struct listen, resync, .help = "turn it on at the first beat of a bar"),
    PH_ENUM(struct listen, scale, PH_NAMES("normal", "half", "double"), .help = "counts every beat, every second one, or twice as many"),
    PH_BOOL(struct listen, hold, .help = "the tempo stays as it is, whatever is heard"),
    PH_FLOAT(struct listen, bpm, 0, 400, .unit = "bpm", .help = "a tempo by hand; 0 = from the music"),
    PH_FLOAT(struct listen, min_bpm, PH_PULSE_MIN_BPM, PH_PULSE_MAX_BPM, .def = "55", .unit = "bpm", .help = "slowest tempo that is looked for"),
    PH_FLOAT(struct listen, max_bpm, PH_PULSE_MIN_BPM, PH_PULSE_MAX_BPM, .def = "216", .unit = "bpm", .help = "quickest tempo that is looked for"),
    PH_INT(struct listen, per_bar, 1, 16, .def = "4", .unit = "beats", .help = "of a bar"),
    { 0 }
};

#define SENSE(id, most, text) { .name = #id, .max = most, .help = text },
#define NOTE(id, text) { .name = "chroma_" id, .max = 1, .help = "how strong the note " text " is" }
#define BAND(id) { .name = "band_" #id, .max = 1, .help = "of 24 from 30 Hz to 16 kHz; 0 is 50 dB below the loudest of late" }
static const struct ph_signal_info signals[] = {
    PH_SENSES(SENSE)
    NOTE("c", "C"), NOTE("cs", "C sharp"), NOTE("d", "D"), NOTE("ds", "D sharp"), NOTE("e", "E"), NOTE("f", "F"),
    NOTE("fs", "F sharp"), NOTE("g", "G"), NOTE("gs", "G sharp"), NOTE("a", "A"), NOTE("as", "A sharp"), NOTE("b", "B"),
    BAND(0), BAND(1), BAND(2), BAND(3), BAND(4), BAND(5), BAND(6), BAND(7), BAND(8), BAND(9), BAND(10), BAND(11),
    BAND(12), BAND(13), BAND(14), BAND(15), BAND(16), BAND(17), BAND(18), BAND(19), BAND(20), BAND(21), BAND(22), BAND(23),
    { 0 }
};
// clang-format on
_Static_assert(sizeof signals / sizeof *signals == PH_SENSE_COUNT + 1,
               "a name for each signal");

const struct ph_node_info ph_node_listen = {
    .name = "listen",
    .group = "prepare",
    .help = "hears loudness, hits, notes, tempo and beat of a sound",
    .in = PH_PORTS({ "in", PH_SAMPLES, .help = "sound of any rate and number of channels" }),
    .out = PH_PORTS({ "out", PH_SIGNALS, .help = "100 frames of signals a second" }),
    .params = params,
    .signals = signals,
    .priv_size = sizeof(struct listen),
    .open = listen_open,
    .close = listen_close,
    .process = listen_process,
    .apply = listen_apply,
};
