// SPDX-License-Identifier: MIT
// The graph text; what it accepts must print to a text that it accepts again, the same.
#include "core/tree.h"
#include "graph/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const char *once)
{
    struct ph_ast *ast;
    struct ph_fault fault = { 0 };
    ph_err ret = ph_ast_parse(&ast, once, ph_nodes(), &fault);
    if (ret == PH_ENOMEM) return;
    if (ret < 0) abort();
    char *twice = ph_ast_print(ast);
    if (twice && strcmp(once, twice)) abort();
    free(twice);
    ph_tree_free(ast);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ph_ast *ast;
    struct ph_fault fault = { 0 };
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    if (ph_ast_parse(&ast, text, ph_nodes(), &fault) < 0) {
        if (ast || !fault.message[0]) abort();
    } else {
        char *once = ph_ast_print(ast);
        // the canonical form names every node and port, so that it may outgrow the limit
        if (once && strlen(once) < 60000) check_again(once);
        free(once);
        ph_tree_free(ast);
    }
    free(text);
    return 0;
}
