// SPDX-License-Identifier: MIT
#include "models/shelf.h"

#include "core/json.h"
#include "core/share.h"
#include "core/tree.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_LIMIT (1 << 20)
#define MAX_DEPTH    8 // of folders whose bytes are counted

static bool is_folder(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static bool is_file(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

static bool join(char out[PH_SHELF_PATH_MAX], const char *folder, const char *name)
{
    return snprintf(out, PH_SHELF_PATH_MAX, "%s/%s", folder, name) < PH_SHELF_PATH_MAX;
}

// --- folders

// The i-th folder to look into; false when there are no more.
static bool shelf_at(int i, char out[PH_SHELF_PATH_MAX])
{
    const char *list = getenv("PH_MODELS"), *home = getenv("HOME");
    if (list && *list) {
        for (; i > 0 && *list; i--) {
            list += strcspn(list, ":");
            list += *list == ':';
        }
        snprintf(out, PH_SHELF_PATH_MAX, "%.*s", (int) strcspn(list, ":"), list);
        return *list;
    }
    if (i == 0)
        snprintf(out, PH_SHELF_PATH_MAX, "%s/.local/share/phosphene/models", home ? home : "");
    else
        snprintf(out, PH_SHELF_PATH_MAX, "./models");
    return i < 2;
}

// The same, and last of all the folder of those that come with the program.
static bool folder_at(int i, char out[PH_SHELF_PATH_MAX], bool *bundled)
{
    int own = 0;
    while (shelf_at(own, out)) own++;
    *bundled = i == own;
    if (i < own) return shelf_at(i, out);
    return i == own && ph_share_find("models", out, NULL) == PH_OK;
}

const char *ph_shelf_folder(void)
{
    static _Thread_local char path[PH_SHELF_PATH_MAX];
    for (int i = 0; shelf_at(i, path); i++)
        if (is_folder(path)) return path;
    shelf_at(0, path);
    return path;
}

static void describe_shelves(char *out, size_t size)
{
    char path[PH_SHELF_PATH_MAX];
    size_t n = 0;
    out[0] = 0;
    for (int i = 0; shelf_at(i, path) && n < size; i++)
        n += (size_t) snprintf(out + n, size - n, "%s%s", i ? " and " : "", path);
}

// The one config that has another name; its files say nothing of a class.
#define TAEF2 "taef2_config.json"

// --- a model

static bool marks(const char *folder, const char *file)
{
    char path[PH_SHELF_PATH_MAX];
    return join(path, folder, file) && is_file(path);
}

static bool is_pipeline(const struct ph_shelved *m)
{
    return m->pipeline;
}

static bool is_depth(const struct ph_shelved *m)
{
    return strncmp(m->class, "DepthAnything", 13) == 0;
}

// The first of a kind: PH_ENOENT when there is none. The list is sorted by name.
static ph_err first_of(bool (*is)(const struct ph_shelved *m), char path[PH_SHELF_PATH_MAX])
{
    void *tree = ph_tree_alloc(NULL, 1);
    const struct ph_shelved *list = tree ? ph_shelf_list(tree) : NULL, *best = NULL;
    ph_err ret = list ? PH_ENOENT : PH_ENOMEM;
    for (; list && list->name; list++)
        if (is(list) && (!best || (best->bundled && !list->bundled))) best = list;
    if (best && snprintf(path, PH_SHELF_PATH_MAX, "%s", best->path) > 0) ret = PH_OK;
    ph_tree_free(tree);
    return ret;
}

static ph_err first_pipeline(char path[PH_SHELF_PATH_MAX], struct ph_fault *fault)
{
    char where[256];
    ph_err ret = first_of(is_pipeline, path);
    describe_shelves(where, sizeof where);
    if (ret == PH_ENOENT)
        ph_fail(fault, ret, "model",
                "there is no model in %s: `phosphene models pull sd-turbo` gets "
                "one, model=DIR names another folder",
                where);
    return ret == PH_ENOMEM ? ph_fail(fault, ret, "model", "out of memory") : ret;
}

ph_err ph_shelf_find(const char *name, char path[PH_SHELF_PATH_MAX], struct ph_fault *fault)
{
    char folder[PH_SHELF_PATH_MAX], where[256];
    const char *home = getenv("HOME");
    if (!*name) return first_pipeline(path, fault);
    bool is_path = *name == '/' || *name == '.' || !strncmp(name, "~/", 2);
    if (is_path) {
        bool of_home = *name == '~' && home;
        snprintf(path, PH_SHELF_PATH_MAX, "%s%s", of_home ? home : "",
                 of_home ? name + 1 : name);
        if (is_folder(path)) return PH_OK;
        return ph_fail(fault, PH_ENOENT, "model", "there is no folder %.300s", name);
    }
    bool bundled;
    for (int i = 0; folder_at(i, folder, &bundled); i++)
        if (join(path, folder, name) && is_folder(path)) return PH_OK;
    if (snprintf(path, PH_SHELF_PATH_MAX, "%s", name) < PH_SHELF_PATH_MAX && is_folder(path))
        return PH_OK;
    describe_shelves(where, sizeof where);
    return ph_fail(fault, PH_ENOENT, "model",
                   "there is no model \"%.100s\" in %s: `phosphene models list` shows what is "
                   "here, `phosphene models pull` what there is to get",
                   name, where);
}

ph_err ph_shelf_find_depth(const char *name, char path[PH_SHELF_PATH_MAX],
                           struct ph_fault *fault)
{
    if (*name) return ph_shelf_find(name, path, fault);
    char where[256];
    ph_err ret = first_of(is_depth, path);
    describe_shelves(where, sizeof where);
    if (ret == PH_ENOENT)
        ph_fail(
            fault, ret, "model",
            "there is no depth model in %s: `phosphene models pull depth-anything-v2-small` "
            "gets one, model=DIR names another folder; the node scene has true depth "
            "without any",
            where);
    return ret == PH_ENOMEM ? ph_fail(fault, ret, "model", "out of memory") : ret;
}

// --- a style

static bool leads_out(const char *name)
{
    return *name == '/' || *name == '~' || !strcmp(name, "..") || !strncmp(name, "../", 3) ||
           strstr(name, "/..");
}

bool ph_shelf_has(const char *name)
{
    char folder[PH_SHELF_PATH_MAX], path[PH_SHELF_PATH_MAX];
    if (!*name || *name == '.' || leads_out(name)) return false;
    bool bundled;
    for (int i = 0; folder_at(i, folder, &bundled); i++)
        if (join(path, folder, name) &&
            (marks(path, "model_index.json") || marks(path, "config.json")))
            return true;
    return false;
}

static bool style_in(const char *folder, const char *name, char path[PH_SHELF_PATH_MAX])
{
    static const char *const below[] = { "", "/styles", "/loras" };
    static const char *const ends[] = { "", ".safetensors" };
    for (int b = 0; b < 3; b++)
        for (int e = 0; e < 2; e++)
            if (snprintf(path, PH_SHELF_PATH_MAX, "%s%s/%s%s", folder, below[b], name,
                         ends[e]) < PH_SHELF_PATH_MAX &&
                is_file(path))
                return true;
    return false;
}

ph_err ph_shelf_style(const char *name, const char *folder, char path[PH_SHELF_PATH_MAX],
                      struct ph_fault *fault)
{
    char shelf[PH_SHELF_PATH_MAX], where[256];
    if (!*name || leads_out(name))
        return ph_fail(fault, PH_EINVAL, "style",
                       "\"%.100s\" is not the name of a file in the folder of styles", name);
    if (folder && style_in(folder, name, path)) return PH_OK;
    for (int i = 0; !folder && shelf_at(i, shelf); i++)
        if (style_in(shelf, name, path)) return PH_OK;
    describe_shelves(where, sizeof where);
    return ph_fail(fault, PH_ENOENT, "style", "there is no style \"%.100s\" in %s", name,
                   folder ? folder : where);
}

// --- the list

static int64_t bytes_below(const char *folder, int depth)
{
    DIR *d = depth < MAX_DEPTH ? opendir(folder) : NULL;
    int64_t sum = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[PH_SHELF_PATH_MAX];
        struct stat s;
        if (e->d_name[0] == '.' || !join(path, folder, e->d_name) || stat(path, &s)) continue;
        sum += S_ISDIR(s.st_mode) ? bytes_below(path, depth + 1) : (int64_t) s.st_size;
    }
    if (d) closedir(d);
    return sum;
}

// _class_name of diffusers, architectures[0] of transformers; Depth-Anything-3 has its own way.
static char *class_in(void *tree, const char *folder, const char *file)
{
    char path[PH_SHELF_PATH_MAX], *text = malloc(CONFIG_LIMIT);
    FILE *f = text && join(path, folder, file) ? fopen(path, "rbe") : NULL;
    struct ph_json_doc *doc = NULL;
    const char *name = "";
    size_t len = f ? fread(text, 1, CONFIG_LIMIT, f) : 0;
    if (f) fclose(f);
    if (len && ph_json_parse(&doc, text, len, 0, NULL) == PH_OK) {
        const struct ph_json *root = ph_json_root(doc);
        name = ph_json_string(ph_json_get(root, "_class_name"), "");
        if (!*name)
            name = ph_json_string(ph_json_at(ph_json_get(root, "architectures"), 0), "");
        if (!*name && !strncmp(ph_json_string(ph_json_get(root, "model_name"), ""), "da3", 3))
            name = "DepthAnything3";
    }
    char *copy = ph_tree_text(tree, name, strlen(name));
    ph_json_free(&doc);
    free(text);
    return copy;
}

static char *class_of(void *tree, const char *path, bool pipeline)
{
    if (pipeline) return class_in(tree, path, "model_index.json");
    if (marks(path, "config.json")) return class_in(tree, path, "config.json");
    return ph_tree_text(tree, "TAEF2", 5);
}

struct listing {
    void *tree;
    struct ph_shelved *list;
    int count;
    bool bundled; // of the folder that is looked into
    bool failed;
};

static void add(struct listing *l, const char *name, const char *path, bool pipeline)
{
    for (int i = 0; i < l->count; i++)
        if (!strcmp(l->list[i].name, name)) return; // an earlier shelf has it
    struct ph_shelved m = { .pipeline = pipeline,
                            .bundled = l->bundled,
                            .name = ph_tree_text(l->tree, name, strlen(name)),
                            .path = ph_tree_text(l->tree, path, strlen(path)),
                            .class = class_of(l->tree, path, pipeline),
                            .bytes = bytes_below(path, 0) };
    bool ok = m.name && m.path && m.class && ph_append(l->tree, l->list, l->count, m);
    l->failed = l->failed || !ok;
}

static void look(struct listing *l, const char *folder, const char *prefix, int depth)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[PH_SHELF_PATH_MAX], name[512];
        if (e->d_name[0] == '.' || !join(path, folder, e->d_name) || !is_folder(path)) continue;
        if (snprintf(name, sizeof name, "%s%s", prefix, e->d_name) >= (int) sizeof name - 1)
            continue;
        bool pipeline = marks(path, "model_index.json");
        if (pipeline || marks(path, "config.json") || marks(path, TAEF2)) {
            add(l, name, path, pipeline);
        } else if (depth == 0) {
            strcat(name, "/");
            look(l, path, name, 1);
        }
    }
    if (d) closedir(d);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ph_shelved *) a)->name, ((const struct ph_shelved *) b)->name);
}

struct ph_shelved *ph_shelf_list(void *tree)
{
    char folder[PH_SHELF_PATH_MAX];
    struct listing l = { .tree = tree };
    for (int i = 0; folder_at(i, folder, &l.bundled); i++) look(&l, folder, "", 0);
    if (l.count) qsort(l.list, (size_t) l.count, sizeof *l.list, by_name);
    l.failed = !ph_append(tree, l.list, l.count, (struct ph_shelved){ 0 }) || l.failed;
    return l.failed ? NULL : l.list;
}
