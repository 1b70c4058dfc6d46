// SPDX-License-Identifier: MIT
#include "replay_graph.h"
#include "cli.h"
#include "graphtext.h"

#include "core/tree.h"
#include "graph/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ANYTHING   (PH_PICTURE | PH_SAMPLES | PH_PACKET | PH_POINTS | PH_SIGNALS)
#define MAX_PARAMS 16

// --- the nodes that take the place of others
//
// Each is a node of this build with further ports, and with a parameter `was` that stands for the
// type and files of the one it replaces: an edit makes it anew just when that one was made anew.

struct stand_in {
    struct ph_node_info info;
    struct ph_param params[MAX_PARAMS + 1];
};

enum { HASH, RECORD, IMAGE, PASS, STAND_INS };
static struct stand_in stand_ins[STAND_INS];
static const struct ph_node_info *bases[STAND_INS];

// What else led to the sink arrives at the port `rest` and is thrown away.
static ph_err with_rest(struct ph_node *n, int which, int rest)
{
    struct ph_frame *f;
    while (ph_node_read(n, rest, &f) == PH_OK) ph_frame_unref(&f);
    return bases[which]->process(n);
}

static ph_err record_process(struct ph_node *n)
{
    return with_rest(n, RECORD, 2);
}

static ph_err image_process(struct ph_node *n)
{
    return with_rest(n, IMAGE, 1);
}

// In place of an encoder. A lane of its own gives no more frames than the encoder gave packets:
// the next lane's script goes by their number.
static ph_err pass_process(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    const bool *counted = ph_priv(n);
    if (!*counted || ph_node_wanted(n, PH_JPEG)) return ph_node_write(n, 0, f);
    ph_frame_unref(&f);
    return PH_OK;
}

static const struct ph_port_info hash_in[] = { { "in", ANYTHING, PH_PORT_MANY }, { 0 } };
static const struct ph_port_info record_in[] = {
    { "in", PH_PICTURE },
    { "sound", PH_SAMPLES, PH_PORT_OPTIONAL },
    { "rest", ANYTHING, PH_PORT_MANY | PH_PORT_OPTIONAL },
    { 0 },
};
static const struct ph_port_info image_in[] = {
    { "in", PH_PICTURE },
    { "rest", ANYTHING, PH_PORT_MANY | PH_PORT_OPTIONAL },
    { 0 },
};
static const struct ph_param pass_params[] = {
    { .name = "counted", .type = PH_TYPE_BOOL, .help = "as many as the encoder gave" },
    { 0 },
};
static const struct ph_node_info pass_base = {
    .name = "pass",
    .group = "encode",
    .help = "in place of an encoder",
    .in = PH_PORTS({ "in", PH_PICTURE }),
    .out = PH_PORTS({ "out", PH_PICTURE }),
    .params = pass_params,
    .priv_size = sizeof(bool),
    .process = pass_process,
};

static void make_stand_in(int which, const struct ph_node_info *base, const char *name,
                          const struct ph_port_info *in, ph_err (*process)(struct ph_node *))
{
    struct stand_in *s = &stand_ins[which];
    size_t text = (base->priv_size + 7) / 8 * 8;
    int n = 0;
    bases[which] = base;
    s->info = *base;
    s->info.name = name;
    if (in) s->info.in = in;
    if (process) s->info.process = process;
    for (; base->params[n].name && n + 1 < MAX_PARAMS; n++) s->params[n] = base->params[n];
    s->params[n] = (struct ph_param){ .name = "was",
                                      .type = PH_TYPE_STRING,
                                      .offset = text,
                                      .flags = PH_PARAM_SETUP,
                                      .help = "what it replaces" };
    s->info.params = s->params;
    s->info.priv_size = text + sizeof(const char *);
}

const struct ph_node_info *const *replay_nodes(void)
{
    static const struct ph_node_info **nodes;
    int n = 0;
    if (nodes) return nodes;
    while (ph_nodes()[n]) n++;
    if (!(nodes = calloc((size_t) n + STAND_INS + 1, sizeof *nodes))) return NULL;
    memcpy(nodes, ph_nodes(), (size_t) n * sizeof *nodes);
    make_stand_in(HASH, cli_node_find("hash"), "replay_hash", hash_in, NULL);
    make_stand_in(RECORD, cli_node_find("record"), "replay_record", record_in, record_process);
    make_stand_in(IMAGE, cli_node_find("image"), "replay_image", image_in, image_process);
    make_stand_in(PASS, &pass_base, "replay_pass", NULL, NULL);
    for (int i = 0; i < STAND_INS; i++) nodes[n + i] = &stand_ins[i].info;
    return nodes;
}

// --- what a node was

static const char *param_of(const struct ph_ast_node *n, const char *name)
{
    for (int i = 0; i < n->param_count; i++)
        if (!strcmp(n->params[i].info->name, name)) return n->params[i].value;
    return "";
}

static uint64_t mix(uint64_t h, const char *text)
{
    for (; *text; text++) h = (h ^ (unsigned char) *text) * UINT64_C(0x100000001b3);
    return (h ^ 0xff) * UINT64_C(0x100000001b3);
}

// A number for its type and all that a change of makes it anew.
static void identify(const struct ph_ast_node *n, char was[20])
{
    uint64_t h = mix(UINT64_C(0xcbf29ce484222325), n->info->name);
    for (const struct ph_param *p = n->info->params; p && p->name; p++)
        if (p->flags & PH_PARAM_SETUP) h = mix(h, param_of(n, p->name));
    snprintf(was, 20, "%016" PRIx64, h);
}

static bool is_sink(const struct ph_ast *ast, int node)
{
    if (ph_port_count(ast->nodes[node].info->out)) return false;
    for (int i = 0; i < ast->link_count; i++)
        if (ast->links[i].to == node) return true;
    return false;
}

// --- exchanging

// Takes its old parameters away, all but those of the same type that need no file, and what drove them.
static bool become(struct ph_ast *ast, struct ph_ast_node *n, int which)
{
    const struct ph_node_info *info = &stand_ins[which].info, *old = n->info;
    struct ph_ast_param *params = n->params;
    int count = n->param_count;
    char was[20];
    identify(n, was);
    n->info = info;
    n->params = NULL;
    n->param_count = 0;
    ph_ast_keep_drives(ast, (int) (n - ast->nodes));
    for (int i = 0; i < count && old == bases[which]; i++) {
        const struct ph_param *p = params[i].info;
        bool elsewhere = p->flags & PH_PARAM_PATH && strcmp(params[i].value, "-");
        if (elsewhere || !strcmp(p->name, "overwrite")) continue;
        if (ph_ast_set(ast, n, p->name, params[i].value, NULL) < 0) return false;
    }
    return ph_ast_set(ast, n, "was", was, NULL) == PH_OK;
}

static bool make_hash(struct ph_ast *ast, int node)
{
    for (int i = 0; i < ast->link_count; i++)
        if (ast->links[i].to == node) ast->links[i].to_port = 0;
    return become(ast, &ast->nodes[node], HASH);
}

static struct ph_ast_link *link_into(struct ph_ast *ast, int node)
{
    for (int i = 0; i < ast->link_count; i++)
        if (ast->links[i].to == node && ast->links[i].to_port == 0) return &ast->links[i];
    return NULL;
}

static bool is_encoder(const struct ph_node_info *info)
{
    return !strcmp(info->group, "encode") && ph_port_count(info->in) == 1 &&
           ph_port_count(info->out) == 1 && info->in[0].kinds & PH_PICTURE;
}

static bool leads_on_by_queue(const struct ph_ast *ast, int node)
{
    for (int i = 0; i < ast->link_count; i++)
        if (ast->links[i].from == node && ast->lane[ast->links[i].to] != ast->lane[node])
            return true;
    return false;
}

static bool make_pass(struct ph_ast *ast, int node)
{
    bool counted = leads_on_by_queue(ast, node);
    return become(ast, &ast->nodes[node], PASS) &&
           ph_ast_set(ast, &ast->nodes[node], "counted", counted ? "on" : "off", NULL) == PH_OK;
}

// Whether pictures come, or could come, by this link: back over what passes on whatever it gets to
// an encoder, which then (with `change`) becomes one that passes pictures on.
static bool brings_pictures(struct ph_ast *ast, const struct ph_ast_link *l, bool change)
{
    for (int hops = 0; l && hops < PH_MAX_NODES; hops++) {
        const struct ph_node_info *info = ast->nodes[l->from].info;
        unsigned kinds = info->out[l->from_port].kinds;
        if (is_encoder(info) && kinds == PH_PACKET) return !change || make_pass(ast, l->from);
        if (!(kinds & PH_PICTURE)) return false;
        if (!(kinds & PH_PACKET)) return true;
        l = link_into(ast, l->from);
    }
    return false;
}

static struct ph_ast_link *picture_link(struct ph_ast *ast, int node)
{
    for (int i = 0; i < ast->link_count; i++)
        if (ast->links[i].to == node && brings_pictures(ast, &ast->links[i], false))
            return &ast->links[i];
    return NULL;
}

static bool is_sound(const struct ph_ast *ast, const struct ph_ast_link *l)
{
    return ast->nodes[l->from].info->out[l->from_port].kinds == PH_SAMPLES;
}

// The first link with pictures and the first with sound go into the file, the others nowhere.
static bool make_film(struct ph_ast *ast, int node, const struct replay_graph *r)
{
    int which = cli_output_is_film(r->output) ? RECORD : IMAGE;
    struct ph_ast_link *pictures = picture_link(ast, node);
    bool sound = which == RECORD;
    if (!pictures || !brings_pictures(ast, pictures, true)) return false;
    for (int i = 0; i < ast->link_count; i++) {
        struct ph_ast_link *l = &ast->links[i];
        if (l->to != node) continue;
        l->to_port = which == RECORD ? 2 : 1;
        if (l == pictures) l->to_port = 0;
        if (l == pictures || !sound || !is_sound(ast, l)) continue;
        l->to_port = 1;
        sound = false;
    }
    struct ph_ast_node *n = &ast->nodes[node];
    if (!become(ast, n, which) || ph_ast_set(ast, n, "path", r->output, NULL) < 0) return false;
    return which == IMAGE ||
           ph_ast_set(ast, n, "overwrite", r->overwrite ? "on" : "off", NULL) == PH_OK;
}

// --- which sink is the film

static int rank_of(const struct ph_node_info *info)
{
    static const char *const order[] = { "record", "image", "live", "window" };
    for (int i = 0; i < 4; i++)
        if (!strcmp(info->name, order[i])) return i ? i : 1; // the first of both kinds of file
    return 4;
}

// Sets r->film when this graph has a better one than `best`.
static void look_for_film(struct replay_graph *r, struct ph_ast *ast, int *best)
{
    for (int i = 0; i < ast->node_count; i++) {
        const struct ph_ast_node *n = &ast->nodes[i];
        int rank = rank_of(n->info);
        if (!is_sink(ast, i) || rank >= *best || !picture_link(ast, i)) continue;
        *best = rank;
        snprintf(r->film, sizeof r->film, "%s", n->name);
        identify(n, r->film_was);
    }
}

static void note_sink(struct replay_graph *r, const char *name)
{
    for (int i = 0; i < r->sink_count; i++)
        if (!strcmp(r->sinks[i], name)) return;
    if (r->sink_count < MAX_REPLAY_SINKS)
        snprintf(r->sinks[r->sink_count++], sizeof r->sinks[0], "%s", name);
}

// A file is written once: what comes after a gap, or was another file then, is left out.
static bool is_film(struct replay_graph *r, const struct ph_ast_node *n)
{
    char was[20];
    if (!*r->film || strcmp(r->film, n->name)) return false;
    identify(n, was);
    bool same = !r->film_over && !strcmp(r->film_was, was);
    r->film_left_out = r->film_left_out || !same;
    return same;
}

static bool exchange(struct replay_graph *r, struct ph_ast *ast, bool *began)
{
    bool ok = true, there = false;
    for (int i = 0; i < ast->node_count && ok; i++) {
        struct ph_ast_node *n = &ast->nodes[i];
        if (!is_sink(ast, i)) continue;
        bool film = is_film(r, n);
        there = there || film;
        if (!film) note_sink(r, n->name);
        ok = film ? make_film(ast, i, r) : make_hash(ast, i);
    }
    *began = *began || there;
    r->film_over = *began && !there;
    return ok;
}

static ph_err parse_all(struct ph_ast **asts, char *const *texts, int count,
                        struct ph_fault *fault)
{
    ph_err ret = PH_OK;
    for (int i = 0; i < count && ret == PH_OK; i++)
        ret = ph_ast_parse(&asts[i], texts[i], ph_nodes(), fault);
    return ret;
}

static ph_err exchange_all(struct replay_graph *r, struct ph_ast **asts, char **texts,
                           int count, struct ph_fault *fault)
{
    int best = 100;
    bool began = false;
    for (int i = 0; i < count && r->output; i++) look_for_film(r, asts[i], &best);
    if (r->output && !*r->film)
        return ph_fail(fault, PH_EINVAL, "output",
                       "no sink of the journal's graph shows pictures that %s could take",
                       r->output);
    for (int i = 0; i < count; i++) {
        bool ok = exchange(r, asts[i], &began);
        char *text = ok ? ph_ast_print(asts[i]) : NULL;
        if (!text) return ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
        free(texts[i]);
        texts[i] = text;
    }
    return PH_OK;
}

ph_err replay_exchange_sinks(void *opaque, char **texts, int count, struct ph_fault *fault)
{
    struct ph_ast **asts = calloc((size_t) count, sizeof *asts);
    ph_err ret = asts ? parse_all(asts, texts, count, fault)
                      : ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
    if (ret == PH_OK) ret = exchange_all(opaque, asts, texts, count, fault);
    for (int i = 0; asts && i < count; i++) ph_tree_free(asts[i]);
    free(asts);
    return ret;
}
