// SPDX-License-Identifier: MIT
// phosphene bench: the shape of its records, not the figures.
#include "terminal.h"

TEST(a_record_has_every_field_under_a_stable_name)
{
    const struct output *o = PHOSPHENE("bench", "runtime/hand-over", "--quick", "--json");
    CHECK_STATUS(o, 0);
    const struct ph_json *report = parse_json(o->out),
                         *machine = ph_json_get(report, "machine");
    CHECK(*ph_json_string(ph_json_get(machine, "cpu"), ""));
    CHECK_INT(ph_json_int(ph_json_get(machine, "cores"), 0), >, 0);
    const struct ph_json *r = ph_json_at(ph_json_get(report, "results"), 0);
    CHECK_STR(ph_json_string(ph_json_get(r, "name"), ""), "runtime/hand-over");
    CHECK_STR(ph_json_string(ph_json_get(r, "unit"), ""), "us");
    CHECK_NUM(ph_json_double(ph_json_get(r, "value"), 0), >, 0);
    CHECK_NUM(ph_json_double(ph_json_get(r, "p99"), 0), >=,
              ph_json_double(ph_json_get(r, "p50"), 1e9));
    CHECK_NUM(ph_json_double(ph_json_get(r, "bar"), 0), ==, 20);
    CHECK_INT(ph_json_int(ph_json_get(r, "n"), 0), >, 10);
    static const char *const fields[] = { "peer", "ratio", "noisy" };
    for (int i = 0; i < 3; i++) CHECK(ph_json_get(r, fields[i]));
}

TEST(a_terminal_sees_which_of_how_many_figures_and_the_time_left)
{
    const char *text = TERMINAL("bench", "runtime/clock-60-jitter", "kernels/resize-nearest");
    CHECK_HAS(text, "\rmeasuring runtime/clock-60-jitter: 0 of ");
    CHECK_HAS(text, " figures, ");
    text = TERMINAL("bench", "runtime/hand-over", "runtime/clock-60-jitter");
    CHECK_HAS(text, "\rmeasuring runtime/clock-60-jitter: 2 of 3 figures, ");
    CHECK_HAS(text, " left");
    text = TERMINAL("bench", "runtime/clock-60-jitter", "--quiet");
    CHECK(!strstr(text, "measuring"));
}

TEST(the_second_figure_of_a_measurement_can_be_had_alone)
{
    const struct output *o =
        PHOSPHENE("bench", "delivery/512-32-viewers-30fps-delivered", "--quick", "--json");
    CHECK_STATUS(o, 0);
    const struct ph_json *r = ph_json_at(ph_json_get(parse_json(o->out), "results"), 0);
    CHECK_STR(ph_json_string(ph_json_get(r, "name"), ""),
              "delivery/512-32-viewers-30fps-delivered");
}

TEST(a_busy_machine_marks_the_figure_noisy)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    pid_t pids[256];
    for (long i = 0; i < cpus && i < 256; i++) {
        pids[i] = fork();
        if (!pids[i])
            for (;;) {}
    }
    const struct output *o = PHOSPHENE("bench", "runtime/clock-60-jitter", "--json");
    for (long i = 0; i < cpus && i < 256; i++) kill(pids[i], SIGKILL);
    CHECK_STATUS(o, 0);
    const struct ph_json *r = ph_json_at(ph_json_get(parse_json(o->out), "results"), 0);
    CHECK(ph_json_bool(ph_json_get(r, "noisy"), false));
}

TEST_LIMIT(the_bundled_model_is_measured_in_a_process_of_its_own, 120)
{
    unsetenv("PH_SHARE"); // other tests are without
    const struct output *o =
        PHOSPHENE("bench", "models/spark-first-picture", "--quick", "--json");
    CHECK_STATUS(o, 0);
    const struct ph_json *r = ph_json_at(ph_json_get(parse_json(o->out), "results"), 0);
    CHECK_STR(ph_json_string(ph_json_get(r, "unit"), ""), "ms");
    CHECK_NUM(ph_json_double(ph_json_get(r, "value"), 0), >, 0);
    CHECK_NUM(ph_json_double(ph_json_get(r, "bar"), 0), ==, 1500);
}

TEST_LIMIT(a_model_is_written_measured_and_left_only_when_told, 240)
{
    setenv("XDG_CACHE_HOME", temp_path("cache"), 1);
    setenv("PH_PYTHON", "/none", 1); // a peer that is not there is left out
    const struct output *o =
        PHOSPHENE("bench", "models/taesd-decode-256-f32", "--quick", "--json");
    CHECK_STATUS(o, 0);
    const struct ph_json *all = ph_json_get(parse_json(o->out), "results"),
                         *rate = ph_json_at(all, 0), *ms = ph_json_at(all, 1);
    CHECK_INT(all->count, ==, 2);
    CHECK_STR(ph_json_string(ph_json_get(rate, "unit"), ""), "GFLOP/s");
    CHECK_STR(ph_json_string(ph_json_get(ms, "name"), ""), "models/taesd-decode-256-f32-ms");
    // rate times time is the work: 35.6 GFLOP
    double gflop = ph_json_double(ph_json_get(rate, "value"), 0) *
                   ph_json_double(ph_json_get(ms, "value"), 0) / 1e3;
    CHECK_NUM(gflop, >, 34);
    CHECK_NUM(gflop, <, 37);
    CHECK_HAS(o->err, "python3-torch");
    CHECK(access(temp_path("cache/phosphene/bench-models"), F_OK));
    CHECK_STATUS(PHOSPHENE("bench", "models/taesd-decode-256-f32-ms", "--quick", "--keep"), 0);
    CHECK(!access(temp_path("cache/phosphene/bench-models/taesd/config.json"), R_OK));
    char command[256];
    snprintf(command, sizeof command, "test \"$(ls %s)\" = bench-models",
             temp_path("cache/phosphene"));
    CHECK_OK(system(command));
}

TEST(a_group_that_is_not_there_is_a_usage_error)
{
    const struct output *o = PHOSPHENE("bench", "runtme");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "did you mean runtime?");
}

TEST(interrupting_a_benchmark_ends_it_within_a_second)
{
    struct child c = start(program(), "bench", "runtime/clock", NULL);
    const struct output *o;
    sleep_ms(500);
    CHECK_NUM(stop_child(&c, SIGINT, &o), <, STOP_LIMIT_S);
    CHECK_STATUS(o, 130);
}
