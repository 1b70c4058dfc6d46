// SPDX-License-Identifier: MIT
#include "graph/graph_priv.h"

ph_err journal_open(struct journal **out, const char *path, const struct ph_graph *g,
                    const char *text, struct ph_fault *fault)
{
    (void) out, (void) g, (void) text;
    return ph_fail(fault, PH_ENOTSUP, "journal", "journals are not written yet: %s", path);
}
void journal_close(struct journal **j, struct ph_graph *g)
{
    (void) j, (void) g;
}
void journal_pop(struct ph_lane *lane, struct ph_link *l, const struct link_item *item)
{
    (void) lane, (void) l, (void) item;
}
void journal_tick(struct ph_node *n, uint64_t previous)
{
    (void) n, (void) previous;
}
void journal_epoch(struct ph_lane *lane)
{
    (void) lane;
}
void journal_set(struct ph_node *n, const struct control *c)
{
    (void) n, (void) c;
}
void journal_edit(struct ph_graph *g, const char *text)
{
    (void) g, (void) text;
}
void journal_metric(struct ph_node *n, const char *name, const char *text)
{
    (void) n, (void) name, (void) text;
}
int journal_recall(struct ph_node *n, const char *name, char *text, size_t size)
{
    (void) n, (void) name, (void) text, (void) size;
    return -1;
}
