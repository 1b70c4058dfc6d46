// SPDX-License-Identifier: MIT
// What the program says: errors with the place in the text, colours where a person reads them,
// and a progress line for what takes longer than two seconds.
#ifndef PH_CLI_TERM_H
#define PH_CLI_TERM_H

#include <phosphene/common.h>
#include <phosphene/log.h>

#include <stdio.h>

// Escape codes, or "" when the stream is not a terminal, NO_COLOR is set or TERM is dumb.
enum cli_color { CLI_PLAIN, CLI_BOLD, CLI_DIM, CLI_RED, CLI_GREEN, CLI_YELLOW, CLI_CYAN };
const char *cli_color(FILE *out, enum cli_color color);
int cli_columns(FILE *out); // of the terminal; 80 when it is none
int cli_rows(FILE *out);    // 24 when it is none

void cli_error(const char *fmt, ...) PH_PRINTF(1, 2); // "phosphene: ..."
void cli_hint(const char *fmt, ...) PH_PRINTF(1, 2);  // an indented line below it

// Prints a fault: its sentence, and the line of `text` it speaks of with a caret below the column.
// `where` names the text ("graph", a file name). Returns the exit status for its code.
int cli_fault(const char *where, const char *text, const struct ph_fault *fault);
int cli_exit_of(ph_err err);

// The log for a command: --quiet leaves errors, --verbose adds debug.
struct ph_log cli_log(bool verbose, bool quiet);

// A line on stderr that is redrawn, from two seconds after the start on, on a terminal only.
struct cli_progress {
    const char *what, *unit; // "frames"
    double total;            // 0 = unknown
    double share;            // of the work that is done, where that is not done / total; 0..1
    int64_t start_ns, drawn_ns;
    bool drawn;
};
void cli_progress_begin(struct cli_progress *p, const char *what, const char *unit,
                        double total);
// Shows rate and, where the total is known, the time left. At most five times a second.
void cli_progress_show(struct cli_progress *p, double done);
void cli_progress_end(struct cli_progress *p); // clears the line

// A progress line beside work that does not come back in between: a thread asks how far it is.
struct cli_watch;
struct cli_watch_params {
    const char *what, *unit; // as in cli_progress
    // How much is done; may change what p says. false = show nothing now.   thread: the watch's
    bool (*ask)(void *opaque, struct cli_progress *p, double *done);
    void *opaque;
};
// NULL when stderr is no terminal, or there is no thread: then nothing is shown.
struct cli_watch *cli_watch_begin(const struct cli_watch_params *par);
void cli_watch_clear(
    struct cli_watch *w); // the line goes until ask is true again; NULL: nothing
void cli_watch_end(struct cli_watch **w);

// "1.5 GB", "12 min", "3.2 s" into text; returns text.
const char *cli_bytes(double bytes, char *text, size_t size);
const char *cli_duration(double seconds, char *text, size_t size);

#endif
