// SPDX-License-Identifier: MIT
#include "options.h"
#include "term.h"

#include "core/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct cli_exit_text cli_exits[] = {
    { CLI_OK, "all went well" },
    { CLI_FAILED, "it failed while running" },
    { CLI_USAGE, "the command line is wrong" },
    { CLI_INPUT, "the graph text, a file or a journal is wrong, not there, or there already" },
    { CLI_MISSING, "a device, a library or a server that was asked for is not there" },
    { CLI_INTERRUPTED, "ended by Ctrl-C; 143: ended by SIGTERM; files are complete" },
    { 0 },
};

const struct cli_option cli_common[] = {
    { "verbose", 'v', .help = "say more: what is opened, chosen and closed",
      .group = "General" },
    { "quiet", 'q', .help = "say nothing but errors", .group = "General" },
    { "help", 'h', .help = "this help", .group = "General", .flags = CLI_NO_ENV },
    { 0 },
};

const struct cli_command *cli_command_find(const char *name)
{
    for (int i = 0; cli_commands[i]; i++)
        if (!strcmp(cli_commands[i]->name, name)) return cli_commands[i];
    return NULL;
}

const char *cli_env_name(const struct cli_option *o, char *text, size_t size)
{
    if (o->flags & CLI_NO_ENV) return snprintf(text, size, "%s", ""), text;
    snprintf(text, size, "PHOSPHENE_%s", o->name);
    for (char *c = text; *c; c++) *c = *c == '-' ? '_' : (char) toupper((unsigned char) *c);
    return text;
}

bool cli_parse_seconds(const char *text, double *seconds)
{
    static const struct {
        const char *unit;
        double factor;
    } units[] = { { "", 1 },   { "s", 1 },    { "ms", 1e-3 },
                  { "m", 60 }, { "min", 60 }, { "h", 3600 } };
    char *end;
    double v = strtod(text, &end);
    if (end == text || !(v >= 0 && v < 1e9)) return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].unit)) continue;
        *seconds = v * units[i].factor;
        return true;
    }
    return false;
}

static bool parse_bool(const char *text, double *value)
{
    static const char *const words[] = { "0", "1", "off", "on", "no", "yes", "false", "true" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcasecmp(text, words[i])) return *value = (double) (i & 1), true;
    return false;
}

static bool parse_int(const char *text, double *value)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    *value = (double) v;
    return end != text && !*end && !errno;
}

// `from` names where the text stands: "--port" or "PHOSPHENE_PORT"
static bool take_value(const struct cli_option *o, struct cli_value *v, const char *text,
                       const char *from)
{
    static const char *const expected[] = { "on or off", "a whole number",
                                            "a time such as 10s, 500ms or 2m" };
    bool ok = true;
    if (o->type == CLI_INT) ok = parse_int(text, &v->number);
    if (o->type == CLI_SECONDS) ok = cli_parse_seconds(text, &v->number);
    if (!o->arg) ok = parse_bool(text, &v->number);
    if (!ok) return cli_error("%s takes %s, got \"%s\"", from, expected[o->type], text), false;
    if ((o->min != 0 || o->max != 0) && !(v->number >= o->min && v->number <= o->max))
        return cli_error("%s takes %.0f to %.0f, got %s", from, o->min, o->max, text), false;
    v->text = text;
    if (!(o->flags & CLI_MANY)) return true;
    const char **more = realloc(v->many, (size_t) (v->count + 1) * sizeof *more);
    if (!more) return cli_error("out of memory"), false;
    v->many = more;
    v->many[v->count++] = text;
    return true;
}

static void collect_options(struct cli_args *args)
{
    const struct cli_option *tables[] = { args->command->options, cli_common };
    for (int t = 0; t < 2; t++)
        for (const struct cli_option *o = tables[t]; o && o->name; o++) {
            if (args->option_count == CLI_MAX_OPTIONS) abort();
            args->options[args->option_count++] = o;
        }
}

static bool take_defaults(struct cli_args *args)
{
    for (int i = 0; i < args->option_count; i++) {
        const struct cli_option *o = args->options[i];
        char name[64];
        cli_env_name(o, name, sizeof name);
        const char *env = *name ? getenv(name) : NULL;
        if (env && *env) {
            if (!take_value(o, &args->values[i], env, name)) return false;
        } else if (o->def && !(o->flags & CLI_MANY)) {
            if (!take_value(o, &args->values[i], o->def, o->name)) return false;
        }
    }
    return true;
}

// The option string and table of getopt_long, made from ours.
struct getopt_tables {
    char letters[2 + 2 * CLI_MAX_OPTIONS + 1];
    struct option longs[CLI_MAX_OPTIONS + 1];
};

static void make_getopt_tables(const struct cli_args *args, struct getopt_tables *t)
{
    char *s = t->letters;
    *s++ = ':'; // tell a missing value from an unknown option
    for (int i = 0; i < args->option_count; i++) {
        const struct cli_option *o = args->options[i];
        t->longs[i] = (struct option){ o->name, o->arg ? required_argument : no_argument, NULL,
                                       1000 + i };
        if (!o->letter) continue;
        *s++ = o->letter;
        if (o->arg) *s++ = ':';
    }
    *s = 0;
    t->longs[args->option_count] = (struct option){ 0 };
}

static int option_index(const struct cli_args *args, int code)
{
    if (code >= 1000) return code - 1000;
    for (int i = 0; i < args->option_count; i++)
        if (args->options[i]->letter == code) return i;
    return -1;
}

static void say_unknown(const struct cli_args *args, const char *word, int letter)
{
    const char *command = args->command->name;
    if (letter == '>') { // a graph without quotes: its arrow looks like an option
        cli_error("a graph is one argument: put it in quotes, 'pattern -> null'");
        return;
    }
    if (letter) {
        cli_error("%s has no option -%c", command, letter);
    } else {
        const char *names[CLI_MAX_OPTIONS + 1];
        for (int i = 0; i < args->option_count; i++) names[i] = args->options[i]->name;
        names[args->option_count] = NULL;
        char typed[64];
        snprintf(typed, sizeof typed, "%.*s", (int) strcspn(word + 2, "="), word + 2);
        const char *near = ph_nearest(typed, names);
        cli_error("%s has no option --%s%s%s%s", command, typed,
                  near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
    }
    cli_hint("phosphene %s --help lists its options", command);
}

static int say_bad_option(const struct cli_args *args, int code, char **argv)
{
    const char *word = argv[optind - 1];
    int at = option_index(args, optopt);
    if (code == ':' && at >= 0) {
        cli_error("--%s needs a value: %s", args->options[at]->name, args->options[at]->arg);
    } else if (at >= 0 && optopt >= 1000) {
        cli_error("--%s takes no value", args->options[at]->name);
    } else {
        say_unknown(args, word, optopt >= 1000 ? 0 : optopt);
    }
    return CLI_USAGE;
}

static int parse_options(struct cli_args *args, int argc, char **argv)
{
    struct getopt_tables tables;
    make_getopt_tables(args, &tables);
    opterr = 0;
    optind = 0;
    for (int code;
         (code = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1;) {
        int i = code == '?' || code == ':' ? -1 : option_index(args, code);
        if (i < 0) return say_bad_option(args, code, argv);
        const struct cli_option *o = args->options[i];
        char from[64];
        snprintf(from, sizeof from, "--%s", o->name);
        if (!take_value(o, &args->values[i], o->arg ? optarg : "on", from)) return CLI_USAGE;
    }
    args->words = (const char **) argv + optind;
    args->word_count = argc - optind;
    return CLI_OK;
}

static int check_words(const struct cli_args *args)
{
    const struct cli_command *c = args->command;
    if (args->word_count < c->min_words) {
        cli_error("%s needs %s", c->name, c->args);
        cli_hint("phosphene %s --help shows examples", c->name);
        return CLI_USAGE;
    }
    if (c->max_words < 0 || args->word_count <= c->max_words) return CLI_OK;
    cli_error("%s takes no further argument: \"%s\"", c->name, args->words[c->max_words]);
    if (c->words == CLI_GRAPH)
        cli_hint("a graph is one argument: put it in quotes, 'pattern -> null'");
    return CLI_USAGE;
}

int cli_args_parse(struct cli_args *args, const struct cli_command *command, int argc,
                   char **argv)
{
    *args = (struct cli_args){ .command = command };
    collect_options(args);
    if (!take_defaults(args)) return CLI_USAGE;
    int status = parse_options(args, argc, argv);
    if (status || cli_flag(args, "help")) return status;
    return check_words(args);
}

void cli_args_free(struct cli_args *args)
{
    for (int i = 0; i < args->option_count; i++) free(args->values[i].many);
    *args = (struct cli_args){ 0 };
}

const struct cli_value *cli_value(const struct cli_args *args, const char *name)
{
    for (int i = 0; i < args->option_count; i++)
        if (!strcmp(args->options[i]->name, name)) return &args->values[i];
    fprintf(stderr, "no option %s in the table of %s\n", name, args->command->name);
    abort();
}

bool cli_flag(const struct cli_args *args, const char *name)
{
    return cli_value(args, name)->number != 0;
}

bool cli_given(const struct cli_args *args, const char *name)
{
    return cli_value(args, name)->text != NULL;
}

const char *cli_text(const struct cli_args *args, const char *name)
{
    return cli_value(args, name)->text;
}

int64_t cli_int(const struct cli_args *args, const char *name)
{
    const char *text = cli_text(args, name);
    return text ? strtoll(text, NULL, 10) : 0;
}

double cli_seconds(const struct cli_args *args, const char *name)
{
    return cli_value(args, name)->number;
}
