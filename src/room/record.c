// SPDX-License-Identifier: MIT
// A recording is an edit of the running graph: a record node that gets what the first encoder gets.
// The server makes up the file's name; a client never does.
#include "room/room_priv.h"

#include "core/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static ph_err make_folder(const char *path, struct ph_fault *fault)
{
    char part[1024];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash) *slash = 0;
        if (mkdir(part, 0700) && errno != EEXIST)
            return ph_fail(fault, PH_EIO, "recordings", "cannot make %s: %s", part,
                           strerror(errno));
        if (!slash) return PH_OK;
        *slash = '/';
    }
}

// "demo-20260102-030405.mp4", and "-2" when that is there already.
static void choose_file(struct ph_room *room, const char *suffix, char *path, size_t size)
{
    struct ph_recording *rec = &room->recording;
    char stamp[32], more[16] = "";
    struct stat info;
    struct tm tm;
    time_t now = time(NULL);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
    for (int i = 2; i < 1000; i++) {
        snprintf(rec->file, sizeof rec->file, "%s-%s%s%s", room->name, stamp, more, suffix);
        snprintf(path, size, "%s/%s", room->house->recordings, rec->file);
        if (stat(path, &info)) return;
        snprintf(more, sizeof more, "-%d", i);
    }
}

void ph_record_note(struct ph_room *room, const char *node, const char *message)
{
    struct ph_recording *rec = &room->recording;
    if (!node || !atomic_load(&room->recording_on)) return;
    pthread_mutex_lock(&room->view_lock);
    if (!strcmp(rec->node, node)) {
        snprintf(rec->problem, sizeof rec->problem, "%s", message ? message : "");
        rec->failed_ns = message ? ph_now_ns() : 0;
    }
    pthread_mutex_unlock(&room->view_lock);
}

static void begin(struct ph_room *room, const char *node)
{
    struct ph_recording *rec = &room->recording;
    pthread_mutex_lock(&room->view_lock);
    memcpy(rec->node, node, sizeof rec->node);
    rec->failed_ns = 0;
    rec->problem[0] = 0;
    pthread_mutex_unlock(&room->view_lock);
}

static void set_on(struct ph_room *room, bool on)
{
    room->recording.on = on;
    atomic_store(&room->recording_on, on);
}

static ph_err start(struct ph_room *room, const char *suffix, struct ph_fault *fault)
{
    char path[1400], node[PH_NAME_MAX], *text = ph_graph_text(room->graph), *edited = NULL;
    struct ph_recording *rec = &room->recording;
    ph_err ret = text ? make_folder(room->house->recordings, fault)
                      : ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
    if (ret == PH_OK) {
        choose_file(room, suffix, path, sizeof path);
        ret = ph_edit_record(text, path, node, &edited, fault);
    }
    if (ret == PH_OK) {
        begin(room, node);
        set_on(room, true);
    }
    if (ret == PH_OK) ret = ph_room_edit_graph(room, edited, fault);
    if (ret < 0) {
        set_on(room, false);
        rec->file[0] = 0;
    }
    rec->started_ns = ph_now_ns();
    free(text);
    free(edited);
    return ret;
}

// It takes no more pictures once its node has said why.
static double seconds_until_now(struct ph_room *room)
{
    const struct ph_recording *rec = &room->recording;
    pthread_mutex_lock(&room->view_lock);
    int64_t end_ns = rec->failed_ns ? rec->failed_ns : ph_now_ns();
    pthread_mutex_unlock(&room->view_lock);
    return end_ns > rec->started_ns ? (double) (end_ns - rec->started_ns) * 1e-9 : 0;
}

// The file is complete: its node was closed by the edit that removed it.
static void finished(struct ph_room *room)
{
    struct ph_recording *rec = &room->recording;
    char path[1400];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", room->house->recordings, rec->file);
    rec->bytes = stat(path, &info) ? 0 : (uint64_t) info.st_size;
    rec->seconds = seconds_until_now(room);
    set_on(room, false);
}

static ph_err stop(struct ph_room *room, struct ph_fault *fault)
{
    char *text = ph_graph_text(room->graph), *edited = NULL;
    ph_err ret = text ? ph_edit_remove(text, room->recording.node, &edited, fault)
                      : ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
    if (ret == PH_OK) ret = ph_room_edit_graph(room, edited, fault); // calls ph_record_follow
    free(text);
    free(edited);
    return ret;
}

char *ph_record_carry(struct ph_room *room, const char *text)
{
    struct ph_recording *rec = &room->recording;
    char path[1400], name[PH_NAME_MAX], *edited = NULL;
    struct ph_ast *ast = NULL;
    struct ph_fault fault; // a graph that nothing can be recorded of ends the recording
    bool gone = rec->on && ph_ast_parse(&ast, text, ph_nodes(), &fault) == PH_OK &&
                !ph_ast_find(ast, rec->node);
    ph_tree_free(ast);
    if (!gone) return NULL;
    snprintf(path, sizeof path, "%s/%s", room->house->recordings, rec->file);
    if (ph_edit_record(text, path, name, &edited, &fault) == PH_OK && !strcmp(name, rec->node))
        return edited;
    free(edited);
    return NULL;
}

void ph_record_follow(struct ph_room *room)
{
    const struct ph_recording *rec = &room->recording;
    if (rec->on && !ph_ast_find(room->ast, rec->node)) finished(room);
}

// --- what was recorded so far

struct film {
    char file[160];
    uint64_t bytes;
    int64_t time_s; // of its last byte, Unix time
};

static int newest_first(const void *a, const void *b)
{
    const struct film *x = a, *y = b;
    if (x->time_s != y->time_s) return x->time_s < y->time_s ? 1 : -1;
    return strcmp(y->file, x->file);
}

const char *ph_record_type(const char *file)
{
    const char *end = strrchr(file, '.');
    if (end && !strcmp(end, ".mp4")) return "video/mp4";
    return end && !strcmp(end, ".phs") ? "application/octet-stream" : NULL;
}

// Whether it is one of ours, not a link and nothing hidden.
static bool is_film(int folder, const char *name, struct film *film)
{
    struct stat info;
    if (name[0] == '.' || !ph_record_type(name) || strlen(name) >= sizeof film->file)
        return false;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) || !S_ISREG(info.st_mode))
        return false;
    strcpy(film->file, name);
    film->bytes = (uint64_t) info.st_size;
    film->time_s = (int64_t) info.st_mtim.tv_sec;
    return true;
}

// Of more than that the newest are listed. A folder that is not there yet has no films.
#define FILMS_MAX 500

static int read_films(const char *path, struct film films[FILMS_MAX + 1])
{
    DIR *folder = opendir(path);
    struct dirent *e;
    int count = 0;
    while (folder && (e = readdir(folder))) {
        if (!is_film(dirfd(folder), e->d_name, &films[count])) continue;
        if (++count <= FILMS_MAX) continue;
        qsort(films, (size_t) count, sizeof *films, newest_first);
        count--;
    }
    if (folder) closedir(folder);
    qsort(films, (size_t) count, sizeof *films, newest_first);
    return count;
}

char *ph_record_list(const char *path)
{
    struct ph_buf b = { 0 };
    struct film *films = malloc((FILMS_MAX + 1) * sizeof *films);
    int count = films ? read_films(path, films) : 0;
    ph_buf_puts(&b, "{\"recordings\":[");
    for (int i = 0; i < count; i++) {
        ph_json_sep(&b);
        ph_buf_puts(&b, "{\"file\":");
        ph_json_str(&b, films[i].file);
        ph_buf_printf(&b, ",\"bytes\":%llu,\"time\":%lld}", (unsigned long long) films[i].bytes,
                      (long long) films[i].time_s);
    }
    ph_buf_puts(&b, "]}");
    b.failed = b.failed || !films;
    free(films);
    return ph_buf_steal(&b);
}

// --- the state

static void put_problem(struct ph_room *room, struct ph_buf *b)
{
    char text[sizeof room->recording.problem];
    pthread_mutex_lock(&room->view_lock);
    memcpy(text, room->recording.problem, sizeof text);
    pthread_mutex_unlock(&room->view_lock);
    ph_json_key(b, "problem");
    if (text[0])
        ph_json_str(b, text);
    else
        ph_buf_puts(b, "null");
}

static void put_state(struct ph_room *room, struct ph_buf *b)
{
    const struct ph_recording *rec = &room->recording;
    double seconds = rec->on ? seconds_until_now(room) : rec->seconds;
    ph_buf_printf(b, "{\"recording\":%s", rec->on ? "true" : "false");
    if (rec->file[0]) {
        ph_json_key(b, "file");
        ph_json_str(b, rec->file);
        ph_buf_printf(b, ",\"seconds\":%.3f", seconds);
        if (!rec->on) ph_buf_printf(b, ",\"bytes\":%llu", (unsigned long long) rec->bytes);
        put_problem(room, b);
    }
    ph_buf_puts(b, "}");
}

void ph_record_json(struct ph_room *room, struct ph_buf *b)
{
    ph_json_key(b, "recording");
    put_state(room, b);
}

void ph_room_act_record(struct ph_room *room, struct ph_room_job *j)
{
    struct ph_fault fault = { 0 };
    struct ph_buf b = { 0 };
    ph_err ret = PH_OK;
    if (!room->graph)
        ret = ph_fail(&fault, PH_ESTOPPED, "room", "the room \"%s\" was closed", room->name);
    else if (!strcmp(j->text, "start") && !room->recording.on)
        ret = start(room, ".mp4", &fault);
    else if (!strcmp(j->text, "tape") && !room->recording.on)
        ret = start(room, ".phs", &fault);
    else if (!strcmp(j->text, "stop") && room->recording.on)
        ret = stop(room, &fault);
    put_state(room, &b);
    char *text = b.failed ? NULL : ph_room_hide(room, b.data);
    if (ret == PH_OK && !text) ret = ph_fail(&fault, PH_ENOMEM, "room", "out of memory");
    if (ret < 0)
        ph_asker_fault(&j->asker, &fault);
    else
        ph_asker_json(&j->asker, 200, text);
    free(text);
    ph_buf_free(&b);
}
