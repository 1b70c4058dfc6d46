// SPDX-License-Identifier: MIT
// Tests: TEST(what_it_proves) { CHECK(...); }, one program per subject, TAP on stdout.
// Each case runs in a forked process with a time limit, so that a crash or a hang is one failure.
//   ./test_x [--list] [--no-fork] [PATTERN…]     a pattern is a substring of the case's name
#ifndef PH_TEST_H
#define PH_TEST_H

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct test_case {
    const char *name;
    void (*run)(void);
    int limit_s;
    struct test_case *next;
};
static struct test_case *test_cases, **test_tail = &test_cases;

static inline void test_register(struct test_case *c)
{
    *test_tail = c;
    test_tail = &c->next;
}

#define TEST_LIMIT(ident, seconds)                                                             \
    static void test_##ident(void);                                                            \
    __attribute__((constructor)) static void register_##ident(void)                            \
    {                                                                                          \
        static struct test_case c = { #ident, test_##ident, seconds, 0 };                      \
        test_register(&c);                                                                     \
    }                                                                                          \
    static void test_##ident(void)
#define TEST(ident) TEST_LIMIT(ident, 60)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SANITIZED 1
#else
#define TEST_SANITIZED 0
#endif

// A machine that does other things is many times slower than one that does not, and a sanitizer
// slows all down again. So a test waits for what must come, with the case's own limit as the only
// one, and where it has to bound a time nevertheless the bound is multiplied by this. How quick
// things are on a quiet machine is for `phosphene bench` to say.
#define TEST_SLOW (TEST_SANITIZED ? 40 : 20)

#define TEST_SKIP_STATUS 77
#define TEST_SKIP(...)                                                                         \
    do {                                                                                       \
        printf("# skip: " __VA_ARGS__);                                                        \
        printf("\n");                                                                          \
        fflush(stdout);                                                                        \
        exit(TEST_SKIP_STATUS);                                                                \
    } while (0)

#define TEST_FAIL(...)                                                                         \
    do {                                                                                       \
        printf("# %s:%d: ", __FILE__, __LINE__);                                               \
        printf(__VA_ARGS__);                                                                   \
        printf("\n");                                                                          \
        fflush(stdout);                                                                        \
        exit(1);                                                                               \
    } while (0)

#define CHECK(cond)                                                                            \
    do {                                                                                       \
        if (!(cond)) TEST_FAIL("not true: %s", #cond);                                         \
    } while (0)
#define CHECK_INT(got, op, want)                                                               \
    do {                                                                                       \
        long long got_ = (long long) (got), want_ = (long long) (want);                        \
        if (!(got_ op want_)) TEST_FAIL("%s is %lld, want %s %lld", #got, got_, #op, want_);   \
    } while (0)
#define CHECK_NUM(got, op, want)                                                               \
    do {                                                                                       \
        double got_ = (got), want_ = (want);                                                   \
        if (!(got_ op want_)) TEST_FAIL("%s is %.9g, want %s %.9g", #got, got_, #op, want_);   \
    } while (0)
#define CHECK_STR(got, want)                                                                   \
    do {                                                                                       \
        const char *got_ = (got), *want_ = (want);                                             \
        if (!got_ || strcmp(got_, want_))                                                      \
            TEST_FAIL("%s is \"%s\", want \"%s\"", #got, got_ ? got_ : "(null)", want_);       \
    } while (0)
#define CHECK_HAS(text, part)                                                                  \
    do {                                                                                       \
        const char *text_ = (text), *part_ = (part);                                           \
        if (!text_ || !strstr(text_, part_))                                                   \
            TEST_FAIL("%s lacks \"%s\": \"%s\"", #text, part_, text_ ? text_ : "(null)");      \
    } while (0)
#define CHECK_OK(expr)                                                                         \
    do {                                                                                       \
        int err_ = (expr);                                                                     \
        if (err_ != 0) TEST_FAIL("%s gives %d", #expr, err_);                                  \
    } while (0)

// 0 passed, 77 skipped, else failed
static int test_run_case(const struct test_case *c, int no_fork)
{
    if (no_fork) return c->run(), 0;
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        setpgid(0, 0);
        alarm((unsigned) (3 * c->limit_s)); // meant for a quiet machine
        c->run();
        fflush(stdout);
        exit(0);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    kill(-pid, SIGKILL); // whatever the case left running
    if (WIFSIGNALED(status)) {
        printf("# %s: %s\n", c->name,
               WTERMSIG(status) == SIGALRM ? "took too long" : strsignal(WTERMSIG(status)));
        return 1;
    }
    return WEXITSTATUS(status);
}

static int test_wanted(const struct test_case *c, int argc, char **argv)
{
    int patterns = 0;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-') continue;
        patterns++;
        if (strstr(c->name, argv[i])) return 1;
    }
    return !patterns;
}

#ifndef TEST_NO_MAIN
int main(int argc, char **argv)
{
    int list = 0, no_fork = 0, n = 0, failed = 0, count = 0;
    for (int i = 1; i < argc; i++) {
        list |= !strcmp(argv[i], "--list");
        no_fork |= !strcmp(argv[i], "--no-fork");
    }
    for (struct test_case *c = test_cases; c; c = c->next) count += test_wanted(c, argc, argv);
    if (!list) printf("1..%d\n", count);
    for (struct test_case *c = test_cases; c; c = c->next) {
        if (!test_wanted(c, argc, argv)) continue;
        if (list) {
            printf("%s\n", c->name);
            continue;
        }
        int status = test_run_case(c, no_fork);
        n++;
        if (status == TEST_SKIP_STATUS)
            printf("ok %d - %s # SKIP\n", n, c->name);
        else
            printf("%s %d - %s\n", status ? "not ok" : "ok", n, c->name);
        fflush(stdout);
        failed += status && status != TEST_SKIP_STATUS;
    }
    return failed != 0;
}
#endif
#endif
