// SPDX-License-Identifier: MIT
// Sound that comes in at this machine: a microphone, a line, what its own loudspeakers play. The
// device may vanish and return.
#include <phosphene/node.h>

#include "nodes/media/feed.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

// ALSA gives the shortest pieces that the device makes (1 to 10 ms as a rule); PulseAudio and
// PipeWire are asked for 10 ms of 48 kHz stereo in 16 bits.
#define PULSE_PIECE "1920"

struct sound {
    const char *device;
    struct ph_feed *feed;
};

// What FFmpeg calls it: a demuxer, and a name that this understands.
struct named {
    const char *demuxer, *url;
};

static struct named name_of(const char *device)
{
    if (!strncmp(device, "lavfi:", 6)) return (struct named){ "lavfi", device + 6 };
    if (!strcmp(device, "monitor")) return (struct named){ "pulse", "@DEFAULT_MONITOR@" };
    if (!strcmp(device, "pulse")) return (struct named){ "pulse", "default" };
    if (!strncmp(device, "pulse:", 6)) return (struct named){ "pulse", device + 6 };
    if (!strncmp(device, "alsa:", 5)) return (struct named){ "alsa", device + 5 };
    return (struct named){ "alsa", device };
}

static bool has_cards(void)
{
    glob_t found;
    bool any = !glob("/dev/snd/pcm*c", 0, NULL, &found);
    if (any) globfree(&found);
    return any;
}

static void explain(const char *url, ph_err err, char *text, size_t size)
{
    const char *pulse = "\"pulse\" takes the desktop's own, \"monitor\" what it plays";
    if (url[0] == '@')
        snprintf(text, size,
                 "what this machine plays cannot be heard: there is no PulseAudio or "
                 "PipeWire that answers");
    else if (err == PH_EBUSY)
        snprintf(text, size, "the sound device %s is in use by another program; %s", url,
                 pulse);
    else
        snprintf(text, size, "the sound device %s cannot be opened%s; %s", url,
                 has_cards() ? " (arecord -L lists those that are there)"
                             : ": no card of this machine records",
                 pulse);
}

static ph_err sound_open(struct ph_node *n, struct ph_fault *fault)
{
    struct sound *p = ph_priv(n);
    struct named name = name_of(p->device);
    if (!name.url[0])
        return ph_fail(
            fault, PH_EINVAL, "device",
            "which device? sound default, sound monitor, sound pulse:NAME, sound hw:1");
    bool lavfi = !strcmp(name.demuxer, "lavfi"), pulse = !strcmp(name.demuxer, "pulse");
    struct ph_feed_params par = { .node = n,
                                  .sound = true,
                                  .no_pictures = true,
                                  .realtime = lavfi,
                                  .explain = lavfi ? NULL : explain };
    par.input = (struct ph_input_params){
        .url = name.url, .device = name.demuxer, .live = true, .no_wait = !lavfi && !pulse
    };
    if (pulse) {
        const char *options[] = { "fragment_size", PULSE_PIECE, "name", "phosphene" };
        memcpy(par.input.options, options, sizeof options);
    }
    return ph_feed_create(&p->feed, &par, fault);
}

static void sound_close(struct ph_node *n)
{
    struct sound *p = ph_priv(n);
    ph_feed_destroy(&p->feed);
}

static ph_err sound_process(struct ph_node *n)
{
    const struct sound *p = ph_priv(n);
    return ph_feed_pass(p->feed, n);
}

// clang-format off
static const struct ph_param params[] = {
    PH_STRING(struct sound, device, .def = "default", .max = 4000, .flags = PH_PARAM_FIRST | PH_PARAM_SETUP | PH_PARAM_PATH, .help = "an ALSA device (default, hw:1); pulse or pulse:NAME; monitor = what this machine plays"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_sound = {
    .name = "sound",
    .group = "source",
    .help = "a microphone, a line, or what this machine plays",
    .in = PH_PORTS({ "pieces", PH_SAMPLES, PH_PORT_EXTERNAL, .help = "from the device" }),
    .out = PH_PORTS({ "out", PH_SAMPLES, .help = "48 kHz, mono or stereo" }),
    .params = params,
    .priv_size = sizeof(struct sound),
    .open = sound_open,
    .close = sound_close,
    .process = sound_process,
};
