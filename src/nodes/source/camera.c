// SPDX-License-Identifier: MIT
// A camera through Video4Linux. It may be pulled out and plugged in again.
#include <phosphene/node.h>

#include "nodes/media/feed.h"
#include "core/number.h"

#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum format { AUTO, MJPEG, YUYV, NV12, I420, RGB24 };
static const char *const input_formats[] = { NULL,   "mjpeg",   "yuyv422",
                                             "nv12", "yuv420p", "rgb24" };

struct camera {
    const char *device;
    struct ph_size size;
    float fps;
    int format;
    struct ph_feed *feed;
};

// "cameras here: /dev/video2, /dev/video4"
static void list_cameras(char *text, size_t size)
{
    glob_t found;
    size_t len = (size_t) snprintf(text, size, "cameras here: ");
    if (glob("/dev/video*", 0, NULL, &found)) {
        snprintf(text + len, size - len, "none");
        return;
    }
    for (size_t i = 0; i < found.gl_pathc && len < size; i++)
        len +=
            (size_t) snprintf(text + len, size - len, "%s%s", i ? ", " : "", found.gl_pathv[i]);
    globfree(&found);
}

static void explain(const char *url, ph_err err, char *text, size_t size)
{
    char here[160];
    struct stat st;
    list_cameras(here, sizeof here);
    if (stat(url, &st) < 0)
        snprintf(text, size, "there is no %s; %s", url, here);
    else if (!S_ISCHR(st.st_mode))
        snprintf(text, size, "%s is no camera; %s", url, here);
    else if (access(url, R_OK | W_OK) < 0)
        snprintf(text, size, "%s may not be used by this user: add it to the group video", url);
    else if (err == PH_EBUSY)
        snprintf(text, size, "%s is in use by another program", url);
}

// "2" is short for /dev/video2.
static void full_name(const char *device, char *path, size_t size)
{
    bool number = device[0] && strspn(device, "0123456789") == strlen(device);
    snprintf(path, size, "%s%s", number ? "/dev/video" : "", device);
}

static void add_option(struct ph_input_params *par, int *count, const char *name,
                       const char *value)
{
    par->options[(*count)++] = name;
    par->options[(*count)++] = value;
}

// USB 2 carries 640x480 at 30 raw, hardly more: above, cameras are fast in Motion JPEG only.
static void choose_format(const struct camera *p, struct ph_input_params *par, int *count)
{
    bool large = p->size.width * p->size.height > 640 * 480;
    if (p->format != AUTO) add_option(par, count, "input_format", input_formats[p->format]);
    if (p->format != AUTO || !large) return;
    par->prefer[0] = "input_format";
    par->prefer[1] = "mjpeg";
}

static ph_err start(struct ph_node *n, struct camera *p, const char *path,
                    struct ph_fault *fault)
{
    char size[32], fps[32];
    int count = 0;
    bool lavfi = !strncmp(path, "lavfi:", 6); // a device that is always there
    struct ph_feed_params par = { .node = n, .explain = lavfi ? NULL : explain };
    par.input = (struct ph_input_params){ .url = path + (lavfi ? 6 : 0),
                                          .device = lavfi ? "lavfi" : "v4l2",
                                          .live = true,
                                          .no_wait = !lavfi };
    par.realtime = lavfi;
    snprintf(size, sizeof size, "%dx%d", p->size.width, p->size.height);
    ph_snprintf(fps, sizeof fps, "%.6g", (double) p->fps);
    if (!lavfi && p->size.width) add_option(&par.input, &count, "video_size", size);
    if (!lavfi && p->fps > 0) add_option(&par.input, &count, "framerate", fps);
    if (!lavfi) choose_format(p, &par.input, &count);
    return ph_feed_create(&p->feed, &par, fault);
}

static ph_err camera_open(struct ph_node *n, struct ph_fault *fault)
{
    struct camera *p = ph_priv(n);
    char path[4096], why[256] = "";
    full_name(p->device, path, sizeof path);
    bool device = strncmp(path, "lavfi:", 6) != 0;
    if (device && !ph_node_replaying(n)) explain(path, PH_OK, why, sizeof why);
    if (why[0]) return ph_fail(fault, PH_ENOENT, "device", "%s", why);
    return start(n, p, path, fault);
}

static void camera_close(struct ph_node *n)
{
    struct camera *p = ph_priv(n);
    ph_feed_destroy(&p->feed);
}

static ph_err camera_process(struct ph_node *n)
{
    const struct camera *p = ph_priv(n);
    return ph_feed_pass(p->feed, n);
}

// clang-format off
static const struct ph_param params[] = {
    PH_STRING(struct camera, device, .def = "/dev/video0", .max = 4000, .flags = PH_PARAM_FIRST | PH_PARAM_SETUP | PH_PARAM_PATH, .help = "the camera, or its number"),
    PH_SIZE(struct camera, size, 0, 16384, .def = "1280x720", .unit = "px", .flags = PH_PARAM_SETUP, .help = "the camera takes the nearest it has; 0x0 = its own"),
    PH_FLOAT(struct camera, fps, 0, 1000, .def = "30", .unit = "fps", .flags = PH_PARAM_SETUP, .help = "the camera takes the nearest it has; 0 = its own"),
    PH_ENUM(struct camera, format, PH_NAMES("auto", "mjpeg", "yuyv", "nv12", "i420", "rgb24"), .flags = PH_PARAM_SETUP, .help = "how pictures come over the cable; auto takes mjpeg for large ones"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_camera = {
    .name = "camera",
    .group = "source",
    .help = "pictures of a camera at this machine (Video4Linux)",
    .in = PH_PORTS({ "pictures", PH_PICTURE, PH_PORT_EXTERNAL, .help = "from the camera" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "rgba pictures" }),
    .params = params,
    .priv_size = sizeof(struct camera),
    .open = camera_open,
    .close = camera_close,
    .process = camera_process,
};
