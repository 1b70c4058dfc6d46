// SPDX-License-Identifier: MIT
// An X11 screen or a part of it.
#include <phosphene/node.h>

#include "nodes/media/feed.h"
#include "core/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct screen {
    const char *display;
    struct ph_size size;
    int64_t x, y;
    float fps;
    bool cursor;
    struct ph_feed *feed;
};

// The grabber repeats its last picture when the server of a local display has died, so we knock.
static bool is_alive(const char *display)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int number;
    if (sscanf(display, ":%d", &number) != 1) return true;
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0) return true;
    snprintf(at.sun_path, sizeof at.sun_path, "/tmp/.X11-unix/X%d", number);
    bool alive = connect(s, (const struct sockaddr *) &at, sizeof at) == 0;
    if (!alive) { // some servers have the abstract name only
        int len =
            snprintf(at.sun_path + 1, sizeof at.sun_path - 1, "/tmp/.X11-unix/X%d", number);
        at.sun_path[0] = 0;
        socklen_t size =
            (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + (size_t) len);
        alive = connect(s, (const struct sockaddr *) &at, size) == 0;
    }
    close(s);
    return alive;
}

static ph_err screen_open(struct ph_node *n, struct ph_fault *fault)
{
    struct screen *p = ph_priv(n);
    const char *display = p->display[0] ? p->display : getenv("DISPLAY");
    if ((!display || !display[0]) && ph_node_replaying(n)) display = ":0"; // not opened
    if (!display || !display[0])
        return ph_fail(fault, PH_ENOENT, "display",
                       "there is no X11 display: DISPLAY is not set%s; screen :0 names one",
                       getenv("WAYLAND_DISPLAY") ? " (Wayland screens are not grabbed)" : "");
    char size[32], fps[32], x[16], y[16];
    snprintf(size, sizeof size, "%dx%d", p->size.width, p->size.height);
    ph_snprintf(fps, sizeof fps, "%.6g", (double) p->fps);
    snprintf(x, sizeof x, "%d", (int) p->x);
    snprintf(y, sizeof y, "%d", (int) p->y);
    struct ph_feed_params par = {
        .node = n,
        .is_alive = is_alive,
        .input = { .url = display,
                   .device = "x11grab",
                   .live = true,
                   .options = { "framerate", fps, "draw_mouse", p->cursor ? "1" : "0", "grab_x",
                                x, "grab_y", y, p->size.width ? "video_size" : NULL, size } }
    };
    return ph_feed_create(&p->feed, &par, fault);
}

static void screen_close(struct ph_node *n)
{
    struct screen *p = ph_priv(n);
    ph_feed_destroy(&p->feed);
}

static ph_err screen_process(struct ph_node *n)
{
    const struct screen *p = ph_priv(n);
    return ph_feed_pass(p->feed, n);
}

// clang-format off
static const struct ph_param params[] = {
    PH_STRING(struct screen, display, .max = 256, .flags = PH_PARAM_FIRST | PH_PARAM_SETUP | PH_PARAM_PATH, .help = ":0 or host:0.0; empty = $DISPLAY"),
    PH_SIZE(struct screen, size, 0, 16384, .unit = "px", .flags = PH_PARAM_SETUP, .help = "of the part; 0x0 = the whole screen"),
    PH_INT(struct screen, x, 0, 32767, .unit = "px", .flags = PH_PARAM_SETUP, .help = "left edge of the part"),
    PH_INT(struct screen, y, 0, 32767, .unit = "px", .flags = PH_PARAM_SETUP, .help = "upper edge of the part"),
    PH_FLOAT(struct screen, fps, 0.1, 240, .def = "30", .unit = "fps", .flags = PH_PARAM_SETUP, .help = "pictures per second"),
    PH_BOOL(struct screen, cursor, .def = "on", .flags = PH_PARAM_SETUP, .help = "shows the mouse pointer"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_screen = {
    .name = "screen",
    .group = "source",
    .help = "what is on an X11 screen",
    .in = PH_PORTS({ "pictures", PH_PICTURE, PH_PORT_EXTERNAL, .help = "from the screen" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "rgba pictures" }),
    .params = params,
    .priv_size = sizeof(struct screen),
    .open = screen_open,
    .close = screen_close,
    .process = screen_process,
};
