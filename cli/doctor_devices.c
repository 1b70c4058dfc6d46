// SPDX-License-Identifier: MIT
// Cameras, displays, GPUs and what the server needs.
#include "cli.h"
#include "doctor.h"
#include "state.h"

#include "config.h"
#include "nn/cuda/found.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/videodev2.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

// --- cameras

static int count_formats(int fd)
{
    struct v4l2_fmtdesc f = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
    while (f.index < 64 && !ioctl(fd, VIDIOC_ENUM_FMT, &f)) f.index++;
    return (int) f.index;
}

// True when it is a camera, or one that we may not open.
static bool probe_camera(struct doctor *d, const char *path)
{
    struct v4l2_capability cap = { 0 };
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        bool denied = errno == EACCES;
        doctor_add(d, "cameras", path, denied ? DOCTOR_MISSING : DOCTOR_NONE, NULL, "%s%s",
                   strerror(errno), denied ? ": usermod -aG video $USER, log in again" : "");
        return true;
    }
    bool camera = !ioctl(fd, VIDIOC_QUERYCAP, &cap);
    unsigned caps =
        cap.capabilities & V4L2_CAP_DEVICE_CAPS ? cap.device_caps : cap.capabilities;
    camera = camera && caps & V4L2_CAP_VIDEO_CAPTURE;
    if (camera)
        doctor_add(d, "cameras", path, DOCTOR_OK, NULL, "%s (%s, %d formats)",
                   (const char *) cap.card, (const char *) cap.driver, count_formats(fd));
    close(fd);
    return camera;
}

static void probe_cameras(struct doctor *d)
{
    enum { MOST = 6 };
    glob_t found = { 0 };
    int cameras = 0;
    glob("/dev/video*", 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc && cameras < MOST; i++)
        cameras += probe_camera(d, found.gl_pathv[i]);
    globfree(&found);
    if (!cameras)
        doctor_add(d, "cameras", "none", DOCTOR_NONE, NULL, "no /dev/video* takes pictures");
}

// --- displays

static bool socket_answers(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof a.sun_path) return false;
    strcpy(a.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && !connect(fd, (struct sockaddr *) &a, sizeof a);
    if (fd >= 0) close(fd);
    return ok;
}

static void probe_wayland(struct doctor *d, const char *name)
{
    char path[256];
    const char *dir = getenv("XDG_RUNTIME_DIR");
    snprintf(path, sizeof path, "%s%s%s",
             *name == '/' ? ""
             : dir        ? dir
                          : "/run",
             *name == '/' ? "" : "/", name);
    bool ok = socket_answers(path);
    doctor_add(d, "displays", "wayland", ok ? DOCTOR_OK : DOCTOR_NONE, NULL, "%s%s", name,
               ok ? "" : " does not answer");
}

static void probe_x11(struct doctor *d, const char *name)
{
    char path[64];
    bool local = *name == ':';
    snprintf(path, sizeof path, "/tmp/.X11-unix/X%.*s",
             (int) strspn(name + local, "0123456789"), name + local);
    bool ok = !local || socket_answers(path);
    doctor_add(d, "displays", "x11", ok ? DOCTOR_OK : DOCTOR_NONE, NULL, "%s%s", name,
               ok ? (local ? "" : " (remote, not tried)") : " does not answer");
}

static void probe_displays(struct doctor *d)
{
    const char *wayland = getenv("WAYLAND_DISPLAY"), *x11 = getenv("DISPLAY");
    if (wayland && *wayland) probe_wayland(d, wayland);
    if (x11 && *x11) probe_x11(d, x11);
    if ((!wayland || !*wayland) && (!x11 || !*x11))
        doctor_add(d, "displays", "none", DOCTOR_NONE, NULL,
                   "DISPLAY and WAYLAND_DISPLAY are not set; window is left out");
#if !PH_HAVE_SDL
    doctor_add(d, "displays", "window", DOCTOR_MISSING, "libsdl2-dev", "built without SDL2");
#endif
}

// --- GPUs, by the driver's own library, which need not be there

static void probe_gpus(struct doctor *d)
{
    char text[200], label[24];
    int devices = ph_cuda_found(text, sizeof text);
    doctor_add(d, "gpus", devices ? "driver" : "none", devices ? DOCTOR_OK : DOCTOR_NONE, NULL,
               "%s", text);
    for (int i = 0; i < devices && i < 8; i++) {
        snprintf(label, sizeof label, "cuda:%d", i);
        ph_cuda_found_device(i, text, sizeof text);
        doctor_add(d, "gpus", label, DOCTOR_OK, NULL, "%s", text);
        *text = '\0';
        bool told = ph_cuda_found_energy(i, text, sizeof text);
        doctor_add(d, "gpus", "energy", told ? DOCTOR_OK : DOCTOR_NONE, NULL, "%s", text);
    }
    bool kernels = ph_cuda_found_kernels(text, sizeof text);
    doctor_add(d, "gpus", "kernels", kernels ? DOCTOR_OK : DOCTOR_NONE, NULL, "%s", text);
    if (!devices) return;
    ph_cuda_found_libraries(text, sizeof text);
    doctor_add(d, "gpus", "libraries", DOCTOR_OK, NULL, "%s", text);
}

// --- MIDI

static void probe_midi(struct doctor *d)
{
#if PH_HAVE_ALSA
    bool ok = access("/dev/snd/seq", R_OK | W_OK) == 0;
    doctor_add(d, "midi", "sequencer", ok ? DOCTOR_OK : DOCTOR_NONE, NULL, "%s",
               ok ? "/dev/snd/seq" : "no /dev/snd/seq for this user; midi waits for it");
#else
    doctor_add(d, "midi", "sequencer", DOCTOR_MISSING, "libasound2-dev", "built without ALSA");
#endif
}

void doctor_probe_devices(struct doctor *d)
{
    probe_cameras(d);
    probe_displays(d);
    probe_midi(d);
    probe_gpus(d);
}

// --- the server

static int try_port(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t) port) };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    int reason = bind(fd, (struct sockaddr *) &a, sizeof a) || listen(fd, 1) ? errno : 0;
    close(fd);
    return reason;
}

static void probe_port(struct doctor *d)
{
    int reason = try_port(d->port), other = d->port;
    while (reason && other < d->port + 20 && try_port(++other)) {}
    if (!reason)
        doctor_add(d, "server", "port", DOCTOR_OK, NULL, "127.0.0.1:%d is free", d->port);
    else
        doctor_add(d, "server", "port", DOCTOR_NONE, NULL, "%d: %s; --port %d is free", d->port,
                   strerror(reason), other);
}

static void probe_state(struct doctor *d)
{
    char path[512];
    struct statvfs fs = { 0 };
    if (cli_state_folder(path, sizeof path) < 0) {
        doctor_add(d, "server", "state folder", DOCTOR_MISSING, NULL,
                   "neither HOME nor XDG_STATE_HOME is set");
        return;
    }
    int problem = cli_state_problem(path);
    if (problem)
        doctor_add(d, "server", "state folder", DOCTOR_MISSING, NULL, "%s: %s", path,
                   strerror(problem));
    else if (statvfs(path, &fs))
        doctor_add(d, "server", "state folder", DOCTOR_OK, NULL, "%s (not made yet)", path);
    else
        doctor_add(d, "server", "state folder", DOCTOR_OK, NULL, "%s, %.1f GB free", path,
                   (double) fs.f_bavail * (double) fs.f_frsize / 1e9);
}

void doctor_probe_server(struct doctor *d)
{
#if PH_HAVE_SERVER
    doctor_add(d, "server", "websocket", DOCTOR_OK, NULL, "wslay and zlib");
#else
    doctor_add(d, "server", "websocket", DOCTOR_MISSING, "libwslay-dev zlib1g-dev",
               "built without wslay or zlib: no server");
#endif
#if PH_HAVE_TLS
    doctor_add(d, "server", "tls", DOCTOR_OK, NULL, "OpenSSL");
#else
    doctor_add(d, "server", "tls", DOCTOR_MISSING, "libssl-dev", "built without OpenSSL");
#endif
    if (d->port) probe_port(d);
    probe_state(d);
}
