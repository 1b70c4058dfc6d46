// SPDX-License-Identifier: MIT
// The command line as one table: a command lists its options here, and from that list come the
// parser, --help, the manual page, the completions and the names in the environment.
// Precedence: flag, then PHOSPHENE_<NAME>, then the default.
#ifndef PH_CLI_OPTIONS_H
#define PH_CLI_OPTIONS_H

#include <phosphene/common.h>

// The exit status is part of the interface: cli_exits says what each means.
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,       // something went wrong while it ran
    CLI_USAGE = 2,        // the command line is wrong
    CLI_INPUT = 3,        // the graph, a file or a journal is wrong
    CLI_MISSING = 4,      // a device, a library or a server is not there
    CLI_INTERRUPTED = 130 // by Ctrl-C; 143 by SIGTERM
};
struct cli_exit_text {
    int status;
    const char *help;
};
extern const struct cli_exit_text cli_exits[]; // help NULL ends it

enum cli_type {
    CLI_PLAIN_TYPE, // a flag, or a text where there is an argument; in the environment a flag is
                    // 1/0, on/off, yes/no or true/false
    CLI_INT,
    CLI_SECONDS // "10", "10s", "500ms", "2m", "1h"
};

// What a shell offers for an argument.
enum cli_words {
    CLI_ANY,
    CLI_FILE,
    CLI_DIR,
    CLI_GRAPH, // presets, nodes, files
    CLI_NODE,
    CLI_PARAM, // node.param=
    CLI_BENCH, // groups of benchmarks
    CLI_SHELL,
    CLI_COMMAND,
    CLI_PRESET
};

enum cli_flags {
    CLI_MANY = 1,   // may be given several times
    CLI_NO_ENV = 2, // belongs to one call only: a file to write, an action
};

struct cli_option {
    const char *name; // long name; NULL ends a table
    char letter;      // 0 = none
    const char *arg;  // what the value is called in the help; NULL = a flag
    const char *def;  // NULL = none
    const char *help; // one line, no final dot
    const char *group;
    enum cli_type type;
    double min, max; // numbers; both 0 = any
    enum cli_words words;
    unsigned flags;
};

struct cli_example {
    const char *command, *help; // command NULL ends a table
};

struct cli_args;

struct cli_command {
    const char *name;
    const char *args; // "GRAPH|PRESET|FILE", "" = none
    const char *help; // one line
    const char *text; // paragraphs separated by "\n\n"; "" = none
    const struct cli_example *examples;
    const struct cli_option *options; // besides cli_common
    int min_words, max_words;         // positional arguments; max < 0 = any number
    enum cli_words words;
    int (*run)(struct cli_args *args); // returns the exit status
};
extern const struct cli_command *const cli_commands[]; // NULL ends it
extern const struct cli_option cli_common[];           // of every command

#define CLI_MAX_OPTIONS 48

struct cli_value {
    const char *text;  // NULL = not given and no default
    double number;     // of text, where it is one; flags: 0 or 1
    const char **many; // CLI_MANY: count texts
    int count;
};

struct cli_args {
    const struct cli_command *command;
    const struct cli_option *options[CLI_MAX_OPTIONS]; // the command's, then cli_common
    struct cli_value values[CLI_MAX_OPTIONS];
    int option_count;
    const char **words; // NULL-terminated
    int word_count;
};

// Fills `args` from the words after the command's name (argv[0] is that name). Says what is wrong
// on stderr and returns CLI_USAGE, or CLI_OK. Does not look at --help: that is a flag like others.
int cli_args_parse(struct cli_args *args, const struct cli_command *command, int argc,
                   char **argv);
void cli_args_free(struct cli_args *args);

// By long name; a name that the command does not have is a mistake in the program (aborts).
bool cli_flag(const struct cli_args *args, const char *name);
bool cli_given(const struct cli_args *args, const char *name);
const char *cli_text(const struct cli_args *args, const char *name); // may be NULL
int64_t cli_int(const struct cli_args *args, const char *name);      // 0 when not given
double cli_seconds(const struct cli_args *args, const char *name);   // 0 when not given
const struct cli_value *cli_value(const struct cli_args *args, const char *name);

const struct cli_command *cli_command_find(const char *name); // NULL = there is none
// "PHOSPHENE_NO_TOKEN" for "no-token"; "" when it has none. Returns text.
const char *cli_env_name(const struct cli_option *o, char *text, size_t size);
bool cli_parse_seconds(const char *text, double *seconds);

#endif
