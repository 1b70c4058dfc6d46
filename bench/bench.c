// SPDX-License-Identifier: MIT
#include "bench.h"

#include <phosphene/clock.h>

#include "cli/term.h"
#include "core/buf.h"
#include "core/cpu.h"
#include "core/nearest.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define NOISE_LIMIT 0.10 // share of the machine that others may hold

struct moment {
    int64_t now_ns;
    double own_s;  // CPU time of this process and of the children it has waited for
    double busy_s; // of all processors, all processes
};

struct bench {
    const struct bench_params *par;
    struct ph_buf json; // records, comma-separated
    char name[96];      // of the figure whose interval runs; "" = none
    struct moment begin;
    int below, noisy, printed;
    bool counting;
    const struct bench_group *group;

    struct cli_watch *watch;
    pthread_mutex_t lock; // of the rest, which the progress line shows
    bool measuring;
    int done, total;
    double done_s, total_s; // about
    char what[128];
};

static double seconds(struct timeval t)
{
    return (double) t.tv_sec + (double) t.tv_usec / 1e6;
}

static double own_seconds(void)
{
    struct rusage self, children;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    return seconds(self.ru_utime) + seconds(self.ru_stime) + seconds(children.ru_utime) +
           seconds(children.ru_stime);
}

// user nice system irq softirq steal of /proc/stat: all but idle and waiting; -1 = cannot tell
static double busy_seconds(void)
{
    FILE *f = fopen("/proc/stat", "re");
    if (!f) return -1;
    unsigned long long v[8] = { 0 };
    int got = fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2, v + 3,
                     v + 4, v + 5, v + 6, v + 7);
    fclose(f);
    if (got < 8) return -1;
    unsigned long long ticks = v[0] + v[1] + v[2] + v[5] + v[6] + v[7];
    return (double) ticks / (double) sysconf(_SC_CLK_TCK);
}

static struct moment moment_now(void)
{
    return (struct moment){ ph_now_ns(), own_seconds(), busy_seconds() };
}

static int machine_cpus(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int) n : 1;
}

// Share of the machine that others held since `from`. The kernel counts ticks of 10 ms on each
// processor, so that much is forgiven.
static double others_share(const struct moment *from)
{
    struct moment to = moment_now();
    double wall = (double) (to.now_ns - from->now_ns) / 1e9;
    if (to.busy_s < 0 || from->busy_s < 0 || wall <= 0) return 0;
    double tick = 1.0 / (double) sysconf(_SC_CLK_TCK) * machine_cpus();
    double others = to.busy_s - from->busy_s - (to.own_s - from->own_s) - tick;
    return others > 0 ? others / (wall * machine_cpus()) : 0;
}

static bool begins(const char *text, const char *prefix)
{
    return !strncmp(text, prefix, strlen(prefix));
}

// "runtime" wants "runtime/demo-1080p", and preparing "runtime/demo" is of use to the latter
bool bench_wants(const struct bench *b, const char *prefix)
{
    if (!b->par->wanted || !*b->par->wanted) return true;
    for (const char *const *w = b->par->wanted; *w; w++)
        if (begins(prefix, *w) || begins(*w, prefix)) return true;
    return false;
}

static bool asked_for(const struct bench *b, const char *name)
{
    if (!b->par->wanted || !*b->par->wanted) return true;
    for (const char *const *w = b->par->wanted; *w; w++)
        if (begins(name, *w)) return true;
    return false;
}

bool bench_stopped(const struct bench *b)
{
    return b->par->stop && *b->par->stop;
}

bool bench_quick(const struct bench *b)
{
    return b->par->quick;
}

const char *bench_device(const struct bench *b)
{
    return b->par->device;
}

bool bench_keep(const struct bench *b)
{
    return b->par->keep;
}

double bench_seconds(const struct bench *b, double s)
{
    return b->par->quick ? s / 10 : s;
}

bool bench_counting(const struct bench *b)
{
    return b->counting;
}

// --- progress

static bool ask(void *opaque, struct cli_progress *p, double *done)
{
    struct bench *b = opaque;
    static char what[sizeof b->what]; // the watch's
    pthread_mutex_lock(&b->lock);
    bool shown = b->measuring;
    snprintf(what, sizeof what, "%s", b->what);
    *done = b->done;
    p->total = b->total;
    p->share = b->total_s > 0 ? b->done_s / b->total_s : 0;
    pthread_mutex_unlock(&b->lock);
    p->what = what;
    return shown;
}

static void note_done(struct bench *b)
{
    b->done += b->measuring;
    b->done_s += b->measuring ? b->group->figure_s : 0;
    b->measuring = false;
}

static void progress_begin(struct bench *b, const char *name)
{
    pthread_mutex_lock(&b->lock);
    note_done(b); // one that ended without a word
    b->measuring = true;
    snprintf(b->what, sizeof b->what, "measuring %s:", name);
    pthread_mutex_unlock(&b->lock);
}

// Before a line is printed.
static void progress_end(struct bench *b)
{
    pthread_mutex_lock(&b->lock);
    note_done(b);
    pthread_mutex_unlock(&b->lock);
    cli_watch_clear(b->watch);
}

bool bench_begin(struct bench *b, const char *name)
{
    if (bench_stopped(b) || !asked_for(b, name)) return false;
    if (b->counting) {
        b->total++;
        b->total_s += b->group->figure_s;
        return false;
    }
    snprintf(b->name, sizeof b->name, "%s", name);
    progress_begin(b, name);
    b->begin = moment_now();
    return true;
}

void bench_restart(struct bench *b)
{
    b->begin = moment_now();
}

static void add_json(struct bench *b, const struct bench_result *r)
{
    struct ph_buf *j = &b->json;
    if (j->len) ph_buf_puts(j, ",\n  ");
    ph_buf_puts(j, "{\"name\":");
    ph_json_str(j, r->name);
    ph_json_key(j, "value"), ph_json_num(j, r->value);
    ph_json_key(j, "unit"), ph_json_str(j, r->unit);
    ph_json_key(j, "p50"), ph_json_num(j, r->n ? r->p50 : NAN);
    ph_json_key(j, "p99"), ph_json_num(j, r->n ? r->p99 : NAN);
    ph_json_key(j, "n"), ph_buf_printf(j, "%llu", (unsigned long long) r->n);
    ph_json_key(j, "bar"), ph_json_num(j, r->bar != 0 ? r->bar : NAN);
    ph_json_key(j, "better"), ph_json_str(j, r->less ? "less" : "more");
    ph_json_key(j, "peer");
    if (r->peer)
        ph_json_str(j, r->peer);
    else
        ph_buf_puts(j, "null");
    ph_json_key(j, "ratio"), ph_json_num(j, r->peer ? r->ratio : NAN);
    ph_json_key(j, "noisy"), ph_buf_puts(j, r->noisy ? "true" : "false");
    ph_buf_puts(j, "}");
}

// 4 significant digits, no exponent: "412.3", "0.0125", "1500"
static const char *number(char *text, size_t size, double v)
{
    double a = v < 0 ? -v : v;
    int decimals = a >= 1000 ? 0 : a >= 100 ? 1 : a >= 10 ? 2 : a >= 0.1 ? 3 : 5;
    snprintf(text, size, "%.*f", decimals, v);
    return text;
}

static bool bar_missed(const struct bench_result *r)
{
    return r->bar != 0 && (r->less ? r->value > r->bar : r->value < r->bar);
}

static void print_row(struct bench *b, const struct bench_result *r)
{
    if (b->par->json) return;
    if (!b->printed++)
        printf("%-34s %10s %-9s %10s %10s %12s  %s\n", "figure", "value", "unit", "p50", "p99",
               "bar", "beside");
    char v[32], p50[32] = "", p99[32] = "", bar[48] = "", beside[96] = "", n[32];
    number(v, sizeof v, r->value);
    if (r->n && !isnan(r->p50))
        number(p50, sizeof p50, r->p50), number(p99, sizeof p99, r->p99);
    if (r->bar != 0)
        snprintf(bar, sizeof bar, "%s %s%s", r->less ? "<=" : ">=", number(n, sizeof n, r->bar),
                 bar_missed(r) ? " !" : "  ");
    if (r->peer)
        snprintf(beside, sizeof beside, "%sx %s", number(n, sizeof n, r->ratio), r->peer);
    printf("%-34s %10s %-9s %10s %10s %12s  %s%s\n", r->name, v, r->unit, p50, p99, bar, beside,
           r->noisy ? "  NOISY" : "");
    fflush(stdout);
}

bool bench_add(struct bench *b, struct bench_result r)
{
    if (b->begin.now_ns && others_share(&b->begin) > NOISE_LIMIT) r.noisy = true;
    if (!r.name) r.name = b->name;
    if (!r.unit) r.unit = "";
    progress_end(b);
    b->noisy += r.noisy;
    b->below += bar_missed(&r) && !r.noisy;
    add_json(b, &r);
    print_row(b, &r);
    b->begin.now_ns = 0;
    b->name[0] = 0;
    return r.noisy;
}

void bench_skip(struct bench *b, const char *name, const char *why, ...)
{
    char text[256];
    va_list args;
    va_start(args, why);
    vsnprintf(text, sizeof text, why, args);
    va_end(args);
    if (b->counting) return;
    progress_end(b);
    fprintf(b->par->json ? stderr : stdout, "%-34s left out: %s\n", name, text);
    b->begin.now_ns = 0;
    b->name[0] = 0;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

double bench_quantile(double *samples, size_t n, double q)
{
    if (!n) return 0;
    qsort(samples, n, sizeof *samples, compare_doubles);
    size_t i = (size_t) (q * (double) n);
    return samples[i < n ? i : n - 1];
}

static int64_t batch_ns(void (*fn)(void *arg), void *arg, uint64_t calls)
{
    int64_t t = ph_now_ns();
    for (uint64_t i = 0; i < calls; i++) fn(arg);
    return ph_now_ns() - t;
}

struct bench_timing bench_time(struct bench *b, void (*fn)(void *arg), void *arg)
{
    enum { MAX = 8192 };
    static double samples[MAX];
    struct bench_timing t = { 0 };
    uint64_t calls = 1;
    fn(arg); // page faults, lazy tables
    while (batch_ns(fn, arg, calls) < 20000 && calls < (1u << 30)) calls *= 2;
    int64_t end = ph_now_ns() + (int64_t) (bench_seconds(b, 0.4) * 1e9);
    do samples[t.n++] = (double) batch_ns(fn, arg, calls) / (double) calls;
    while (t.n < MAX && (t.n < 3 || ph_now_ns() < end) && !bench_stopped(b));
    t.p50_ns = bench_quantile(samples, t.n, 0.5);
    t.p99_ns = bench_quantile(samples, t.n, 0.99);
    t.min_ns = samples[0];
    return t;
}

static double memory_gib(void)
{
    return (double) sysconf(_SC_PHYS_PAGES) * (double) sysconf(_SC_PAGESIZE) / 0x1p30;
}

static void machine_json(struct ph_buf *j)
{
    struct utsname u = { 0 };
    uname(&u);
    char cpu[128], when[32] = "";
    time_t now = time(NULL);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    ph_buf_puts(j, "{\"cpu\":");
    ph_json_str(j, ph_cpu_model(cpu, sizeof cpu));
    ph_json_key(j, "kernels"), ph_json_str(j, ph_cpu_level());
    ph_json_key(j, "cores"), ph_buf_printf(j, "%d", ph_cpu_count());
    ph_json_key(j, "memoryGiB"), ph_json_num(j, memory_gib());
    ph_json_key(j, "system"), ph_buf_puts(j, "\"");
    ph_buf_printf(j, "%s %s %s\"", u.sysname, u.release, u.machine);
    ph_json_key(j, "compiler"), ph_json_str(j, __VERSION__);
    ph_json_key(j, "version"), ph_json_str(j, ph_version());
    ph_json_key(j, "time"), ph_json_str(j, when);
    ph_buf_puts(j, "}");
}

static ph_err print_json(struct bench *b)
{
    struct ph_buf out = { 0 };
    ph_buf_puts(&out, "{\"machine\":");
    machine_json(&out);
    ph_buf_puts(&out, ",\n \"results\":[\n  ");
    ph_buf_put(&out, b->json.data ? b->json.data : "", b->json.len);
    ph_buf_puts(&out, "]}");
    if (b->json.failed || out.failed) return ph_buf_free(&out), PH_ENOMEM;
    puts(out.data);
    ph_buf_free(&out);
    return PH_OK;
}

static void print_footer(const struct bench *b)
{
    char cpu[128];
    printf("%s, %d cores, %.0f GiB, kernels: %s\n", ph_cpu_model(cpu, sizeof cpu),
           ph_cpu_count(), memory_gib(), ph_cpu_level());
    if (b->below) printf("%d below its bar (marked !)\n", b->below);
    if (b->noisy)
        printf("%d noisy: other processes held over %.0f %% of the machine meanwhile\n",
               b->noisy, NOISE_LIMIT * 100);
}

// A group is run when some name in it may be wanted; a word that fits no group is a mistake.
static ph_err check_wanted(const struct bench_params *par, struct ph_fault *fault)
{
    const char *names[16];
    int n = 0;
    for (const struct bench_group *g = bench_groups; g->name && n < 15; g++)
        names[n++] = g->name;
    names[n] = NULL;
    for (const char *const *w = par->wanted; w && *w; w++) {
        int i = 0;
        while (names[i] && !begins(*w, names[i])) i++;
        if (names[i]) continue;
        const char *near = ph_nearest(*w, names);
        return ph_fail(fault, PH_EINVAL, *w, "no group of benchmarks is called %s%s%s%s", *w,
                       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    return PH_OK;
}

static void run_groups(struct bench *b)
{
    for (const struct bench_group *g = bench_groups; g->name; g++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "%s/", g->name);
        b->group = g;
        if (!bench_stopped(b) && (bench_wants(b, g->name) || bench_wants(b, prefix))) g->run(b);
    }
}

ph_err bench_run(const struct bench_params *par, int *below, struct ph_fault *fault)
{
    struct bench b = { .par = par, .lock = PTHREAD_MUTEX_INITIALIZER, .counting = true };
    ph_err ret = check_wanted(par, fault);
    if (ret < 0) return ret;
    run_groups(&b);
    b.counting = false;
    if (!par->quiet)
        b.watch = cli_watch_begin(
            &(struct cli_watch_params){ .unit = "figures", .ask = ask, .opaque = &b });
    run_groups(&b);
    cli_watch_end(&b.watch);
    if (par->json)
        ret = print_json(&b);
    else
        print_footer(&b);
    if (below) *below = b.below;
    ph_buf_free(&b.json);
    return ret;
}
