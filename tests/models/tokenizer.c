// SPDX-License-Identifier: MIT
#include "alloc_count.h"
#include "values.h"

#include "models/clip/tokenizer.h"
#include "models/clip/unicode.h"

#include <pthread.h>
#include <sys/stat.h>

#define PROMPTS 300
#define LENGTH  77

static struct ph_clip_tokenizer *opened(const char *folder)
{
    struct ph_clip_tokenizer *t;
    struct ph_fault fault = { 0 };
    if (ph_clip_tokenizer_open(folder, &t, &fault) < 0) TEST_FAIL("%s", fault.message);
    return t;
}

// ---------------------------------------------------------------------------- reference

static const void *golden_ints(struct ph_weights *w, const char *name, int64_t count)
{
    const struct ph_weight *t = ph_weights_find(w, name);
    if (!t || ph_tensor_count(&t->disk) != count) TEST_FAIL("%s: not as expected", name);
    return t->disk.data;
}

// How many of the golden prompts differ in an id or in their length; `listed` marks them.
static int differing(const char *folder, const char *set, const char *variant, int pad,
                     bool *differs)
{
    char name[64];
    struct ph_clip_tokenizer *t = opened(golden(folder));
    struct ph_weights *w =
        values_open(golden("diffusion/cases/07_tokenizer/tokens.safetensors"));
    const struct ph_weight *text = ph_weights_find(w, "text_utf8");
    const int32_t *at = golden_ints(w, "text_offsets", PROMPTS + 1);
    snprintf(name, sizeof name, "ids_%s_%s", set, variant);
    const int32_t *want = golden_ints(w, name, PROMPTS * LENGTH);
    snprintf(name, sizeof name, "length_untruncated_%s", variant);
    const int32_t *lengths = golden_ints(w, name, PROMPTS);
    int count = 0;
    // The lengths are those of the tokenizer that does not cut out "!".
    bool lengths_count = strcmp(set, "pad0_sd2files");
    for (int i = 0; i < PROMPTS; i++) {
        int32_t ids[LENGTH];
        struct ph_clip_encoded report;
        CHECK_OK(ph_clip_tokenizer_encode(t, (const char *) text->disk.data + at[i],
                                          (size_t) (at[i + 1] - at[i]), pad, ids, LENGTH,
                                          &report, NULL));
        CHECK_INT(report.bad_bytes, ==, 0);
        differs[i] = memcmp(ids, want + i * LENGTH, sizeof ids) ||
                     (lengths_count && (int32_t) report.count != lengths[i]);
        count += differs[i];
    }
    ph_weights_unref(&w);
    ph_clip_tokenizer_destroy(&t);
    return count;
}

#define SD1 "diffusion/models/pipe_sd15_tiny/tokenizer"
#define SD2 "diffusion/models/tokenizer_sd2"

TEST(every_prompt_gets_the_ids_of_the_reference)
{
    bool differs[PROMPTS];
    CHECK_INT(differing(SD1, "pad49407", "noftfy", PH_CLIP_PAD_OWN, differs), ==, 0);
}

TEST(a_pad_id_may_be_given_instead_of_the_files_own)
{
    bool differs[PROMPTS];
    CHECK_INT(differing(SD1, "pad0_plain", "noftfy", 0, differs), ==, 0);
}

TEST(an_exclamation_mark_that_pads_is_cut_out_as_the_reference_does)
{
    bool differs[PROMPTS];
    CHECK_INT(differing(SD2, "pad0_sd2files", "noftfy", PH_CLIP_PAD_OWN, differs), ==, 0);
}

TEST(where_text_repair_changes_nothing_the_ids_are_its_too)
{
    static const char *const sets[][2] = { { SD1, "pad49407" }, { SD2, "pad0_sd2files" } };
    struct ph_json_doc *manifest =
        values_json(golden("diffusion/cases/07_tokenizer/manifest.json"));
    const struct ph_json *listed =
        ph_json_get(ph_json_root(manifest), "prompts_where_ftfy_differs");
    CHECK(listed && listed->count > 0);
    for (int s = 0; s < 2; s++) {
        bool differs[PROMPTS];
        int count = differing(sets[s][0], sets[s][1], "ftfy", PH_CLIP_PAD_OWN, differs);
        CHECK_INT(count, ==, listed->count);
        for (const struct ph_json *v = listed->child; v; v = v->next)
            CHECK(differs[v->integer]);
    }
    ph_json_free(&manifest);
}

// ---------------------------------------------------------------------------- own vocabulary

static const char *own(void)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/tokenizer", getenv("PH_TEST_DATA"));
    return path;
}

static struct ph_json_doc *expected(void)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/expected.json", own());
    return values_json(path);
}

TEST(a_second_implementation_gives_the_same_ids)
{
    struct ph_clip_tokenizer *t = opened(own());
    struct ph_json_doc *doc = expected();
    const struct ph_json *prompts = ph_json_get(ph_json_root(doc), "prompts");
    CHECK(prompts && prompts->count > 300);
    for (const struct ph_json *p = prompts->child; p; p = p->next) {
        const struct ph_json *text = ph_json_get(p, "text"), *ids = ph_json_get(p, "ids");
        int32_t got[512];
        struct ph_clip_encoded report;
        CHECK_INT(ids->count, <=, 512);
        CHECK_OK(ph_clip_tokenizer_encode(t, text->text, text->len, PH_CLIP_PAD_OWN, got, 512,
                                          &report, NULL));
        int i = 0;
        for (const struct ph_json *id = ids->child; id; id = id->next, i++)
            if (got[i] != id->integer)
                TEST_FAIL("\"%s\": id %d is %d, want %s", text->text, i, got[i], id->text);
        CHECK_INT(report.count, ==, ids->count);
        CHECK_INT(report.used, ==, ids->count);
        CHECK_INT(report.cut_at, ==, text->len);
        for (; i < 512; i++) CHECK_INT(got[i], ==, 0);
    }
    ph_json_free(&doc);
    ph_clip_tokenizer_destroy(&t);
}

static uint64_t mixed(uint64_t h, const uint32_t *text, size_t n)
{
    for (size_t i = 0; i < n; i++) h = (h ^ text[i]) * 0x100000001b3u;
    return h;
}

TEST(every_character_is_composed_and_lowered_as_python_does)
{
    static const uint32_t marks[] = { 0x316, 0x301, 0x308, 0x345 };
    uint64_t hash[3] = { 0xcbf29ce484222325u, 0xcbf29ce484222325u, 0xcbf29ce484222325u };
    static const char *const names[] = { "nfc", "lower", "marked" };
    for (uint32_t c = 0; c < 0x110000; c++) {
        char utf8[4];
        uint32_t text[16] = { c }, out[16], again;
        if (c >= 0xd800 && c < 0xe000) continue;
        int len = ph_utf8_put(utf8, c);
        CHECK(ph_utf8_get(utf8, utf8 + len, &again) == len && again == c);
        hash[0] = mixed(hash[0], text, ph_unicode_compose(text, 1, out));
        hash[1] = mixed(hash[1], out, ph_unicode_lower(&c, 1, out));
        text[0] = c;
        memcpy(text + 1, marks, sizeof marks);
        hash[2] = mixed(hash[2], text, ph_unicode_compose(text, 5, out));
    }
    struct ph_json_doc *doc = expected();
    const struct ph_json *want = ph_json_get(ph_json_root(doc), "unicode");
    for (int i = 0; i < 3; i++) {
        char got[17];
        snprintf(got, sizeof got, "%016llx", (unsigned long long) hash[i]);
        CHECK_STR(got, ph_json_string(ph_json_get(want, names[i]), NULL));
    }
    ph_json_free(&doc);
}

// ---------------------------------------------------------------------------- from memory

#define SMALL                                                                                  \
    "{\"a\":0,\"b\":1,\"c\":2,\"a</w>\":3,\"b</w>\":4,\"c</w>\":5,\"bc\":6,\"abc\":7,"         \
    "\"abca\":8,\"bc</w>\":9,\"abc</w>\":10,\"aa\":11,\"aa</w>\":12,"                          \
    "\"<|startoftext|>\":13,\"<|endoftext|>\":14}"
#define SMALL_MERGES "#version: 0.2\nb c\nabc a\na bc\nb c</w>\na bc</w>\na a\na a</w>\n"

static struct ph_clip_text text_of(const char *text)
{
    return (struct ph_clip_text){ text, text ? strlen(text) : 0 };
}

static struct ph_clip_tokenizer *small(void)
{
    struct ph_clip_tokenizer *t;
    struct ph_fault fault = { 0 };
    struct ph_clip_texts texts = { .vocab = text_of(SMALL), .merges = text_of(SMALL_MERGES) };
    if (ph_clip_tokenizer_parse(&texts, &t, &fault) < 0) TEST_FAIL("%s", fault.message);
    return t;
}

static void check_ids(const struct ph_clip_tokenizer *t, const char *text, const char *want)
{
    int32_t ids[32];
    char got[400] = "";
    struct ph_clip_encoded report;
    CHECK_OK(ph_clip_tokenizer_encode(t, text, strlen(text), PH_CLIP_PAD_OWN, ids, 32, &report,
                                      NULL));
    for (int i = 1; i < report.used - 1; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), i > 1 ? " %d" : "%d", ids[i]);
    CHECK_STR(got, want);
}

TEST(all_pairs_of_a_rank_are_merged_before_those_they_make)
{
    struct ph_clip_tokenizer *t = small();
    // "abc a" is the better rank, but when its pair comes up, no "a" is left alone.
    check_ids(t, "abcabcb", "7 7 4");
    check_ids(t, "abcaab", "8 0 4");
    check_ids(t, "aaaaa", "11 11 3");
    check_ids(t, "aaaa", "11 12");
    check_ids(t, "ABC abc", "10 10");
    ph_clip_tokenizer_destroy(&t);
}

TEST(what_the_vocabulary_lacks_is_the_unknown_token)
{
    struct ph_clip_tokenizer *t = small();
    check_ids(t, "azb", "0 14 4");
    check_ids(t, "\xc3\xa9", "14 14");
    CHECK_INT(ph_clip_tokenizer_size(t), ==, 15);
    CHECK_INT(ph_clip_tokenizer_length(t), ==, 0);
    CHECK_INT(ph_clip_tokenizer_begin(t), ==, 13);
    CHECK_INT(ph_clip_tokenizer_end(t), ==, 14);
    CHECK_INT(ph_clip_tokenizer_pad(t), ==, 14);
    ph_clip_tokenizer_destroy(&t);
}

TEST(bytes_that_are_no_utf8_are_passed_over_and_counted)
{
    static const struct {
        const char *text;
        int bad;
        const char *ids;
    } cases[] = {
        { "a\xff"
          "b",
          1, "0 4" },
        { "abc\xe7\x8c", 2, "10" },       // cut short
        { "a\xc0\xaf", 2, "3" },          // overlong
        { "a\xed\xa0\x80 a", 3, "3 3" },  // a surrogate
        { "a\xf4\x90\x80\x80", 4, "3" },  // above U+10FFFF
        { "a\xef\xbf\xbd a", 0, "3 3" },  // U+FFFD itself is dropped, but well written
        { "<|endof\xfftext|>", 1, "14" }, // what is left meets the pattern
        { "\x80\x80\x80", 3, "" },
    };
    struct ph_clip_tokenizer *t = small();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t ids[16];
        struct ph_clip_encoded report;
        check_ids(t, cases[i].text, cases[i].ids);
        CHECK_OK(ph_clip_tokenizer_encode(t, cases[i].text, strlen(cases[i].text),
                                          PH_CLIP_PAD_OWN, ids, 16, &report, NULL));
        CHECK_INT(report.bad_bytes, ==, cases[i].bad);
    }
    ph_clip_tokenizer_destroy(&t);
}

TEST(a_zero_byte_is_passed_over)
{
    struct ph_clip_tokenizer *t = small();
    int32_t ids[4];
    CHECK_OK(ph_clip_tokenizer_encode(t, "ab\0c", 4, PH_CLIP_PAD_OWN, ids, 4, NULL, NULL));
    CHECK(ids[0] == 13 && ids[1] == 10 && ids[2] == 14 && ids[3] == 14);
    ph_clip_tokenizer_destroy(&t);
}

TEST(truncation_is_reported_with_the_whole_count_and_its_place)
{
    struct ph_clip_tokenizer *t = small();
    struct ph_clip_encoded r;
    int32_t ids[5];
    CHECK_OK(ph_clip_tokenizer_encode(t, "abc ab  abc", 11, PH_CLIP_PAD_OWN, ids, 5, &r, NULL));
    CHECK_INT(r.count, ==, 6);
    CHECK_INT(r.used, ==, 5);
    CHECK_INT(r.cut_at, ==, 8);
    CHECK_INT(ids[4], ==, 14);
    CHECK_OK(ph_clip_tokenizer_encode(t, "abc ab", 6, 0, ids, 5, &r, NULL));
    CHECK_INT(r.count, ==, 5);
    CHECK_INT(r.cut_at, ==, 6);
    CHECK_OK(ph_clip_tokenizer_encode(t, "abc ab", 6, 0, ids, 2, &r, NULL));
    CHECK_INT(r.count, ==, 5);
    CHECK_INT(r.cut_at, ==, 0);
    CHECK_INT(r.used, ==, 2);
    CHECK_OK(ph_clip_tokenizer_encode(t, NULL, 0, 3, ids, 3, &r, NULL));
    CHECK(ids[0] == 13 && ids[1] == 14 && ids[2] == 3 && r.count == 2);
    ph_clip_tokenizer_destroy(&t);
}

TEST(an_encoding_that_cannot_be_is_refused)
{
    struct ph_clip_tokenizer *t = small();
    struct ph_fault fault = { 0 };
    int32_t ids[4];
    CHECK_INT(ph_clip_tokenizer_encode(t, "a", 1, -1, ids, 1, NULL, &fault), ==, PH_EINVAL);
    CHECK_HAS(fault.message, "at least 2");
    CHECK_INT(ph_clip_tokenizer_encode(t, "a", 1, 15, ids, 4, NULL, &fault), ==, PH_EINVAL);
    CHECK_STR(fault.field, "pad");
    CHECK_INT(ph_clip_tokenizer_encode(t, "a", PH_CLIP_TEXT_MAX + 1, -1, ids, 4, NULL, &fault),
              ==, PH_ELIMIT);
    CHECK_HAS(fault.message, "4194304");
    ph_clip_tokenizer_destroy(&t);
}

// ---------------------------------------------------------------------------- length

// A quadratic step would take hours here, not the minute that a case has.
TEST(a_prompt_of_megabytes_in_one_word_is_counted_to_its_end)
{
    static const struct {
        const char *piece;
        size_t each, extra; // tokens of one piece; of the whole besides
        size_t of;          // … for so many pieces
    } cases[] = {
        { "a", 1, 0, 2 },                // one word, merged in pairs
        { "abc", 1, 0, 1 },              // two ranks
        { "\xff", 0, 0, 1 },             // nothing at all
        { "a ", 1, 0, 1 },               // short words
        { "\xcc\x96\xcc\x81", 4, 0, 1 }, // marks out of order, all unknown
        { "\xce\xa3", 2, 0, 1 },         // capital sigmas
        { "7", 1, 0, 1 },                // single digits
        { "\xe7\x8c\xab", 3, 0, 1 }      // ideographs
    };
    struct ph_clip_tokenizer *t = small();
    char *text = malloc(PH_CLIP_TEXT_MAX);
    int32_t ids[LENGTH];
    CHECK(text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ph_clip_encoded r;
        size_t len = strlen(cases[i].piece),
               n = PH_CLIP_TEXT_MAX / (TEST_SANITIZED ? 10 : 1) / len & ~(size_t) 1;
        for (size_t k = 0; k < n; k++) memcpy(text + k * len, cases[i].piece, len);
        CHECK_OK(ph_clip_tokenizer_encode(t, text, n * len, -1, ids, LENGTH, &r, NULL));
        CHECK_INT(r.count, ==, n / cases[i].of * cases[i].each + cases[i].extra + 2);
        CHECK_INT(r.bad_bytes, ==, i == 2 ? n : 0);
        CHECK_INT(ids[LENGTH - 1], ==, 14);
    }
    free(text);
    ph_clip_tokenizer_destroy(&t);
}

TEST(prompts_of_ordinary_words_allocate_nothing)
{
    static const char prompt[] = "a photo of an astronaut riding a horse on mars, 8k, "
                                 "ΣΟΦΟΣ привет 猫の写真 naïve <|endoftext|> it's 😀";
    struct ph_clip_tokenizer *t = opened(own());
    int32_t ids[LENGTH];
    long before = alloc_count_here();
    CHECK_OK(
        ph_clip_tokenizer_encode(t, prompt, sizeof prompt - 1, -1, ids, LENGTH, NULL, NULL));
    CHECK_INT(alloc_count_here() - before, ==, 0);
    ph_clip_tokenizer_destroy(&t);
}

TEST(a_long_word_without_memory_is_an_error_and_leaves_nothing)
{
    struct ph_clip_tokenizer *t = small();
    struct ph_fault fault = { 0 };
    char text[5000];
    int32_t ids[8];
    memset(text, 'a', sizeof text);
    for (int n = 0; n < 2; n++) {
        alloc_fail_only(n);
        ph_err ret = ph_clip_tokenizer_encode(t, text, sizeof text, -1, ids, 8, NULL, &fault);
        alloc_fail_only(-1);
        CHECK_INT(ret, ==, PH_ENOMEM);
        CHECK_HAS(fault.message, "5000 bytes");
    }
    check_ids(t, "abc", "10");
    ph_clip_tokenizer_destroy(&t);
}

// ---------------------------------------------------------------------------- threads

struct worker {
    const struct ph_clip_tokenizer *t;
    const struct ph_json *prompts;
    uint64_t hash;
};

static void *encode_all(void *arg)
{
    struct worker *w = arg;
    for (const struct ph_json *p = w->prompts->child; p; p = p->next) {
        const struct ph_json *text = ph_json_get(p, "text");
        int32_t ids[LENGTH];
        CHECK_OK(
            ph_clip_tokenizer_encode(w->t, text->text, text->len, -1, ids, LENGTH, NULL, NULL));
        w->hash = mixed(w->hash, (const uint32_t *) ids, LENGTH);
    }
    return NULL;
}

TEST(threads_share_one_tokenizer)
{
    struct ph_clip_tokenizer *t = opened(own());
    struct ph_json_doc *doc = expected();
    const struct ph_json *prompts = ph_json_get(ph_json_root(doc), "prompts");
    struct worker workers[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        workers[i] = (struct worker){ t, prompts, 1 };
        CHECK_OK(pthread_create(&threads[i], NULL, encode_all, &workers[i]));
    }
    for (int i = 0; i < 4; i++) CHECK_OK(pthread_join(threads[i], NULL));
    for (int i = 1; i < 4; i++) CHECK(workers[i].hash == workers[0].hash);
    ph_json_free(&doc);
    ph_clip_tokenizer_destroy(&t);
}

// ---------------------------------------------------------------------------- files

#define CUT "#version: 0.2\na b\n"

TEST(what_is_wrong_in_the_files_is_named_with_its_place)
{
    static const struct {
        const char *vocab, *merges, *special, *config, *added;
        ph_err err;
        const char *field, *message;
    } cases[] = {
        { NULL, CUT, NULL, NULL, NULL, PH_ENOENT, "vocab.json", "vocab.json and merges.txt" },
        { SMALL, NULL, NULL, NULL, NULL, PH_ENOENT, "merges.txt", "merges.txt: not found" },
        { SMALL, "", NULL, NULL, NULL, PH_EFORMAT, "merges.txt", "it has no merges" },
        { SMALL, "#version: 0.2\n\n", NULL, NULL, NULL, PH_EFORMAT, "merges.txt", "no merges" },
        { SMALL, "#version: 0.2\na a\na\n", NULL, NULL, NULL, PH_EFORMAT, "merges.txt",
          "line 3: two symbols are wanted, there is one" },
        { SMALL, "#\na a\n\na a</w>\n", NULL, NULL, NULL, PH_EFORMAT, "merges.txt",
          "line 3: two symbols are wanted, there are none" },
        { SMALL, "#\n\na b c\n", NULL, NULL, NULL, PH_EFORMAT, "merges.txt", "line 2" },
        { SMALL, "#\na b\n", NULL, NULL, NULL, PH_EFORMAT, "merges.txt",
          "line 2: \"ab\" is not in vocab.json" },
        { SMALL, "#\nq\xc4\xa0q a\n", NULL, NULL, NULL, PH_EFORMAT, "merges.txt",
          "\"q\xc4\xa0q\" is not in" },
        { "[]", CUT, NULL, NULL, NULL, PH_EFORMAT, "vocab.json", "an object is wanted" },
        { "{}", CUT, NULL, NULL, NULL, PH_EFORMAT, "vocab.json", "no tokens" },
        { "{\"a\":0", CUT, NULL, NULL, NULL, PH_EFORMAT, "vocab.json", "line 1, column 7" },
        { "{\"a\":\"0\"}", CUT, NULL, NULL, NULL, PH_EFORMAT, "vocab.json",
          "\"a\": the id must be a whole number, this is a text" },
        { "{\"a\":0.5}", CUT, NULL, NULL, NULL, PH_EFORMAT, "vocab.json", "whole number" },
        { "{\"a\":-1}", CUT, NULL, NULL, NULL, PH_EFORMAT, "vocab.json", "this is -1" },
        { "{\"a\":1048576}", CUT, NULL, NULL, NULL, PH_EFORMAT, "vocab.json", "0 to 1048575" },
        { "{\"a\":7,\"b\":7}", CUT, NULL, NULL, NULL, PH_EFORMAT, "vocab.json",
          "\"a\" and \"b\" have one id, 7" },
        { "{\"a\":0,\"a\":1}", CUT, NULL, NULL, NULL, PH_EFORMAT, "vocab.json", "twice" },
        { "{\"a\":0,\"b\":1,\"ab\":2}", CUT, NULL, NULL, NULL, PH_EFORMAT, "vocab.json",
          "bos_token: \"<|startoftext|>\" is not in vocab.json" },
        { SMALL, SMALL_MERGES, "{\"pad_token\":\"<pad>\"}", NULL, NULL, PH_EFORMAT,
          "special_tokens_map.json", "pad_token: \"<pad>\" is not in vocab.json" },
        { SMALL, SMALL_MERGES, "{\"bos_token\":7}", NULL, NULL, PH_EFORMAT,
          "special_tokens_map.json", "bos_token: a token or an object" },
        { SMALL, SMALL_MERGES, "{\"bos_token\":{\"lstrip\":true}}", NULL, NULL, PH_EFORMAT,
          "special_tokens_map.json", "this is an object" },
        { SMALL, SMALL_MERGES, "{\"eos_token\":\"\"}", NULL, NULL, PH_EFORMAT,
          "special_tokens_map.json", "eos_token" },
        { SMALL, SMALL_MERGES, "3", NULL, NULL, PH_EFORMAT, "special_tokens_map.json",
          "an object is wanted, this is a number" },
        { SMALL, SMALL_MERGES, "{\"additional_special_tokens\":[1]}", NULL, NULL, PH_EFORMAT,
          "special_tokens_map.json", "additional_special_tokens" },
        { SMALL, SMALL_MERGES, NULL, "{\"tokenizer_class\":\"T5Tokenizer\"}", NULL, PH_ENOTSUP,
          "tokenizer_config.json", "\"T5Tokenizer\", wanted is \"CLIPTokenizer\"" },
        { SMALL, SMALL_MERGES, NULL, "{\"tokenizer_class\":5}", NULL, PH_EFORMAT,
          "tokenizer_config.json", "tokenizer_class" },
        { SMALL, SMALL_MERGES, NULL, "{\"model_max_length\":\"77\"}", NULL, PH_EFORMAT,
          "tokenizer_config.json", "model_max_length: a number" },
        { SMALL, SMALL_MERGES, NULL, "{\"model_max_length\":1}", NULL, PH_EFORMAT,
          "tokenizer_config.json", "model_max_length" },
        { SMALL, SMALL_MERGES, NULL, "{\"added_tokens_decoder\":[]}", NULL, PH_EFORMAT,
          "tokenizer_config.json", "added_tokens_decoder: an object" },
        { SMALL, SMALL_MERGES, NULL, "{\"added_tokens_decoder\":{\"x\":{\"content\":\"a\"}}}",
          NULL, PH_EFORMAT, "tokenizer_config.json", "\"x\" is no id" },
        { SMALL, SMALL_MERGES, NULL, "{\"added_tokens_decoder\":{\"3\":{\"content\":5}}}", NULL,
          PH_EFORMAT, "tokenizer_config.json", "added_tokens_decoder.3" },
        { SMALL, SMALL_MERGES, NULL, "{\"added_tokens_decoder\":{\"3\":{\"content\":\"a\"}}}",
          NULL, PH_EFORMAT, "tokenizer_config.json", "\"a\" is to be 3, but is 0" },
        { SMALL, SMALL_MERGES, NULL, NULL, "{\"<x>\":2}", PH_EFORMAT, "added_tokens.json",
          "\"<x>\" is to be 2, which is another token's" },
        { SMALL, SMALL_MERGES, NULL, NULL, "{\"<x>\":true}", PH_EFORMAT, "added_tokens.json",
          "whole number" },
        { SMALL, SMALL_MERGES, NULL, NULL, "{\"\":15}", PH_EFORMAT, "added_tokens.json",
          "an added token is empty" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ph_clip_texts texts = { text_of(cases[i].vocab), text_of(cases[i].merges),
                                       text_of(cases[i].special), text_of(cases[i].config),
                                       text_of(cases[i].added) };
        struct ph_clip_tokenizer *t = (void *) 1;
        struct ph_fault fault = { 0 };
        printf("# wanted: %s\n", cases[i].message);
        CHECK_INT(ph_clip_tokenizer_parse(&texts, &t, &fault), ==, cases[i].err);
        CHECK(t == NULL);
        CHECK_STR(fault.field, cases[i].field);
        CHECK_HAS(fault.message, cases[i].message);
    }
}

static struct ph_clip_tokenizer *with(const char *special, const char *config,
                                      const char *added)
{
    struct ph_clip_tokenizer *t;
    struct ph_fault fault = { 0 };
    struct ph_clip_texts texts = { text_of(SMALL), text_of(SMALL_MERGES), text_of(special),
                                   text_of(config), text_of(added) };
    if (ph_clip_tokenizer_parse(&texts, &t, &fault) < 0) TEST_FAIL("%s", fault.message);
    return t;
}

TEST(the_longest_added_token_wins_and_case_counts)
{
    struct ph_clip_tokenizer *t = with(NULL, NULL, "{\"<a>\":15,\"<a><a>\":20,\"b\":1}");
    CHECK_INT(ph_clip_tokenizer_size(t), ==, 21);
    check_ids(t, "c<a><a><a>c", "5 20 15 5");
    check_ids(t, "<A>", "14 3 14");
    check_ids(t, "abc", "3 1 5");
    check_ids(t, "<|startoftext|><|STARTOFTEXT|>", "13 13");
    ph_clip_tokenizer_destroy(&t);
}

TEST(an_added_token_of_single_words_needs_spaces_around)
{
    struct ph_clip_tokenizer *t = with(
        NULL, "{\"added_tokens_decoder\":{\"1\":{\"content\":\"b\",\"single_word\":true}}}",
        NULL);
    check_ids(t, "b", "1");
    check_ids(t, "a b a", "3 1 3");
    check_ids(t, "ab b.", "0 4 4 14");
    ph_clip_tokenizer_destroy(&t);
}

TEST(the_decoder_of_added_tokens_puts_the_other_files_aside)
{
    static const char special[] = "{\"pad_token\":\"a\"}", added[] = "{\"<x>\":15}";
    static const char config[] = "{\"pad_token\":\"b\",\"model_max_length\":9}";
    struct ph_clip_tokenizer *t = with(special, config, added);
    CHECK_INT(ph_clip_tokenizer_pad(t), ==, 0);
    CHECK_INT(ph_clip_tokenizer_size(t), ==, 16);
    CHECK_INT(ph_clip_tokenizer_length(t), ==, 9);
    ph_clip_tokenizer_destroy(&t);
    t = with(special,
             "{\"pad_token\":{\"content\":\"b\"},\"added_tokens_decoder\":{},\"model_max_"
             "length\":1e30}",
             added);
    CHECK_INT(ph_clip_tokenizer_pad(t), ==, 1);
    CHECK_INT(ph_clip_tokenizer_size(t), ==, 15);
    CHECK_INT(ph_clip_tokenizer_length(t), ==, 0);
    ph_clip_tokenizer_destroy(&t);
}

TEST(a_folder_that_is_none_is_named)
{
    struct ph_clip_tokenizer *t = (void *) 1;
    struct ph_fault fault = { 0 };
    char folder[] = "/tmp/ph-tokenizer-XXXXXX", path[64];
    CHECK_INT(ph_clip_tokenizer_open("/nowhere", &t, &fault), ==, PH_ENOENT);
    CHECK_HAS(fault.message, "/nowhere/vocab.json: not found");
    CHECK(t == NULL && mkdtemp(folder));
    snprintf(path, sizeof path, "%s/vocab.json", folder);
    CHECK_OK(mkfifo(path, 0600));
    CHECK_INT(ph_clip_tokenizer_open(folder, &t, &fault), ==, PH_EIO);
    CHECK_HAS(fault.message, "vocab.json: not a file");
    CHECK_OK(unlink(path));
    FILE *f = fopen(path, "w");
    CHECK(f && !ftruncate(fileno(f), (16 << 20) + 1) && !fclose(f));
    CHECK_INT(ph_clip_tokenizer_open(folder, &t, &fault), ==, PH_ELIMIT);
    CHECK_HAS(fault.message, "at most 16777216 bytes, it has 16777217");
    unlink(path);
    rmdir(folder);
}
