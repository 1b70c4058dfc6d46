// SPDX-License-Identifier: MIT
#include "../test.h"
#include "nodes.h"

#include "core/tree.h"
#include "graph/text.h"

static struct ph_ast *parse(const char *text)
{
    struct ph_ast *ast;
    struct ph_fault fault = { 0 };
    if (ph_ast_parse(&ast, text, test_nodes, &fault) != PH_OK)
        TEST_FAIL("\"%s\" refused at %d:%d: %s", text, fault.line, fault.column, fault.message);
    return ast;
}

static struct ph_fault refuse(const char *text, int line, int column, const char *part)
{
    struct ph_ast *ast;
    struct ph_fault fault = { 0 };
    if (ph_ast_parse(&ast, text, test_nodes, &fault) >= 0)
        TEST_FAIL("\"%s\" was accepted", text);
    CHECK_HAS(fault.message, part);
    if (fault.line != line || fault.column != column)
        TEST_FAIL("\"%s\": at %d:%d, want %d:%d (%s)", text, fault.line, fault.column, line,
                  column, fault.message);
    return fault;
}

TEST(a_chain_makes_one_lane_and_a_double_arrow_a_second_one)
{
    struct ph_ast *ast = parse("count fps=30 -> pass => work ms=2 -> sink");
    CHECK_INT(ast->node_count, ==, 4);
    CHECK_INT(ast->lanes, ==, 2);
    CHECK_INT(ast->lane[0], ==, ast->lane[1]);
    CHECK_INT(ast->lane[2], ==, ast->lane[3]);
    CHECK(ast->lane[1] != ast->lane[2]);
    CHECK_INT(ast->links[1].drop, ==, PH_DROP_LATEST);
    ph_tree_free(ast);
}

TEST(a_policy_and_depth_are_read)
{
    struct ph_ast *ast = parse("count =>[block 4] pass =>[drop_oldest 7] pass => sink");
    CHECK_INT(ast->links[0].drop, ==, PH_DROP_BLOCK);
    CHECK_INT(ast->links[0].depth, ==, 4);
    CHECK_INT(ast->links[1].drop, ==, PH_DROP_OLDEST);
    CHECK_INT(ast->links[1].depth, ==, 7);
    CHECK_INT(ast->links[2].depth, ==, 1);
    ph_tree_free(ast);
}

TEST(names_ports_branches_comments_and_line_breaks)
{
    struct ph_ast *ast = parse("# two into one\n"
                               "left: count value=1   # the left one\n"
                               "right: count value=2; left -> both: pair\n"
                               "right => both.b\n"
                               "both\n"
                               "  -> pass\n"
                               "  -> sink\n");
    CHECK_INT(ast->node_count, ==, 5);
    CHECK_INT(ast->link_count, ==, 4);
    CHECK_STR(ph_ast_find(ast, "right")->params[0].value, "2");
    CHECK_INT(ast->links[1].to_port, ==, 1);
    ph_tree_free(ast);
}

TEST(what_is_printed_reads_back_to_the_same_print)
{
    const char *texts[] = {
        "count fps=30 -> pass => work ms=2 -> sink",
        "a: count label=\"two words; and \\\"more\\\"\\nline\" -> s: sink",
        "x: count label=#12 -> p: pair\ny: count =>[block 9] p.b\np -> sink",
        "stream => sink",
        "count -> gpu -> sink",
        "a: count label=\"#a->b\" -> s: sink",
        "a: count label=\">\" -> s: sink",
        "count -> g: gpu -> s: sink\ng -> s\ng => s"
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct ph_ast *first = parse(texts[i]);
        char *once = ph_ast_print(first);
        struct ph_ast *second = parse(once);
        char *twice = ph_ast_print(second);
        CHECK_STR(twice, once);
        free(once);
        free(twice);
        ph_tree_free(first);
        ph_tree_free(second);
    }
}

TEST(errors_point_at_the_column_and_suggest_the_nearest_name)
{
    refuse("", 1, 1, "empty");
    refuse("cuont -> sink", 1, 1, "did you mean \"count\"?");
    refuse("count -> sinc", 1, 10, "did you mean \"sink\"?");
    refuse("count\n  -> pass fsp=3 -> sink", 2, 11, "no parameter");
    refuse("count fsp=3 -> sink", 1, 7, "did you mean \"fps\"?");
    refuse("count fps=abc -> sink", 1, 7, "is a number");
    refuse("count fps=-1 -> sink", 1, 7, "0 … 100000");
    refuse("count fps=3 fps=4 -> sink", 1, 13, "twice");
}

TEST(wrong_links_are_refused_by_name)
{
    refuse("sink -> count", 1, 1, "sink has no output");
    refuse("count -> count", 1, 10, "has no input");
    refuse("pass -> sink", 1, 1, "nothing feeds pass.in");
    refuse("a: count -> p: pair\nb: count -> p.c", 2, 13, "it has a, b");
    refuse("a: count -> p: pair -> sink\na -> p", 2, 6, "p.a is fed twice");
    refuse("a: pass -> b: pass\nb -> a", 1, 4, "loop");
    refuse("count -> push -> sink", 1, 10, "no input");
    refuse("count =>[lastest] sink", 1, 10, "latest, block");
    refuse("count =>[block 0] sink", 1, 16, "1 … 1024");
    refuse("count ->[block] sink", 1, 9, "use =>");
    refuse("a: count -> sink\na: count -> sink", 2, 1, "two nodes");
    refuse("count -> x.in", 1, 10, "no node is called \"x\"");
    refuse("count -> x.in\ny: count -> x: pass", 1, 10, "\"x\" is made further down");
    refuse("first: pass; count -> frist.in", 1, 23, "did you mean \"first\"?");
    refuse("count -> cont.in", 1, 10, "no node is called \"cont\", did you mean \"count\"?");
    refuse("count label=\"open -> sink", 1, 13, "not closed");
    refuse("count -> ", 1, 10, "expected the name");
    refuse("stream -> add -> sink", 1, 11, "encoded packets");
}

// runtimes.md D2 14: a "latest" link loses packets that others need
TEST(d2_14_a_stream_of_packets_refuses_a_latest_link)
{
    refuse("stream =>[latest] sink", 1, 19, "predecessors");
    refuse("stream =>[drop_oldest 3] sink", 1, 26, "predecessors");
    struct ph_ast *ast = parse("stream => sink");
    CHECK_INT(ast->links[0].drop, ==, PH_DROP_TO_KEY);
    ph_tree_free(ast);
}

// runtimes.md D2 5: the same program picked another memory kind in another run
TEST(d2_5_transfers_follow_a_fixed_rule_a_thousand_times)
{
    char *first = NULL;
    for (int i = 0; i < 1000; i++) {
        struct ph_ast *ast = parse("count -> gpu -> both -> gpu => sink");
        char *text = ph_ast_print(ast);
        ph_tree_free(ast);
        if (!first) first = text;
        CHECK_STR(text, first);
        if (text != first) free(text);
    }
    CHECK_HAS(first, "gpu_upload.out -> gpu.in");
    CHECK_HAS(first, "gpu2.out =>[latest 1] sink_download.in");
    CHECK_HAS(first, "gpu.out -> both.in");
    free(first);
}

TEST(transfers_have_names_of_their_own)
{
    struct ph_ast *ast = parse("s_download: count -> g: gpu -> s: sink\ng -> s\ng => s");
    for (int i = 0; i < ast->node_count; i++)
        CHECK(ph_ast_find(ast, ast->nodes[i].name) == &ast->nodes[i]);
    ph_tree_free(ast);
}

TEST(transfers_count_as_nodes)
{
    char text[16384] = "c: count\n";
    size_t len = strlen(text);
    for (int i = 0; i < 100; i++)
        len += (size_t) snprintf(text + len, sizeof text - len, "c -> gpu -> sink\n");
    refuse(text, 29, 10, "at most 256 nodes");
}

TEST(a_missing_transfer_node_is_named)
{
    const struct ph_node_info *few[4];
    int n = 0;
    for (int i = 0; test_nodes[i]; i++)
        if (!strcmp(test_nodes[i]->name, "count") || !strcmp(test_nodes[i]->name, "gpu"))
            few[n++] = test_nodes[i];
    few[n] = NULL;
    struct ph_ast *ast;
    struct ph_fault fault = { 0 };
    CHECK(ph_ast_parse(&ast, "count -> gpu", few, &fault) == PH_ENOTSUP);
    CHECK_HAS(fault.message, "no node \"upload\"");
}
