// SPDX-License-Identifier: MIT
// The graph that a command is given: a text, a preset or a file, with -i, -o and -p worked in.
#ifndef PH_CLI_GRAPHTEXT_H
#define PH_CLI_GRAPHTEXT_H

#include "options.h"

struct cli_graph {
    char *text;
    char where[128]; // "graph", "preset demo" or the file's name, for errors
};

// word: "-" (stdin), a preset's name, a file, or the text itself. On failure says why and returns
// the exit status.
int cli_graph_load(const char *word, struct cli_graph *graph);
void cli_graph_free(struct cli_graph *graph);

// Each replaces graph->text by a canonical text with the change, or says what is wrong and returns
// the exit status.
//   source: a path or URL (file), /dev/videoN (camera), a source node with parameters; loop: a file
//           begins again at its end
//   sink:   NAME.mp4|mkv|mov|webm (record), NAME.png|jpg (image), a sink node with parameters
//   param:  node.param=value
//   model:  folder or name of a model, for every node that paints or, if it is one, sees depth
int cli_graph_source(struct cli_graph *graph, const char *input, bool loop);
int cli_graph_sink(struct cli_graph *graph, const char *output, bool overwrite);
int cli_graph_param(struct cli_graph *graph, const char *assignment);
int cli_graph_model(struct cli_graph *graph, const char *model);
// A graph that leads nowhere does nothing: says so and returns the exit status.
int cli_graph_check_sinks(const struct cli_graph *graph);

// What a file's name says that it holds.
bool cli_output_is_film(const char *path);    // .mp4 .mkv .mov .webm
bool cli_output_is_picture(const char *path); // .png .jpg .jpeg
bool cli_output_is_cloud(const char *path);   // .ply .glb

#endif
