// SPDX-License-Identifier: MIT
// phosphene models: the shelf, and whether what stands on it is whole.
#include "models.h"

#include "core/nearest.h"
#include "core/tree.h"
#include "models/diffuser/folder.h"
#include "models/shelf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INDEX_LIMIT (1 << 20)

// ------------------------------------------------------------------------------ modules
int cli_modules_each(const char *folder,
                     int (*each)(void *arg, const char *name, const char *path), void *arg)
{
    static const char *const parts[] = {
        "text_encoder", "text_encoder_2", "controlnet", "unet", "vae", "", NULL
    };
    static const char *const configs[] = { "config.json", "taef2_config.json", NULL };
    int status = CLI_OK, count = 0;
    for (int i = 0; parts[i] && !status; i++) {
        char path[PH_SHELF_PATH_MAX], file[PH_SHELF_PATH_MAX + 32];
        bool there = false;
        snprintf(path, sizeof path, "%s%s%s", folder, *parts[i] ? "/" : "", parts[i]);
        for (int c = 0; configs[c] && !there; c++) {
            snprintf(file, sizeof file, "%s/%s", path, configs[c]);
            there = !access(file, R_OK);
        }
        if (!there) continue;
        count++;
        status = each(arg, parts[i], path);
    }
    if (count) return status;
    cli_error("%s is no model: it has no config.json, and none of unet/, vae/, text_encoder/",
              folder);
    return CLI_INPUT;
}

// Sets that several parts share count once.
static bool is_first_set(const struct ph_module *m, int part)
{
    for (int i = 0; i < part; i++)
        if (m->weights[i] == m->weights[part]) return false;
    return m->weights[part] != NULL;
}

const char *cli_module_types(const struct ph_module *m, char *text, size_t size)
{
    unsigned seen = 0;
    text[0] = 0;
    for (int p = 0; p < PH_MODULE_PARTS; p++)
        for (int i = 0; is_first_set(m, p) && i < ph_weights_count(m->weights[p]); i++) {
            enum ph_dtype type = ph_weights_at(m->weights[p], i)->disk.dtype;
            size_t at = strlen(text);
            if (seen & 1u << type) continue;
            seen |= 1u << type;
            snprintf(text + at, size - at, "%s%s", at ? "+" : "", ph_dtype_name(type));
        }
    return text;
}

double cli_module_bytes(const struct ph_module *m)
{
    double bytes = 0;
    for (int p = 0; p < PH_MODULE_PARTS; p++)
        if (is_first_set(m, p)) bytes += (double) ph_weights_bytes(m->weights[p]);
    return bytes;
}

int64_t cli_module_params(const struct ph_module *m)
{
    struct ph_tensor_list list;
    if (ph_module_tensors(m, -1, &list, NULL) < 0) return -1;
    int64_t elements = list.elements;
    ph_tensor_list_free(&list);
    return elements;
}

// ------------------------------------------------------------------------------ list
static int note_types(void *arg, const char *name, const char *path)
{
    struct ph_fault fault = { 0 };
    struct ph_module *m;
    char *text = arg; // 64 bytes
    if (*name && strcmp(name, "unet") != 0) return CLI_OK;
    if (ph_module_open_unchecked(path, &m, &fault) < 0) {
        snprintf(text, 64, "cannot be read");
        return CLI_OK;
    }
    cli_module_types(m, text, 64);
    ph_module_close(&m);
    return CLI_OK;
}

// Of the part that is most of it.
static const char *types_of(const struct ph_shelved *model, char text[64])
{
    text[0] = 0;
    cli_modules_each(model->path, note_types, text);
    return text;
}

static void list_json(const struct ph_shelved *list)
{
    struct ph_buf b = { 0 };
    char types[64];
    ph_buf_puts(&b, "[");
    for (; list->name; list++) {
        ph_json_sep(&b);
        ph_buf_puts(&b, "{\"name\":"), ph_json_str(&b, list->name);
        ph_json_key(&b, "path"), ph_json_str(&b, list->path);
        ph_json_key(&b, "class"), ph_json_str(&b, list->class);
        ph_json_key(&b, "pipeline"), ph_buf_puts(&b, list->pipeline ? "true" : "false");
        ph_json_key(&b, "bytes"), ph_buf_printf(&b, "%lld", (long long) list->bytes);
        ph_json_key(&b, "types"), ph_json_str(&b, types_of(list, types));
        ph_buf_puts(&b, "}");
    }
    ph_buf_puts(&b, "]");
    if (!b.failed) puts(b.data);
    ph_buf_free(&b);
}

static int run_list(const struct cli_args *args)
{
    void *tree = ph_tree_alloc(NULL, 1);
    struct ph_shelved *list = tree ? ph_shelf_list(tree) : NULL;
    char bytes[32], types[64];
    if (!list) return ph_tree_free(tree), cli_error("out of memory"), CLI_FAILED;
    if (cli_flag(args, "json"))
        list_json(list);
    else if (!list->name)
        fprintf(stderr, "nothing in %s; phosphene models pull sd-turbo gets a model\n",
                ph_shelf_folder());
    else
        printf("%-28s %-32s %9s  %-12s %s\n", "model", "class", "size", "weights", "folder");
    for (; !cli_flag(args, "json") && list->name; list++)
        printf("%-28s %-32s %9s  %-12s %s\n", list->name, list->class,
               cli_bytes((double) list->bytes, bytes, sizeof bytes), types_of(list, types),
               list->path);
    ph_tree_free(tree);
    return CLI_OK;
}

// ------------------------------------------------------------------------------ check
struct report {
    const struct cli_args *args;
    struct ph_buf json;
    const char *module;
    int issues, tensors, modules;
};

static void say_issue(struct report *r, const char *tensor, const char *message)
{
    r->issues++;
    if (!cli_flag(r->args, "json")) {
        printf("%s%s%s\n", *r->module ? r->module : "", *r->module ? ": " : "", message);
        return;
    }
    ph_json_sep(&r->json);
    ph_buf_puts(&r->json, "{\"module\":"), ph_json_str(&r->json, r->module);
    ph_json_key(&r->json, "tensor"), ph_json_str(&r->json, tensor);
    ph_json_key(&r->json, "message"), ph_json_str(&r->json, message);
    ph_buf_puts(&r->json, "}");
}

static void on_issue(void *arg, const struct ph_tensor_issue *issue)
{
    say_issue(arg, issue->name, issue->message);
}

static bool was_told(void *arg)
{
    (void) arg;
    return cli_signal != 0;
}

static int check_module(void *arg, const char *name, const char *path)
{
    struct report *r = arg;
    struct ph_fault fault = { 0 };
    struct ph_module *m;
    r->module = name;
    r->modules++;
    if (ph_module_open_unchecked(path, &m, &fault) < 0)
        return say_issue(r, fault.field, fault.message), CLI_OK;
    if (ph_module_check(m, on_issue, r, &fault) < 0) say_issue(r, fault.field, fault.message);
    for (int p = 0; p < PH_MODULE_PARTS; p++) {
        if (!is_first_set(m, p)) continue;
        r->tensors += ph_weights_count(m->weights[p]);
        ph_err ret =
            ph_weights_check_finite(m->weights[p], (struct ph_stop){ was_told, NULL }, &fault);
        if (ret < 0 && ret != PH_ESTOPPED) say_issue(r, fault.field, fault.message);
    }
    ph_module_close(&m);
    return cli_signal ? cli_exit_of_signal() : CLI_OK;
}

// Whether it means to be one; an index that is no JSON is told.
static bool is_pipeline(struct report *r, const char *folder)
{
    char path[PH_SHELF_PATH_MAX + 32];
    struct ph_fault fault = { 0 };
    struct ph_json_doc *doc = NULL;
    snprintf(path, sizeof path, "%s/unet", folder);
    bool has_unet = access(path, F_OK) == 0;
    snprintf(path, sizeof path, "%s/model_index.json", folder);
    char *text = cli_read_file(path, INDEX_LIMIT, NULL);
    if (!text) return has_unet;
    if (ph_json_parse(&doc, text, strlen(text), 0, &fault) < 0) {
        char message[sizeof fault.message + 32];
        snprintf(message, sizeof message, "model_index.json: %s", fault.message);
        say_issue(r, fault.field, message);
    }
    ph_json_free(&doc);
    free(text);
    return true;
}

// Tokenizers, the sampler, and whether the parts are there and fit each other.
static void check_pipeline(struct report *r, const char *folder)
{
    struct ph_fault fault = { 0 };
    struct ph_schedule *schedule = NULL;
    struct ph_folder *f;
    r->module = "";
    if (r->issues || !is_pipeline(r, folder)) return;
    if (ph_folder_open(folder, NULL, NULL, &f, &fault) < 0) {
        say_issue(r, fault.field, fault.message);
        return;
    }
    if (ph_folder_schedule(f, PH_SAMPLER_AUTO, &schedule, &fault) < 0)
        say_issue(r, fault.field, fault.message);
    ph_tree_free(schedule);
    ph_folder_close(&f);
}

static void say_verdict(struct report *r, const char *folder)
{
    if (cli_flag(r->args, "json"))
        printf("{\"ok\":%s,\"modules\":%d,\"tensors\":%d,\"issues\":[%s]}\n",
               r->issues ? "false" : "true", r->modules, r->tensors,
               r->json.data ? r->json.data : "");
    else if (r->issues)
        printf("%s: %d problem%s\n", folder, r->issues, r->issues == 1 ? "" : "s");
    else if (!cli_flag(r->args, "quiet"))
        printf("%s: all %d tensors of %d module%s as the configs want them\n", folder,
               r->tensors, r->modules, r->modules == 1 ? "" : "s");
}

int cli_models_check(const struct cli_args *args, const char *folder)
{
    struct report r = { .args = args, .module = "" };
    int status = cli_modules_each(folder, check_module, &r);
    if (!status) {
        check_pipeline(&r, folder);
        say_verdict(&r, folder);
    }
    ph_buf_free(&r.json);
    return status ? status : r.issues ? CLI_INPUT : CLI_OK;
}

// ------------------------------------------------------------------------------ command
static int with_folder(const struct cli_args *args,
                       int (*run)(const struct cli_args *args, const char *folder))
{
    struct ph_fault fault = { 0 };
    char folder[PH_SHELF_PATH_MAX];
    if (args->word_count < 2) {
        cli_error("models %s needs a folder, or a name that `phosphene models list` shows",
                  args->words[0]);
        return CLI_USAGE;
    }
    if (ph_shelf_find(args->words[1], folder, &fault) < 0) return cli_fault("", NULL, &fault);
    return run(args, folder);
}

static int run_models(struct cli_args *args)
{
    static const char *const names[] = { "list", "inspect", "check", "pull", NULL };
    const char *what = args->word_count ? args->words[0] : "list";
    cli_catch_signals();
    if (!strcmp(what, "list")) return run_list(args);
    if (!strcmp(what, "inspect")) return with_folder(args, cli_models_inspect);
    if (!strcmp(what, "check")) return with_folder(args, cli_models_check);
    if (!strcmp(what, "pull"))
        return cli_models_pull(args, args->word_count > 1 ? args->words[1] : NULL);
    const char *near = ph_nearest(what, names);
    cli_error("models has list, inspect, check and pull, not \"%s\"%s%s%s", what,
              near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return CLI_USAGE;
}

// clang-format off
static const struct cli_option options[] = {
    { "size", 's', "WxH", .help = "the size to count for [256, 512 and 768 square; the model's own with --plan]", .group = "Inspect", .flags = CLI_NO_ENV },
    { "plan", 0, .help = "make it ready to run, and print every step with its kernel and the memory", .group = "Inspect", .flags = CLI_NO_ENV },
    { "run", 0, .help = "with --plan: run it on blank inputs first, for the times", .group = "Inspect", .flags = CLI_NO_ENV },
    { "device", 0, "DEVICE", .help = "auto, cuda, cuda:device=1, cpu, cpu:threads=2, cpu:threads=2,pin, cpu:plain, cpu:bf16 (plain, rounded as bf16 is) [cpu]", .group = "Inspect" },
    { "precision", 0, "PRECISION", .help = "auto, f32, bf16, int8 or q4", .def = "auto", .group = "Inspect" },
    { "hub", 0, "URL", .help = "where OWNER/NAME is looked for [PH_HUB, else https://huggingface.co]", .group = "Pull" },
    { "hub-token", 0, "TOKEN", .help = "for models that are not open to all", .group = "Pull" },
    { "to", 0, "DIR", .help = "the folder to fill [NAME below the first folder of PH_MODELS]", .group = "Pull", .words = CLI_DIR, .flags = CLI_NO_ENV },
    { "full", 0, .help = "f32 weights where there are f16 ones, too", .group = "Pull", .flags = CLI_NO_ENV },
    { "overwrite", 'y', .help = "files that differ from the hub's may be replaced", .group = "Pull", .flags = CLI_NO_ENV },
    { "json", 0, .help = "as JSON (list, inspect, check)", .group = "Output" },
    { 0 },
};
// clang-format on
static const struct cli_example examples[] = {
    { "phosphene models pull sd-turbo",
      "get a model; the same again goes on where it stopped" },
    { "phosphene models list", "what is here" },
    { "phosphene models inspect sd-turbo --plan --size 512x512", "what will run, and how" },
    { "phosphene models check ./my-model", "is every tensor there, and of the right shape?" },
    { 0 },
};
const struct cli_command cli_models = {
    .name = "models",
    .args = "list | inspect MODEL | check MODEL | pull NAME|URL",
    .help = "list, inspect, check and get models",
    .text =
        "Models are folders as Hugging Face ships them (model_index.json, unet/, vae/, ...), "
        "in the folders of PH_MODELS, else in ~/.local/share/phosphene/models.\n\npull gets "
        "the files that run, with their checksums proven; `pull` alone names the models that "
        "need no owner. A web server's folder with a SHA256SUMS does as well as a hub.",
    .examples = examples,
    .options = options,
    .max_words = 2,
    .words = CLI_DIR,
    .run = run_models,
};
