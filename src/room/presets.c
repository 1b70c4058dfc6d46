// SPDX-License-Identifier: MIT
#include "room/presets.h"

#include "core/tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT (64 * 1024) // as the graph's parser has it

const struct ph_preset *ph_presets(void)
{
    return ph_presets_embedded;
}

const struct ph_preset *ph_preset_find(const struct ph_preset *list, const char *name)
{
    for (; list->name; list++)
        if (!strcmp(list->name, name)) return list;
    return NULL;
}

// "# title: A room of one's own" in the first lines that are comments; else the name.
static const char *title_of(void *tree, const char *text, const char *name)
{
    static const char mark[] = "# title:";
    for (const char *line = text; *line == '#'; line += *line == '\n') {
        const char *end = line + strcspn(line, "\n");
        if (!strncmp(line, mark, sizeof mark - 1)) {
            line += sizeof mark - 1;
            while (*line == ' ') line++;
            return ph_tree_text(tree, line, (size_t) (end - line));
        }
        line = end;
    }
    return name;
}

static char *read_text(void *tree, const char *path)
{
    char *text = NULL, *buf = malloc(MAX_TEXT + 1);
    FILE *f = buf ? fopen(path, "rb") : NULL;
    if (f) {
        size_t n = fread(buf, 1, MAX_TEXT + 1, f);
        if (n <= MAX_TEXT && !memchr(buf, 0, n)) text = ph_tree_text(tree, buf, n);
        fclose(f);
    }
    free(buf);
    return text;
}

static ph_err add_file(void *tree, const char *dir, const char *file, struct ph_preset **list,
                       int *count, struct ph_fault *fault)
{
    const char *path = ph_tree_printf(tree, "%s/%s", dir, file);
    const char *name = ph_tree_text(tree, file, strlen(file) - strlen(".graph"));
    struct ph_preset p = { .name = name, .text = path ? read_text(tree, path) : NULL };
    if (!name || !path) return ph_fail(fault, PH_ENOMEM, "presets", "out of memory");
    if (!p.text)
        return ph_fail(fault, PH_EIO, "presets",
                       "%s cannot be read as a text of at most 64 KiB", path);
    p.title = title_of(tree, p.text, name);
    for (int i = 0; i < *count; i++) {
        if (strcmp((*list)[i].name, name)) continue;
        (*list)[i] = p;
        return PH_OK;
    }
    return ph_append(tree, *list, *count, p)
               ? PH_OK
               : ph_fail(fault, PH_ENOMEM, "presets", "out of memory");
}

static int is_graph(const struct dirent *e)
{
    const char *dot = strrchr(e->d_name, '.');
    return e->d_name[0] != '.' && dot && !strcmp(dot, ".graph");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ph_preset *) a)->name, ((const struct ph_preset *) b)->name);
}

ph_err ph_presets_load(void *tree, const char *dir, struct ph_preset **out,
                       struct ph_fault *fault)
{
    struct dirent **files = NULL;
    int count = 0, n = dir ? scandir(dir, &files, is_graph, alphasort) : 0;
    ph_err ret = PH_OK;
    *out = NULL;
    if (n < 0)
        return ph_fail(fault, PH_EIO, "presets", "the presets folder %s: %s", dir,
                       strerror(errno));
    for (const struct ph_preset *p = ph_presets_embedded; p->name && ret == PH_OK; p++)
        if (!ph_append(tree, *out, count, *p)) ret = PH_ENOMEM;
    for (int i = 0; i < n; i++) {
        if (ret == PH_OK) ret = add_file(tree, dir, files[i]->d_name, out, &count, fault);
        free(files[i]);
    }
    free(files);
    if (ret < 0) return ret;
    if (count) qsort(*out, (size_t) count, sizeof **out, by_name);
    return ph_append(tree, *out, count, (struct ph_preset){ 0 })
               ? PH_OK
               : ph_fail(fault, PH_ENOMEM, "presets", "out of memory");
}
