// SPDX-License-Identifier: MIT
// phosphene doctor: what this machine has, what is missing, and the command that brings it.
#include "cli.h"
#include "doctor.h"

#include "core/cpu.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

void doctor_add(struct doctor *d, const char *section, const char *name,
                enum doctor_state state, const char *package, const char *detail, ...)
{
    if (d->count == DOCTOR_MAX) return;
    struct doctor_finding *f = &d->found[d->count++];
    *f = (struct doctor_finding){ .section = section, .state = state, .package = package };
    snprintf(f->name, sizeof f->name, "%s", name);
    va_list args;
    va_start(args, detail);
    vsnprintf(f->detail, sizeof f->detail, detail, args);
    va_end(args);
}

static void cpu_features(char *text, size_t size)
{
    static const struct {
        unsigned flag;
        const char *name;
    } features[] = { { PH_CPU_SSE2, "sse2" },        { PH_CPU_AVX2, "avx2" },
                     { PH_CPU_AVX512, "avx512" },    { PH_CPU_VNNI, "avx512-vnni" },
                     { PH_CPU_BF16, "avx512-bf16" }, { PH_CPU_NEON, "neon" } };
    size_t at = 0;
    text[0] = 0;
    for (size_t i = 0; i < sizeof features / sizeof *features && at < size; i++)
        if (ph_cpu_flags() & features[i].flag)
            at += (size_t) snprintf(text + at, size - at, "%s%s", at ? " " : "",
                                    features[i].name);
}

static void probe_machine(struct doctor *d)
{
    char model[128], features[128];
    struct utsname u = { 0 };
    const char *mask = getenv("PH_CPU");
    uname(&u);
    cpu_features(features, sizeof features);
    double gib = (double) sysconf(_SC_PAGESIZE) / 0x1p30;
    doctor_add(d, "machine", "system", DOCTOR_OK, NULL, "%s %s %s", u.sysname, u.release,
               u.machine);
    doctor_add(d, "machine", "cpu", DOCTOR_OK, NULL, "%s, %d cores",
               ph_cpu_model(model, sizeof model), ph_cpu_count());
    doctor_add(d, "machine", "features", DOCTOR_OK, NULL, "%s", *features ? features : "none");
    doctor_add(d, "machine", "kernels", DOCTOR_OK, NULL, "use %s%s%s%s", ph_cpu_level(),
               mask ? " (PH_CPU=" : "", mask ? mask : "", mask ? ")" : "");
    doctor_add(d, "machine", "memory", DOCTOR_OK, NULL, "%.1f GiB, %.1f GiB free",
               gib * (double) sysconf(_SC_PHYS_PAGES),
               gib * (double) sysconf(_SC_AVPHYS_PAGES));
}

static void probe_all(struct doctor *d)
{
    probe_machine(d);
    doctor_probe_media(d);
    doctor_probe_devices(d);
    doctor_probe_models(d);
    doctor_probe_server(d);
}

// "apt-get install a b" for what is missing, each package once; "" = nothing.
static void install_command(const struct doctor *d, char *text, size_t size)
{
    size_t at = 0;
    text[0] = 0;
    for (int i = 0; i < d->count && at < size; i++) {
        const char *package = d->found[i].package;
        if (d->found[i].state != DOCTOR_MISSING || !package) continue;
        char spaced[96];
        snprintf(spaced, sizeof spaced, " %s", package);
        if (strstr(text, spaced)) continue;
        at += (size_t) snprintf(text + at, size - at, "%s%s", at ? "" : "apt-get install",
                                spaced);
    }
}

static int count_missing(const struct doctor *d)
{
    int n = 0;
    for (int i = 0; i < d->count; i++) n += d->found[i].state == DOCTOR_MISSING;
    return n;
}

static void finding_json(struct ph_buf *b, const struct doctor_finding *f)
{
    static const char *const states[] = { "ok", "none", "missing" };
    ph_json_sep(b);
    ph_buf_puts(b, "{\"name\":");
    ph_json_str(b, f->name);
    ph_json_key(b, "state"), ph_json_str(b, states[f->state]);
    ph_json_key(b, "detail"), ph_json_str(b, f->detail);
    if (f->package && f->state == DOCTOR_MISSING)
        ph_json_key(b, "package"), ph_json_str(b, f->package);
    ph_buf_puts(b, "}");
}

static char *findings_json(const struct doctor *d)
{
    struct ph_buf b = { 0 };
    char install[512];
    install_command(d, install, sizeof install);
    ph_buf_printf(&b, "{\"ok\":%s", count_missing(d) ? "false" : "true");
    ph_json_key(&b, "version"), ph_json_str(&b, ph_version());
    ph_json_key(&b, "install"), ph_json_str(&b, install);
    ph_json_key(&b, "sections"), ph_buf_puts(&b, "{");
    for (int i = 0; i < d->count; i++) {
        bool first = !i || strcmp(d->found[i].section, d->found[i - 1].section);
        if (first && i) ph_buf_puts(&b, "]");
        if (first) ph_json_key(&b, d->found[i].section), ph_buf_puts(&b, "[");
        finding_json(&b, &d->found[i]);
    }
    ph_buf_puts(&b, "]}}");
    return ph_buf_steal(&b);
}

char *doctor_json(int port)
{
    struct doctor d = { .port = port };
    probe_all(&d);
    return findings_json(&d);
}

// Breaks a long command so that it can still be pasted.
static void print_command(const char *text)
{
    for (int column = 0; *text;) {
        int word = (int) strcspn(text, " ");
        if (column && column + word > 90) column = (fputs(" \\\n   ", stdout), 3);
        column += printf("%s%.*s", column ? " " : "  ", word, text);
        text += word + (text[word] == ' ');
        if (!*text) putchar('\n');
    }
}

static void print_findings(const struct doctor *d)
{
    static const char *const marks[] = { "ok", "-", "MISSING" };
    static const enum cli_color colors[] = { CLI_GREEN, CLI_DIM, CLI_RED };
    for (int i = 0; i < d->count; i++) {
        const struct doctor_finding *f = &d->found[i];
        bool first = !i || strcmp(f->section, d->found[i - 1].section);
        printf("%s%-8s%s %-13s %s%-7s%s %.66s\n", cli_color(stdout, CLI_BOLD),
               first ? f->section : "", cli_color(stdout, CLI_PLAIN), f->name,
               cli_color(stdout, colors[f->state]), marks[f->state],
               cli_color(stdout, CLI_PLAIN), f->detail);
    }
    char install[512];
    install_command(d, install, sizeof install);
    int missing = count_missing(d);
    if (!missing)
        printf("\nall there\n");
    else if (*install)
        printf("\n%d missing; this brings it, then build again:\n", missing);
    else
        printf("\n%d missing\n", missing);
    print_command(install);
}

static int run_doctor(struct cli_args *args)
{
    struct doctor d = { .port = (int) cli_int(args, "port"), .gates = true };
    probe_all(&d);
    int status = count_missing(&d) ? CLI_MISSING : CLI_OK;
    if (!cli_flag(args, "json")) {
        print_findings(&d);
        return status;
    }
    char *text = findings_json(&d);
    if (!text) return CLI_FAILED;
    puts(text);
    free(text);
    return status;
}

static const struct cli_option options[] = {
    { "json", 0, .help = "as JSON", .group = "Output" },
    { "port", 0, "PORT", "8080", "port that must be free", "Server", CLI_INT, 1, 65535 },
    { 0 },
};
static const struct cli_example examples[] = {
    { "phosphene doctor", "look at everything" },
    { "phosphene doctor --json | jq .install", "what to install, for a script" },
    { 0 },
};
const struct cli_command cli_doctor = {
    .name = "doctor",
    .args = "",
    .help = "say what this machine has and what is missing",
    .text = "The exit status is 0 when everything that phosphene can use is there, 4 when a "
            "part is missing. A camera, a display or a GPU that is not there is no fault.",
    .examples = examples,
    .options = options,
    .run = run_doctor,
};
