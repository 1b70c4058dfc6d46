// SPDX-License-Identifier: MIT
#include "graphtext.h"
#include "cli.h"

#include "core/buf.h"
#include "core/nearest.h"
#include "core/tree.h"
#include "graph/text.h"
#include "models/shelf.h"
#include "room/edit.h"

#include <phosphene/room.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define MAX_TEXT (64 * 1024) // as the parser has it

void cli_graph_free(struct cli_graph *graph)
{
    free(graph->text);
    *graph = (struct cli_graph){ 0 };
}

// --- loading

static const struct ph_preset *find_preset(const char *name)
{
    for (const struct ph_preset *p = ph_presets(); p->name; p++)
        if (!strcmp(p->name, name)) return p;
    return NULL;
}

static bool is_node_word(const char *word)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int) strcspn(word, " \t\n"), word);
    return cli_node_find(name) != NULL;
}

static bool looks_like_text(const char *word)
{
    return strstr(word, "->") || strstr(word, "=>") || strchr(word, '\n') ||
           strchr(word, ';') || is_node_word(word);
}

static bool has_suffix(const char *word, const char *const *suffixes)
{
    const char *dot = strrchr(word, '.');
    for (; dot && *suffixes; suffixes++)
        if (!strcasecmp(dot, *suffixes)) return true;
    return false;
}

static int say_nothing_fits(const char *word)
{
    const char *names[64];
    int n = 0;
    for (const struct ph_preset *p = ph_presets(); p->name && n < 63; p++) names[n++] = p->name;
    names[n] = NULL;
    const char *near = ph_nearest(word, names);
    cli_error("\"%s\" is no preset, no file and no graph text%s%s%s", word,
              near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    if (!near) cli_hint("a graph text is nodes joined by links: 'pattern -> null'");
    return CLI_INPUT;
}

static char *read_stdin(void)
{
    char *text = malloc(MAX_TEXT + 2);
    if (!text) return NULL;
    text[fread(text, 1, MAX_TEXT + 1, stdin)] = 0;
    return text;
}

int cli_graph_load(const char *word, struct cli_graph *graph)
{
    static const char *const media[] = { ".mp4",  ".mkv", ".mov", ".avi",
                                         ".webm", ".jpg", ".png", NULL };
    const struct ph_preset *preset = find_preset(word);
    struct ph_fault fault = { 0 };
    snprintf(graph->where, sizeof graph->where, "graph");
    if (!strcmp(word, "-")) {
        graph->text = read_stdin();
    } else if (preset) {
        snprintf(graph->where, sizeof graph->where, "preset %s", word);
        graph->text = strdup(preset->text);
    } else if (!access(word, F_OK) && !is_node_word(word)) {
        if (has_suffix(word, media)) {
            cli_error("%s is a video or picture, not a graph text", word);
            cli_hint("to play it: -i %s", word);
            return CLI_INPUT;
        }
        snprintf(graph->where, sizeof graph->where, "%s", word);
        graph->text = cli_read_file(word, MAX_TEXT, &fault);
        if (!graph->text) return cli_fault("", NULL, &fault);
    } else if (looks_like_text(word)) {
        graph->text = strdup(word);
    } else {
        return say_nothing_fits(word);
    }
    if (graph->text) return CLI_OK;
    cli_error("out of memory");
    return CLI_FAILED;
}

// --- changing what the text says

static int parse(const struct cli_graph *graph, struct ph_ast **ast)
{
    struct ph_fault fault = { 0 };
    if (ph_ast_parse(ast, graph->text, ph_nodes(), &fault) == PH_OK) return CLI_OK;
    return cli_fault(graph->where, graph->text, &fault);
}

// Takes the tree: prints it into graph->text.
static int store(struct cli_graph *graph, struct ph_ast *ast)
{
    char *text = ph_ast_print(ast);
    ph_tree_free(ast);
    if (!text) return cli_error("out of memory"), CLI_FAILED;
    free(graph->text);
    graph->text = text;
    return CLI_OK;
}

// The node and parameters that stand in `text`, which is one item of a graph: parsed as a graph of
// that node alone by way of a partner at its open end.
static int parse_item(const char *text, bool source, struct ph_ast **ast)
{
    static const char *const before[] = { "pattern", "scene -> null\nscene.depth -> cloud",
                                          "pattern -> jpeg" };
    char line[4700];
    struct ph_fault fault = { 0 }, other;
    for (int i = 0; i < (source ? 1 : 3); i++) {
        snprintf(line, sizeof line, source ? "%s%s" : "%s -> %s", source ? text : before[i],
                 source ? " -> null" : text);
        if (ph_ast_parse(ast, line, ph_nodes(), i ? &other : &fault) == PH_OK) return CLI_OK;
    }
    cli_error("%s: %s", source ? "-i" : "-o", fault.message);
    return CLI_INPUT;
}

// Makes `node` one of the type and with the parameters of `like`; a name that only repeated the
// type follows it.
static bool become(struct ph_ast *ast, struct ph_ast_node *node, const struct ph_ast_node *like)
{
    bool same = node->info == like->info;
    bool plain = !strcmp(node->name, node->info->name);
    if (plain && !same && !ph_ast_find(ast, like->info->name))
        node->name = ph_tree_text(ast, like->info->name, strlen(like->info->name));
    if (!same) node->params = NULL, node->param_count = 0;
    node->info = like->info;
    ph_ast_keep_drives(ast, (int) (node - ast->nodes));
    bool ok = node->name != NULL;
    for (int i = 0; i < like->param_count && ok; i++)
        ok = ph_ast_set(ast, node, like->params[i].info->name, like->params[i].value, NULL) ==
             PH_OK;
    return ok;
}

static bool has_link(const struct ph_ast *ast, int node, bool outgoing)
{
    for (int i = 0; i < ast->link_count; i++)
        if ((outgoing ? ast->links[i].from : ast->links[i].to) == node) return true;
    return false;
}

// Quotes a path for the graph text.
static void quote(const char *word, char *text, size_t size)
{
    size_t at = 0;
    text[at++] = '"';
    for (; *word && at + 3 < size; word++) {
        if (*word == '"' || *word == '\\') text[at++] = '\\';
        text[at++] = *word;
    }
    text[at++] = '"';
    text[at] = 0;
}

static void source_text(const char *input, bool loop, char *text, size_t size)
{
    char quoted[4400];
    if (is_node_word(input) && access(input, F_OK)) {
        snprintf(text, size, "%s", input);
        return;
    }
    quote(input, quoted, sizeof quoted);
    bool camera = !strncmp(input, "/dev/video", 10), url = strstr(input, "://") != NULL;
    snprintf(text, size, "%s %s%s", camera ? "camera" : "file", quoted,
             loop && !camera && !url ? " loop=on" : "");
}

int cli_graph_source(struct cli_graph *graph, const char *input, bool loop)
{
    char text[4500], *changed;
    struct ph_ast *ast = NULL, *item = NULL;
    struct ph_fault fault = { 0 };
    source_text(input, loop, text, sizeof text);
    int status = parse(graph, &ast); // says where a mistake is
    if (!status) status = parse_item(text, true, &item);
    ph_tree_free(ast);
    ph_tree_free(item);
    if (status) return status;
    ph_err err = ph_edit_source(graph->text, text, &changed, &fault);
    if (err < 0) {
        cli_error("-i: %s", fault.message);
        return cli_exit_of(err);
    }
    free(graph->text);
    graph->text = changed;
    return CLI_OK;
}

// --- -o

bool cli_output_is_film(const char *path)
{
    static const char *const films[] = { ".mp4", ".m4v", ".mkv", ".mov", ".webm", NULL };
    return has_suffix(path, films);
}

bool cli_output_is_picture(const char *path)
{
    static const char *const pictures[] = { ".png", ".jpg", ".jpeg", NULL };
    return has_suffix(path, pictures);
}

bool cli_output_is_cloud(const char *path)
{
    static const char *const clouds[] = { ".ply", ".glb", NULL };
    return has_suffix(path, clouds);
}

static int sink_text(const char *output, bool overwrite, char *text, size_t size)
{
    char quoted[4400];
    if (is_node_word(output)) return snprintf(text, size, "%s", output), CLI_OK;
    quote(output, quoted, sizeof quoted);
    bool video = cli_output_is_film(output), picture = cli_output_is_picture(output);
    bool cloud = cli_output_is_cloud(output);
    if (!video && !picture && !cloud) {
        cli_error("-o writes .mp4, .mkv, .mov, .webm, .png, .jpg, .ply or .glb, or is a sink "
                  "node; got \"%s\"",
                  output);
        return CLI_USAGE;
    }
    snprintf(text, size, "%s %s%s",
             video   ? "record"
             : cloud ? "export"
                     : "image",
             quoted, video && overwrite ? " overwrite=on" : "");
    return CLI_OK;
}

// The sink to replace: one of the wanted type, else the last.
static int find_sink(const struct ph_ast *ast, const struct ph_node_info *wanted)
{
    int last = -1;
    for (int i = 0; i < ast->node_count; i++) {
        if (ph_port_count(ast->nodes[i].info->out)) continue;
        if (ast->nodes[i].info == wanted) return i;
        last = i;
    }
    return last;
}

static struct ph_ast_link *link_into(struct ph_ast *ast, int node)
{
    for (int i = 0; i < ast->link_count; i++)
        if (ast->links[i].to == node && !ast->links[i].drive) return &ast->links[i];
    return NULL;
}

// A sink of pictures behind an encoder: what fed the encoder feeds the sink, and an encoder that
// then feeds nobody goes.
static bool fit_sink(struct ph_ast *ast, int sink, const struct ph_node_info *info)
{
    unsigned takes = info->in[0].kinds;
    for (struct ph_ast_link *l; (l = link_into(ast, sink));) {
        const struct ph_ast_node *from = &ast->nodes[l->from];
        l->to_port = 0;
        if (from->info->out[l->from_port].kinds & takes) return true;
        int encoder = l->from;
        const struct ph_ast_link *before = link_into(ast, encoder);
        if (!before) return false;
        l->from = before->from;
        l->from_port = before->from_port;
        l->queue = l->queue || before->queue;
        if (has_link(ast, encoder, true)) continue;
        ph_ast_remove(ast, encoder);
        sink -= sink > encoder;
    }
    return false;
}

// Where a graph without a sink goes on: the last node that gives something nobody takes.
static int find_open_end(const struct ph_ast *ast)
{
    for (int i = ast->node_count - 1; i >= 0; i--)
        if (ph_port_count(ast->nodes[i].info->out) && !has_link(ast, i, true)) return i;
    return -1;
}

// A name that nobody has: that of the type, then with a number.
static char *free_name(struct ph_ast *ast, const char *type)
{
    char name[80];
    snprintf(name, sizeof name, "%s", type);
    for (int k = 2; ph_ast_find(ast, name); k++) snprintf(name, sizeof name, "%s%d", type, k);
    return ph_tree_text(ast, name, strlen(name));
}

static int append_sink(struct ph_ast *ast, const struct ph_ast_node *like)
{
    int end = find_open_end(ast);
    if (end < 0) return cli_error("the graph has no end that -o could go on from"), CLI_INPUT;
    struct ph_ast_node sink = { .name = free_name(ast, like->info->name), .info = like->info };
    struct ph_ast_link link = { .from = end, .to = ast->node_count, .depth = 1 };
    bool ok = sink.name && ph_append(ast, ast->nodes, ast->node_count, sink) &&
              ph_append(ast, ast->links, ast->link_count, link) &&
              become(ast, &ast->nodes[link.to], like);
    if (!ok) return cli_error("out of memory"), CLI_FAILED;
    if (fit_sink(ast, link.to, like->info)) return CLI_OK;
    cli_error("%s does not make what %s takes", ast->nodes[end].name, like->info->name);
    return CLI_INPUT;
}

// Whether what comes over a link, or went into its encoder, is of these kinds.
static bool brings(const struct ph_ast *ast, const struct ph_ast_link *l, unsigned takes,
                   int patience)
{
    if (ast->nodes[l->from].info->out[l->from_port].kinds & takes) return true;
    for (int i = 0; i < ast->link_count && patience > 0; i++)
        if (ast->links[i].to == l->from && !ast->links[i].drive)
            return brings(ast, &ast->links[i], takes, patience - 1);
    return false;
}

// Of the links into a node the first that brings what is wanted, else the first.
static int best_link(const struct ph_ast *ast, int node, unsigned takes)
{
    int first = -1;
    for (int i = ast->link_count - 1; i >= 0; i--)
        if (ast->links[i].to == node && !ast->links[i].drive) first = i;
    for (int i = 0; i < ast->link_count; i++)
        if (ast->links[i].to == node && !ast->links[i].drive &&
            brings(ast, &ast->links[i], takes, ast->node_count))
            return i;
    return first;
}

static int replace_sink(struct ph_ast *ast, const struct ph_ast_node *like)
{
    int at = find_sink(ast, like->info);
    if (at < 0) return append_sink(ast, like);
    // several links may end in the old one; the new one takes one
    int keep = best_link(ast, at, like->info->in[0].kinds);
    for (int i = 0; i < ast->link_count; i++) {
        if (ast->links[i].to != at || i == keep) continue;
        if (i < keep) keep--;
        memmove(&ast->links[i], &ast->links[i + 1],
                (size_t) (--ast->link_count - i) * sizeof *ast->links);
        i--;
    }
    if (!become(ast, &ast->nodes[at], like)) return cli_error("out of memory"), CLI_FAILED;
    if (fit_sink(ast, at, like->info)) return CLI_OK;
    cli_error("nothing in the graph makes what %s takes", like->info->name);
    return CLI_INPUT;
}

int cli_graph_sink(struct cli_graph *graph, const char *output, bool overwrite)
{
    char text[4500];
    struct ph_ast *ast = NULL, *item = NULL;
    int status = sink_text(output, overwrite, text, sizeof text);
    if (!status) status = parse(graph, &ast);
    if (!status) status = parse_item(text, false, &item);
    if (!status) status = replace_sink(ast, &item->nodes[item->node_count - 1]);
    ph_tree_free(item);
    if (!status) return store(graph, ast);
    ph_tree_free(ast);
    return status;
}

int cli_graph_check_sinks(const struct cli_graph *graph)
{
    struct ph_ast *ast = NULL;
    int status = parse(graph, &ast);
    if (status) return status;
    bool sink = false;
    for (int i = 0; i < ast->node_count; i++)
        sink = sink || !ph_port_count(ast->nodes[i].info->out);
    ph_tree_free(ast);
    if (sink) return CLI_OK;
    cli_error("the graph has no sink, so nothing would come of it");
    cli_hint("end it with one, such as '... -> window' or '... -> null', or give -o out.mp4");
    return CLI_INPUT;
}

// --- -p

static int say_no_node(const struct ph_ast *ast, const char *name)
{
    const char *names[PH_MAX_NODES + 1];
    int n = 0;
    for (; n < ast->node_count && n < PH_MAX_NODES; n++) names[n] = ast->nodes[n].name;
    names[n] = NULL;
    const char *near = ph_nearest(name, names);
    cli_error("-p: the graph has no node \"%s\"%s%s%s", name, near ? "; did you mean " : "",
              near ? near : "", near ? "?" : "");
    return CLI_INPUT;
}

static int set_param(struct ph_ast *ast, const char *assignment)
{
    char node[64], param[64];
    struct ph_fault fault = { 0 };
    const char *dot = strchr(assignment, '.'), *equal = strchr(assignment, '=');
    if (!dot || !equal || dot > equal) {
        cli_error("-p takes node.param=value, got \"%s\"", assignment);
        return CLI_USAGE;
    }
    snprintf(node, sizeof node, "%.*s", (int) (dot - assignment), assignment);
    snprintf(param, sizeof param, "%.*s", (int) (equal - dot - 1), dot + 1);
    struct ph_ast_node *n = ph_ast_find(ast, node);
    if (!n) return say_no_node(ast, node);
    if (ph_ast_set(ast, n, param, equal + 1, &fault) == PH_OK) return CLI_OK;
    cli_error("-p %s.%s: %s", node, param, fault.message);
    return CLI_INPUT;
}

int cli_graph_param(struct cli_graph *graph, const char *assignment)
{
    struct ph_ast *ast = NULL;
    int status = parse(graph, &ast);
    if (!status) status = set_param(ast, assignment);
    if (!status) return store(graph, ast);
    ph_tree_free(ast);
    return status;
}

// A pipeline paints; a module alone, among those that nodes run, sees depth.
static const char *user_of(const char *folder)
{
    char path[PH_SHELF_PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/model_index.json", folder);
    return access(path, R_OK) == 0 ? "diffusion" : "depth";
}

static int set_model(struct ph_ast *ast, const char *model)
{
    char folder[PH_SHELF_PATH_MAX];
    struct ph_fault fault = { 0 };
    int set = 0;
    if (ph_shelf_find(model, folder, &fault) < 0) {
        cli_error("--model: %s", fault.message);
        return CLI_INPUT;
    }
    const char *type = user_of(folder);
    for (int i = 0; i < ast->node_count; i++) {
        struct ph_ast_node *n = &ast->nodes[i];
        if (strcmp(n->info->name, type) != 0) continue;
        if (ph_ast_set(ast, n, "model", model, &fault) < 0) {
            cli_error("--model: %s", fault.message);
            return CLI_INPUT;
        }
        set++;
    }
    if (set) return CLI_OK;
    cli_error("--model %s: this graph has no node %s", model, type);
    return CLI_INPUT;
}

int cli_graph_model(struct cli_graph *graph, const char *model)
{
    struct ph_ast *ast = NULL;
    int status = parse(graph, &ast);
    if (!status) status = set_model(ast, model);
    if (!status) return store(graph, ast);
    ph_tree_free(ast);
    return status;
}
