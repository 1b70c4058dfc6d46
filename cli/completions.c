// SPDX-License-Identifier: MIT
// Shell completions, made from the tables of options and the nodes' descriptors.
#include "cli.h"

#include "bench/bench.h"

#include <phosphene/room.h>

#include <string.h>

// --- the words a shell offers, separated by blanks or newlines

static void put_commands(FILE *out)
{
    for (int i = 0; cli_commands[i]; i++)
        fprintf(out, "%s%s", i ? " " : "", cli_commands[i]->name);
}

static void put_nodes(FILE *out)
{
    for (const struct ph_node_info *const *n = ph_nodes(); *n; n++)
        fprintf(out, "%s%s", n == ph_nodes() ? "" : " ", (*n)->name);
}

static void put_params(FILE *out)
{
    for (const struct ph_node_info *const *n = ph_nodes(); *n; n++)
        for (const struct ph_param *p = (*n)->params; p && p->name; p++)
            fprintf(out, "%s.%s= ", (*n)->name, p->name);
}

static void put_presets(FILE *out)
{
    const struct ph_preset *p = ph_presets();
    for (; p->name; p++) fprintf(out, "%s ", p->name);
}

static void put_benches(FILE *out)
{
    for (const struct bench_group *g = bench_groups; g->name; g++)
        fprintf(out, "%s%s", g == bench_groups ? "" : " ", g->name);
}

static void put_words(FILE *out, enum cli_words words)
{
    switch (words) {
    case CLI_GRAPH: put_presets(out), put_nodes(out); break;
    case CLI_NODE: put_nodes(out); break;
    case CLI_PARAM: put_params(out); break;
    case CLI_BENCH: put_benches(out); break;
    case CLI_SHELL: fputs("bash zsh fish", out); break;
    case CLI_COMMAND: put_commands(out); break;
    case CLI_PRESET: put_presets(out); break;
    case CLI_ANY:
    case CLI_FILE:
    case CLI_DIR: break;
    }
}

static bool wants_files(enum cli_words words)
{
    return words == CLI_FILE || words == CLI_GRAPH;
}

// --- bash

static void put_bash_options(FILE *out, const struct cli_command *c)
{
    const struct cli_option *tables[] = { c->options, cli_common };
    for (int t = 0; t < 2; t++)
        for (const struct cli_option *o = tables[t]; o && o->name; o++) {
            fprintf(out, " --%s", o->name);
            if (o->letter) fprintf(out, " -%c", o->letter);
        }
}

static void put_bash_reply(FILE *out, enum cli_words words)
{
    if (words == CLI_DIR) {
        fputs("COMPREPLY=($(compgen -d -- \"$cur\"))", out);
        return;
    }
    fprintf(out, "COMPREPLY=($(compgen %s-W '", wants_files(words) ? "-f " : "");
    put_words(out, words);
    fputs("' -- \"$cur\"))", out);
    if (words == CLI_PARAM) fputs("; compopt -o nospace", out);
}

static void put_bash_values(FILE *out, const struct cli_command *c)
{
    for (const struct cli_option *o = c->options; o && o->name; o++) {
        if (!o->arg) continue;
        fprintf(out, "        %s:--%s", c->name, o->name);
        if (o->letter) fprintf(out, "|%s:-%c", c->name, o->letter);
        fputs(") ", out);
        put_bash_reply(out, o->words);
        fputs("; return ;;\n", out);
    }
}

static void put_bash(FILE *out)
{
    fputs("# bash completion for phosphene; made by `phosphene completions bash`\n"
          "_phosphene() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local command=${COMP_WORDS[1]}\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
          "        COMPREPLY=($(compgen -W '",
          out);
    put_commands(out);
    fputs(" --help --version' -- \"$cur\"))\n        return\n    fi\n"
          "    case $command:$prev in\n",
          out);
    for (int i = 0; cli_commands[i]; i++) put_bash_values(out, cli_commands[i]);
    fputs("    esac\n    case $command:$cur in\n", out);
    for (int i = 0; cli_commands[i]; i++) {
        fprintf(out, "        %s:-*) COMPREPLY=($(compgen -W '", cli_commands[i]->name);
        put_bash_options(out, cli_commands[i]);
        fputs("' -- \"$cur\")) ;;\n", out);
        fprintf(out, "        %s:*) ", cli_commands[i]->name);
        put_bash_reply(out, cli_commands[i]->words);
        fputs(" ;;\n", out);
    }
    fputs("    esac\n}\ncomplete -F _phosphene phosphene\n", out);
}

// --- zsh

// Text inside '...[...]': brackets and colons are special to _arguments.
static void put_zsh_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr("[]:\\", *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

static void put_zsh_action(FILE *out, enum cli_words words)
{
    if (words == CLI_FILE || words == CLI_DIR) {
        fputs(words == CLI_DIR ? ":_files -/" : ":_files", out);
        return;
    }
    if (words == CLI_ANY) {
        fputs(": ", out);
        return;
    }
    fputs(words == CLI_GRAPH ? ":{_alternative \"files\\:file\\:_files\" \"words\\:word\\:("
                             : ":(",
          out);
    put_words(out, words);
    fputs(words == CLI_GRAPH ? ")\"}" : ")", out);
}

static void put_zsh_option(FILE *out, const struct cli_option *o, const char *name)
{
    fprintf(out, "            '%s%s%s[", o->flags & CLI_MANY ? "*" : "", name,
            !o->arg          ? ""
            : name[1] == '-' ? "="
                             : "+");
    put_zsh_text(out, o->help);
    fputs("]", out);
    if (o->arg) {
        fputs(":", out);
        put_zsh_text(out, o->arg);
        put_zsh_action(out, o->words);
    }
    fputs("' \\\n", out);
}

static void put_zsh_command(FILE *out, const struct cli_command *c)
{
    fprintf(out, "        %s) _arguments -s \\\n", c->name);
    const struct cli_option *tables[] = { c->options, cli_common };
    for (int t = 0; t < 2; t++)
        for (const struct cli_option *o = tables[t]; o && o->name; o++) {
            char name[64];
            snprintf(name, sizeof name, "--%s", o->name);
            put_zsh_option(out, o, name);
            snprintf(name, sizeof name, "-%c", o->letter);
            if (o->letter) put_zsh_option(out, o, name);
        }
    if (c->max_words) {
        fputs("            '*:", out);
        put_zsh_text(out, c->args);
        put_zsh_action(out, c->words);
        fputs("' ;;\n", out);
    } else {
        fputs("            ;;\n", out);
    }
}

static void put_zsh(FILE *out)
{
    fputs("#compdef phosphene\n# made by `phosphene completions zsh`\n_phosphene() {\n"
          "    if (( CURRENT == 2 )); then\n        local -a commands\n        commands=(\n",
          out);
    for (int i = 0; cli_commands[i]; i++) {
        fprintf(out, "            '%s:", cli_commands[i]->name);
        put_zsh_text(out, cli_commands[i]->help);
        fputs("'\n", out);
    }
    fputs("        )\n        _describe command commands\n        return\n    fi\n"
          "    local command=$words[2]\n    shift words\n    (( CURRENT-- ))\n"
          "    case $command in\n",
          out);
    for (int i = 0; cli_commands[i]; i++) put_zsh_command(out, cli_commands[i]);
    fputs("    esac\n}\ncompdef _phosphene phosphene\n", out);
}

// --- fish

static void put_fish_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\') fputc('\\', out);
        fputc(*text, out);
    }
}

static void put_fish_option(FILE *out, const struct cli_command *c, const struct cli_option *o)
{
    fputs("complete -c phosphene", out);
    if (c) fprintf(out, " -n '__fish_seen_subcommand_from %s'", c->name);
    fprintf(out, " -l %s", o->name);
    if (o->letter) fprintf(out, " -s %c", o->letter);
    if (o->arg) {
        fputs(wants_files(o->words) || o->words == CLI_DIR ? " -r -F" : " -x", out);
        fputs(" -a '", out);
        put_words(out, o->words);
        fputs("'", out);
    }
    fputs(" -d '", out);
    put_fish_text(out, o->help);
    fputs("'\n", out);
}

static void put_fish_command(FILE *out, const struct cli_command *c)
{
    fprintf(out, "complete -c phosphene -n __fish_use_subcommand -f -a %s -d '", c->name);
    put_fish_text(out, c->help);
    fputs("'\n", out);
    if (c->max_words) {
        fprintf(out, "complete -c phosphene -n '__fish_seen_subcommand_from %s'%s -a '",
                c->name, wants_files(c->words) ? "" : " -f");
        put_words(out, c->words);
        fputs("'\n", out);
    }
    for (const struct cli_option *o = c->options; o && o->name; o++) put_fish_option(out, c, o);
}

static void put_fish(FILE *out)
{
    fputs("# fish completion for phosphene; made by `phosphene completions fish`\n", out);
    for (int i = 0; cli_commands[i]; i++) put_fish_command(out, cli_commands[i]);
    for (const struct cli_option *o = cli_common; o->name; o++) put_fish_option(out, NULL, o);
}

ph_err cli_print_completions(FILE *out, const char *shell)
{
    if (!strcmp(shell, "bash"))
        put_bash(out);
    else if (!strcmp(shell, "zsh"))
        put_zsh(out);
    else if (!strcmp(shell, "fish"))
        put_fish(out);
    else
        return PH_ENOENT;
    return PH_OK;
}
