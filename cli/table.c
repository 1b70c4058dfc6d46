// SPDX-License-Identifier: MIT
#include "table.h"
#include "term.h"

#include <stdarg.h>
#include <string.h>

struct page {
    FILE *out;
    int rows, columns, printed;
    const char *eol;
};

PH_PRINTF(3, 4)
static void line(struct page *p, enum cli_color color, const char *fmt, ...)
{
    char text[512];
    va_list args;
    if (p->rows && p->printed >= p->rows) return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fprintf(p->out, "%s%.*s%s%s", color == CLI_PLAIN ? "" : cli_color(p->out, color),
            p->columns, text, color == CLI_PLAIN ? "" : cli_color(p->out, CLI_PLAIN), p->eol);
    p->printed++;
}

static double number(const struct ph_json *v, const char *key, const char *sub)
{
    v = ph_json_get(v, key);
    return ph_json_double(sub ? ph_json_get(v, sub) : v, 0);
}

static void print_head(struct page *p, const struct ph_json *room)
{
    line(p, CLI_BOLD, "%s  %s  %.1f s  epoch %d  %d viewers",
         ph_json_string(ph_json_get(room, "name"), "graph"),
         ph_json_string(ph_json_get(room, "state"), "?"), number(room, "time", NULL),
         (int) number(room, "epoch", NULL), (int) number(room, "viewers", NULL));
    line(p, CLI_PLAIN,
         "frames/s  input %.1f  pipeline %.1f  output %.1f   latency %.1f ms (p95 %.1f)",
         number(room, "rates", "input"), number(room, "rates", "pipeline"),
         number(room, "rates", "output"), number(room, "latencyMs", "p50"),
         number(room, "latencyMs", "p95"));
    line(p, CLI_PLAIN, "dropped   input %.0f  output %.0f   bottleneck: %s",
         number(room, "dropped", "input"), number(room, "dropped", "output"),
         ph_json_string(ph_json_get(room, "bottleneck"), "-"));
}

static void print_nodes(struct page *p, const struct ph_json *room)
{
    const struct ph_json *lanes = ph_json_get(room, "lanes");
    line(p, CLI_DIM, "%-16s %-12s %-10s %9s %7s %8s %8s %8s %7s %6s", "node", "type", "lane",
         "runs", "fps", "p50 ms", "p95 ms", "p99 ms", "dropped", "errors");
    const struct ph_json *n = ph_json_get(room, "nodes");
    for (n = n ? n->child : NULL; n; n = n->next) {
        const struct ph_json *lane = ph_json_at(lanes, (int) number(n, "lane", NULL));
        const char *problem = ph_json_string(ph_json_get(n, "problem"), NULL);
        line(p, problem ? CLI_RED : CLI_PLAIN,
             "%-16.16s %-12.12s %-10.10s %9.0f %7.1f %8.3f %8.3f %8.3f %7.0f %6.0f",
             ph_json_string(ph_json_get(n, "name"), "?"),
             ph_json_string(ph_json_get(n, "type"), "?"),
             ph_json_string(ph_json_get(lane, "name"), ""), number(n, "runs", NULL),
             number(n, "fps", NULL), number(n, "busyMs", "p50"), number(n, "busyMs", "p95"),
             number(n, "busyMs", "p99"), number(n, "dropped", NULL), number(n, "errors", NULL));
        if (problem) line(p, CLI_RED, "    %s", problem);
    }
}

static void print_lanes(struct page *p, const struct ph_json *room)
{
    const struct ph_json *l = ph_json_get(room, "lanes");
    for (l = l ? l->child : NULL; l; l = l->next)
        line(p, CLI_PLAIN, "lane %-16.16s busy %5.1f %%",
             ph_json_string(ph_json_get(l, "name"), "?"), 100 * number(l, "busy", NULL));
}

static void print_queues(struct page *p, const struct ph_json *room)
{
    bool titled = false;
    const struct ph_json *l = ph_json_get(room, "links");
    for (l = l ? l->child : NULL; l; l = l->next) {
        const char *from = ph_json_string(ph_json_get(l, "from"), "?");
        bool outside = *from == '.'; // a node's own thread feeds it
        if (!ph_json_bool(ph_json_get(l, "queue"), false)) continue;
        if (outside && number(l, "passed", NULL) == 0) continue;
        if (!titled)
            line(p, CLI_DIM, "%-34s %-10s %9s %8s %9s %7s %7s %7s", "queue", "policy", "queued",
                 "age ms", "passed", "full", "epoch", "stale");
        titled = true;
        char name[160], fill[32];
        snprintf(name, sizeof name, "%s -> %s", outside ? "outside" : from,
                 ph_json_string(ph_json_get(l, "to"), "?"));
        snprintf(fill, sizeof fill, "%.0f of %.0f", number(l, "queued", NULL),
                 number(l, "depth", NULL));
        line(p, CLI_PLAIN, "%-34.34s %-10.10s %9s %8.1f %9.0f %7.0f %7.0f %7.0f", name,
             ph_json_string(ph_json_get(l, "policy"), "?"), fill, number(l, "ageMs", NULL),
             number(l, "passed", NULL), number(l, "dropped", "full"),
             number(l, "dropped", "epoch"), number(l, "dropped", "stale"));
    }
}

void cli_print_room(FILE *out, const struct ph_json *room, int rows, int columns,
                    const char *eol)
{
    struct page p = { .out = out, .rows = rows, .columns = columns, .eol = eol };
    print_head(&p, room);
    line(&p, CLI_PLAIN, "%s", "");
    print_nodes(&p, room);
    line(&p, CLI_PLAIN, "%s", "");
    print_lanes(&p, room);
    print_queues(&p, room);
}
