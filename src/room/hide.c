// SPDX-License-Identifier: MIT
#include "room/hide.h"

#include "core/buf.h"
#include "room/edit.h"

#include <stdlib.h>
#include <string.h>

struct ph_hidden {
    struct ph_hidden *next;
    char *path, *label; // one block
};

// --- labels

static char *url_label(const char *url, const char *host)
{
    struct ph_buf b = { 0 };
    const char *end = host + strcspn(host, "?#"), *path = host + strcspn(host, "/?#");
    ph_buf_put(&b, url, (size_t) (host - url));
    for (const char *at = host; at < path; at++)
        if (*at == '@') host = at + 1;
    ph_buf_put(&b, host, (size_t) (end - host));
    return ph_buf_steal(&b);
}

char *ph_hide_label(const char *path)
{
    const char *scheme = strstr(path, "://"), *slash = strrchr(path, '/');
    if (scheme) return url_label(path, scheme + 3);
    bool file = slash && slash[1] && strncmp(path, "/dev/", 5) != 0;
    return strdup(file ? slash + 1 : path);
}

// --- the list

static ph_err add(struct ph_hidden **list, const char *path, const char *label)
{
    size_t n = strlen(path) + 1, m = strlen(label) + 1;
    struct ph_hidden *h = malloc(sizeof *h + n + m);
    if (!h) return PH_ENOMEM;
    h->path = memcpy(h + 1, path, n);
    h->label = memcpy(h->path + n, label, m);
    // the longest first: one path may be the beginning of another
    while (*list && strlen((*list)->path) >= n) list = &(*list)->next;
    h->next = *list;
    *list = h;
    return PH_OK;
}

// As it stands inside the quotes of a JSON text. NULL = out of memory.
static char *escaped(const char *text)
{
    struct ph_buf b = { 0 };
    ph_json_str(&b, text);
    if (b.failed || b.len < 2) {
        ph_buf_free(&b);
        return NULL;
    }
    b.data[b.len - 1] = 0;
    memmove(b.data, b.data + 1, b.len - 1);
    return ph_buf_steal(&b);
}

// As it is and escaped once (a value, a graph text) and twice (a graph text in JSON).
static ph_err add_forms(struct ph_hidden **list, const char *path, const char *label, int more)
{
    char *p = escaped(path), *l = escaped(label);
    ph_err ret = p && l ? add(list, path, label) : PH_ENOMEM;
    if (ret == PH_OK && more && strcmp(p, path) != 0) ret = add_forms(list, p, l, more - 1);
    free(p);
    free(l);
    return ret;
}

ph_err ph_hide_path(struct ph_hidden **list, const char *path)
{
    char *label = ph_hide_label(path);
    ph_err ret = label ? PH_OK : PH_ENOMEM;
    if (label && strcmp(label, path) != 0) ret = add_forms(list, path, label, 2);
    free(label);
    return ret;
}

ph_err ph_hide_graph(struct ph_hidden **list, const struct ph_ast *graph)
{
    ph_err ret = PH_OK;
    for (int i = 0; i < graph->node_count; i++)
        for (const struct ph_param *p = graph->nodes[i].info->params; p && p->name; p++)
            if (p->flags & PH_PARAM_PATH && ret == PH_OK)
                ret = ph_hide_path(list, ph_edit_value(&graph->nodes[i], p));
    return ret;
}

ph_err ph_hide_folder(struct ph_hidden **list, const char *folder)
{
    struct ph_buf b = { 0 };
    if (folder[0] != '/' || !folder[1]) return PH_OK;
    ph_buf_printf(&b, "%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/");
    ph_err ret = b.failed ? PH_ENOMEM : add_forms(list, b.data, "", 2);
    ph_buf_free(&b);
    return ret;
}

void ph_hide_free(struct ph_hidden **list)
{
    while (*list) {
        struct ph_hidden *h = *list;
        *list = h->next;
        free(h);
    }
}

// --- texts

static void shorten(char *text, const struct ph_hidden *h)
{
    size_t n = strlen(h->path), m = strlen(h->label);
    for (char *at = text; (at = strstr(at, h->path)); at += m) {
        memcpy(at, h->label, m);
        memmove(at + m, at + n, strlen(at + n) + 1);
    }
}

void ph_hide_in(const struct ph_hidden *list, char *text)
{
    for (; list; list = list->next) shorten(text, list);
}

char *ph_hide(const struct ph_hidden *list, const struct ph_hidden *more, const char *text)
{
    char *copy = strdup(text);
    if (!copy) return NULL;
    ph_hide_in(list, copy);
    ph_hide_in(more, copy);
    return copy;
}
