// SPDX-License-Identifier: MIT
// phosphene generate: a text becomes a picture file, without a graph.
#include "cli.h"
#include "made.h"

#include "core/buf.h"
#include "core/number.h"
#include "image/resize.h"
#include "models/shelf.h"
#include "nodes/fit.h"
#include "nodes/picture_file.h"

#include <phosphene/clock.h>
#include <phosphene/model.h>

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STYLES_MOST 8

struct job {
    const struct cli_args *args;
    char model[PH_SHELF_PATH_MAX], vae[PH_SHELF_PATH_MAX], out[PH_SHELF_PATH_MAX];
    char style_path[STYLES_MOST][PH_SHELF_PATH_MAX];
    struct ph_style style[STYLES_MOST];
    struct ph_prompt prompt;
    struct ph_seed seed;
    struct ph_diffuser_settings s;
    struct ph_picture_writer *writer;
    struct ph_frame *source, *picture; // source: the input in the right size; NULL without
    struct ph_diffuser *diffuser;
    struct ph_painted painted;
    struct ph_diffuser_quality quality;
    double load_s, prepare_s, paint_s;

    struct cli_watch *watch;
    _Atomic int64_t begun_ns; // of the painting; 0 = not yet
    _Atomic int steps_done;
};

// ------------------------------------------------------------------------------ what is wanted
static int bad(const char *option, const char *wants, const char *got)
{
    cli_error("--%s takes %s, got \"%s\"", option, wants, got);
    return CLI_USAGE;
}

static int read_number(const struct cli_args *args, const char *name, double low, double high,
                       float *out)
{
    char wants[64], *end;
    const char *text = cli_text(args, name);
    if (!text) return CLI_OK;
    double v = ph_strtod(text, &end);
    snprintf(wants, sizeof wants, "a number from %g to %g", low, high);
    if (end == text || *end || !(v >= low && v <= high)) return bad(name, wants, text);
    *out = (float) v;
    return CLI_OK;
}

static int read_size(const struct cli_args *args, struct ph_diffuser_settings *s)
{
    const char *text = cli_text(args, "size");
    int width, height, used = 0;
    if (!text) return CLI_OK;
    bool both = sscanf(text, "%5dx%5d%n", &width, &height, &used) == 2;
    if (!both && sscanf(text, "%5d%n", &width, &used) == 1) height = width;
    if (!used || text[used]) return bad("size", "WIDTHxHEIGHT in pixels", text);
    s->width = width;
    s->height = height;
    return CLI_OK;
}

// "lineart:0.8": a file, or the name of one on the shelf; without a number 1.
static int read_style(struct job *j, const char *text)
{
    struct ph_fault fault = { 0 };
    int i = j->s.style_count;
    char *path = j->style_path[i], *end, name[PH_SHELF_PATH_MAX];
    const char *colon = strrchr(text, ':');
    double scale = colon ? ph_strtod(colon + 1, &end) : 1;
    bool number = colon && end != colon + 1 && !*end;
    if (colon && !number && access(text, F_OK) && (!colon[1] || !strchr(colon, '/'))) {
        cli_error("--style %s: after the colon comes a number, the scale, as in %.*s:0.8", text,
                  (int) (colon - text), text);
        return CLI_USAGE;
    }
    if (i == STYLES_MOST) {
        cli_error("at most %d styles", STYLES_MOST);
        return CLI_USAGE;
    }
    snprintf(name, sizeof name, "%.*s", number ? (int) (colon - text) : (int) strlen(text),
             text);
    j->style[i] = (struct ph_style){ path, number ? (float) scale : 1 };
    j->s.style_count++;
    if (!access(name, R_OK)) return snprintf(path, PH_SHELF_PATH_MAX, "%s", name), CLI_OK;
    if (*name == '/' || *name == '.') return cli_error("there is no file %s", name), CLI_INPUT;
    return ph_shelf_style(name, NULL, path, &fault) < 0 ? cli_fault("", NULL, &fault) : CLI_OK;
}

static int read_styles(struct job *j)
{
    const struct cli_value *styles = cli_value(j->args, "style");
    int status = CLI_OK;
    for (int i = 0; i < styles->count && !status; i++) status = read_style(j, styles->many[i]);
    j->s.styles = j->style;
    return status;
}

static int read_settings(struct job *j)
{
    const struct cli_args *args = j->args;
    struct ph_diffuser_settings *s = &j->s;
    ph_diffuser_defaults(s);
    struct cli_made made = cli_made_for(j->model);
    s->width = s->height = made.side;
    s->painting = PH_PAINT_WHOLE;
    s->from_picture = cli_given(args, "from");
    s->sampler = cli_text(args, "sampler");
    s->steps = cli_given(args, "steps") ? (int) cli_int(args, "steps") : made.steps;
    s->negative = cli_text(args, "negative");
    s->guidance_scale = made.guidance;
    j->prompt = (struct ph_prompt){ args->words[0], 1 };
    j->seed = (struct ph_seed){ (uint64_t) cli_int(args, "seed"), 1 };
    s->prompts = &j->prompt;
    s->seeds = &j->seed;
    s->prompt_count = s->seed_count = 1;
    int status = read_size(args, s);
    if (!status) status = read_number(args, "guidance", 0, 30, &s->guidance_scale);
    if (!status) status = read_number(args, "strength", 0, 1, &s->strength);
    if (!status && cli_given(args, "strength") && !s->from_picture) {
        cli_error("--strength says how far from a picture: --from names it");
        status = CLI_USAGE;
    }
    if (!status) status = read_styles(j);
    s->guidance = s->guidance_scale > 1 ? "full" : "none";
    return status;
}

static int find_folders(struct job *j)
{
    struct ph_fault fault = { 0 };
    const char *model = cli_text(j->args, "model"), *vae = cli_text(j->args, "vae");
    ph_err ret = ph_shelf_find(model ? model : "", j->model, &fault);
    if (ret >= 0 && vae) ret = ph_shelf_find(vae, j->vae, &fault);
    return ret < 0 ? cli_fault("", NULL, &fault) : CLI_OK;
}

// ------------------------------------------------------------------------------ files
// picture.png, picture-2.png, … : the first that is not there.
static void number_output(char *out)
{
    snprintf(out, PH_SHELF_PATH_MAX, "picture.png");
    for (int i = 2; !access(out, F_OK); i++)
        snprintf(out, PH_SHELF_PATH_MAX, "picture-%d.png", i);
}

static int prepare_output(struct job *j)
{
    struct ph_fault fault = { 0 };
    const char *out = cli_text(j->args, "output");
    if (out)
        snprintf(j->out, sizeof j->out, "%s", out);
    else
        number_output(j->out);
    if (!access(j->out, F_OK) && !cli_flag(j->args, "overwrite")) {
        cli_error("%s exists already", j->out);
        cli_hint("-y replaces it; without -o the picture gets a number");
        return CLI_INPUT;
    }
    ph_err ret = cli_check_writable(j->out, &fault);
    if (ret >= 0) ret = ph_picture_writer_create(&j->writer, j->out, &fault);
    if (ret == PH_EINVAL) return cli_error("%s", fault.message), CLI_USAGE;
    return ret < 0 ? cli_fault("", NULL, &fault) : CLI_OK;
}

// The picture to paint over, filling the size that is painted.
static int load_source(struct job *j)
{
    struct ph_fault fault = { 0 };
    struct ph_frame *file = NULL;
    struct ph_resize *resize = NULL;
    const char *path = cli_text(j->args, "from");
    if (!path) return CLI_OK;
    ph_err ret = ph_picture_load(path, &file, &fault);
    if (ret >= 0) ret = ph_frame_picture(NULL, PH_RGBA, j->s.width, j->s.height, &j->source);
    if (ret >= 0)
        ret = ph_fit_draw(&resize, &j->source->picture, &file->picture, PH_FIT_COVER,
                          PH_FIT_AUTO, 0);
    ph_resize_destroy(&resize);
    ph_frame_unref(&file);
    if (ret < 0 && !fault.code) ph_fail(&fault, ret, "path", "%s: %s", path, ph_strerror(ret));
    return ret < 0 ? cli_fault("", NULL, &fault) : CLI_OK;
}

// ------------------------------------------------------------------------------ painting
static bool ask(void *opaque, struct cli_progress *p, double *done)
{
    struct job *j = opaque;
    int64_t begun = atomic_load(&j->begun_ns);
    if (begun && p->start_ns < begun) p->start_ns = begun; // loading is no part of the rate
    p->what = begun ? "painting: step" : "loading: step";
    p->total = j->s.steps;
    *done = atomic_load(&j->steps_done);
    return true;
}

static bool on_step(void *arg, int done, int of)
{
    struct job *j = arg;
    atomic_store(&j->steps_done, done);
    return false;
}

static bool is_over(void *arg)
{
    (void) arg;
    return cli_signal != 0;
}

static double since(int64_t ns)
{
    return (double) (ph_now_ns() - ns) / 1e9;
}

static ph_err paint(struct job *j, struct ph_fault *fault)
{
    const struct cli_args *args = j->args;
    ph_err ret;
    int64_t t = ph_now_ns();
    struct ph_diffuser_params params = { .model = j->model,
                                         .vae = *j->vae ? j->vae : NULL,
                                         .device = cli_text(args, "device"),
                                         .precision = cli_text(args, "precision"),
                                         .tune = cli_flag(args, "tune"),
                                         .stop = is_over };
    PH_TRY(ph_diffuser_open(&params, &j->diffuser, fault));
    j->load_s = since(t);
    t = ph_now_ns();
    ph_diffuser_on_step(j->diffuser, on_step, j);
    PH_TRY(ph_diffuser_set(j->diffuser, &j->s, fault));
    PH_TRY(ph_diffuser_settle(j->diffuser, fault));
    j->prepare_s = since(t);
    ph_diffuser_rounding(j->diffuser, &j->quality);
    PH_TRY(ph_frame_picture(NULL, PH_RGBA, j->s.width, j->s.height, &j->picture));
    t = ph_now_ns();
    atomic_store(&j->begun_ns, t);
    PH_TRY(ph_diffuser_paint(j->diffuser, j->source ? &j->source->picture : NULL, NULL,
                             &j->picture->picture, &j->painted, fault));
    j->paint_s = since(t);
fail:
    return ret;
}

// ------------------------------------------------------------------------------ telling
static void put_json(const struct job *j)
{
    struct ph_diffuser_use use;
    struct ph_buf b = { 0 };
    const struct ph_painted *p = &j->painted;
    ph_diffuser_usage(j->diffuser, &use);
    ph_buf_puts(&b, "{\"path\":"), ph_json_str(&b, j->out);
    ph_json_key(&b, "model"), ph_json_str(&b, ph_diffuser_describe(j->diffuser));
    ph_json_key(&b, "prompt"), ph_json_str(&b, j->prompt.text);
    ph_json_key(&b, "width"), ph_buf_printf(&b, "%d", j->s.width);
    ph_json_key(&b, "height"), ph_buf_printf(&b, "%d", j->s.height);
    ph_json_key(&b, "steps"), ph_buf_printf(&b, "%d", j->s.steps);
    ph_json_key(&b, "seed"), ph_buf_printf(&b, "%llu", (unsigned long long) j->seed.seed);
    ph_json_key(&b, "guidance"), ph_json_num(&b, (double) j->s.guidance_scale);
    ph_json_key(&b, "loadMs"), ph_json_num(&b, j->load_s * 1e3);
    ph_json_key(&b, "prepareMs"), ph_json_num(&b, j->prepare_s * 1e3);
    ph_json_key(&b, "paintMs"), ph_json_num(&b, j->paint_s * 1e3);
    ph_json_key(&b, "encodeMs"), ph_json_num(&b, (double) p->encode_ns / 1e6);
    ph_json_key(&b, "modelMs"), ph_json_num(&b, (double) p->model_ns / 1e6);
    ph_json_key(&b, "decodeMs"), ph_json_num(&b, (double) p->decode_ns / 1e6);
    if (j->quality.gate_db > 0) {
        ph_json_key(&b, "weightsDb"), ph_json_num(&b, j->quality.weights_db);
        ph_json_key(&b, "weightsGateDb"), ph_json_num(&b, j->quality.gate_db);
    }
    ph_json_key(&b, "gflop"), ph_json_num(&b, use.flops / 1e9);
    ph_json_key(&b, "packedBytes"), ph_buf_printf(&b, "%lld", (long long) use.packed_bytes);
    ph_json_key(&b, "arenaBytes"), ph_buf_printf(&b, "%lld", (long long) use.arena_bytes);
    ph_json_key(&b, "keptBytes"), ph_buf_printf(&b, "%lld", (long long) use.kept_bytes);
    ph_buf_puts(&b, "}");
    if (!b.failed) puts(b.data);
    ph_buf_free(&b);
}

// Of weights that were rounded: a warning below the gate, else a line.
static void say_quality(const struct job *j)
{
    const struct ph_diffuser_quality *q = &j->quality;
    const char *precision = cli_text(j->args, "precision");
    if (!q->gate_db) return;
    if (q->weights_db < q->gate_db)
        cli_error("warning: in %s the weights keep %.1f dB of the gate's %.0f, least in %s "
                  "(%.1f dB): pictures suffer, --precision bf16 would not",
                  precision, q->weights_db, q->gate_db, q->worst, q->worst_db);
    else if (!cli_flag(j->args, "quiet"))
        fprintf(stderr, "%s: the weights keep %.1f dB (gate %.0f), least in %s: %.1f dB\n",
                precision, q->weights_db, q->gate_db, q->worst, q->worst_db);
}

static void say_done(const struct job *j)
{
    char paint[32], before[32];
    if (cli_flag(j->args, "json")) put_json(j);
    if (cli_flag(j->args, "quiet")) return;
    fprintf(stderr, "%s: %dx%d, %d step%s, seed %llu, painted in %s after %s of loading\n",
            j->out, j->s.width, j->s.height, j->s.steps, j->s.steps == 1 ? "" : "s",
            (unsigned long long) j->seed.seed, cli_duration(j->paint_s, paint, sizeof paint),
            cli_duration(j->load_s + j->prepare_s, before, sizeof before));
}

static int paint_file(struct job *j)
{
    struct ph_fault fault = { 0 };
    if (!cli_flag(j->args, "quiet"))
        j->watch = cli_watch_begin(
            &(struct cli_watch_params){ .unit = "steps", .ask = ask, .opaque = j });
    ph_err ret = paint(j, &fault);
    cli_watch_end(&j->watch);
    say_quality(j);
    if (cli_flag(j->args, "verbose") && j->diffuser)
        fprintf(stderr, "%s\n", ph_diffuser_describe(j->diffuser));
    if (cli_signal) return cli_exit_of_signal();
    if (ret >= 0) ret = ph_picture_save(j->writer, j->out, &j->picture->picture, 95, &fault);
    if (ret >= 0) return say_done(j), CLI_OK;
    if (!fault.code) ph_fail(&fault, ret, "", "%s", ph_strerror(ret));
    int status = cli_fault("", NULL, &fault);
    return ret == PH_EINVAL ? CLI_USAGE : status; // of options; a model's faults are others
}

static int run_generate(struct cli_args *args)
{
    struct job *j = calloc(1, sizeof *j);
    if (!j) return cli_error("out of memory"), CLI_FAILED;
    j->args = args;
    cli_catch_signals();
    int status = find_folders(j);
    if (!status) status = read_settings(j);
    if (!status) status = prepare_output(j);
    if (!status) status = load_source(j);
    if (!status) status = paint_file(j);
    ph_diffuser_close(&j->diffuser);
    ph_frame_unref(&j->source);
    ph_frame_unref(&j->picture);
    ph_picture_writer_destroy(&j->writer);
    free(j);
    return status;
}

// clang-format off
static const struct cli_option options[] = {
    { "model", 'm', "MODEL", .help = "a folder, or a name that `phosphene models list` shows [the first there]", .group = "Model", .words = CLI_DIR },
    { "vae", 0, "MODEL", .help = "another autoencoder, such as taesd", .group = "Model", .words = CLI_DIR },
    { "style", 0, "FILE[:SCALE]", .help = "a LoRA, or the name of one among the models", .group = "Model", .words = CLI_FILE, .flags = CLI_MANY | CLI_NO_ENV },
    { "device", 0, "DEVICE", .help = "auto, cuda, cuda:device=1, cpu, cpu:threads=2, cpu:threads=2,pin, cpu:plain, cpu:bf16 (plain, rounded as bf16 is) [cpu]", .group = "Model" },
    { "precision", 0, "PRECISION", .help = "auto, f32, bf16, int8 or q4", .def = "auto", .group = "Model" },
    { "tune", 0, .help = "measure kernels that were never measured on this machine (once, seconds)", .group = "Model" },
    { "size", 's', "WxH", .help = "pixels, multiples of 8 [what the model was made for]", .group = "Picture" },
    { "steps", 0, "N", .help = "more take longer [what the model was made for: 1, 4 or 20]", .group = "Picture", .type = CLI_INT, .min = 1, .max = PH_STEPS_MAX },
    { "sampler", 0, "NAME", .help = "auto, lcm, euler, euler_a, ddim, tcd or dpmpp_2m", .def = "auto", .group = "Picture" },
    { "seed", 0, "N", .help = "another number, another picture", .def = "2", .group = "Picture", .type = CLI_INT, .min = 0, .max = 9007199254740992.0 },
    { "guidance", 'g', "G", .help = "how much the text counts; above 1 each step costs twice [1; 7.5 where the model was made for it]", .group = "Picture" },
    { "negative", 0, "TEXT", .help = "what should not be there; with a guidance above 1", .group = "Picture", .flags = CLI_NO_ENV },
    { "from", 'f', "FILE", .help = "a PNG or JPEG to paint over", .group = "Picture", .words = CLI_FILE, .flags = CLI_NO_ENV },
    { "strength", 0, "S", .help = "how far from it, 0 to 1 [0.5]", .group = "Picture" },
    { "output", 'o', "FILE", .help = ".png or .jpg [picture.png, picture-2.png, ...]", .group = "Output", .words = CLI_FILE, .flags = CLI_NO_ENV },
    { "overwrite", 'y', .help = "-o may replace a file", .group = "Output", .flags = CLI_NO_ENV },
    { "json", 0, .help = "say what was painted, and the times of its parts, as JSON", .group = "Output" },
    { 0 },
};
// clang-format on
static const struct cli_example examples[] = {
    { "phosphene models pull sd-turbo", "a model, once" },
    { "phosphene generate 'a red fox in the snow' -o fox.png", "a picture" },
    { "phosphene generate 'an oil painting' --from photo.jpg --strength 0.6 --steps 2",
      "over a photo" },
    { "phosphene generate 'a castle' -m sd-turbo --vae taesd --size 256x256 --precision int8",
      "quickly" },
    { 0 },
};
const struct cli_command cli_generate = {
    .name = "generate",
    .args = "PROMPT",
    .help = "paint a picture from a text",
    .text = "The same model, settings and seed give the same picture. Ctrl-C ends it soon "
            "and writes nothing.",
    .examples = examples,
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .run = run_generate,
};
