// SPDX-License-Identifier: MIT
// How a room reads and rewrites graph texts, and what a client may name in them.
#include "test.h"

#include "core/tree.h"
#include "room/allow.h"
#include "room/edit.h"

#include <phosphene/graph.h>

static struct ph_ast *parse(const char *text)
{
    struct ph_ast *ast = NULL;
    struct ph_fault f = { 0 };
    if (ph_ast_parse(&ast, text, ph_nodes(), &f) < 0) TEST_FAIL("%s: %s", text, f.message);
    return ast;
}

static bool has(const char *node)
{
    for (const struct ph_node_info *const *n = ph_nodes(); *n; n++)
        if (!strcmp((*n)->name, node)) return true;
    return false;
}

TEST(another_source_leaves_everything_else_as_it_is)
{
    char *out = NULL;
    struct ph_fault f = { 0 };
    CHECK_OK(ph_edit_source("pattern size=64x64 -> mirror flip=vertical => null",
                            "scene fps=12", &out, &f));
    struct ph_ast *ast = parse(out);
    CHECK_INT(ast->node_count, ==, 3);
    CHECK_STR(ast->nodes[0].info->name, "scene");
    CHECK_STR(ast->nodes[0].name, "scene"); // a name that only repeated the type follows it
    CHECK_STR(
        ph_edit_value(&ast->nodes[0], ph_param_find(ast->nodes[0].info->params, "fps", NULL)),
        "12");
    CHECK_STR(ast->nodes[1].info->name, "mirror");
    CHECK_INT(ast->nodes[1].param_count, ==, 1);
    CHECK(ast->links[1].queue);
    ph_tree_free(ast);
    free(out);
    CHECK_OK(ph_edit_source("stage: pattern\nstage -> null", "scene", &out, &f));
    CHECK_HAS(out, "stage: scene"); // a name that somebody gave stays
    free(out);
}

TEST(drives_stay_while_their_parameter_is_there)
{
    char *out = NULL, *without = NULL;
    struct ph_fault f = { 0 };
    const char *text = "pattern size=64x64 -> m: mirror => null\n"
                       "pattern.fps <- 30 + sine(4)\npattern.speed <- sine(2)\n"
                       "m.flip <- random(4) * 2";
    CHECK_OK(ph_edit_source(text, "scene", &out, &f));
    CHECK_HAS(out, "scene.fps <- 30 + sine(4)\n");
    CHECK(!strstr(out, "speed"));
    CHECK_HAS(out, "m.flip <- random(4) * 2\n");
    CHECK_OK(ph_edit_remove("a: pattern -> null\nb: pattern -> null\na.speed <- 1\n"
                            "b.speed <- 2",
                            "a", &without, &f));
    CHECK(!strstr(without, "a.speed"));
    CHECK_HAS(without, "b.speed <- 2\n");
    free(out);
    free(without);
}

TEST(a_graph_without_a_source_says_so)
{
    char *out = NULL;
    struct ph_fault f = { 0 };
    CHECK_INT(ph_edit_source("null", "pattern", &out, &f), <, 0);
    CHECK(!out && f.message[0]);
}

TEST(outlets_are_the_live_nodes_that_each_codec_reaches)
{
    struct ph_outlet outlet[PH_FEEDS];
    if (!has("jpeg")) TEST_SKIP("this build has no jpeg node");
    struct ph_ast *ast = parse("pattern => jpeg -> a: live\npattern -> b: live");
    ph_edit_outlets(ast, outlet);
    CHECK_STR(outlet[PH_FEED_JPEG].live, "a");
    CHECK_STR(outlet[PH_FEED_JPEG].encoder, "jpeg");
    CHECK_STR(outlet[PH_FEED_H264].live, "");
    ph_tree_free(ast);
    ast = parse("pattern -> live");
    ph_edit_outlets(ast, outlet);
    CHECK_STR(outlet[PH_FEED_JPEG].live, "");
    ph_tree_free(ast);
}

TEST(a_recording_is_added_where_the_encoder_is_fed_and_removed_without_a_trace)
{
    char name[PH_NAME_MAX], *with = NULL, *without = NULL;
    struct ph_fault f = { 0 };
    if (!has("jpeg") || !has("record")) TEST_SKIP("this build has no jpeg or record node");
    const char *text = "rec: pattern size=64x64 -> mirror => jpeg -> live";
    CHECK_OK(ph_edit_record(text, "/tmp/a \"b\".mp4", name, &with, &f));
    CHECK_STR(name, "rec2"); // "rec" is taken
    struct ph_ast *ast = parse(with), *before = parse(text);
    const struct ph_ast_node *rec = ph_ast_find(ast, name);
    CHECK(rec && !strcmp(rec->info->name, "record"));
    CHECK_STR(rec->params[0].value, "/tmp/a \"b\".mp4");
    const struct ph_ast_link *l = &ast->links[ast->link_count - 1];
    CHECK_STR(ast->nodes[l->from].info->name, "mirror");
    CHECK(l->queue && l->drop == PH_DROP_OLDEST);
    CHECK_INT(l->depth, ==, 30);
    CHECK_OK(ph_edit_remove(with, name, &without, &f));
    char *plain = ph_ast_print(before);
    CHECK_STR(without, plain);
    ph_tree_free(ast);
    ph_tree_free(before);
    free(plain);
    free(with);
    free(without);
}

TEST(nothing_to_record_is_said)
{
    char name[PH_NAME_MAX], *out = NULL;
    struct ph_fault f = { 0 };
    if (!has("record")) TEST_SKIP("this build has no record node");
    CHECK_INT(ph_edit_record("pattern -> null", "/tmp/x.mp4", name, &out, &f), ==, PH_EINVAL);
    CHECK_HAS(f.message, "nothing to record");
    CHECK(!out);
}

// --- what a client may name

struct fixture {
    void *tree;
    struct ph_allow allow;
};

static void setup(struct fixture *x, const char *const *inputs, const struct ph_preset *presets)
{
    static const struct ph_preset none[] = { { 0 } };
    struct ph_fault f = { 0 };
    x->tree = ph_tree_alloc(NULL, 1);
    if (ph_allow_init(&x->allow, x->tree, inputs, presets ? presets : none, &f) < 0)
        TEST_FAIL("%s", f.message);
}

static void teardown(struct fixture *x)
{
    ph_allow_finish(&x->allow);
    ph_tree_free(x->tree);
}

TEST(sources_have_names_kinds_and_labels_without_secrets)
{
    struct fixture x;
    if (!has("file")) TEST_SKIP("this build has no file node");
    setup(&x,
          (const char *const[]){ "clips/a b.mp4", "stage=rtsp://me:secret@host/cam?key=1",
                                 "scene fps=5", "clips/a b.mov", NULL },
          NULL);
    const struct ph_source *s = ph_allow_find(&x.allow, "a-b");
    CHECK(s);
    CHECK_STR(s->kind, "file");
    CHECK_STR(s->label, "a b.mp4");
    CHECK(ph_allow_find(&x.allow, "a-b-2"));
    s = ph_allow_find(&x.allow, "stage");
    CHECK(s);
    CHECK_STR(s->kind, "url");
    CHECK_STR(s->label, "rtsp://host/cam");
    s = ph_allow_find(&x.allow, "scene-2");
    CHECK(s);
    CHECK_STR(s->node, "scene fps=5");
    CHECK(ph_allow_find(&x.allow, "pattern") && ph_allow_find(&x.allow, "browser"));
    CHECK_STR(ph_allow_nearest(&x.allow, "stagge"), "stage");
    teardown(&x);
}

static ph_err check(struct fixture *x, const char *text, const char *present,
                    struct ph_fault *f)
{
    struct ph_ast *ast = parse(text), *was = present ? parse(present) : NULL;
    ph_err ret = ph_allow_graph(&x->allow, ast, was, f);
    ph_tree_free(ast);
    ph_tree_free(was);
    return ret;
}

TEST(a_client_may_read_what_is_listed_and_write_nothing)
{
    struct fixture x;
    struct ph_fault f = { 0 };
    if (!has("file") || !has("image")) TEST_SKIP("this build has no file or image node");
    setup(&x, (const char *const[]){ "clip.mp4", NULL }, NULL);
    CHECK_OK(check(&x, "file clip.mp4 -> null", NULL, &f));
    CHECK_INT(check(&x, "pattern -> null\nfile /etc/passwd -> null", NULL, &f), ==, PH_EINVAL);
    CHECK_HAS(f.message, "/etc/passwd");
    CHECK_INT(f.line, ==, 2);
    CHECK_INT(f.column, ==, 1);
    CHECK_INT(check(&x, "file http://10.0.0.1/x -> null", NULL, &f), ==, PH_EINVAL);
    // a file that may be read must not be overwritten
    CHECK_INT(check(&x, "pattern -> image clip.mp4", NULL, &f), ==, PH_EINVAL);
    teardown(&x);
}

TEST(a_client_may_keep_the_paths_that_the_room_has_on_the_same_node_only)
{
    struct fixture x;
    struct ph_fault f = { 0 };
    if (!has("image")) TEST_SKIP("this build has no image node");
    setup(&x, NULL, NULL);
    const char *present = "pattern -> shot: image /tmp/out.png";
    CHECK_OK(check(&x, "pattern -> mirror -> shot: image /tmp/out.png", present, &f));
    CHECK_INT(check(&x, "pattern -> other: image /tmp/out.png", present, &f), ==, PH_EINVAL);
    CHECK_INT(check(&x, "pattern -> shot: image /tmp/other.png", present, &f), ==, PH_EINVAL);
    teardown(&x);
}

TEST(a_client_may_name_what_a_preset_names)
{
    static const struct ph_preset presets[] = {
        { "a", "a", "# title: a\npattern -> image /tmp/preset.png" },
        { "broken", "broken", "nonsense ->" },
        { 0 },
    };
    struct fixture x;
    struct ph_fault f = { 0 };
    if (!has("image")) TEST_SKIP("this build has no image node");
    setup(&x, NULL, presets);
    CHECK_OK(check(&x, "scene -> image /tmp/preset.png", NULL, &f));
    CHECK_INT(check(&x, "scene -> image /tmp/preset2.png", NULL, &f), ==, PH_EINVAL);
    teardown(&x);
}

TEST(every_node_that_opens_something_by_name_is_refused_by_default)
{
    struct fixture x;
    setup(&x, NULL, NULL);
    for (const struct ph_node_info *const *n = ph_nodes(); *n; n++) {
        const struct ph_param *path = NULL;
        char text[128];
        for (const struct ph_param *p = (*n)->params; p && p->name; p++)
            if (p->flags & PH_PARAM_PATH) path = p;
        if (!path) continue;
        struct ph_ast_node node = { .name = "x", .info = *n };
        struct ph_fault f = { 0 };
        snprintf(text, sizeof text, "/etc/ph-%s", (*n)->name);
        CHECK_INT(ph_allow_value(&x.allow, &node, path, text, &f), ==, PH_EINVAL);
        CHECK_HAS(f.message, path->name);
    }
    teardown(&x);
}
