// SPDX-License-Identifier: MIT
// phosphene models pull: the files of a model from a hub into a folder.
#include "hub.h"
#include "models.h"
#include "sha256.h"

#include "core/tree.h"
#include "models/shelf.h"

#include <phosphene/clock.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct pull {
    const struct cli_args *args;
    struct cli_fetch *fetch;
    struct cli_hub hub;
    char folder[PH_SHELF_PATH_MAX];
    struct cli_progress progress;
    char what[96];
    double got_mb, file_mb; // in this call: files that are done, and the one on its way
    int64_t begun;          // bytes of that one that an earlier call left
    int fetched, unproven;
};

// ------------------------------------------------------------------------------ folders
static bool path_of(const struct pull *p, const struct cli_hub_file *file, const char *end,
                    char out[PH_SHELF_PATH_MAX])
{
    return snprintf(out, PH_SHELF_PATH_MAX, "%s/%s%s", p->folder, file->path, end) <
           PH_SHELF_PATH_MAX;
}

// The folders above the file, from the root on.
static ph_err make_folders(const char *path, struct ph_fault *fault)
{
    char folder[PH_SHELF_PATH_MAX];
    for (const char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int) (at - path), path);
        if (mkdir(folder, 0777) && errno != EEXIST)
            return ph_fail(fault, PH_ELIMIT, "path", "cannot make the folder %s: %s", folder,
                           strerror(errno));
    }
    return PH_OK;
}

static int64_t size_of(const char *path)
{
    struct stat s;
    return stat(path, &s) ? -1 : (int64_t) s.st_size;
}

// ------------------------------------------------------------------------------ what is here
// "" when it cannot be read.
static void hash_file(const char *path, char hex[65])
{
    static char bytes[1 << 16];
    struct cli_sha256 hash;
    FILE *f = fopen(path, "rbe");
    hex[0] = 0;
    cli_sha256_begin(&hash);
    for (size_t n; f && !cli_signal && (n = fread(bytes, 1, sizeof bytes, f));)
        cli_sha256_add(&hash, bytes, n);
    if (f && !ferror(f) && !cli_signal) cli_sha256_end(&hash, hex);
    if (f) fclose(f);
}

enum here { HERE_NOT, HERE_SAME, HERE_OTHER };

static enum here look(const struct pull *p, const struct cli_hub_file *file)
{
    char path[PH_SHELF_PATH_MAX], hex[65];
    int64_t size = path_of(p, file, "", path) ? size_of(path) : -1;
    if (size < 0) return HERE_NOT;
    if (file->size >= 0 && size != file->size) return HERE_OTHER;
    if (!*file->sha256) return file->size >= 0 ? HERE_SAME : HERE_OTHER;
    hash_file(path, hex);
    return strcmp(hex, file->sha256) ? HERE_OTHER : HERE_SAME;
}

// ------------------------------------------------------------------------------ progress
static void on_bytes(void *opaque, int64_t bytes)
{
    struct pull *p = opaque;
    if (p->begun < 0) p->begun = bytes;
    if (bytes < p->begun) p->begun = 0; // the server began anew
    p->file_mb = (double) (bytes - p->begun) / 1e6;
    if (!cli_flag(p->args, "quiet")) cli_progress_show(&p->progress, p->got_mb + p->file_mb);
}

static double megabytes_wanted(const struct pull *p)
{
    double sum = 0;
    for (int i = 0; i < p->hub.wanted_count; i++) {
        const struct cli_hub_file *file = &p->hub.wanted[i];
        char path[PH_SHELF_PATH_MAX];
        if (file->size < 0 || !path_of(p, file, "", path) || size_of(path) == file->size)
            continue;
        int64_t part = path_of(p, file, ".part", path) ? size_of(path) : -1;
        sum += (double) (file->size - (part > 0 && part < file->size ? part : 0)) / 1e6;
    }
    return sum;
}

static ph_err check_room(const struct pull *p, double megabytes, struct ph_fault *fault)
{
    struct statvfs fs;
    char need[32], room[32];
    if (statvfs(p->folder, &fs)) return PH_OK;
    double left = (double) fs.f_bavail * (double) fs.f_frsize;
    if (left > megabytes * 1e6) return PH_OK;
    return ph_fail(fault, PH_ELIMIT, "path", "%s of %s are to come, and %s has room for %s",
                   cli_bytes(megabytes * 1e6, need, sizeof need), p->hub.name, p->folder,
                   cli_bytes(left, room, sizeof room));
}

// ------------------------------------------------------------------------------ files
static ph_err pull_file(struct pull *p, const struct cli_hub_file *file, struct ph_fault *fault)
{
    char path[PH_SHELF_PATH_MAX];
    if (!path_of(p, file, "", path))
        return ph_fail(fault, PH_ELIMIT, "path", "%s: the path is too long", p->folder);
    enum here here = look(p, file);
    if (cli_signal) return PH_ESTOPPED;
    if (here == HERE_SAME) return PH_OK;
    if (here == HERE_OTHER && !cli_flag(p->args, "overwrite"))
        return ph_fail(fault, PH_EBUSY, "path",
                       "%s differs from what %s has: -y replaces it, --to names another folder",
                       path, p->hub.files);
    char *url = cli_hub_url(&p->hub, file->path);
    ph_err ret = url ? make_folders(path, fault) : PH_ENOMEM;
    if (ret < 0) return ret;
    p->begun = -1;
    ret = cli_fetch_file(p->fetch,
                         &(struct cli_download){ .url = url,
                                                 .path = path,
                                                 .size = file->size,
                                                 .sha256 = file->sha256,
                                                 .progress = on_bytes,
                                                 .opaque = p },
                         fault);
    p->got_mb += p->file_mb;
    p->file_mb = 0;
    p->fetched += ret >= 0;
    p->unproven += ret >= 0 && !*file->sha256;
    return ret;
}

// The file that makes the folder a model comes last, so that a half one is none.
static ph_err pull_files(struct pull *p, struct ph_fault *fault)
{
    ph_err ret = PH_OK;
    char folder[PH_SHELF_PATH_MAX + 1];
    snprintf(folder, sizeof folder, "%s/", p->folder);
    PH_TRY(make_folders(folder, fault));
    double megabytes = megabytes_wanted(p);
    PH_TRY(check_room(p, megabytes, fault));
    snprintf(p->what, sizeof p->what, "%s:", p->hub.name);
    cli_progress_begin(&p->progress, p->what, "MB", megabytes);
    for (int i = 1; i <= p->hub.wanted_count; i++)
        PH_TRY(pull_file(p, &p->hub.wanted[i % p->hub.wanted_count], fault));
fail:
    cli_progress_end(&p->progress);
    return ret;
}

static void say_pulled(const struct pull *p, double seconds)
{
    char bytes[32], time[32];
    if (cli_flag(p->args, "quiet")) return;
    if (!p->fetched)
        fprintf(stderr, "%s: all %d files are here already\n", p->hub.name,
                p->hub.wanted_count);
    else
        fprintf(stderr, "%s: %d of %d files, %s in %s\n", p->hub.name, p->fetched,
                p->hub.wanted_count, cli_bytes(p->got_mb * 1e6, bytes, sizeof bytes),
                cli_duration(seconds, time, sizeof time));
    if (p->unproven) fprintf(stderr, "%d of them came without a checksum\n", p->unproven);
}

// ------------------------------------------------------------------------------ command
static const char *hub_of(const struct cli_args *args, char *text, size_t size)
{
    const char *hub = cli_text(args, "hub");
    if (!hub || !*hub) hub = getenv("PH_HUB");
    if (!hub || !*hub) hub = "https://huggingface.co";
    size_t len = strlen(hub);
    while (len && hub[len - 1] == '/') len--;
    snprintf(text, size, "%.*s", (int) len, hub);
    return text;
}

static int say_known(void)
{
    printf("%-18s %-46s %s\n", "name", "from", "");
    for (const struct cli_hub_known *k = cli_hub_known; k->name; k++)
        printf("%-18s %-46s %s\n", k->name, k->repository, k->help);
    puts("\nany other: OWNER/NAME, OWNER/NAME@REVISION, or a URL");
    return CLI_OK;
}

static int exit_of(const struct pull *p, ph_err ret, const struct ph_fault *fault)
{
    bool begun = p->got_mb + p->file_mb > 0;
    if (cli_signal) {
        cli_hint("what has come stays; the same command goes on");
        return cli_exit_of_signal();
    }
    cli_error("%s", *fault->message ? fault->message : ph_strerror(ret));
    if (ret == PH_EIO && begun) cli_hint("what has come stays; the same command goes on");
    switch (ret) {
    case PH_EIO: return begun ? CLI_FAILED : CLI_MISSING;
    case PH_EINVAL: return CLI_USAGE;
    case PH_ENOENT:
    case PH_EBUSY: return CLI_INPUT;
    case PH_ENOTSUP: return CLI_MISSING;
    default: return CLI_FAILED;
    }
}

static ph_err pull(struct pull *p, const char *what, struct ph_fault *fault)
{
    char hub[1024];
    const char *to = cli_text(p->args, "to");
    struct cli_hub_params par = { .hub = hub_of(p->args, hub, sizeof hub),
                                  .what = what,
                                  .full = cli_flag(p->args, "full") };
    ph_err ret = cli_fetch_open(&p->fetch, cli_text(p->args, "hub-token"), fault);
    if (ret >= 0) ret = cli_hub_open(p->fetch, &par, &p->hub, fault);
    if (ret < 0) return ret;
    snprintf(p->folder, sizeof p->folder, "%s%s%s", to ? to : ph_shelf_folder(), to ? "" : "/",
             to ? "" : p->hub.name);
    return pull_files(p, fault);
}

int cli_models_pull(const struct cli_args *args, const char *what)
{
    struct pull p = { .args = args };
    struct ph_fault fault = { 0 };
    if (!what) return say_known();
    int64_t begin = ph_now_ns();
    ph_err ret = pull(&p, what, &fault);
    int status = ret < 0 ? exit_of(&p, ret, &fault) : CLI_OK;
    if (!status) say_pulled(&p, (double) (ph_now_ns() - begin) / 1e9);
    cli_fetch_close(&p.fetch);
    ph_tree_free(p.hub.tree);
    return status ? status : cli_models_check(args, p.folder);
}
