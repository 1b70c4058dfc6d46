// SPDX-License-Identifier: MIT
// A journal that was copied while it was written ends anywhere: its replay ends, too.
#include "../test.h"
#include "nodes.h"

#include <string.h>
#include <sys/stat.h>

#define MS PH_MS_NS

static char journal[64], part[64];

static struct ph_graph *make(const char *text)
{
    struct ph_graph *g;
    struct ph_fault fault;
    snprintf(journal, sizeof journal, "/tmp/ph-whole-%d", (int) getpid());
    snprintf(part, sizeof part, "/tmp/ph-part-%d", (int) getpid());
    ph_err err = ph_graph_create(
        &g, text, ph_graph_params(.nodes = test_nodes, .journal = journal, .seed = 7), &fault);
    if (err != PH_OK) TEST_FAIL("%s: %s", text, fault.message);
    CHECK_OK(ph_graph_start(g));
    return g;
}

static char *read_all(size_t *size)
{
    struct stat st;
    FILE *f = fopen(journal, "rb");
    CHECK(f && !stat(journal, &st));
    char *bytes = malloc((size_t) st.st_size + 1);
    *size = fread(bytes, 1, (size_t) st.st_size, f);
    fclose(f);
    return bytes;
}

static void write_part(const char *bytes, size_t size)
{
    FILE *f = fopen(part, "wb");
    CHECK(f && fwrite(bytes, 1, size, f) == size && !fclose(f));
}

// What a sink is shown rises. The last of it is a guess: a lane that had written nothing since may have
// lost frames.
static void check_rises(const char *sink, size_t size)
{
    const struct seen *last = NULL;
    for (int i = 0; i < test_seen_count; i++) {
        const struct seen *now = &test_seen[i];
        if (strcmp(now->node, sink)) continue;
        if (last && last->pts_ns >= now->pts_ns)
            TEST_FAIL("%s goes back to frame %llu, cut at %zu", sink,
                      (unsigned long long) now->id, size);
        last = now;
    }
}

static ph_err replay(const char *path)
{
    struct ph_fault fault = { 0 };
    test_seen_count = 0;
    return ph_replay(path, &(struct ph_replay_params){ .nodes = test_nodes }, &fault);
}

// Ends the run and replays its journal, cut at the end of each of its lines (of at most so many, evenly),
// and in the middle of some.
static void cut_everywhere(struct ph_graph **g, const char *sinks, int most)
{
    size_t size, lines = 0, seen = 0;
    ph_graph_destroy(g);
    char *bytes = read_all(&size);
    for (size_t i = 0; i < size; i++) lines += bytes[i] == '\n';
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != '\n' || (seen++ * (size_t) most) % lines >= (size_t) most) continue;
        write_part(bytes, i + 1 - (seen % 7 == 3 ? 5 : 0));
        ph_err ret = replay(part);
        if (ret != PH_OK && ret != PH_EFORMAT) TEST_FAIL("cut at %zu: %s", i, ph_strerror(ret));
        for (const char *s = sinks; *s && ret == PH_OK; s++)
            check_rises((char[]){ *s, 0 }, i + 1);
    }
    free(bytes);
    unlink(journal);
    unlink(part);
}

TEST_LIMIT(a_journal_of_one_chain_that_loses_frames_may_end_anywhere, 40)
{
    struct ph_graph *g = make("count fps=200 => w: work ms=11 => s: sink");
    test_flow("s", 40);
    cut_everywhere(&g, "s", 60);
}

TEST_LIMIT(a_journal_with_changes_may_end_anywhere, 40)
{
    struct ph_graph *g =
        make("a: count fps=200 => d: add -> w: work ms=7 => s: sink\na => t: sink");
    for (int i = 0; i < 12; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        test_flow("st", 4);
        CHECK_OK(ph_graph_set(g, (uint64_t) i, "d", "amount", value, NULL));
        if (i % 4 == 3)
            CHECK_OK(ph_graph_cut(g, 100, (struct ph_cut){ .hard = i == 7, .chunks = 2 }));
    }
    test_flow("st", 4);
    cut_everywhere(&g, "st", 80);
}

TEST_LIMIT(a_journal_with_edits_may_end_anywhere, 40)
{
    struct ph_graph *g =
        make("a: count fps=200 => d: add -> w: work ms=7 => s: sink\na => t: sink");
    test_flow("st", 6);
    CHECK_OK(ph_graph_edit(g, 1, "a: count fps=200 => s: sink\na => t: sink", NULL));
    test_flow("st", 6);
    CHECK_OK(ph_graph_edit(
        g, 2,
        "a: count fps=200 => w: work ms=9 => s: sink\na => t: sink\nb: count fps=50 => u: sink",
        NULL));
    test_flow("st", 6);
    cut_everywhere(&g, "st", 80);
}

TEST_LIMIT(a_journal_with_held_inputs_and_drives_may_end_anywhere, 40)
{
    struct ph_graph *g =
        make("a: count fps=200 => p: pair -> x: add -> w: work ms=6 => s: sink\n"
             "b: count fps=70 => p.b\nd: drums fps=90\na => t: sink\nb -> h: tell\n"
             "x.amount <- d.steps + h.number + sine(2)");
    test_flow("st", 20);
    CHECK_OK(ph_graph_drive(g, 1, "x", "whole", "kick", NULL));
    test_flow("st", 10);
    cut_everywhere(&g, "st", 80);
}

// Lanes in no order of the text: the one that comes first hears those behind it.
TEST_LIMIT(a_journal_of_lanes_that_are_written_backwards_may_end_anywhere, 40)
{
    struct ph_graph *g = make("u: add -> t: sink\nw: work ms=9 => s: sink\n"
                              "b: count fps=150 => w\na: count fps=90 -> ta: tell\na => u\n"
                              "b -> tb: tell\nu.amount <- tb.number");
    test_flow("st", 20);
    cut_everywhere(&g, "st", 80);
}

TEST_LIMIT(a_journal_of_a_source_that_is_driven_may_end_anywhere, 40)
{
    struct ph_graph *g =
        make("c: count fps=100 -> x: add -> s: sink\nc -> tc: tell\n"
             "e: count fps=70 -> y: add -> w: work ms=12 -> t: sink\ne -> te: tell\n"
             "x.amount <- te.number\ny.amount <- tc.number");
    test_flow("st", 20);
    cut_everywhere(&g, "st", 80);
}
