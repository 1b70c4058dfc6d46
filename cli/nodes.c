// SPDX-License-Identifier: MIT
// phosphene nodes: what a graph can be made of, from the descriptors of this build.
#include "cli.h"

#include "core/buf.h"
#include "core/nearest.h"

#include <phosphene/graph.h>

#include <stdlib.h>
#include <string.h>

const struct cli_group cli_node_groups[] = {
    { "source", "where pictures come from" },
    { "prepare", "size, rate and cut" },
    { "model", "neural networks" },
    { "compose", "draw on pictures and join them" },
    { "encode", "make packets of pictures" },
    { "deliver", "where pictures go" },
    { 0 },
};

const struct ph_node_info *cli_node_find(const char *name)
{
    for (const struct ph_node_info *const *n = ph_nodes(); *n; n++)
        if (!strcmp((*n)->name, name)) return *n;
    return NULL;
}

const char *cli_kinds(unsigned kinds, char *text, size_t size)
{
    static const char *const names[] = { "picture", "samples", "packet", "points" };
    size_t at = 0;
    text[0] = 0;
    for (int i = 0; i < 4; i++)
        if (kinds & 1u << i && at < size)
            at += (size_t) snprintf(text + at, size - at, "%s%s", at ? "|" : "", names[i]);
    return text;
}

const char *cli_param_type(const struct ph_param *p)
{
    static const char *const names[] = { "",     "number", "whole number", "on/off",
                                         "text", "choice", "size",         "colour" };
    return names[p->type];
}

const char *cli_param_default(const struct ph_param *p)
{
    if (p->def) return p->def;
    switch (p->type) {
    case PH_TYPE_ENUM: return p->names[0];
    case PH_TYPE_BOOL: return "off";
    case PH_TYPE_STRING: return "\"\"";
    default: return "0";
    }
}

static void join_names(const char *const *names, char *text, size_t size)
{
    size_t at = 0;
    text[0] = 0;
    for (; *names && at < size; names++)
        at += (size_t) snprintf(text + at, size - at, "%s%s", at ? " | " : "", *names);
}

const char *cli_param_range(const struct ph_param *p, char *text, size_t size)
{
    text[0] = 0;
    if (p->type == PH_TYPE_BOOL) snprintf(text, size, "on | off");
    if (p->type == PH_TYPE_ENUM) join_names(p->names, text, size);
    if (p->min == 0 && p->max == 0) return text;
    if (p->type == PH_TYPE_FLOAT || p->type == PH_TYPE_INT)
        snprintf(text, size, "%.15g to %.15g%s%s", p->min, p->max, p->unit ? " " : "",
                 p->unit ? p->unit : "");
    if (p->type == PH_TYPE_SIZE)
        snprintf(text, size, "%gx%g to %gx%g", p->min, p->min, p->max, p->max);
    if (p->type == PH_TYPE_STRING) snprintf(text, size, "up to %g characters", p->max);
    return text;
}

static void print_ports(const char *title, const struct ph_port_info *ports)
{
    if (!ports || !ports->name) return;
    printf("\n%s%s%s\n", cli_color(stdout, CLI_BOLD), title, cli_color(stdout, CLI_PLAIN));
    for (; ports->name; ports++) {
        char kinds[64];
        printf("  %-12s %-16s %s%s%s%s%s\n", ports->name,
               cli_kinds(ports->kinds, kinds, sizeof kinds), ports->help ? ports->help : "",
               ports->flags & PH_PORT_MANY ? "; several links may arrive" : "",
               ports->flags & PH_PORT_HOLD ? "; its newest frame is held" : "",
               ports->flags & PH_PORT_EXTERNAL ? "; fed from outside the graph" : "",
               ports->flags & PH_PORT_OPTIONAL ? "; optional" : "");
    }
}

static void print_params(const struct ph_param *params)
{
    if (!params || !params->name) return;
    printf("\n%sParameters%s\n", cli_color(stdout, CLI_BOLD), cli_color(stdout, CLI_PLAIN));
    for (const struct ph_param *p = params; p->name; p++) {
        char range[256], left[96];
        cli_param_range(p, range, sizeof range);
        snprintf(left, sizeof left, "%s=%s", p->name, cli_param_default(p));
        printf("  %-24s %s%s%s%s\n", left, p->help ? p->help : "", *range ? " (" : "", range,
               *range ? ")" : "");
        if (p->flags & PH_PARAM_FIRST) printf("%27sits name may be left out\n", "");
        if (p->flags & PH_PARAM_SETUP) printf("%27sa change starts the node anew\n", "");
    }
}

static void print_node(const struct ph_node_info *n)
{
    printf("%s%s%s: %s\n", cli_color(stdout, CLI_BOLD), n->name, cli_color(stdout, CLI_PLAIN),
           n->help);
    print_ports("Inputs", n->in);
    print_ports("Outputs", n->out);
    print_params(n->params);
}

static void print_groups(void)
{
    for (const struct cli_group *g = cli_node_groups; g->name; g++) {
        int count = 0;
        for (const struct ph_node_info *const *n = ph_nodes(); *n; n++) {
            if (strcmp((*n)->group, g->name)) continue;
            if (!count++)
                printf("%s%s%s: %s\n", cli_color(stdout, CLI_BOLD), g->name,
                       cli_color(stdout, CLI_PLAIN), g->help);
            printf("  %-12s %s\n", (*n)->name, (*n)->help);
        }
    }
    printf("\nphosphene nodes NAME shows ports and parameters\n");
}

static int print_json(const struct ph_node_info *only)
{
    struct ph_buf b = { 0 };
    if (!only) ph_buf_puts(&b, "[");
    for (const struct ph_node_info *const *n = ph_nodes(); *n; n++) {
        if (only && *n != only) continue;
        char *text = ph_node_info_json(*n);
        ph_buf_puts(&b, b.len > 1 ? ",\n " : "");
        ph_buf_puts(&b, text ? text : "");
        b.failed |= !text;
        free(text);
    }
    if (!only) ph_buf_puts(&b, "]");
    bool failed = b.failed;
    if (failed)
        cli_error("out of memory");
    else
        puts(b.data);
    ph_buf_free(&b);
    return failed ? CLI_FAILED : CLI_OK;
}

static int say_no_node(const char *name)
{
    const char *names[256];
    int count = 0;
    for (const struct ph_node_info *const *n = ph_nodes(); *n && count < 255; n++)
        names[count++] = (*n)->name;
    names[count] = NULL;
    const char *near = ph_nearest(name, names);
    cli_error("there is no node \"%s\"%s%s%s", name, near ? "; did you mean " : "",
              near ? near : "", near ? "?" : "");
    cli_hint("phosphene nodes lists them");
    return CLI_INPUT;
}

static int run_nodes(struct cli_args *args)
{
    const struct ph_node_info *only = NULL;
    if (args->word_count) {
        only = cli_node_find(args->words[0]);
        if (!only) return say_no_node(args->words[0]);
    }
    if (cli_flag(args, "json")) return print_json(only);
    if (only)
        print_node(only);
    else
        print_groups();
    return CLI_OK;
}

static const struct cli_option options[] = {
    { "json", 0, .help = "as JSON: ports, parameters, ranges, defaults", .group = "Output" },
    { 0 },
};
static const struct cli_example examples[] = {
    { "phosphene nodes", "all, by what they are for" },
    { "phosphene nodes pattern", "one, with ports, parameters and ranges" },
    { "phosphene nodes --json | jq '.[].name'", "for a script" },
    { 0 },
};
const struct cli_command cli_nodes = {
    .name = "nodes",
    .args = "[NAME]",
    .help = "list the nodes that graphs are made of",
    .text = "",
    .examples = examples,
    .options = options,
    .max_words = 1,
    .words = CLI_NODE,
    .run = run_nodes,
};
