// SPDX-License-Identifier: MIT
// A program whose locale has a comma before the decimals may be built around the engine: what it
// reads and writes stays the same.
#include "../test.h"

#include "core/buf.h"
#include "core/json.h"
#include "core/number.h"

#include <phosphene/graph.h>

#include <locale.h>
#include <pthread.h>

static char folder[64];

static void remove_folder(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command)) fprintf(stderr, "%s stays\n", folder);
}

// German, made on the spot: few machines have it.
static void use_commas(void)
{
    char command[256], text[16];
    strcpy(folder, "/tmp/ph-locale-XXXXXX");
    CHECK(mkdtemp(folder));
    atexit(remove_folder);
    snprintf(command, sizeof command,
             "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1", folder);
    if (system(command)) TEST_SKIP("no localedef, or no German for it (package locales)");
    setenv("LOCPATH", folder, 1);
    CHECK_STR(setlocale(LC_ALL, "de_DE.UTF-8"), "de_DE.UTF-8");
    snprintf(text, sizeof text, "%.1f", 0.5);
    CHECK_STR(text, "0,5"); // the locale is what this is about
}

struct numbers {
    float f;
};
static const struct ph_param params[] = { PH_FLOAT(struct numbers, f, -1e6, 1e6), { 0 } };

static void check_numbers(void)
{
    union ph_value v;
    char text[32];
    CHECK_OK(ph_param_parse(params, "0.5", &v, NULL));
    CHECK_NUM((double) v.f, ==, 0.5);
    CHECK_INT(ph_param_print(params, v, text, sizeof text), ==, 3);
    CHECK_STR(text, "0.5");
    CHECK(ph_param_parse(params, "0,5", &v, NULL) < 0);
    char *end;
    CHECK_NUM(ph_strtod("2.25x", &end), ==, 2.25);
    CHECK_STR(end, "x");
    struct ph_json_doc *doc;
    struct ph_buf b = { 0 };
    CHECK_OK(ph_json_parse(&doc, "[1.5]", 5, 0, NULL));
    CHECK_NUM(ph_json_double(ph_json_at(ph_json_root(doc), 0), 0), ==, 1.5);
    ph_json_free(&doc);
    ph_json_num(&b, 29.97);
    ph_buf_printf(&b, " %.2f", 0.25);
    CHECK_STR(b.data, "29.97 0.25");
    ph_buf_free(&b);
}

static void *check_on_a_thread(void *opaque)
{
    (void) opaque;
    check_numbers();
    return NULL;
}

TEST(numbers_have_a_point_in_every_locale)
{
    char text[16];
    pthread_t thread;
    use_commas();
    check_numbers();
    CHECK_OK(pthread_create(&thread, NULL, check_on_a_thread, NULL)); // as lanes are
    CHECK_OK(pthread_join(thread, NULL));
    snprintf(text, sizeof text, "%.1f", 0.5);
    CHECK_STR(text, "0,5"); // the program's own numbers stay its own
}

static void check_json(char *text)
{
    struct ph_json_doc *doc;
    struct ph_fault fault = { 0 };
    if (!text || ph_json_parse(&doc, text, strlen(text), 0, &fault) != PH_OK)
        TEST_FAIL("not JSON: %s", fault.message);
    ph_json_free(&doc);
    free(text);
}

TEST(a_graph_runs_and_prints_the_same_in_every_locale)
{
    struct ph_graph *g;
    struct ph_fault fault = { 0 };
    const struct ph_node_info *pattern = ph_nodes()[0];
    use_commas();
    ph_err err =
        ph_graph_create(&g, "p: pattern size=64x64 fps=29.97 -> blur radius=2.5 -> null",
                        ph_graph_params(.mode = PH_STEPPED), &fault);
    if (err < 0) TEST_FAIL("%s", fault.message);
    CHECK_INT(ph_graph_step(g, PH_SECOND_NS), ==, PH_MORE);
    CHECK_OK(ph_graph_set(g, 1, "p", "fps", "12.5", NULL));
    ph_graph_step(g, 2 * PH_SECOND_NS);
    char *text = ph_graph_text(g);
    CHECK_HAS(text, "fps=12.5");
    CHECK_OK(ph_graph_edit(g, 2, text, &fault)); // what it prints it reads
    free(text);
    check_json(ph_graph_status_json(g));
    check_json(ph_graph_trace_json(g));
    check_json(ph_node_info_json(pattern));
    text = ph_graph_metrics_text(g, "room");
    CHECK_HAS(text, "quantile=\"0.5\"");
    free(text);
    ph_graph_destroy(&g);
}
