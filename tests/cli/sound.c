// SPDX-License-Identifier: MIT
// Live sound from a real sound server, which goes away and comes back.
#include "program.h"

#include <ctype.h>

// Of the case's own, in its folder; one device that nobody hears, and a tone played to it.
static struct child start_pulse(void)
{
    setenv("XDG_RUNTIME_DIR", temp_dir(), 1);
    setenv("PULSE_RUNTIME_PATH", temp_path("pulse"), 1);
    unsetenv("PULSE_SERVER");
    return start("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1",
                 "--use-pid-file=no", "-L", "module-null-sink sink_name=null", "-L",
                 "module-native-protocol-unix", "-L", "module-sine", NULL);
}

static void stop_pulse(struct child *pulse)
{
    const struct output *o;
    stop_child(pulse, SIGTERM, &o);
}

// Reads on until a line has it; another test's limit ends a wait for nothing.
static void wait_for(struct child *c, const char *what)
{
    for (;;) {
        const char *line = read_line(c);
        if (!*line) TEST_FAIL("ended before \"%s\"", what);
        if (strstr(line, what)) return;
    }
}

// A frame's line of `hash`: its number first.
static void wait_for_frames(struct child *c, int count)
{
    while (count > 0) count -= isdigit((unsigned char) *read_line(c)) != 0;
}

TEST_LIMIT(a_sound_server_that_goes_and_comes_back_is_told_and_heard_again, 120)
{
    char command[512];
    const struct output *o;
    if (!have_program("pulseaudio")) TEST_SKIP("pulseaudio is not installed");
    struct child pulse = start_pulse();
    snprintf(command, sizeof command,
             "exec %s run 'm: sound monitor => ears: listen => h: hash -' 2>&1", program());
    struct child c = start("sh", "-c", command, NULL);
    wait_for_frames(&c, 20);
    stop_pulse(&pulse);
    wait_for(&c, "cannot be heard");
    pulse = start_pulse();
    wait_for(&c, "all is well again");
    wait_for_frames(&c, 20);
    stop_child(&c, SIGINT, &o);
    stop_pulse(&pulse);
}
