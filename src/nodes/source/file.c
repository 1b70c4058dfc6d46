// SPDX-License-Identifier: MIT
// Films and streams. A local file is decoded on the lane, one picture ahead, and played by its own
// times: the same file gives the same pictures with the same pts, live, rendered and replayed. A
// network stream has a thread of its own (media/feed.h), because it may keep us waiting.
#include <phosphene/node.h>

#include "nodes/media/feed.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LATE_NS    (PH_SECOND_NS / 4)
#define MAX_PIECES 64 // of sound, decoded and not yet due

enum pace { REAL, FAST };

struct file {
    const char *path;
    bool loop;
    int pace;
    float start, position, speed;

    struct ph_feed *feed; // a stream, or
    struct ph_input *in;  // a local file:
    bool has_picture, sound_linked, troubled;
    bool drained;             // the file has nothing more
    struct ph_frame *picture; // the next one; pts is that of our output
    struct ph_frame *sound[MAX_PIECES];
    int sound_first, sound_count;
    int sound_undated; // the last so many have the file's times yet

    // time in the file → time of the output, which never goes back
    bool mapped;
    int64_t from_ns, to_ns;
    int64_t content_ns, pts_ns; // of the newest picture (sound, where there is none), both
    int64_t end_ns;             // where it ends
    int64_t last_ns[2];         // newest pts decoded for each output

    bool asked; // due() is called: somebody wants it in time
    bool anchored;
    int64_t clock_ns; // moment at which pts is 0
};

// --- opening

static bool is_stream(const char *path)
{
    struct stat st;
    if (strstr(path, "://")) return strncmp(path, "file:", 5) != 0;
    if (!strncmp(path, "pipe:", 5)) return true;
    return stat(path, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static ph_err open_stream(struct ph_node *n, struct file *p, struct ph_fault *fault)
{
    struct ph_feed_params par = { .node = n,
                                  .input = { .url = p->path, .live = true },
                                  .sound = true,
                                  .fast = p->pace == FAST,
                                  .loop = p->loop };
    const char *rtsp[] = { "rtsp_transport", "tcp", "timeout", "5000000" };
    const char *other[] = { "rw_timeout", "5000000" };
    if (!strncmp(p->path, "rtsp", 4))
        memcpy(par.input.options, rtsp, sizeof rtsp);
    else
        memcpy(par.input.options, other, sizeof other);
    return ph_feed_create(&p->feed, &par, fault);
}

static ph_err go_to(struct file *p, float seconds)
{
    int64_t at_ns = (int64_t) ((double) seconds * 1e9);
    return ph_input_seek(p->in, ph_input_start_ns(p->in) + at_ns);
}

static bool cancelled(void *opaque)
{
    return ph_node_stopping(opaque);
}

static ph_err open_local(struct ph_node *n, struct file *p, struct ph_fault *fault)
{
    bool lavfi = !strncmp(p->path, "lavfi:", 6);
    struct ph_input_params par = { .url = p->path + (lavfi ? 6 : 0),
                                   .device = lavfi ? "lavfi" : NULL,
                                   .cancelled = cancelled,
                                   .opaque = n,
                                   .log = ph_node_log(n),
                                   .who = ph_node_name(n) };
    ph_err ret = ph_input_open(&p->in, &par, fault);
    if (ret < 0) return ret;
    const struct ph_input_info *info = ph_input_info(p->in);
    p->has_picture = info->picture;
    if (info->duration_ns && (double) p->start * 1e9 >= (double) info->duration_ns)
        return ph_fail(fault, PH_EINVAL, "start", "start=%g is after the end of %s at %.1f s",
                       (double) p->start, p->path, (double) info->duration_ns * 1e-9);
    if (p->start > 0 && (ret = go_to(p, p->start)) < 0)
        return ph_fail(fault, ret, "start", "%s", ph_input_error(p->in));
    return PH_OK;
}

static ph_err file_open(struct ph_node *n, struct ph_fault *fault)
{
    struct file *p = ph_priv(n);
    p->last_ns[0] = p->last_ns[1] = -1;
    if (!p->path[0])
        return ph_fail(fault, PH_EINVAL, "path",
                       "which file? file clip.mp4, file rtsp://host/…");
    if (!strncmp(p->path, "/dev/video", 10))
        return ph_fail(fault, PH_EINVAL, "path", "%s is a camera: write camera %s", p->path,
                       p->path);
    return is_stream(p->path) ? open_stream(n, p, fault) : open_local(n, p, fault);
}

static void forget(struct file *p)
{
    ph_frame_unref(&p->picture);
    for (; p->sound_count; p->sound_count--)
        ph_frame_unref(&p->sound[p->sound_first++ % MAX_PIECES]);
    p->sound_undated = 0;
    p->mapped = p->drained = false;
}

static void file_close(struct ph_node *n)
{
    struct file *p = ph_priv(n);
    forget(p);
    ph_feed_destroy(&p->feed);
    ph_input_close(&p->in);
}

// --- times

static int64_t output_time(const struct file *p, int64_t content_ns)
{
    return p->to_ns + (int64_t) ((double) (content_ns - p->from_ns) / (double) p->speed);
}

static void date(struct file *p, int port, struct ph_frame *f)
{
    f->pts_ns = output_time(p, f->pts_ns);
    if (f->pts_ns <= p->last_ns[port]) f->pts_ns = p->last_ns[port] + 1000;
    p->last_ns[port] = f->pts_ns;
}

static struct ph_frame **piece(struct file *p, int i)
{
    return &p->sound[(p->sound_first + i) % MAX_PIECES];
}

// From here on `content_ns` is where the output has come to; sound that was waiting to know gets
// its times, and what lies before the first picture goes.
static void map(struct file *p, int64_t content_ns)
{
    int kept = p->sound_count - p->sound_undated;
    p->from_ns = content_ns;
    p->to_ns = p->end_ns;
    p->mapped = true;
    for (int i = kept; i < p->sound_count; i++) {
        struct ph_frame *f = *piece(p, i);
        if (f->pts_ns < content_ns) {
            ph_frame_unref(&f);
            continue;
        }
        date(p, PH_FEED_SOUND, f);
        *piece(p, kept++) = f;
    }
    p->sound_count = kept;
    p->sound_undated = 0;
}

// --- decoding

// A film whose pictures begin seconds after its sound loses the beginning of the sound.
static void make_room(struct file *p)
{
    if (p->sound_count < MAX_PIECES) return;
    ph_frame_unref(piece(p, 0));
    p->sound_first = (p->sound_first + 1) % MAX_PIECES;
    p->sound_count--;
    p->sound_undated--;
}

static void add_sound(struct file *p, struct ph_frame *f)
{
    make_room(p);
    if (p->mapped)
        date(p, PH_FEED_SOUND, f);
    else
        p->sound_undated++;
    *piece(p, p->sound_count++) = f;
}

static ph_err take(struct ph_node *n, struct file *p, const struct ph_input_item *item)
{
    struct ph_frame *f;
    ph_err ret = ph_input_frame(p->in, ph_node_pool(n), &f);
    if (ret != PH_OK) return ret;
    f->pts_ns = item->pts_ns;
    bool picture = item->kind == PH_PICTURE;
    bool leads = picture || !p->has_picture;
    if (leads && !p->mapped) map(p, item->pts_ns);
    if (picture) {
        date(p, PH_FEED_PICTURES, f);
        p->picture = f;
    } else {
        add_sound(p, f);
    }
    if (!leads) return PH_OK;
    p->content_ns = item->pts_ns;
    p->pts_ns = f->pts_ns;
    p->end_ns = output_time(p, item->pts_ns + item->duration_ns);
    return PH_OK;
}

// The end: over, or from the start again, later in time.
static void turn_over(struct ph_node *n, struct file *p)
{
    bool anything = p->mapped; // else it would turn forever
    p->mapped = false;
    p->drained = !p->loop || !anything;
    if (p->drained || go_to(p, p->start) == PH_OK) return;
    p->drained = true;
    ph_node_problem(n, "%s, so it does not loop", ph_input_error(p->in));
}

static ph_err decode_one(struct ph_node *n, struct file *p)
{
    struct ph_input_item item;
    ph_err ret = ph_input_read(p->in, &item);
    if (ret == PH_OK) ret = take(n, p, &item);
    if (ret == PH_EOF) turn_over(n, p);
    if (ret >= 0) {
        if (ret == PH_OK && p->troubled) ph_node_problem(n, NULL);
        if (ret == PH_OK) p->troubled = false;
        return ret;
    }
    if (ret == PH_EFORMAT) ph_node_drop(n);
    p->troubled = true;
    p->drained = ret != PH_EFORMAT; // of other troubles a file does not recover
    if (ret != PH_ESTOPPED) ph_node_problem(n, "%s", ph_input_error(p->in));
    return ret;
}

static void look_at_links(struct ph_node *n, struct file *p)
{
    bool linked = ph_node_linked(n, true, PH_FEED_SOUND);
    if (linked == p->sound_linked) return;
    p->sound_linked = linked;
    ph_input_use_sound(p->in, linked);
}

static ph_err fill(struct ph_node *n, struct file *p)
{
    ph_err ret = PH_OK;
    look_at_links(n, p);
    while (!p->drained && !ph_node_stopping(n)) {
        if (p->has_picture ? p->picture != NULL : p->sound_count > 0) break;
        if (p->sound_count == MAX_PIECES && p->sound_undated < MAX_PIECES) break;
        ph_err one = decode_one(n, p);
        if (one < 0) ret = one;
    }
    return ret;
}

// --- playing

static bool sound_is_next(const struct file *p)
{
    if (p->sound_count == p->sound_undated) return false;
    return !p->picture || p->sound[p->sound_first % MAX_PIECES]->pts_ns < p->picture->pts_ns;
}

static int64_t next_pts(const struct file *p)
{
    if (sound_is_next(p)) return p->sound[p->sound_first % MAX_PIECES]->pts_ns;
    return p->picture ? p->picture->pts_ns : p->end_ns;
}

static ph_err emit(struct ph_node *n, struct file *p)
{
    bool sound = sound_is_next(p);
    struct ph_frame *f = sound ? *piece(p, 0) : p->picture;
    if (sound) {
        p->sound_first = (p->sound_first + 1) % MAX_PIECES;
        p->sound_count--;
    } else {
        p->picture = NULL;
    }
    ph_node_stamp_at(n, f, f->pts_ns, ph_node_now_ns(n));
    return ph_node_write(n, sound ? PH_FEED_SOUND : PH_FEED_PICTURES, f);
}

static bool has_next(const struct file *p)
{
    return p->picture || p->sound_count > p->sound_undated;
}

static ph_err process_stream(struct ph_node *n, struct file *p)
{
    ph_err ret = ph_feed_pass(p->feed, n);
    // rendering has no clock that would call us at the right time
    if (ret == PH_MORE && !p->asked) ph_sleep_until_ns(ph_now_ns() + PH_MS_NS);
    return ret;
}

static ph_err file_process(struct ph_node *n)
{
    struct file *p = ph_priv(n);
    if (p->feed) return process_stream(n, p);
    ph_err ret = has_next(p) ? PH_OK : fill(n, p);
    if (!has_next(p) && !p->drained) return ret < 0 ? ret : PH_MORE;
    if (p->asked && p->anchored && p->pace == REAL &&
        ph_node_now_ns(n) < p->clock_ns + next_pts(p))
        return PH_MORE;
    if (!has_next(p)) {
        if (!p->has_picture && !p->sound_linked)
            ph_node_problem(n, "%s has sound only: link its sound", p->path);
        return PH_EOF;
    }
    if (!p->anchored) p->clock_ns = ph_node_now_ns(n) - next_pts(p);
    p->anchored = true;
    if ((ret = emit(n, p)) < 0) return ret;
    fill(n, p); // while others work on this one; what fails has been said
    return PH_OK;
}

// The file's clock waits for us: after a stall (nobody looked, the disk slept) it goes on where it
// was and catches up on nothing.
static int64_t file_due(struct ph_node *n, int64_t now_ns)
{
    struct file *p = ph_priv(n);
    bool first = !p->asked;
    p->asked = true;
    if (p->feed) return first ? INT64_MIN : PH_NEVER; // pushes wake the lane
    if (p->pace == FAST || !p->anchored || (!has_next(p) && !p->drained)) return INT64_MIN;
    int64_t late_ns = now_ns - (p->clock_ns + next_pts(p));
    if (late_ns > LATE_NS) p->clock_ns += late_ns;
    return p->clock_ns + next_pts(p);
}

static ph_err jump(struct ph_node *n, struct file *p)
{
    float seconds = p->position;
    p->position = -1; // asked for once
    if (p->feed || seconds < 0) return PH_OK;
    int64_t next_ns = p->picture ? p->picture->pts_ns : p->end_ns;
    forget(p);
    p->end_ns = next_ns; // the output goes on from here
    p->last_ns[0] = p->last_ns[1] = next_ns - 1000;
    ph_err ret = go_to(p, seconds);
    if (ret < 0) ph_node_problem(n, "%s", ph_input_error(p->in));
    p->troubled = ret < 0;
    return ret;
}

static ph_err file_apply(struct ph_node *n)
{
    struct file *p = ph_priv(n);
    // a new speed holds from the newest picture on
    p->from_ns = p->content_ns;
    p->to_ns = p->pts_ns;
    return jump(n, p);
}

// clang-format off
static const struct ph_param params[] = {
    PH_STRING(struct file, path, .max = 4000, .flags = PH_PARAM_FIRST | PH_PARAM_SETUP | PH_PARAM_PATH, .help = "film, picture or rtsp, http, srt, udp, tcp URL; all that FFmpeg reads"),
    PH_BOOL(struct file, loop, .help = "starts again at the end"),
    PH_FLOAT(struct file, start, 0, 1000000, .unit = "s", .flags = PH_PARAM_SETUP, .help = "where to begin, also when it loops"),
    PH_ENUM(struct file, pace, PH_NAMES("real", "fast"), .flags = PH_PARAM_SETUP, .help = "as fast as the film says, or as fast as it can be decoded"),
    PH_FLOAT(struct file, speed, 0.05, 20, .def = "1", .help = "of playing; local files only"),
    PH_FLOAT(struct file, position, -1, 1000000, .def = "-1", .unit = "s", .help = "set it to go there; local files only"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_file = {
    .name = "file",
    .group = "source",
    .help = "plays a film, a picture or a network stream",
    .in = PH_PORTS({ "stream", PH_PICTURE, PH_PORT_EXTERNAL, .help = "pictures of a stream" },
                   { "stream_sound", PH_SAMPLES, PH_PORT_EXTERNAL, .help = "its sound" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "rgba pictures, turned upright" },
                    { "sound", PH_SAMPLES, .help = "48 kHz, mono or stereo" }),
    .params = params,
    .priv_size = sizeof(struct file),
    .open = file_open,
    .close = file_close,
    .process = file_process,
    .apply = file_apply,
    .due = file_due,
};
