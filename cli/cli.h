// SPDX-License-Identifier: MIT
// The commands, and what several of them share.
#ifndef PH_CLI_CLI_H
#define PH_CLI_CLI_H

#include "options.h"
#include "term.h"

#include <phosphene/node.h>

extern const struct cli_command cli_run, cli_serve, cli_bench, cli_doctor, cli_nodes, cli_top,
    cli_trace, cli_replay, cli_render, cli_help, cli_completions, cli_generate, cli_models,
    cli_listen;

// --- signals: SIGINT and SIGTERM are noted once; the second one ends the program at once.
extern _Atomic int cli_signal; // 0 = none came
void cli_catch_signals(void);
int cli_exit_of_signal(void); // 130, 143

// --- text made from the tables
void cli_print_overview(FILE *out);
void cli_print_help(FILE *out, const struct cli_command *command);
void cli_print_man(FILE *out);
ph_err cli_print_completions(FILE *out, const char *shell); // PH_ENOENT: no such shell

// --- nodes
const struct ph_node_info *cli_node_find(const char *name);
// "0 … 1", "16x16 … 4096x4096", "a | b | c", "on | off"; "" = any. Returns text.
const char *cli_param_range(const struct ph_param *p, char *text, size_t size);
const char *cli_param_type(const struct ph_param *p);
const char *cli_param_default(const struct ph_param *p);
// "picture", "picture|packet"
const char *cli_kinds(unsigned kinds, char *text, size_t size);
extern const struct cli_group {
    const char *name, *help;
} cli_node_groups[]; // in the order of the flow; name NULL ends it

// A whole file as text, malloc'ed, NUL-terminated; at most `limit` bytes. NULL: fault says why.
char *cli_read_file(const char *path, size_t limit, struct ph_fault *fault);
// Writes a file by way of a new one beside it, so that a failure leaves no half.
ph_err cli_write_file(const char *path, const char *text, struct ph_fault *fault);
// Whether a file of that name could be written, before the work that fills it.
ph_err cli_check_writable(const char *path, struct ph_fault *fault);

#endif
