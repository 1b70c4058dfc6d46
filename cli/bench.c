// SPDX-License-Identifier: MIT
// phosphene bench: the figures of bench/, as a table or as JSON.
#include "cli.h"

#include "bench/bench.h"

static int run_bench(struct cli_args *args)
{
    struct ph_fault fault = { 0 };
    int below = 0;
    cli_catch_signals();
    ph_err err = bench_run(&(struct bench_params){ .wanted = args->words,
                                                   .json = cli_flag(args, "json"),
                                                   .quick = cli_flag(args, "quick"),
                                                   .quiet = cli_flag(args, "quiet"),
                                                   .keep = cli_flag(args, "keep"),
                                                   .device = cli_text(args, "device"),
                                                   .stop = &cli_signal },
                           &below, &fault);
    if (err < 0) return cli_fault("", NULL, &fault), err == PH_EINVAL ? CLI_USAGE : CLI_FAILED;
    if (cli_signal) return cli_exit_of_signal();
    return cli_flag(args, "check") && below ? CLI_FAILED : CLI_OK;
}

static const struct cli_option options[] = {
    { "json", 0, .help = "as JSON, one record a figure", .group = "Output" },
    { "check", 0, .help = "exit 1 when a figure misses its bar (noisy ones do not count)",
      .group = "Output", .flags = CLI_NO_ENV },
    { "quick", 0, .help = "a tenth of the time: do the benchmarks still run?",
      .group = "Measuring", .flags = CLI_NO_ENV },
    { "device", 0, "DEVICE", .help = "for models: cuda, auto, cpu:threads=1 [cpu]",
      .group = "Measuring" },
    { "keep", 0, .help = "leave the models that were written (3 GB) for the next time",
      .group = "Measuring" },
    { 0 },
};
static const struct cli_example examples[] = {
    { "phosphene bench", "everything, about half an hour" },
    { "phosphene bench runtime kernels/resize", "a group, and a part of another" },
    { "phosphene bench models --device cuda", "models on a GPU" },
    { "phosphene bench --json > bench.json", "with the machine they were measured on" },
    { 0 },
};
const struct cli_command cli_bench = {
    .name = "bench",
    .args = "[GROUP...]",
    .help = "measure this machine",
    .text = "A figure taken while other processes held over 10 % of the machine is marked "
            "noisy. A ratio to a peer (GStreamer, PyTorch) is measured in the same run, and "
            "left out "
            "where the peer is not installed.",
    .examples = examples,
    .options = options,
    .max_words = -1,
    .words = CLI_BENCH,
    .run = run_bench,
};
