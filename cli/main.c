// SPDX-License-Identifier: MIT
#include "cli.h"

#include "core/nearest.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const struct cli_command *const cli_commands[] = {
    &cli_serve,  &cli_run,    &cli_generate, &cli_listen,      &cli_models,
    &cli_nodes,  &cli_doctor, &cli_top,      &cli_trace,       &cli_bench,
    &cli_replay, &cli_render, &cli_help,     &cli_completions, NULL,
};

_Atomic int cli_signal; // any thread may be the one that is interrupted

// A step that takes seconds must not keep the program from ending within one. Recordings are
// whole up to their last fragment at any time.
#define PATIENCE_NS 500000000
static timer_t patience;
static bool have_patience;

static void on_signal(int number)
{
    const struct itimerspec once = { .it_value.tv_nsec = PATIENCE_NS };
    if (cli_signal) _exit(128 + number);
    cli_signal = number;
    if (have_patience) timer_settime(patience, 0, &once, NULL);
}

static void on_patience_lost(int number)
{
    static const char text[] = "phosphene: a step does not end: stopped in the middle of it\n";
    ssize_t n = write(2, text, sizeof text - 1);
    (void) n;
    _exit(128 + cli_signal);
}

void cli_catch_signals(void)
{
    struct sigaction action = { .sa_handler = on_signal }; // no SA_RESTART: waits must end
    struct sigaction lost = { .sa_handler = on_patience_lost };
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
    sigaction(SIGALRM, &lost, NULL);
    have_patience = !timer_create(CLOCK_MONOTONIC, &event, &patience);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int cli_exit_of_signal(void)
{
    return cli_signal ? 128 + cli_signal : CLI_OK;
}

static int say_unknown_command(const char *name)
{
    const char *names[32];
    int n = 0;
    for (; cli_commands[n]; n++) names[n] = cli_commands[n]->name;
    names[n] = NULL;
    const char *near = ph_nearest(name, names);
    cli_error("there is no command \"%s\"%s%s%s", name, near ? "; did you mean " : "",
              near ? near : "", near ? "?" : "");
    cli_hint("phosphene --help lists the commands");
    return CLI_USAGE;
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
    struct cli_args args;
    int status = cli_args_parse(&args, command, argc, argv);
    if (status == CLI_OK && cli_flag(&args, "help"))
        cli_print_help(stdout, command);
    else if (status == CLI_OK)
        status = command->run(&args);
    cli_args_free(&args);
    // a full disk or a closed pipe must not look like success
    if (fflush(stdout) && status == CLI_OK) return CLI_FAILED;
    return status;
}

static bool is_one_of(const char *word, const char *a, const char *b)
{
    return !strcmp(word, a) || !strcmp(word, b);
}

// GNU's OpenMP burns a processor while it waits for the next loop, which starves the lanes and
// programs beside it: several times slower where two threads share two busy processors. It reads how
// to wait from the environment while it is loaded, before any line of ours runs (libc puts the
// environment back after .preinit_array), so the program says it and starts itself once more.
// Whoever sets OMP_WAIT_POLICY keeps the last word; programs that embed phosphene set it themselves.
static void wait_quietly(char **argv)
{
    char self[4096]; // by its own name, for /proc/self/exe would be shown as "exe"
    ssize_t length;
    if (getenv("OMP_WAIT_POLICY") || setenv("OMP_WAIT_POLICY", "passive", 1)) return;
    if ((length = readlink("/proc/self/exe", self, sizeof self - 1)) <= 0) return;
    self[length] = 0;
    execv(self, argv); // comes back only if it cannot: then OpenMP burns
}

int main(int argc, char **argv)
{
    wait_quietly(argv);
    if (argc < 2) {
        cli_print_overview(stderr);
        return CLI_USAGE;
    }
    if (is_one_of(argv[1], "--help", "-h")) {
        cli_print_overview(stdout);
        return CLI_OK;
    }
    if (is_one_of(argv[1], "--version", "-V")) {
        printf("phosphene %s\n", ph_version());
        return CLI_OK;
    }
    const struct cli_command *command = cli_command_find(argv[1]);
    if (!command) return say_unknown_command(argv[1]);
    return run_command(command, argc - 1, argv + 1);
}
