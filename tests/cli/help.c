// SPDX-License-Identifier: MIT
// What the program says about itself: help, manual page, completions.
#include "program.h"

static const char *const commands[] = { "serve",    "run",    "nodes",  "doctor", "top",
                                        "trace",    "bench",  "replay", "help",   "completions",
                                        "generate", "models", "render", "listen" };
#define COMMANDS (sizeof commands / sizeof *commands)

TEST(overview_names_every_command)
{
    const struct output *o = PHOSPHENE("--help");
    CHECK_STATUS(o, 0);
    for (size_t i = 0; i < COMMANDS; i++) CHECK_HAS(o->out, commands[i]);
    CHECK_HAS(o->out, "phosphene serve");
}

TEST(no_command_shows_the_overview_and_is_a_usage_error)
{
    const struct output *o = run(program(), NULL);
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "Commands");
    CHECK_STR(o->out, "");
}

TEST(every_command_has_help_with_usage_and_options_within_100_columns)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        char usage[64];
        const struct output *o = PHOSPHENE(commands[i], "--help");
        CHECK_STATUS(o, 0);
        snprintf(usage, sizeof usage, "Usage: phosphene %s", commands[i]);
        CHECK_HAS(o->out, usage);
        CHECK_HAS(o->out, "--help");
        CHECK_HAS(o->out, "Examples");
        const char *line = too_long(o->out, 132);
        if (line) TEST_FAIL("%s --help: too long: %s", commands[i], line);
    }
}

TEST(help_of_a_command_is_the_same_both_ways)
{
    static char first[1 << 20];
    snprintf(first, sizeof first, "%s", PHOSPHENE("help", "run")->out);
    CHECK_STR(PHOSPHENE("run", "--help")->out, first);
}

TEST(version_is_printed)
{
    const struct output *o = PHOSPHENE("--version");
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->out, "phosphene 0.");
}

TEST(a_wrong_command_is_a_usage_error_that_suggests_the_nearest)
{
    const struct output *o = PHOSPHENE("srve");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "did you mean serve?");
}

TEST(a_wrong_option_is_a_usage_error_that_suggests_the_nearest)
{
    const struct output *o = PHOSPHENE("run", "--offlin3", "pattern -> null");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "--offline");
    o = PHOSPHENE("run", "-Z", "pattern -> null");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "no option -Z");
}

TEST(a_wrong_value_names_the_option_and_what_it_takes)
{
    const struct output *o = PHOSPHENE("run", "--frames", "ten", "pattern -> null");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "--frames takes a whole number");
    o = PHOSPHENE("serve", "--port", "70000");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "--port takes 0 to 65535, got 70000");
    o = PHOSPHENE("run", "--for", "soon", "pattern -> null");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "10s");
    o = PHOSPHENE("run", "--frames");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "--frames needs a value");
    o = PHOSPHENE("run", "--offline=yes", "pattern -> null");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "--offline takes no value");
}

TEST(a_flag_wins_over_the_environment_and_that_over_the_default)
{
    setenv("PHOSPHENE_PORT", "notaport", 1);
    const struct output *o = PHOSPHENE("doctor");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "PHOSPHENE_PORT takes a whole number");
    setenv("PHOSPHENE_PORT", "18431", 1);
    CHECK_HAS(PHOSPHENE("doctor")->out, "18431");
    CHECK_HAS(PHOSPHENE("doctor", "--port", "18432")->out, "18432");
    unsetenv("PHOSPHENE_PORT");
    CHECK_HAS(PHOSPHENE("doctor")->out, "8080");
}

TEST(no_color_and_pipes_get_no_escape_codes)
{
    CHECK(!strchr(PHOSPHENE("--help")->out, '\033'));
    CHECK(!strchr(PHOSPHENE("doctor")->out, '\033'));
    CHECK(!strchr(PHOSPHENE("run", "patern -> null")->err, '\033'));
}

TEST(the_manual_has_commands_nodes_variables_and_exit_codes)
{
    const struct output *o = PHOSPHENE("help", "--man");
    CHECK_STATUS(o, 0);
    for (size_t i = 0; i < COMMANDS; i++) CHECK_HAS(o->out, commands[i]);
    CHECK_HAS(o->out, ".SS \"pattern\"");
    CHECK_HAS(o->out, "PHOSPHENE_PORT");
    CHECK_HAS(o->out, ".SH EXIT STATUS");
    CHECK_HAS(o->out, "\\fB130\\fR");
}

TEST(the_manual_renders_without_a_warning)
{
    if (!have_program("groff")) TEST_SKIP("groff is not installed");
    const char *page = temp_path("phosphene.1");
    write_text(page, PHOSPHENE("help", "--man")->out);
    const struct output *o =
        run("groff", "-man", "-Tutf8", "-P-cbu", "-ww", "-rLL=100n", page, NULL);
    CHECK_STATUS(o, 0);
    CHECK_STR(o->err, "");
    CHECK_HAS(o->out, "EXIT STATUS");
}

TEST(bash_takes_its_completions_and_completes_with_them)
{
    const char *file = temp_path("completions.bash"), *script = temp_path("try.bash");
    write_text(file, PHOSPHENE("completions", "bash")->out);
    CHECK_STATUS(run("bash", "-n", file, NULL), 0);
    char text[2048];
    snprintf(text, sizeof text,
             "source %s\n"
             "try() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _phosphene; "
             "echo \"${COMPREPLY[*]}\"; }\n"
             "compopt() { :; }\n"
             "try phosphene ser\ntry phosphene run --off\ntry phosphene nodes patt\n"
             "try phosphene run -p pattern.si\ntry phosphene bench runt\n",
             file);
    write_text(script, text);
    const struct output *o = run("bash", script, NULL);
    CHECK_STR(o->err, "");
    CHECK_STR(o->out, "serve\n--offline\npattern\npattern.size=\nruntime\n");
}

TEST(zsh_takes_its_completions)
{
    if (!have_program("zsh")) TEST_SKIP("zsh is not installed");
    const char *file = temp_path("_phosphene");
    write_text(file, PHOSPHENE("completions", "zsh")->out);
    const struct output *o = run("zsh", "-f", "-n", file, NULL);
    CHECK_STATUS(o, 0);
    CHECK_STR(o->err, "");
}

TEST(fish_takes_its_completions)
{
    if (!have_program("fish")) TEST_SKIP("fish is not installed");
    const char *file = temp_path("phosphene.fish");
    write_text(file, PHOSPHENE("completions", "fish")->out);
    const struct output *o = run("fish", "--no-execute", file, NULL);
    CHECK_STATUS(o, 0);
    CHECK_STR(o->err, "");
    char line[256];
    snprintf(line, sizeof line, "source %s; complete -C 'phosphene nodes patt'", file);
    CHECK_HAS(run("fish", "--no-config", "-c", line, NULL)->out, "pattern");
}

TEST(completions_for_another_shell_are_refused)
{
    CHECK_STATUS(PHOSPHENE("completions", "csh"), 2);
    CHECK_STATUS(PHOSPHENE("completions"), 2);
}
