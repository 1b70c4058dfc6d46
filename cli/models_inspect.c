// SPDX-License-Identifier: MIT
// phosphene models inspect: what a model is made of, what it costs and what will run it.
#include "models.h"

#include "made.h"
#include "models/shelf.h"
#include "nn/plan.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZES      3
#define PLANS_MOST 16

struct inspection {
    const struct cli_args *args;
    struct ph_device *device;
    enum ph_precision precision;
    struct ph_module_size size[SIZES];
    int sizes;
    bool json;
    struct ph_buf records;
    double bytes;
    int64_t params;
    // With --plan. All stay, as in a running model: packed weights are counted for the device.
    struct ph_plan *plan[PLANS_MOST];
    int plans;
    int64_t packed_bytes, arena_bytes, kept_bytes;
};

static bool is_text(const struct ph_module *m)
{
    return m->class->kind == PH_MODULE_CLIP;
}

// ------------------------------------------------------------------------------ a part
static ph_err plan_part(struct inspection *in, const struct ph_module *m, int part,
                        struct ph_plan_stats *stats, struct ph_fault *fault)
{
    struct ph_plan_params params = { in->device, in->precision, 0 };
    struct ph_plan *plan = NULL;
    struct ph_prog *p = NULL;
    ph_err ret = ph_prog_create(&p);
    if (ret >= 0) {
        ph_module_record(p, m, part, &in->size[0], NULL);
        ret = ph_plan_create(p, &params, &plan, fault);
    }
    ph_prog_free(&p);
    if (ret < 0) return ret;
    // The first run makes what is made once; times are those of the last.
    for (int i = 0; i < 3 && ret >= 0 && cli_flag(in->args, "run"); i++)
        ret = ph_plan_run(plan);
    if (ret < 0) ph_fail(fault, ret, "", "it does not run on %s", ph_device_name(in->device));
    char *text = in->json || ret < 0 ? NULL : ph_plan_print(plan);
    if (text) fputs(text, stdout);
    free(text);
    ph_plan_stats(plan, stats);
    in->packed_bytes = stats->packed_bytes;
    in->arena_bytes =
        stats->arena_bytes > in->arena_bytes ? stats->arena_bytes : in->arena_bytes;
    in->kept_bytes += stats->kept_bytes;
    if (in->plans < PLANS_MOST)
        in->plan[in->plans++] = plan;
    else
        ph_plan_destroy(&plan);
    return ret;
}

static void part_json(struct inspection *in, const struct ph_module *m, int part,
                      const double *gflop, const struct ph_plan_stats *stats)
{
    struct ph_buf *b = &in->records;
    ph_json_sep(b);
    ph_buf_puts(b, "{\"name\":"), ph_json_str(b, m->class->part[part]);
    ph_json_key(b, "gflop"), ph_buf_puts(b, "{");
    for (int i = 0; i < in->sizes && (!i || !is_text(m)); i++) {
        char size[32];
        snprintf(size, sizeof size, "%dx%d", in->size[i].width, in->size[i].height);
        ph_json_key(b, is_text(m) ? "77 tokens" : size), ph_json_num(b, gflop[i]);
    }
    ph_buf_puts(b, "}");
    if (stats->steps) {
        ph_json_key(b, "steps"), ph_buf_printf(b, "%d", stats->steps);
        ph_json_key(b, "arenaBytes"), ph_buf_printf(b, "%lld", (long long) stats->arena_bytes);
        ph_json_key(b, "keptBytes"), ph_buf_printf(b, "%lld", (long long) stats->kept_bytes);
    }
    ph_buf_puts(b, "}");
}

static void part_line(const struct inspection *in, const struct ph_module *m, int part,
                      const char *name, const double *gflop)
{
    char label[96], types[64], bytes[32];
    bool one = ph_module_parts(m) == 1;
    snprintf(label, sizeof label, "%s%s%s", *name ? name : m->class->name, one ? "" : " ",
             one ? "" : m->class->part[part]);
    printf("%-22s", label);
    if (part == 0)
        printf(" %-24s %-10s %8s %9.1f M", m->class->class_names[0],
               cli_module_types(m, types, sizeof types),
               cli_bytes(cli_module_bytes(m), bytes, sizeof bytes),
               (double) cli_module_params(m) / 1e6);
    else
        printf(" %-24s %-10s %8s %11s", "", "", "", "");
    for (int i = 0; i < in->sizes && (!i || !is_text(m)); i++) printf(" %11.1f", gflop[i]);
    puts(is_text(m) ? "  (77 tokens)" : "");
}

static ph_err inspect_part(struct inspection *in, const struct ph_module *m, int part,
                           const char *name, struct ph_fault *fault)
{
    double gflop[SIZES] = { 0 };
    struct ph_plan_stats stats = { 0 };
    ph_err ret = PH_OK;
    for (int i = 0; i < in->sizes && ret >= 0; i++) {
        struct ph_prog_cost cost = { 0 };
        ret = ph_module_cost(m, part, &in->size[i], &cost, fault);
        gflop[i] = (cost.each + cost.rare) / 1e9;
    }
    if (ret >= 0 && !in->json) part_line(in, m, part, name, gflop);
    if (ret >= 0 && cli_flag(in->args, "plan")) ret = plan_part(in, m, part, &stats, fault);
    if (ret >= 0 && in->json) part_json(in, m, part, gflop, &stats);
    return ret;
}

static void module_json(struct inspection *in, const struct ph_module *m, const char *name)
{
    struct ph_buf *b = &in->records;
    char types[64];
    ph_json_sep(b);
    ph_buf_puts(b, "{\"name\":"), ph_json_str(b, *name ? name : m->class->name);
    ph_json_key(b, "class"), ph_json_str(b, m->class->class_names[0]);
    ph_json_key(b, "types"), ph_json_str(b, cli_module_types(m, types, sizeof types));
    ph_json_key(b, "bytes"), ph_buf_printf(b, "%.0f", cli_module_bytes(m));
    ph_json_key(b, "params"), ph_buf_printf(b, "%lld", (long long) cli_module_params(m));
    ph_json_key(b, "parts"), ph_buf_puts(b, "[");
}

static int inspect_module(void *arg, const char *name, const char *path)
{
    struct inspection *in = arg;
    struct ph_fault fault = { 0 };
    struct ph_module *m;
    ph_err ret = cli_flag(in->args, "plan") ? ph_module_open(path, &m, &fault)
                                            : ph_module_open_unchecked(path, &m, &fault);
    if (ret < 0) return cli_fault("", NULL, &fault);
    in->params += cli_module_params(m);
    in->bytes += cli_module_bytes(m);
    if (in->json) module_json(in, m, name);
    for (int i = 0; i < ph_module_parts(m) && ret >= 0; i++)
        ret = inspect_part(in, m, i, name, &fault);
    if (in->json) ph_buf_puts(&in->records, "]}");
    ph_module_close(&m);
    if (ret < 0) return cli_fault("", NULL, &fault);
    return cli_signal ? cli_exit_of_signal() : CLI_OK;
}

// ------------------------------------------------------------------------------ all of it
static int read_sizes(struct inspection *in, const char *folder)
{
    const char *text = cli_text(in->args, "size");
    int width = 0, height = 0, used = 0;
    if (!text && cli_flag(in->args, "plan")) {
        width = height = cli_made_for(folder).side;
    } else if (!text) {
        static const int sides[SIZES] = { 256, 512, 768 };
        in->sizes = SIZES;
        for (int i = 0; i < SIZES; i++)
            in->size[i] = (struct ph_module_size){ .height = sides[i], .width = sides[i] };
        return CLI_OK;
    } else if (sscanf(text, "%4dx%4d%n", &width, &height, &used) != 2 || text[used] ||
               width < 16 || height < 16 || width % 8 || height % 8) {
        cli_error("--size takes WIDTHxHEIGHT, multiples of 8 from 16 on, got \"%s\"", text);
        return CLI_USAGE;
    }
    in->sizes = 1;
    in->size[0] = (struct ph_module_size){ .height = height, .width = width };
    return CLI_OK;
}

static int open_device(struct inspection *in)
{
    struct ph_fault fault = { 0 };
    const char *precision = cli_text(in->args, "precision");
    in->precision = ph_precision_parse(precision);
    if ((int) in->precision < 0) {
        cli_error("--precision is auto, f32, bf16, int8 or q4, not \"%s\"", precision);
        return CLI_USAGE;
    }
    if (ph_device_open(cli_text(in->args, "device"), &in->device, &fault) < 0)
        return cli_fault("", NULL, &fault);
    in->precision = ph_precision_resolve(in->precision);
    return CLI_OK;
}

// What kernels read: f32 and bf16 as they are; int8 and 4 bits with their scales.
static double packed_bytes(const struct inspection *in)
{
    static const double per_element[] = { [PH_PRECISION_F32] = 4,
                                          [PH_PRECISION_BF16] = 2,
                                          [PH_PRECISION_I8] = 1.01,
                                          [PH_PRECISION_Q4] = 0.625 };
    if (in->packed_bytes) return (double) in->packed_bytes;
    return (double) in->params * per_element[in->precision];
}

static void say_runs(const struct inspection *in)
{
    char packed[32], arena[32], kept[32];
    cli_bytes(packed_bytes(in), packed, sizeof packed);
    printf("runs on %s, %s\n", ph_device_name(in->device), ph_precision_name(in->precision));
    if (in->packed_bytes)
        printf("memory: %s of packed weights, %s between steps, %s of inputs and states\n",
               packed, cli_bytes((double) in->arena_bytes, arena, sizeof arena),
               cli_bytes((double) in->kept_bytes, kept, sizeof kept));
    else
        printf("memory: about %s of packed weights; --plan makes it ready and says all\n",
               packed);
}

static void say_json(const struct inspection *in, const char *folder)
{
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, "{\"path\":"), ph_json_str(&b, folder);
    ph_json_key(&b, "device"), ph_json_str(&b, ph_device_name(in->device));
    ph_json_key(&b, "precision"), ph_json_str(&b, ph_precision_name(in->precision));
    ph_json_key(&b, "bytes"), ph_buf_printf(&b, "%.0f", in->bytes);
    ph_json_key(&b, "params"), ph_buf_printf(&b, "%lld", (long long) in->params);
    ph_json_key(&b, "packedBytes"), ph_buf_printf(&b, "%.0f", packed_bytes(in));
    if (in->packed_bytes) {
        ph_json_key(&b, "arenaBytes"), ph_buf_printf(&b, "%lld", (long long) in->arena_bytes);
        ph_json_key(&b, "keptBytes"), ph_buf_printf(&b, "%lld", (long long) in->kept_bytes);
    }
    ph_json_key(&b, "modules"), ph_buf_puts(&b, "[");
    ph_buf_puts(&b, in->records.data ? in->records.data : "");
    ph_buf_puts(&b, "]}");
    if (!b.failed && !in->records.failed) puts(b.data);
    ph_buf_free(&b);
}

static void print_head(const struct inspection *in)
{
    printf("%-22s %-24s %-10s %8s %11s", "module", "class", "weights", "size", "parameters");
    for (int i = 0; i < in->sizes; i++) {
        char size[32];
        snprintf(size, sizeof size, "%dx%d", in->size[i].width, in->size[i].height);
        printf(" %11s", size);
    }
    puts("  GFLOP");
}

int cli_models_inspect(const struct cli_args *args, const char *folder)
{
    struct inspection in = { .args = args, .json = cli_flag(args, "json") };
    int status = read_sizes(&in, folder);
    if (!status) status = open_device(&in);
    if (!status && !in.json) print_head(&in);
    if (!status) status = cli_modules_each(folder, inspect_module, &in);
    if (!status && in.json) say_json(&in, folder);
    if (!status && !in.json) say_runs(&in);
    ph_buf_free(&in.records);
    for (int i = 0; i < in.plans; i++) ph_plan_destroy(&in.plan[i]);
    ph_device_unref(&in.device);
    return status;
}
