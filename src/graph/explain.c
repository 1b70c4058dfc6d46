// SPDX-License-Identifier: MIT
// The graph in words: its text, its plan, and what each node type offers.
#include "graph/graph_priv.h"

#include <stdlib.h>

char *ph_graph_text(struct ph_graph *g)
{
    pthread_mutex_lock(&g->ctl);
    char *text = ph_ast_print(g->ast);
    pthread_mutex_unlock(&g->ctl);
    return text;
}

static const char *mem_name(unsigned mem)
{
    return mem == PH_CUDA ? "cuda" : "host";
}

static void explain_links(struct ph_buf *b, const struct ph_graph *g, int node)
{
    for (int i = 0; i < g->ast->link_count; i++) {
        const struct ph_ast_link *l = &g->ast->links[i];
        const struct ph_ast_node *from = &g->ast->nodes[l->from], *to = &g->ast->nodes[l->to];
        if (l->from != node) continue;
        const struct ph_port_info *out = &from->info->out[l->from_port];
        const struct ph_port_info *in = ph_port_in(to->info, l->to_port);
        bool queue = g->ast->lane[l->from] != g->ast->lane[l->to];
        ph_buf_printf(b, "      %s %s %s.%s", out->name, queue ? "=>" : "->", to->name,
                      in->name);
        if (queue)
            ph_buf_printf(b, "  %s %d", ph_drop_name(l->drop), l->depth);
        else if (l->queue)
            ph_buf_puts(b, "  (same lane: a call)");
        if (in->flags & PH_PORT_HOLD) ph_buf_puts(b, "  held");
        ph_buf_printf(b, "  [%s]\n", mem_name(ph_transfer_common(out, in)));
    }
}

static void explain_drives(struct ph_buf *b, const struct ph_graph *g, int node)
{
    for (int i = 0; i < g->ast->drive_count; i++) {
        const struct ph_ast_drive *d = &g->ast->drives[i];
        if (d->node == node)
            ph_buf_printf(b, "      %s <- %s%s\n", d->param->name, d->text,
                          d->expr.beat ? "  (counts beats)" : "");
    }
}

static void explain_limiter(struct ph_buf *b, const struct ph_ast_node *n)
{
    const struct ph_param *p = ph_param_find(n->info->params, "limiter", NULL);
    union ph_value on = { 0 };
    if (!p) return;
    const char *text = p->def;
    for (int i = 0; i < n->param_count; i++)
        if (n->params[i].info == p) text = n->params[i].value;
    ph_param_parse(p, text, &on, NULL);
    ph_buf_printf(b, "      flash limiter %s\n", on.b ? "on" : "off");
}

char *ph_graph_explain(struct ph_graph *g)
{
    struct ph_buf b = { 0 };
    pthread_mutex_lock(&g->ctl);
    for (int k = 0; k < g->ast->lanes; k++) {
        ph_buf_printf(&b, "lane %d \"%s\"\n", k, g->lanes[k]->name);
        for (int j = 0; j < g->ast->node_count; j++) {
            int i = g->ast->order[j];
            if (g->ast->lane[i] != k) continue;
            const struct ph_ast_node *n = &g->ast->nodes[i];
            ph_buf_printf(&b, "  %-16s %-10s %s\n", n->name, n->info->name, n->info->help);
            explain_limiter(&b, n);
            explain_links(&b, g, i);
            explain_drives(&b, g, i);
        }
    }
    pthread_mutex_unlock(&g->ctl);
    return ph_buf_steal(&b);
}

// --- node types

static const char *const type_names[] = { "",       "float", "int",  "bool",
                                          "string", "enum",  "size", "color" };

static void json_port(struct ph_buf *b, const struct ph_port_info *p)
{
    static const char *const kinds[] = { "picture", "samples", "packet", "points", "signals" };
    ph_json_sep(b);
    ph_buf_puts(b, "{\"name\":");
    ph_json_str(b, p->name);
    ph_buf_puts(b, ",\"kinds\":[");
    for (int k = 0; k < 5; k++) {
        if (!(p->kinds & 1u << k)) continue;
        ph_json_sep(b);
        ph_json_str(b, kinds[k]);
    }
    bool optional = p->flags & (PH_PORT_OPTIONAL | PH_PORT_HOLD | PH_PORT_EXTERNAL);
    ph_buf_printf(b, "],\"hold\":%s,\"many\":%s,\"external\":%s,\"optional\":%s,\"help\":",
                  p->flags & PH_PORT_HOLD ? "true" : "false",
                  p->flags & PH_PORT_MANY ? "true" : "false",
                  p->flags & PH_PORT_EXTERNAL ? "true" : "false", optional ? "true" : "false");
    ph_json_str(b, p->help ? p->help : "");
    ph_buf_puts(b, "}");
}

static void json_param(struct ph_buf *b, const struct ph_param *p)
{
    ph_json_sep(b);
    ph_buf_puts(b, "{\"name\":");
    ph_json_str(b, p->name);
    ph_json_key(b, "type");
    ph_json_str(b, type_names[p->type]);
    if (p->min != 0 || p->max != 0)
        ph_buf_printf(b, ",\"min\":%.10g,\"max\":%.10g", p->min, p->max);
    ph_json_key(b, "default");
    ph_json_str(b, p->def ? p->def : p->type == PH_TYPE_ENUM ? p->names[0] : "");
    for (int i = 0; p->names && p->names[i]; i++) {
        if (i)
            ph_buf_puts(b, ",");
        else
            ph_buf_puts(b, ",\"names\":[");
        ph_json_str(b, p->names[i]);
        if (!p->names[i + 1]) ph_buf_puts(b, "]");
    }
    ph_json_key(b, "help");
    ph_json_str(b, p->help ? p->help : "");
    ph_json_key(b, "unit");
    ph_json_str(b, p->unit ? p->unit : "");
    ph_buf_printf(b, ",\"setup\":%s,\"path\":%s,\"first\":%s}",
                  p->flags & PH_PARAM_SETUP ? "true" : "false",
                  p->flags & PH_PARAM_PATH ? "true" : "false",
                  p->flags & PH_PARAM_FIRST ? "true" : "false");
}

static void json_signals(struct ph_buf *b, const struct ph_node_info *info)
{
    if (!info->signals) return;
    ph_json_key(b, "signals");
    ph_buf_puts(b, "[");
    for (const struct ph_signal_info *s = info->signals; s->name; s++) {
        ph_json_sep(b);
        ph_buf_puts(b, "{\"name\":");
        ph_json_str(b, s->name);
        ph_json_key(b, "min");
        ph_json_num(b, (double) s->min);
        ph_json_key(b, "max");
        ph_json_num(b, (double) s->max);
        ph_json_key(b, "help");
        ph_json_str(b, s->help ? s->help : "");
        ph_buf_puts(b, "}");
    }
    ph_buf_puts(b, "]");
}

char *ph_node_info_json(const struct ph_node_info *info)
{
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, "{\"name\":");
    ph_json_str(&b, info->name);
    ph_json_key(&b, "group");
    ph_json_str(&b, info->group);
    ph_json_key(&b, "help");
    ph_json_str(&b, info->help);
    ph_buf_puts(&b, ",\"in\":[");
    for (int i = 0; i < ph_port_count(info->in); i++) json_port(&b, &info->in[i]);
    ph_buf_puts(&b, "],\"out\":[");
    for (int i = 0; i < ph_port_count(info->out); i++) json_port(&b, &info->out[i]);
    ph_buf_puts(&b, "],\"params\":[");
    for (const struct ph_param *p = info->params; p && p->name; p++) json_param(&b, p);
    ph_buf_puts(&b, "]");
    json_signals(&b, info);
    ph_buf_puts(&b, "}");
    return ph_buf_steal(&b);
}
