// SPDX-License-Identifier: MIT
#include "term.h"
#include "options.h"

#include <phosphene/clock.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const char *cli_color(FILE *out, enum cli_color color)
{
    static const char *const codes[] = { "\033[0m",  "\033[1m",  "\033[2m", "\033[31m",
                                         "\033[32m", "\033[33m", "\033[36m" };
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    if ((no_color && *no_color) || !term || !strcmp(term, "dumb")) return "";
    return isatty(fileno(out)) ? codes[color] : "";
}

int cli_columns(FILE *out)
{
    struct winsize w;
    return !ioctl(fileno(out), TIOCGWINSZ, &w) && w.ws_col ? w.ws_col : 80;
}

int cli_rows(FILE *out)
{
    struct winsize w;
    return !ioctl(fileno(out), TIOCGWINSZ, &w) && w.ws_row ? w.ws_row : 24;
}

void cli_error(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "%sphosphene:%s ", cli_color(stderr, CLI_RED),
            cli_color(stderr, CLI_PLAIN));
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

void cli_hint(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("  ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

static bool is_one_of(const char *word, const char *const *words)
{
    while (*words && strcmp(*words, word)) words++;
    return *words != NULL;
}

// What a graph, a file's name or a device's on the command line was wrong about.
static int exit_of_fault(const struct ph_fault *fault)
{
    static const char *const devices[] = { "device", "display", NULL };
    static const char *const files[] = { "path", "logo", "journal", "font", NULL };
    if (is_one_of(fault->field, devices) && fault->code != PH_EINVAL) return CLI_MISSING;
    bool file = fault->code == PH_EIO || fault->code == PH_EBUSY || fault->code == PH_ELIMIT;
    if (file && is_one_of(fault->field, files)) return CLI_INPUT;
    return cli_exit_of(fault->code);
}

int cli_exit_of(ph_err err)
{
    switch (err) {
    case PH_EINVAL:
    case PH_EFORMAT:
    case PH_ENOENT: return CLI_INPUT;
    case PH_EDEVICE:
    case PH_ENOTSUP: return CLI_MISSING;
    default: return err < 0 ? CLI_FAILED : CLI_OK;
    }
}

// The start of the 1-based line, NULL when the text has fewer.
static const char *find_line(const char *text, int line)
{
    while (text && --line > 0) {
        text = strchr(text, '\n');
        if (text) text++;
    }
    return text;
}

// The caret stands below the column's character: tabs stay tabs, a column is one character.
static void print_caret(const char *line, size_t length, int column)
{
    for (size_t i = 0; i < length && column > 1; i++) {
        if (((unsigned char) line[i] & 0xC0) == 0x80) continue;
        fputc(line[i] == '\t' ? '\t' : ' ', stderr);
        column--;
    }
    fprintf(stderr, "%s^%s\n", cli_color(stderr, CLI_GREEN), cli_color(stderr, CLI_PLAIN));
}

int cli_fault(const char *where, const char *text, const struct ph_fault *fault)
{
    const char *message = fault->message[0] ? fault->message : ph_strerror(fault->code);
    const char *line = fault->line > 0 ? find_line(text, fault->line) : NULL;
    if (!line) {
        cli_error("%s", message);
        return exit_of_fault(fault);
    }
    cli_error("%s:%d:%d: %s", where, fault->line, fault->column, message);
    size_t length = strcspn(line, "\r\n");
    fprintf(stderr, "%5d | %.*s\n", fault->line, (int) length, line);
    fputs("      | ", stderr);
    print_caret(line, length, fault->column);
    return exit_of_fault(fault);
}

struct ph_log cli_log(bool verbose, bool quiet)
{
    return (struct ph_log){ .level = verbose ? PH_LOG_DEBUG
                                     : quiet ? PH_LOG_ERROR
                                             : PH_LOG_INFO };
}

const char *cli_bytes(double bytes, char *text, size_t size)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    int u = 0;
    while (bytes >= 1000 && u < 4) bytes /= 1000, u++;
    snprintf(text, size, bytes < 10 && u ? "%.1f %s" : "%.0f %s", bytes, units[u]);
    return text;
}

const char *cli_duration(double s, char *text, size_t size)
{
    if (s < 100)
        snprintf(text, size, s < 10 ? "%.1f s" : "%.0f s", s);
    else if (s < 6000)
        snprintf(text, size, "%.0f min", s / 60);
    else
        snprintf(text, size, "%.1f h", s / 3600);
    return text;
}

void cli_progress_begin(struct cli_progress *p, const char *what, const char *unit,
                        double total)
{
    *p = (struct cli_progress){
        .what = what, .unit = unit, .total = total, .start_ns = ph_now_ns()
    };
}

void cli_progress_show(struct cli_progress *p, double done)
{
    int64_t now = ph_now_ns();
    if (now - p->start_ns < 2 * PH_SECOND_NS || now - p->drawn_ns < 200 * PH_MS_NS) return;
    if (!isatty(STDERR_FILENO)) return;
    p->drawn_ns = now;
    p->drawn = true;
    double elapsed = (double) (now - p->start_ns) / 1e9, rate = done / elapsed;
    double share = p->share > 0 ? p->share : p->total > 0 ? done / p->total : 0;
    bool slow = rate < 0.5;
    char left[32], spent[32];
    fprintf(stderr, "\r%s %.0f", p->what, done);
    if (p->total > 0) fprintf(stderr, " of %.0f", p->total);
    fprintf(stderr, " %s, %.*f/%s, ", p->unit, rate < 10 ? 1 : 0, slow ? 60 * rate : rate,
            slow ? "min" : "s");
    if (share > 0)
        fprintf(stderr, "%s left",
                cli_duration(elapsed / share * (1 - share), left, sizeof left));
    else
        fputs(cli_duration(elapsed, spent, sizeof spent), stderr);
    fputs("\033[K", stderr);
    fflush(stderr);
}

void cli_progress_end(struct cli_progress *p)
{
    if (p->drawn) fputs("\r\033[K", stderr);
    p->drawn = false;
}

// --- a thread that shows it

#define LOOK_NS (250 * PH_MS_NS)

struct cli_watch {
    struct cli_watch_params par;
    struct cli_progress progress;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done; // lock
};

static void *watch_main(void *arg)
{
    struct cli_watch *w = arg;
    pthread_mutex_lock(&w->lock);
    while (!w->done) {
        int64_t until = ph_now_ns() + LOOK_NS;
        struct timespec t = { until / PH_SECOND_NS, until % PH_SECOND_NS };
        pthread_cond_timedwait(&w->wake, &w->lock, &t);
        double done = 0;
        if (w->done) break;
        if (w->par.ask(w->par.opaque, &w->progress, &done))
            cli_progress_show(&w->progress, done);
        else
            cli_progress_end(&w->progress);
    }
    cli_progress_end(&w->progress);
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

struct cli_watch *cli_watch_begin(const struct cli_watch_params *par)
{
    if (!isatty(STDERR_FILENO)) return NULL;
    struct cli_watch *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->par = *par;
    cli_progress_begin(&w->progress, par->what, par->unit, 0);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &mono);
    pthread_condattr_destroy(&mono);
    if (!pthread_create(&w->thread, NULL, watch_main, w)) return w;
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    free(w);
    return NULL;
}

void cli_watch_clear(struct cli_watch *w)
{
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    cli_progress_end(&w->progress);
    pthread_mutex_unlock(&w->lock);
}

void cli_watch_end(struct cli_watch **out)
{
    struct cli_watch *w = *out;
    *out = NULL;
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    w->done = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    free(w);
}
