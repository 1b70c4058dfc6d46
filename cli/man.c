// SPDX-License-Identifier: MIT
// The manual page, made from the tables of options and the nodes' descriptors: groff -man source.
#include "cli.h"

#include <string.h>

// One character of UTF-8, as groff wants it; returns the bytes it took.
static int put_char(FILE *out, const char *text)
{
    unsigned char c = (unsigned char) *text;
    int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
    if (!more) {
        if (c == '\\')
            fputs("\\e", out);
        else if (c == '-')
            fputs("\\-", out);
        else
            fputc(c, out);
        return 1;
    }
    unsigned code = c & (0x3Fu >> more);
    int used = 1;
    for (; used <= more && text[used]; used++)
        code = code << 6 | ((unsigned char) text[used] & 0x3Fu);
    fprintf(out, "\\[u%04X]", code);
    return used;
}

// Text for the body: a leading dot or quote must not be a request.
static void put(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'') fputs("\\&", out);
    while (*text) text += put_char(out, text);
}

// A macro's argument: in quotes, with quotes doubled.
static void put_request(FILE *out, const char *macro, const char *text)
{
    fprintf(out, ".%s \"", macro);
    while (*text) {
        if (*text == '"') fputc('"', out);
        text += put_char(out, text);
    }
    fputs("\"\n", out);
}

static void put_line(FILE *out, const char *text)
{
    put(out, text);
    fputc('\n', out);
}

static void put_paragraphs(FILE *out, const char *text)
{
    for (const char *end; *text; text = end) {
        end = strstr(text, "\n\n");
        size_t length = end ? (size_t) (end - text) : strlen(text);
        char part[2048];
        snprintf(part, sizeof part, "%.*s", (int) length, text);
        fputs(".PP\n", out);
        put_line(out, part);
        end = end ? end + 2 : text + length;
    }
}

static void put_option(FILE *out, const struct cli_option *o)
{
    fputs(".TP\n\\fB", out);
    if (o->letter) fprintf(out, "\\-%c\\fR, \\fB", o->letter);
    fputs("\\-\\-", out);
    put(out, o->name);
    fputs("\\fR", out);
    if (o->arg) {
        fputs(" \\fI", out);
        put(out, o->arg);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    put(out, o->help);
    if (o->def) {
        fputs(" (default: ", out);
        put(out, o->def);
        fputs(")", out);
    }
    fputs(o->flags & CLI_MANY ? "; may be repeated.\n" : ".\n", out);
    char env[64];
    cli_env_name(o, env, sizeof env);
    if (*env) fprintf(out, "In the environment: %s.\n", env);
}

static void put_examples(FILE *out, const struct cli_example *e)
{
    for (; e && e->command; e++) {
        fputs(".PP\n", out);
        put(out, e->help);
        fputs(":\n.PP\n.nf\n.RS 4\n", out);
        put_line(out, e->command);
        fputs(".RE\n.fi\n", out);
    }
}

static void put_command(FILE *out, const struct cli_command *c)
{
    char title[256];
    snprintf(title, sizeof title, "phosphene %s [OPTION...]%s%s", c->name, *c->args ? " " : "",
             c->args);
    put_request(out, "SS", title);
    put(out, c->help);
    fputs(".\n", out);
    put_paragraphs(out, c->text);
    for (const struct cli_option *o = c->options; o && o->name; o++) put_option(out, o);
    put_examples(out, c->examples);
}

static void put_ports(FILE *out, const char *title, const struct ph_port_info *p)
{
    if (!p || !p->name) return;
    fprintf(out, ".PP\n%s:", title);
    for (; p->name; p++) {
        char kinds[64];
        fprintf(out, " \\fB");
        put(out, p->name);
        fprintf(out, "\\fR (%s)%s", cli_kinds(p->kinds, kinds, sizeof kinds),
                p[1].name ? "," : ".\n");
    }
}

static void put_node(FILE *out, const struct ph_node_info *n)
{
    put_request(out, "SS", n->name);
    put(out, n->help);
    fputs(".\n", out);
    put_ports(out, "Inputs", n->in);
    put_ports(out, "Outputs", n->out);
    for (const struct ph_param *p = n->params; p && p->name; p++) {
        char range[256];
        fputs(".TP\n\\fB", out);
        put(out, p->name);
        fputs("\\fR=\\fI", out);
        put(out, cli_param_default(p));
        fputs("\\fR\n", out);
        put(out, p->help ? p->help : "");
        cli_param_range(p, range, sizeof range);
        fprintf(out, " (%s%s", cli_param_type(p), *range ? ": " : "");
        put(out, range);
        fputs(").\n", out);
        if (p->flags & PH_PARAM_FIRST) fputs("The name may be left out.\n", out);
        if (p->flags & PH_PARAM_SETUP) fputs("A change starts the node anew.\n", out);
    }
}

static void put_nodes(FILE *out)
{
    fputs(".SH NODES\nWhat a graph is made of, in the order of the flow. "
          "Values shown are the defaults.\n",
          out);
    for (const struct cli_group *g = cli_node_groups; g->name; g++)
        for (const struct ph_node_info *const *n = ph_nodes(); *n; n++)
            if (!strcmp((*n)->group, g->name)) put_node(out, *n);
}

static const char graph_text[] =
    ".SH GRAPH TEXT\n"
    "A graph is nodes joined by links:\n"
    ".PP\n.nf\n.RS 4\n"
    "camera size=640x480 \\-> resize 512x512 => blur radius=4 \\-> jpeg q=85 \\-> live\n"
    ".RE\n.fi\n"
    ".TP\n\\fB\\->\\fR\njoins two nodes in one lane (a thread): a call, nothing is queued.\n"
    ".TP\n\\fB=>\\fR\nhands over to another lane through a queue that keeps the newest frame.\n"
    ".TP\n\\fB=>[\\fIpolicy depth\\fB]\\fR\nsays how: \\fBlatest\\fR (old frames go), "
    "\\fBblock\\fR (the producer waits), \\fBoldest\\fR, \\fBto\\-key\\fR (encoded video).\n"
    ".TP\n\\fIname\\fB:\\fR node\nnames a node; \\fIname\\fB.\\fIport\\fR addresses one of its "
    "ports.\n"
    ".PP\nLines, or \\fB;\\fR, make branches. \\fB#\\fR starts a comment. Values with blanks "
    "stand in double quotes.\n";

static void put_synopsis(FILE *out)
{
    fputs(".SH SYNOPSIS\n.nf\n", out);
    for (int i = 0; cli_commands[i]; i++) {
        fprintf(out, "\\fBphosphene %s\\fR [\\fIOPTION...\\fR]%s\\fI", cli_commands[i]->name,
                *cli_commands[i]->args ? " " : "");
        put(out, cli_commands[i]->args);
        fputs("\\fR\n", out);
    }
    fputs(".fi\n", out);
}

static void put_tail(FILE *out)
{
    fputs(".SH EXIT STATUS\n", out);
    for (const struct cli_exit_text *e = cli_exits; e->help; e++) {
        fprintf(out, ".TP\n\\fB%d\\fR\n", e->status);
        put(out, e->help);
        fputs(".\n", out);
    }
    fputs(
        ".SH ENVIRONMENT\n"
        "Every option above that names a variable is read from it when the flag is not given: "
        "flag, then environment, then default.\n"
        ".TP\n\\fBPH_CPU\\fR\ncaps the kernels: c, sse2, avx2 or avx512.\n"
        ".TP\n\\fBNO_COLOR\\fR\nno colours, whatever the terminal.\n"
        ".TP\n\\fBXDG_STATE_HOME\\fR\nthe folder \\fIphosphene\\fR below it keeps the token "
        "and recordings (default: ~/.local/state).\n",
        out);
}

void cli_print_man(FILE *out)
{
    fprintf(out,
            ".\\\" made by `phosphene help --man`; do not edit\n"
            ".TH PHOSPHENE 1 \"\" \"phosphene %s\" \"User Commands\"\n"
            ".SH NAME\nphosphene \\- live video through a graph of nodes\n",
            ph_version());
    put_synopsis(out);
    fputs(".SH DESCRIPTION\n"
          "phosphene takes a camera, a browser's webcam, a file or a network stream through a "
          "graph of nodes and delivers it, live, to browsers, files and windows.\n"
          ".SH COMMANDS\n",
          out);
    for (int i = 0; cli_commands[i]; i++) put_command(out, cli_commands[i]);
    fputs(".SS Options of every command\n", out);
    for (const struct cli_option *o = cli_common; o->name; o++) put_option(out, o);
    fputs(graph_text, out);
    put_nodes(out);
    put_tail(out);
}
