// SPDX-License-Identifier: MIT
// The graph text written back: every node on its own line with its name, then the
// links, then the drives.
#include "graph/text.h"

#include "core/buf.h"

#include <string.h>

// Bare when the parser would read the same word back.
static void print_value(struct ph_buf *b, const char *value)
{
    const char *rest = value + (*value == '#'); // a colour; elsewhere '#' starts a comment
    if (*value && !strpbrk(rest, " \t\r\n;#\"\\=>")) {
        ph_buf_puts(b, value);
        return;
    }
    ph_buf_puts(b, "\"");
    for (const char *c = value; *c; c++) {
        if (*c == '\n')
            ph_buf_puts(b, "\\n");
        else
            ph_buf_printf(b, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    }
    ph_buf_puts(b, "\"");
}

static void print_node(struct ph_buf *b, const struct ph_ast_node *n)
{
    ph_buf_printf(b, "%s: %s", n->name, n->info->name);
    for (int i = 0; i < n->param_count; i++) {
        ph_buf_printf(b, " %s=", n->params[i].info->name);
        print_value(b, n->params[i].value);
    }
    ph_buf_puts(b, "\n");
}

char *ph_ast_print(const struct ph_ast *ast)
{
    struct ph_buf b = { 0 };
    for (int i = 0; i < ast->node_count; i++) print_node(&b, &ast->nodes[i]);
    for (int i = 0; i < ast->link_count; i++) {
        const struct ph_ast_link *l = &ast->links[i];
        const struct ph_ast_node *from = &ast->nodes[l->from], *to = &ast->nodes[l->to];
        if (l->drive) continue;
        ph_buf_printf(&b, "%s.%s ", from->name, from->info->out[l->from_port].name);
        if (l->queue)
            ph_buf_printf(&b, "=>[%s %d]", ph_drop_name(l->drop), l->depth);
        else
            ph_buf_puts(&b, "->");
        ph_buf_printf(&b, " %s.%s\n", to->name, to->info->in[l->to_port].name);
    }
    for (int i = 0; i < ast->drive_count; i++) {
        const struct ph_ast_drive *d = &ast->drives[i];
        ph_buf_printf(&b, "%s.%s <- %s\n", ast->nodes[d->node].name, d->param->name, d->text);
    }
    return ph_buf_steal(&b);
}
