// SPDX-License-Identifier: MIT
// What is freed twice or not at all, the address sanitizer tells.
#include "alloc_count.h"
#include "core/tree.h"
#include "test.h"

TEST(blocks_are_zero_aligned_and_freed_with_their_parent)
{
    char *root = ph_tree_alloc(NULL, 10);
    for (int i = 0; i < 100; i++) {
        char *block = ph_tree_alloc(root, (size_t) i * 7);
        CHECK_INT((uintptr_t) block % 16, ==, 0);
        for (int k = 0; k < i * 7; k++) CHECK_INT(block[k], ==, 0);
        memset(block, 0xee, (size_t) i * 7);
        ph_tree_text(block, "leaf", 4);
    }
    ph_tree_free(root);
    ph_tree_free(NULL);
}

TEST(blocks_can_be_freed_before_their_parent_in_any_order)
{
    unsigned seed = 1;
    int *root = ph_new(NULL, int, 1), *blocks[60];
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 60; i++) {
            blocks[i] = ph_new(i % 3 || !i ? root : blocks[i - 1], int, 1);
            *blocks[i] = i;
        }
        // only those that have no parent among the blocks and no child there
        for (int k = 0; k < 200; k++) {
            int i = (int) (rand_r(&seed) % 60);
            if (i % 3 != 1 || !blocks[i]) continue;
            CHECK_INT(*blocks[i], ==, i);
            ph_tree_free(blocks[i]);
            blocks[i] = NULL;
        }
        for (int i = 0; i < 60; i++)
            if (blocks[i]) CHECK_INT(*blocks[i], ==, i);
    }
    ph_tree_free(root);
}

TEST(a_grown_array_keeps_its_elements_and_what_hangs_below_it)
{
    struct item {
        int value;
        char *name;
    } *items = NULL;
    int count = 0;
    void *root = ph_tree_alloc(NULL, 1);
    for (int i = 0; i < 1000; i++) {
        CHECK(ph_append(root, items, count, ((struct item){ .value = i })));
        items[i].name = ph_tree_printf(items, "item %d", i);
    }
    CHECK_INT(count, ==, 1000);
    for (int i = 0; i < 1000; i++) {
        char want[32];
        snprintf(want, sizeof want, "item %d", i);
        CHECK_INT(items[i].value, ==, i);
        CHECK_STR(items[i].name, want);
    }
    ph_tree_free(items[500].name); // still a block of its own
    ph_tree_free(root);
}

TEST(texts_are_cut_where_asked_and_terminated)
{
    void *root = ph_tree_alloc(NULL, 0);
    CHECK_STR(ph_tree_text(root, "abcdef", 3), "abc");
    CHECK_STR(ph_tree_text(root, "", 0), "");
    CHECK_STR(ph_tree_printf(root, "%s-%d", "x", 7), "x-7");
    char *longer = ph_tree_printf(root, "%05000d", 1);
    CHECK_INT(strlen(longer), ==, 5000);
    ph_tree_free(root);
}

TEST(a_failing_allocation_gives_null_and_leaves_the_tree_whole)
{
    int *root = ph_new(NULL, int, 1), *numbers = NULL, count = 0;
    for (int i = 0; i < 8; i++) CHECK(ph_append(root, numbers, count, i));
    int *before = numbers;
    alloc_fail_from(0);
    CHECK(!ph_tree_alloc(root, 8) && !ph_tree_text(root, "a", 1) && !ph_tree_printf(root, "a"));
    CHECK(!ph_append(root, numbers, count, 8));
    CHECK(alloc_failed() >= 4);
    alloc_fail_from(-1);
    CHECK_INT(count, ==, 8);
    for (int i = 0; i < 8; i++) CHECK_INT(before[i], ==, i); // still there, below root
    ph_tree_free(root);
}
