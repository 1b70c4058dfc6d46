// SPDX-License-Identifier: MIT
// --help, made from the tables of options.
#include "cli.h"

#include <string.h>

static int width_of(FILE *out)
{
    int columns = cli_columns(out);
    return columns > 100 ? 100 : columns < 60 ? 60 : columns;
}

// Prints text wrapped to the width, every line but the first indented; the cursor stands at `at`.
static void print_wrapped(FILE *out, const char *text, int at, int indent)
{
    int width = width_of(out), column = at;
    while (*text) {
        int word = (int) strcspn(text, " \n");
        if (column > indent && column + 1 + word > width) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > at || (column > indent && at != indent)) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", word, text);
        column += word;
        text += word;
        if (!strncmp(text, "\n\n", 2)) {
            fprintf(out, "\n\n%*s", indent, "");
            text += 2;
            column = at = indent;
        }
        while (*text == ' ' || *text == '\n') text++;
    }
    fputc('\n', out);
}

static void print_title(FILE *out, const char *title)
{
    fprintf(out, "\n%s%s%s\n", cli_color(out, CLI_BOLD), title, cli_color(out, CLI_PLAIN));
}

static void print_examples(FILE *out, const struct cli_example *e)
{
    if (!e || !e->command) return;
    print_title(out, "Examples");
    for (; e->command; e++)
        fprintf(out, "  %s# %s%s\n  %s\n", cli_color(out, CLI_DIM), e->help,
                cli_color(out, CLI_PLAIN), e->command);
}

static void print_option(FILE *out, const struct cli_option *o)
{
    enum { COLUMN = 28 };
    char left[96], env[64], tail[512];
    snprintf(left, sizeof left, "  %c%c%s --%s%s%s", o->letter ? '-' : ' ',
             o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name, o->arg ? " " : "",
             o->arg ? o->arg : "");
    cli_env_name(o, env, sizeof env);
    snprintf(tail, sizeof tail, "%s%s%s%s%s", o->help, o->def ? " [" : "", o->def ? o->def : "",
             o->def ? "]" : "", o->flags & CLI_MANY ? "; may be repeated" : "");
    int length = fprintf(out, "%s", left);
    if (length >= COLUMN)
        fprintf(out, "\n%*s", COLUMN, "");
    else
        fprintf(out, "%*s", COLUMN - length, "");
    print_wrapped(out, tail, COLUMN, COLUMN);
}

static void print_options(FILE *out, const struct cli_option *options)
{
    const char *group = NULL;
    for (const struct cli_option *o = options; o && o->name; o++) {
        if (!group || strcmp(group, o->group)) print_title(out, group = o->group);
        print_option(out, o);
    }
}

void cli_print_help(FILE *out, const struct cli_command *c)
{
    fprintf(out, "%sphosphene %s%s: %s\n", cli_color(out, CLI_BOLD), c->name,
            cli_color(out, CLI_PLAIN), c->help);
    fprintf(out, "\nUsage: phosphene %s [OPTION...]%s%s\n", c->name, *c->args ? " " : "",
            c->args);
    if (*c->text) {
        fputs("\n", out);
        print_wrapped(out, c->text, 0, 0);
    }
    print_examples(out, c->examples);
    print_options(out, c->options);
    print_options(out, cli_common);
    fprintf(out, "\nEvery setting is also read from the environment: --some-name from "
                 "PHOSPHENE_SOME_NAME.\n");
}

static const struct cli_example first_steps[] = {
    { "phosphene serve", "the demo in a browser: open the URL that it prints" },
    { "phosphene serve --input /dev/video0", "a camera instead of the test pattern" },
    { "phosphene run 'pattern -> overlay -> null' --for 5s --stats",
      "a graph without a server, and what each node cost" },
    { "phosphene nodes", "what a graph can be made of" },
    { "phosphene doctor", "what this machine has and what is missing" },
    { 0 },
};

void cli_print_overview(FILE *out)
{
    fprintf(out,
            "%sphosphene%s %s: live video through a graph of nodes, into a browser, a "
            "file or a window\n\nUsage: phosphene COMMAND [OPTION...] [ARGUMENT...]\n",
            cli_color(out, CLI_BOLD), cli_color(out, CLI_PLAIN), ph_version());
    print_examples(out, first_steps);
    print_title(out, "Commands");
    for (int i = 0; cli_commands[i]; i++)
        fprintf(out, "  %-12s %s\n", cli_commands[i]->name, cli_commands[i]->help);
    fprintf(out, "\nphosphene COMMAND --help teaches a command; phosphene help --man is the "
                 "whole manual.\n");
}

static int run_help(struct cli_args *args)
{
    if (cli_flag(args, "man")) {
        cli_print_man(stdout);
        return CLI_OK;
    }
    if (!args->word_count) {
        cli_print_overview(stdout);
        return CLI_OK;
    }
    const struct cli_command *c = cli_command_find(args->words[0]);
    if (!c) {
        cli_error("there is no command \"%s\"", args->words[0]);
        return CLI_USAGE;
    }
    cli_print_help(stdout, c);
    return CLI_OK;
}

static int run_completions(struct cli_args *args)
{
    if (cli_print_completions(stdout, args->words[0]) == PH_OK) return CLI_OK;
    cli_error("completions are made for bash, zsh and fish, not for \"%s\"", args->words[0]);
    return CLI_USAGE;
}

static const struct cli_option help_options[] = {
    { "man", .help = "the whole manual page, as groff source", .group = "Output",
      .flags = CLI_NO_ENV },
    { 0 },
};
static const struct cli_example help_examples[] = {
    { "phosphene help run", "one command" },
    { "phosphene help --man | man -l -", "the manual page" },
    { 0 },
};
const struct cli_command cli_help = {
    .name = "help",
    .args = "[COMMAND]",
    .help = "explain a command, or print the manual",
    .text = "",
    .examples = help_examples,
    .options = help_options,
    .max_words = 1,
    .words = CLI_COMMAND,
    .run = run_help,
};

static const struct cli_example completions_examples[] = {
    { "source <(phosphene completions bash)", "bash, for this session" },
    { "phosphene completions zsh > ~/.zfunc/_phosphene", "zsh" },
    { "phosphene completions fish > ~/.config/fish/completions/phosphene.fish", "fish" },
    { 0 },
};
const struct cli_command cli_completions = {
    .name = "completions",
    .args = "bash|zsh|fish",
    .help = "print shell completions",
    .text = "Commands, options, node types and their parameters are completed as this build "
            "has them.",
    .examples = completions_examples,
    .min_words = 1,
    .max_words = 1,
    .words = CLI_SHELL,
    .run = run_completions,
};
