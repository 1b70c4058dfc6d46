// SPDX-License-Identifier: MIT
#include "nodes/model/lists.h"

#include "core/number.h"
#include "core/tree.h"
#include "models/shelf.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TEXTS 64
#define MOST_SEEDS 16

static ph_err no_memory(struct ph_fault *fault)
{
    return ph_fail(fault, PH_ENOMEM, "", "out of memory");
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void trim(char **text, char **end)
{
    while (*text < *end && is_blank(**text)) ++*text;
    while (*text < *end && is_blank((*end)[-1])) --*end;
    **end = 0;
}

// Takes ":0.5" off the end of text; text that ends otherwise stays whole and weighs 1. A colon may
// well be part of a prompt.
static float take_weight(char *text)
{
    char *colon = strrchr(text, ':'), *end;
    if (!colon || !colon[1] || colon[1 + strspn(colon + 1, " +-.0123456789eE")]) return 1;
    double w = ph_strtod(colon + 1, &end);
    if (end == colon + 1 || *end || !isfinite(w)) return 1;
    while (colon > text && is_blank(colon[-1])) colon--;
    *colon = 0;
    return (float) w;
}

// Cuts *at off at the next `bar`, undoing "\|"; NULL when there is no more.
static char *next_part(char **at, char bar)
{
    char *begin = *at, *to = begin, *from = begin;
    if (!begin) return NULL;
    for (; *from && *from != bar; from++) {
        if (from[0] == '\\' && from[1] == bar) from++;
        *to++ = *from;
    }
    *at = *from ? from + 1 : NULL;
    trim(&begin, &to);
    return begin;
}

static ph_err check_sum(const char *field, float sum, struct ph_fault *fault)
{
    if (sum > 0) return PH_OK;
    return ph_fail(fault, PH_EINVAL, field,
                   "all weights of %s together are %g, expected above 0", field, (double) sum);
}

ph_err ph_prompts_parse(void *tree, const char *text, const struct ph_prompt **out, int *count,
                        struct ph_fault *fault)
{
    struct ph_prompt *list = ph_new(tree, struct ph_prompt, MOST_TEXTS);
    char *copy = ph_tree_text(tree, text, strlen(text)), *at = copy, *part;
    float sum = 0;
    *count = 0;
    if (!list || !copy) return no_memory(fault);
    while ((part = next_part(&at, '|'))) {
        if (!*part && (at || *count)) continue;
        if (*count == MOST_TEXTS)
            return ph_fail(fault, PH_EINVAL, "prompt", "prompt has over %d texts", MOST_TEXTS);
        float weight = take_weight(part);
        if (weight < 0)
            return ph_fail(fault, PH_EINVAL, "prompt",
                           "a weight of prompt is %g, expected 0 or more", (double) weight);
        list[(*count)++] = (struct ph_prompt){ part, weight };
        sum += weight;
    }
    *out = list;
    return check_sum("prompt", sum, fault);
}

// Blanks and commas separate; a colon binds.
static char *next_word(char **at)
{
    char *begin = *at + strspn(*at, " ,\t\n\r");
    if (!*begin) return NULL;
    char *end = begin + strcspn(begin, " ,\t\n\r");
    *at = *end ? end + 1 : end;
    *end = 0;
    return begin;
}

static bool read_seed(const char *word, struct ph_seed *out)
{
    char *end;
    errno = 0;
    out->seed = strtoull(word, &end, 10);
    return *word >= '0' && *word <= '9' && !*end && !errno;
}

ph_err ph_seeds_parse(void *tree, const char *text, const struct ph_seed **out, int *count,
                      struct ph_fault *fault)
{
    struct ph_seed *list = ph_new(tree, struct ph_seed, MOST_SEEDS);
    char *copy = ph_tree_text(tree, text, strlen(text)), *at = copy, *word;
    float sum = 0;
    *count = 0;
    if (!list || !copy) return no_memory(fault);
    while ((word = next_word(&at))) {
        struct ph_seed s = { .weight = take_weight(word) };
        if (*count == MOST_SEEDS)
            return ph_fail(fault, PH_EINVAL, "seed", "seed has over %d numbers", MOST_SEEDS);
        if (!read_seed(word, &s) || s.weight < 0)
            return ph_fail(fault, PH_EINVAL, "seed",
                           "seed is whole numbers such as \"7\" or \"1 2:0.5\", got \"%.40s\"",
                           word);
        list[(*count)++] = s;
        sum += s.weight;
    }
    *out = list;
    return *count ? check_sum("seed", sum, fault) : PH_OK;
}

ph_err ph_circle_parse(const char *text, uint64_t out[2], struct ph_fault *fault)
{
    struct ph_seed s[2] = { { 0 } };
    char copy[64], *at = copy, *word;
    int count = 0;
    bool ok = strlen(text) < sizeof copy;
    strcpy(copy, ok ? text : "");
    while ((word = next_word(&at)))
        if (count == 2 || !read_seed(word, &s[count++])) ok = false;
    out[0] = s[0].seed;
    out[1] = s[1].seed;
    if (ok && (!count || (count == 2 && out[0] != out[1]))) return PH_OK;
    return ph_fail(fault, PH_EINVAL, "circle",
                   "circle is two different whole numbers such as \"40 41\", got \"%.40s\"",
                   text);
}

ph_err ph_index_parse(void *tree, const char *text, const int **out, int *count,
                      struct ph_fault *fault)
{
    int *list = ph_new(tree, int, PH_STEPS_MAX);
    char *copy = ph_tree_text(tree, text, strlen(text)), *at = copy, *word, *end;
    *count = 0;
    if (!list || !copy) return no_memory(fault);
    while ((word = next_word(&at))) {
        long v = strtol(word, &end, 10);
        if (*count == PH_STEPS_MAX)
            return ph_fail(fault, PH_EINVAL, "index", "index has over %d places", PH_STEPS_MAX);
        if (*end || v < 0 || v > 999)
            return ph_fail(fault, PH_EINVAL, "index",
                           "index is rising places in the table such as \"16 32\", got "
                           "\"%.40s\"",
                           word);
        list[(*count)++] = (int) v;
    }
    *out = *count ? list : NULL;
    return PH_OK;
}

ph_err ph_styles_parse(void *tree, const char *text, const char *folder,
                       const struct ph_style **out, int *count, struct ph_fault *fault)
{
    enum { STYLES = 8 };
    struct ph_style *list = ph_new(tree, struct ph_style, STYLES);
    char *copy = ph_tree_text(tree, text, strlen(text)), *at = copy, *part;
    char path[PH_SHELF_PATH_MAX];
    *count = 0;
    if (!list || !copy) return no_memory(fault);
    while ((part = next_part(&at, ','))) {
        if (!*part) continue;
        float scale = take_weight(part);
        if (*count == STYLES)
            return ph_fail(fault, PH_EINVAL, "style", "style has over %d names", STYLES);
        ph_err ret = ph_shelf_style(part, folder, path, fault);
        if (ret < 0) return ret;
        char *kept = ph_tree_text(tree, path, strlen(path));
        if (!kept) return no_memory(fault);
        list[(*count)++] = (struct ph_style){ kept, scale };
    }
    *out = list;
    return PH_OK;
}
