// SPDX-License-Identifier: MIT
#include "core/tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct head {
    struct head *parent, *child, *next, **self; // self: the pointer that points here
    size_t capacity;
    _Alignas(16) char data[];
};

static struct head *head_of(void *block)
{
    return (struct head *) (void *) ((char *) block - offsetof(struct head, data));
}

static void attach(struct head *h, struct head *parent)
{
    h->parent = parent;
    h->self = parent ? &parent->child : NULL;
    h->next = parent ? parent->child : NULL;
    if (h->next) h->next->self = &h->next;
    if (parent) parent->child = h;
}

static void detach(struct head *h)
{
    if (h->self) *h->self = h->next;
    if (h->next) h->next->self = h->self;
}

void *ph_tree_alloc(void *parent, size_t size)
{
    struct head *h = calloc(1, sizeof *h + size);
    if (!h) return NULL;
    h->capacity = size;
    attach(h, parent ? head_of(parent) : NULL);
    return h->data;
}

void *ph_tree_grow(void *parent, void *array, size_t n, size_t element)
{
    struct head *old = array ? head_of(array) : NULL;
    if (old && (n + 1) * element <= old->capacity) return array;
    size_t capacity = n < 4 ? 8 : n * 2;
    char *fresh = ph_tree_alloc(parent, capacity * element);
    if (!fresh || !old) return fresh;
    memcpy(fresh, array, n * element);
    struct head *h = head_of(fresh);
    h->child = old->child;
    if (h->child) h->child->self = &h->child;
    for (struct head *c = h->child; c; c = c->next) c->parent = h;
    old->child = NULL;
    ph_tree_free(array);
    return fresh;
}

char *ph_tree_text(void *parent, const char *text, size_t len)
{
    char *copy = ph_tree_alloc(parent, len + 1);
    if (copy) memcpy(copy, text, len);
    return copy;
}

char *ph_tree_printf(void *parent, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = n < 0 ? NULL : ph_tree_alloc(parent, (size_t) n + 1);
    if (!text) return NULL;
    va_start(args, fmt);
    vsnprintf(text, (size_t) n + 1, fmt, args);
    va_end(args);
    return text;
}

static void free_below(struct head *h)
{
    for (struct head *c = h->child, *next; c; c = next) {
        next = c->next;
        free_below(c);
        free(c);
    }
}

void ph_tree_free(void *block)
{
    if (!block) return;
    struct head *h = head_of(block);
    detach(h);
    free_below(h);
    free(h);
}
