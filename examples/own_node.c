// SPDX-License-Identifier: MIT
// A node of one's own: one descriptor and one function. It inverts pictures.
#include <phosphene/graph.h>

#include <stdio.h>
#include <stdlib.h>

struct invert {
    float amount;
};

static ph_err invert_process(struct ph_node *n)
{
    const struct invert *p = ph_priv(n); // parameters are set before each run
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    if ((ret = ph_frame_make_writable(&f)) < 0) return ret; // others may hold it too
    struct ph_picture *pic = &f->picture;
    for (int y = 0; y < pic->height; y++) {
        uint8_t *row = pic->data[0] + y * pic->stride[0];
        for (int x = 0; x < pic->width * 4; x++) // red, green, blue; alpha stays
            if (x % 4 != 3) row[x] = (uint8_t) (row[x] + (255 - 2 * row[x]) * p->amount);
    }
    return ph_node_write(n, 0, f);
}

static const struct ph_node_info invert = {
    .name = "invert",
    .group = "compose",
    .help = "turns light into dark",
    .in = PH_PORTS({ "in", PH_PICTURE }),
    .out = PH_PORTS({ "out", PH_PICTURE }),
    .params =
        (const struct ph_param[]){ PH_FLOAT(struct invert, amount, 0, 1, .def = "1"), { 0 } },
    .priv_size = sizeof(struct invert),
    .process = invert_process,
};

int main(void)
{
    const struct ph_node_info *nodes[100] = { &invert };
    for (int i = 0; ph_nodes()[i] && i < 98; i++) nodes[i + 1] = ph_nodes()[i];

    struct ph_fault fault;
    struct ph_graph *graph;
    const char *text = "pattern kind=bars size=320x240 -> invert amount=0.5 -> null";
    if (ph_graph_create(&graph, text,
                        ph_graph_params(.nodes = nodes, .frames = 30, .mode = PH_OFFLINE),
                        &fault) < 0)
        return fprintf(stderr, "%s\n", fault.message), 1;
    ph_graph_start(graph);
    ph_graph_wait(graph, 10 * PH_SECOND_NS);
    char *status = ph_graph_status_json(graph);
    puts(status ? status : "out of memory");
    free(status);
    ph_graph_destroy(&graph);
    return 0;
}
