// SPDX-License-Identifier: MIT
#include <phosphene/log.h>

#include "core/cpu.h"
#include "test.h"

#include <fcntl.h>
#include <pthread.h>

struct kept {
    int count;
    enum ph_log_level level;
    char who[32], line[2048];
};

static void keep(void *opaque, enum ph_log_level level, const char *who, const char *line)
{
    struct kept *k = opaque;
    k->count++;
    k->level = level;
    snprintf(k->who, sizeof k->who, "%s", who);
    snprintf(k->line, sizeof k->line, "%s", line);
}

TEST(a_line_reaches_the_callback_formatted)
{
    struct kept k = { 0 };
    struct ph_log log = { .write = keep, .opaque = &k };
    ph_warn(&log, "camera", "frame %d of %s", 7, "two");
    CHECK_INT(k.count, ==, 1);
    CHECK_INT(k.level, ==, PH_LOG_WARN);
    CHECK_STR(k.who, "camera");
    CHECK_STR(k.line, "frame 7 of two");
}

TEST(what_a_client_wrote_makes_no_second_line_and_steers_no_terminal)
{
    struct kept k = { 0 };
    struct ph_log log = { .write = keep, .opaque = &k };
    ph_warn(&log, "text", "no font \"%s\"",
            "a\n[server] b\r\x1b[31m\x7f\xc2\x9b"
            "1mé\t…");
    CHECK_STR(k.line, "no font \"a?[server] b??[31m???1mé\t…\"");
}

TEST(levels_above_the_log_are_dropped)
{
    for (int level = PH_LOG_ERROR; level <= PH_LOG_TRACE; level++) {
        struct kept k = { 0 };
        struct ph_log log = { .level = (enum ph_log_level) level, .write = keep, .opaque = &k };
        for (int of = PH_LOG_ERROR; of <= PH_LOG_TRACE; of++)
            ph_log(&log, (enum ph_log_level) of, "x", "y");
        CHECK_INT(k.count, ==, level);
    }
}

TEST(level_0_means_info)
{
    struct kept k = { 0 };
    struct ph_log log = { .write = keep, .opaque = &k };
    ph_info(&log, "x", "shown");
    ph_debug(&log, "x", "not shown");
    CHECK_INT(k.count, ==, 1);
    CHECK_STR(k.line, "shown");
}

TEST(an_over_long_line_is_cut_and_not_overrun)
{
    struct kept k = { 0 };
    struct ph_log log = { .write = keep, .opaque = &k };
    ph_error(&log, "x", "%05000d", 1);
    CHECK_INT(k.count, ==, 1);
    CHECK_INT(strlen(k.line), <, 2000);
    CHECK_INT(strspn(k.line, "0"), ==, strlen(k.line));
}

static void *log_many(void *arg)
{
    for (int i = 0; i < 500; i++) ph_warn(NULL, "who", "%s", (const char *) arg);
    return NULL;
}

TEST(without_a_log_whole_lines_go_to_stderr)
{
    char path[] = "/tmp/ph-log-XXXXXX", line[256];
    int fd = mkstemp(path), saved = dup(2);
    CHECK(fd >= 0 && dup2(fd, 2) == 2);
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, log_many, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    pthread_create(&threads[1], NULL, log_many, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    dup2(saved, 2);
    FILE *f = fopen(path, "r");
    int a = 0, b = 0, other = 0;
    while (fgets(line, sizeof line, f)) {
        size_t n = strcspn(line, "\n");
        char *text = strstr(line, "warning: ");
        bool whole =
            text && !strncmp(line, "[who] ", 6) && n == (size_t) (text - line) + 9 + 38;
        if (whole && strspn(text + 9, "a") == 38)
            a++;
        else if (whole && strspn(text + 9, "b") == 38)
            b++;
        else
            other++;
    }
    fclose(f);
    unlink(path);
    CHECK_INT(a, ==, 500);
    CHECK_INT(b, ==, 500);
    CHECK_INT(other, ==, 0);
}

TEST(faults_hold_code_field_and_sentence)
{
    struct ph_fault fault = { .line = 3, .column = 4 };
    CHECK_INT(ph_fail(&fault, PH_ELIMIT, "width", "%d is too wide", 9), ==, PH_ELIMIT);
    CHECK_INT(fault.code, ==, PH_ELIMIT);
    CHECK_STR(fault.field, "width");
    CHECK_STR(fault.message, "9 is too wide");
    CHECK(!fault.line && !fault.column);
    CHECK_INT(ph_fail(NULL, PH_EIO, NULL, "unused"), ==, PH_EIO);
    ph_fail(&fault, PH_EIO, NULL, "%01000d", 0);
    CHECK_STR(fault.field, "");
    CHECK_INT(strlen(fault.message), ==, sizeof fault.message - 1);
}

TEST(every_error_has_its_own_text)
{
    const char *texts[40];
    int n = 0;
#define TAKE(name, value, text) texts[n++] = ph_strerror(name);
    PH_ERRS(TAKE)
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++) CHECK(strcmp(texts[i], texts[k]));
    CHECK_STR(ph_strerror((ph_err) -999), "unknown error");
    CHECK(ph_version()[0] >= '0' && ph_version()[0] <= '9');
}

TEST(cpu_flags_are_masked_by_the_environment)
{
    static const struct {
        const char *name;
        unsigned forbidden;
    } levels[] = { { "c", ~0u },
                   { "sse2", ~(unsigned) PH_CPU_SSE2 },
                   { "avx2", ~(unsigned) (PH_CPU_SSE2 | PH_CPU_AVX2) } };
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        fflush(stdout);
        pid_t pid = fork(); // the flags are found once in a process
        if (!pid) {
            setenv("PH_CPU", levels[i].name, 1);
            _exit((ph_cpu_flags() & levels[i].forbidden) != 0);
        }
        int status = -1;
        waitpid(pid, &status, 0);
        if (status) TEST_FAIL("PH_CPU=%s left forbidden flags", levels[i].name);
    }
    CHECK_INT(ph_cpu_count(), >=, 1);
    char model[64] = "";
    CHECK(ph_cpu_model(model, sizeof model)[0]);
}
