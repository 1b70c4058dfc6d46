// SPDX-License-Identifier: MIT
// What a room tells about itself: the room document, its parameters, its trace.
#include "room/room_priv.h"

#include "core/number.h"

#include <stdlib.h>
#include <string.h>

static void no_memory(struct ph_asker *a)
{
    struct ph_fault fault;
    ph_fail(&fault, PH_ENOMEM, "room", "out of memory");
    ph_asker_fault(a, &fault);
}

// The graph's own document with the room's members before it.
char *ph_room_doc(struct ph_room *room)
{
    struct ph_buf b = { 0 };
    char *status = ph_graph_status_json(room->graph);
    if (!status || status[0] != '{') {
        free(status);
        return NULL;
    }
    ph_buf_puts(&b, "{\"name\":");
    ph_json_str(&b, room->name);
    ph_viewers_json(room, &b);
    ph_record_json(room, &b);
    ph_buf_puts(&b, ",");
    ph_buf_puts(&b, status + 1);
    free(status);
    char *doc = b.failed ? NULL : ph_room_hide(room, b.data);
    ph_buf_free(&b);
    return doc;
}

// Names of nodes, parameters and numbers: nothing that would have to be hidden.
char *ph_room_signals(struct ph_room *room)
{
    return ph_graph_signals_json(room->graph);
}

void ph_room_act_doc(struct ph_room *room, struct ph_room_job *j)
{
    if (!ph_room_is_open(room, &j->asker)) return;
    char *doc = ph_room_doc(room);
    if (doc)
        ph_asker_json(&j->asker, j->status ? j->status : 200, doc);
    else
        no_memory(&j->asker);
    free(doc);
}

void ph_room_act_trace(struct ph_room *room, struct ph_room_job *j)
{
    if (!ph_room_is_open(room, &j->asker)) return;
    char *trace = ph_graph_trace_json(room->graph);
    if (trace)
        ph_asker_json(&j->asker, 200, trace);
    else
        no_memory(&j->asker);
    free(trace);
}

// --- parameters

static void put_value(struct ph_buf *b, const struct ph_param *p, const char *text)
{
    union ph_value v = { 0 };
    switch (p->type) {
    case PH_TYPE_BOOL:
        ph_param_parse(p, text, &v, NULL);
        ph_buf_puts(b, v.b ? "true" : "false");
        break;
    case PH_TYPE_FLOAT: ph_json_num(b, ph_strtod(text, NULL)); break;
    case PH_TYPE_INT: ph_buf_printf(b, "%lld", strtoll(text, NULL, 10)); break;
    default: ph_json_str(b, p->flags & PH_PARAM_SECRET ? "" : text); break;
    }
}

static void put_node(struct ph_buf *b, const struct ph_ast_node *n)
{
    ph_json_sep(b);
    ph_buf_puts(b, "{\"name\":");
    ph_json_str(b, n->name);
    ph_json_key(b, "type");
    ph_json_str(b, n->info->name);
    ph_json_key(b, "values");
    ph_buf_puts(b, "{");
    for (const struct ph_param *p = n->info->params; p && p->name; p++) {
        ph_json_key(b, p->name);
        put_value(b, p, ph_edit_value(n, p));
    }
    ph_buf_puts(b, "}}");
}

void ph_room_act_params(struct ph_room *room, struct ph_room_job *j)
{
    struct ph_fault fault;
    struct ph_buf b = { 0 };
    if (!ph_room_is_open(room, &j->asker)) return;
    ph_err ret = ph_room_learn(room, &fault); // a set changes values without an edit
    ph_buf_puts(&b, "{\"nodes\":[");
    for (int i = 0; ret == PH_OK && i < room->ast->node_count; i++)
        put_node(&b, &room->ast->nodes[i]);
    ph_buf_puts(&b, "]}");
    char *text = ret == PH_OK && !b.failed ? ph_room_hide(room, b.data) : NULL;
    if (ret < 0)
        ph_asker_fault(&j->asker, &fault);
    else if (text)
        ph_asker_json(&j->asker, 200, text);
    else
        no_memory(&j->asker);
    free(text);
    ph_buf_free(&b);
}
