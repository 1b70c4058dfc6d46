// SPDX-License-Identifier: MIT
#include "render_graph.h"
#include "cli.h"

#include "core/number.h"
#include "core/tree.h"
#include "graph/text.h"
#include "nodes/util.h"
#include "room/edit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// --- the node that makes the film

static struct render_film *film; // the one of this process

static ph_err fail(struct render_film *f, struct ph_node *n, ph_err ret)
{
    if (atomic_load(&f->failed)) return PH_EOF;
    if (!f->fault.message[0]) ph_fail(&f->fault, ret, "film", "%s", ph_strerror(ret));
    f->fault.code = ret;
    atomic_store(&f->failed, true);
    ph_node_problem(n, "%s", f->fault.message);
    return PH_EOF; // the rest would be made for nothing
}

static ph_err put(struct render_film *f, const struct ph_frame *picture, int64_t until)
{
    ph_err ret = PH_OK;
    for (; f->next < until && f->next < f->total && ret >= 0; f->next++) {
        if (f->next >= f->first)
            ret = ph_segments_picture(f->segments, &picture->picture, &f->fault);
        atomic_store_explicit(&f->done, f->next + 1, memory_order_relaxed);
    }
    return ret;
}

static ph_err film_open(struct ph_node *n, struct ph_fault *fault)
{
    (void) n;
    return ph_segments_create(&film->segments, &film->par, fault);
}

static void film_close(struct ph_node *n)
{
    (void) n;
    ph_frame_unref(&film->held);
    ph_segments_destroy(&film->segments);
}

static ph_err film_end(struct ph_node *n, struct render_film *f)
{
    ph_err ret = f->held ? put(f, f->held, f->total) : PH_EOF;
    if (ret >= 0) ret = ph_segments_finish(f->segments, &f->fault);
    return ret < 0 ? fail(f, n, ret) : PH_EOF;
}

// Pictures at any times become frames at one rate: each shows the newest that is not later.
static ph_err film_process(struct ph_node *n)
{
    struct render_film *f = film;
    struct ph_frame *got;
    ph_err ret = ph_node_read_rgba(n, 0, &got);
    if (ret == PH_EOF && f->held) return film_end(n, f);
    if (ret != PH_OK) return ret;
    double at = (double) got->pts_ns * 1e-9 * (double) f->par.num / (double) f->par.den;
    int64_t frame = (int64_t) floor(at + 0.5);
    ret = put(f, f->held ? f->held : got, frame);
    ph_frame_unref(&f->held);
    f->held = got;
    if (ret < 0) return fail(f, n, ret);
    return frame >= f->total - 1 ? film_end(n, f) : PH_OK;
}

static const struct ph_node_info film_info = {
    .name = "render_film",
    .group = "deliver",
    .help = "segments of a film",
    .in = PH_PORTS({ "in", PH_PICTURE }),
    .priv_size = 0,
    .open = film_open,
    .close = film_close,
    .process = film_process,
};

const struct ph_node_info *const *render_nodes(struct render_film *f)
{
    static const struct ph_node_info **nodes;
    int n = 0;
    film = f;
    if (nodes) return nodes;
    while (ph_nodes()[n]) n++;
    if (!(nodes = calloc((size_t) n + 2, sizeof *nodes))) return NULL;
    memcpy(nodes, ph_nodes(), (size_t) n * sizeof *nodes);
    nodes[n] = &film_info;
    return nodes;
}

// --- the song

static bool is_source(const struct ph_ast_node *n)
{
    return !strcmp(n->info->group, "source");
}

static bool leads_on(const struct ph_ast *ast, int node)
{
    for (int i = 0; i < ast->link_count; i++)
        if (ast->links[i].from == node) return true;
    return false;
}

static char *song_name(struct ph_ast *ast)
{
    char name[32] = "song";
    for (int k = 2; ph_ast_find(ast, name); k++) snprintf(name, sizeof name, "song%d", k);
    return ph_tree_text(ast, name, strlen(name));
}

// All that takes sound from a source takes the song's, and sources that nobody takes anything
// from any more go. PH_MORE: nothing takes sound.
static ph_err play_song(struct ph_ast *ast, const char *path, struct ph_fault *fault)
{
    const struct ph_node_info *file = cli_node_find("file");
    struct ph_ast_node song = { .name = song_name(ast), .named = true, .info = file };
    int port = ph_port_find(file->out, "sound"), at = ast->node_count, moved = 0;
    for (int i = 0; i < ast->link_count; i++) {
        struct ph_ast_link *l = &ast->links[i];
        const struct ph_ast_node *from = &ast->nodes[l->from];
        if (!is_source(from) || from->info->out[l->from_port].kinds != PH_SAMPLES) continue;
        l->from = at;
        l->from_port = port;
        moved++;
    }
    if (!moved) return PH_MORE;
    if (!song.name || !ph_append(ast, ast->nodes, ast->node_count, song)) return PH_ENOMEM;
    ph_err ret = ph_ast_set(ast, &ast->nodes[at], "path", path, fault);
    for (int i = at - 1; i >= 0 && ret >= 0; i--)
        if (is_source(&ast->nodes[i]) && !leads_on(ast, i)) ph_ast_remove(ast, i);
    return ret;
}

// --- rate and size

static const struct ph_param *param_of(const struct ph_ast_node *n, const char *name,
                                       enum ph_type type)
{
    const struct ph_param *p = ph_param_find(n->info->params, name, NULL);
    return p && p->type == type ? p : NULL;
}

static bool starts(const struct ph_ast *ast, int node)
{
    for (int i = 0; i < ast->link_count; i++)
        if (ast->links[i].to == node && !ast->links[i].drive) return false;
    return true;
}

static ph_err set_rate(struct ph_ast *ast, double wish, double *fps, struct ph_fault *fault)
{
    *fps = wish;
    for (int i = 0; i < ast->node_count; i++) {
        struct ph_ast_node *n = &ast->nodes[i];
        const struct ph_param *p = param_of(n, "fps", PH_TYPE_FLOAT);
        char text[32];
        if (!p || !starts(ast, i)) continue;
        if (wish > 0) {
            ph_snprintf(text, sizeof text, "%.9g", wish);
            ph_err ret = ph_ast_set(ast, n, "fps", text, fault);
            if (ret < 0) return ret;
        }
        double has = ph_strtod(ph_edit_value(n, p), NULL);
        if (*fps <= 0) *fps = has;
    }
    if (*fps <= 0) *fps = 30;
    return PH_OK;
}

static bool size_of(const struct ph_ast *ast, int i, struct ph_size *size)
{
    const struct ph_ast_node *n = &ast->nodes[i];
    const struct ph_param *p = param_of(n, "size", PH_TYPE_SIZE);
    union ph_value v;
    if (!p || ph_param_parse(p, ph_edit_value(n, p), &v, NULL) < 0) return false;
    *size = v.size;
    return size->width > 0 && size->height > 0;
}

static int scaled(int v, double by)
{
    int s = (int) floor(v * by / 8 + 0.5) * 8; // models want multiples of 8
    return s < 8 ? 8 : s;
}

static ph_err resize(struct ph_ast *ast, int width, int height, struct ph_fault *fault)
{
    struct ph_size most = { 0 }, s;
    for (int i = 0; i < ast->node_count; i++)
        if (size_of(ast, i, &s) && s.width * s.height > most.width * most.height) most = s;
    for (int i = 0; i < ast->node_count; i++) {
        char text[32];
        if (!size_of(ast, i, &s)) continue;
        bool largest = s.width == most.width && s.height == most.height;
        double by = (double) width / most.width;
        snprintf(text, sizeof text, "%dx%d", largest ? width : scaled(s.width, by),
                 largest ? height : scaled(s.height, by));
        ph_err ret = ph_ast_set(ast, &ast->nodes[i], "size", text, fault);
        if (ret < 0) return ret;
    }
    return PH_OK;
}

char *render_resized(const char *text, const struct ph_node_info *const *nodes, int width,
                     int height)
{
    struct ph_ast *ast = NULL;
    char *out = NULL;
    if (ph_ast_parse(&ast, text, nodes, NULL) == PH_OK &&
        resize(ast, width, height, NULL) == PH_OK)
        out = ph_ast_print(ast);
    ph_tree_free(ast);
    return out;
}

// --- all of it

static ph_err work_in(struct ph_ast *ast, const struct render_wish *w, double *fps, bool *hears,
                      struct ph_fault *fault)
{
    ph_err ret = w->song ? play_song(ast, w->song, fault) : PH_MORE;
    *hears = ret == PH_OK;
    if (ret >= 0) ret = set_rate(ast, w->fps, fps, fault);
    if (ret >= 0 && w->width) ret = resize(ast, w->width, w->height, fault);
    return ret;
}

static ph_err make_film(struct ph_ast *ast)
{
    for (int i = 0; i < ast->node_count; i++) {
        struct ph_ast_node *n = &ast->nodes[i];
        if (strcmp(n->info->name, "record")) continue;
        n->info = &film_info;
        n->params = NULL;
        n->param_count = 0;
        ph_ast_keep_drives(ast, i);
        break;
    }
    return PH_OK;
}

// Reads the text, lets `change` work on it and writes it back.
static int rewrite(struct cli_graph *graph,
                   ph_err (*change)(struct ph_ast *, void *, struct ph_fault *), void *opaque)
{
    struct ph_ast *ast = NULL;
    struct ph_fault fault = { 0 };
    ph_err ret = ph_ast_parse(&ast, graph->text, ph_nodes(), &fault);
    if (ret < 0) return cli_fault(graph->where, graph->text, &fault);
    ret = change(ast, opaque, &fault);
    char *text = ret >= 0 ? ph_ast_print(ast) : NULL;
    ph_tree_free(ast);
    if (!text) {
        cli_error("%s", fault.message[0] ? fault.message : "out of memory");
        return CLI_INPUT;
    }
    free(graph->text);
    graph->text = text;
    return CLI_OK;
}

struct work {
    const struct render_wish *wish;
    double *fps;
    bool *hears;
};

static ph_err do_wish(struct ph_ast *ast, void *opaque, struct ph_fault *fault)
{
    const struct work *w = opaque;
    return work_in(ast, w->wish, w->fps, w->hears, fault);
}

static ph_err do_film(struct ph_ast *ast, void *opaque, struct ph_fault *fault)
{
    (void) opaque;
    (void) fault;
    return make_film(ast);
}

int render_prepare(struct cli_graph *graph, const struct render_wish *wish, double *fps,
                   bool *hears)
{
    int status = rewrite(graph, do_wish, &(struct work){ wish, fps, hears });
    for (int i = 0; i < wish->param_count && !status; i++)
        status = cli_graph_param(graph, wish->params[i]);
    return status ? status : rewrite(graph, do_film, NULL);
}
