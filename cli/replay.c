// SPDX-License-Identifier: MIT
// phosphene replay: a journal once more, to the same frames.
#include "cli.h"

#include "core/buf.h"

#include <phosphene/clock.h>
#include <phosphene/graph.h>

#include <stdlib.h>
#include <string.h>

static int run_replay(struct cli_args *args)
{
    struct ph_fault fault = { 0 };
    struct ph_log log = cli_log(cli_flag(args, "verbose"), cli_flag(args, "quiet"));
    int64_t begin = ph_now_ns();
    ph_err err = ph_replay(
        args->words[0],
        &(struct ph_replay_params){ .log = &log, .output = cli_text(args, "output") }, &fault);
    if (err < 0) {
        fault.code = err;
        return cli_fault(args->words[0], NULL, &fault);
    }
    if (!cli_flag(args, "quiet"))
        fprintf(stderr, "replayed in %.1f s\n", (double) (ph_now_ns() - begin) / 1e9);
    return CLI_OK;
}

static const struct cli_option options[] = {
    { "output", 'o', "FILE",
      .help = "where record and image nodes write, instead of the path in the journal",
      .group = "Output", .words = CLI_FILE, .flags = CLI_NO_ENV },
    { 0 },
};
static const struct cli_example examples[] = {
    { "phosphene run demo --journal show.journal --for 10s", "write one" },
    { "phosphene replay show.journal -o show.mp4", "the same frames again, as a video" },
    { 0 },
};
const struct cli_command cli_replay = {
    .name = "replay",
    .args = "JOURNAL",
    .help = "run a journal again and get the same frames",
    .text = "A journal holds everything that went into a graph: inputs, seeds, changes and "
            "cuts. It runs as fast as it can, without a clock.",
    .examples = examples,
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .words = CLI_FILE,
    .run = run_replay,
};
