// SPDX-License-Identifier: MIT
// Safetensors files and sets of them: what is read is what was written, and nothing a header says
// is believed.
#include "files.h"

#include "alloc_count.h"
#include "core/buf.h"
#include "golden.h"
#include "nn/rng.h"
#include "nn/tensor_simd.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

// A file with this header text and so many bytes of data, each its own index.
static const char *file_of(const char *name, const char *header, size_t data)
{
    const char *path = in_folder(name);
    struct ph_buf b = { 0 };
    uint64_t n = strlen(header);
    ph_buf_put(&b, &n, 8);
    ph_buf_puts(&b, header);
    for (size_t i = 0; i < data; i++) ph_buf_put(&b, &(char){ (char) i }, 1);
    CHECK(!b.failed);
    write_file(path, b.data, b.len);
    ph_buf_free(&b);
    return path;
}

static struct ph_fault refused(const char *path, ph_err want)
{
    struct ph_weights *w = NULL;
    struct ph_fault fault = { 0 };
    ph_err ret = ph_weights_open(path, &w, &fault);
    if (ret != want) TEST_FAIL("%s gives %d (%s)", path, ret, fault.message);
    CHECK(!w);
    CHECK_INT(fault.code, ==, want);
    return fault;
}

static const char *two_tensors(const char *name, uint64_t seed)
{
    static float a[6] = { 1, -2, 3, 0.5f, 1e-3f, 65504 };
    static uint16_t b[3] = { 0x3c00, 0xc000, 0x7bff };
    struct ph_named_tensor t[] = {
        { "z.weight", { PH_F32, 2, { 2, 3 }, a } },
        { "a.bias", { PH_F16, 1, { 3 }, b } },
        { "random", { PH_BF16, 4, { 8, 4, 3, 3 }, NULL } },
        { "scalar", { PH_F32, 0, { 0 }, a } },
    };
    const char *path = in_folder(name);
    CHECK_OK(ph_weights_save(path, t, 4, seed, NULL));
    return path;
}

TEST(what_is_saved_is_what_is_read)
{
    struct ph_weights *w = open_ok(two_tensors("x.safetensors", 1));
    float out[6];
    CHECK_INT(ph_weights_count(w), ==, 4);
    CHECK_STR(ph_weights_at(w, 0)->name, "a.bias");
    CHECK_STR(ph_weights_at(w, 3)->name, "z.weight");
    CHECK(!ph_weights_at(w, 4) && !ph_weights_at(w, -1));
    CHECK(!ph_weights_find(w, "b.bias") && !ph_weights_find(w, ""));
    const struct ph_weight *z = ph_weights_find(w, "z.weight");
    CHECK_INT(z->disk.rank, ==, 2);
    CHECK_INT(z->disk.dim[1], ==, 3);
    CHECK_OK(ph_weights_read(w, z, 0, 6, out));
    CHECK_NUM(out[0], ==, 1);
    CHECK_NUM(out[5], ==, 65504);
    CHECK_OK(ph_weights_read(w, z, 4, 1, out));
    CHECK_NUM(out[0], ==, 1e-3f);
    CHECK_OK(ph_weights_read(w, ph_weights_find(w, "a.bias"), 1, 2, out));
    CHECK_NUM(out[0], ==, -2);
    CHECK_NUM(out[1], ==, 65504);
    CHECK_INT(ph_weights_bytes(w), ==, 24 + 6 + 8 * 36 * 2 + 4);
    CHECK_HAS(ph_weights_path(w), "x.safetensors");
    ph_weights_unref(&w);
    CHECK(!w);
    ph_weights_unref(&w);
}

TEST(a_range_outside_of_the_tensor_is_refused)
{
    struct ph_weights *w = open_ok(two_tensors("x.safetensors", 1));
    const struct ph_weight *z = ph_weights_find(w, "z.weight");
    float out[8];
    CHECK_INT(ph_weights_read(w, z, 0, 7, out), ==, PH_EINVAL);
    CHECK_INT(ph_weights_read(w, z, -1, 2, out), ==, PH_EINVAL);
    CHECK_INT(ph_weights_read(w, z, 6, 1, out), ==, PH_EINVAL);
    CHECK_INT(ph_weights_read(w, z, INT64_MAX, 1, out), ==, PH_EINVAL);
    CHECK_INT(ph_weights_read(w, z, 2, INT64_MAX, out), ==, PH_EINVAL);
    CHECK_OK(ph_weights_read(w, z, 6, 0, out));
    ph_weights_unref(&w);
}

TEST(random_weights_are_those_of_their_seed_and_deviation)
{
    struct ph_named_tensor t[] = { { "a", { PH_F16, 4, { 320, 160, 3, 3 }, NULL } },
                                   { "b", { PH_F32, 2, { 300, 100 }, NULL } },
                                   { "ids", { PH_I64, 1, { 77 }, NULL } } };
    static float one[320 * 1440], again[320 * 1440];
    double sum = 0, squares = 0;
    CHECK_OK(ph_weights_save(in_folder("1.safetensors"), t, 3, 5, NULL));
    CHECK_OK(ph_weights_save(in_folder("2.safetensors"), t + 1, 1, 6, NULL));
    struct ph_weights *w = open_ok(in_folder("1.safetensors"));
    const struct ph_weight *a = ph_weights_find(w, "a");
    CHECK_OK(ph_weights_read(w, a, 0, 320 * 1440, one));
    for (int i = 0; i < 320 * 1440; i++) sum += one[i], squares += (double) one[i] * one[i];
    CHECK_NUM(fabs(sum / (320 * 1440)), <, 1e-3);
    CHECK_NUM(fabs(squares / 320 - 1), <, 0.02);
    CHECK_INT(*(const int64_t *) ph_weights_find(w, "ids")->disk.data, ==, 0);
    CHECK_OK(ph_weights_save(in_folder("3.safetensors"), t, 3, 5, NULL));
    struct ph_weights *same = open_ok(in_folder("3.safetensors"));
    CHECK_OK(ph_weights_read(same, ph_weights_find(same, "a"), 0, 320 * 1440, again));
    CHECK(!memcmp(one, again, sizeof one));
    struct ph_weights *differs = open_ok(in_folder("2.safetensors"));
    CHECK_OK(ph_weights_read(w, ph_weights_find(w, "b"), 0, 30000, one));
    CHECK_OK(ph_weights_read(differs, ph_weights_find(differs, "b"), 0, 30000, again));
    CHECK(memcmp(one, again, 30000 * 4));
    ph_weights_unref(&w);
    ph_weights_unref(&same);
    ph_weights_unref(&differs);
}

TEST(two_opens_of_an_unchanged_file_give_one_set)
{
    const char *path = two_tensors("x.safetensors", 1);
    struct ph_weights *a = open_ok(path), *b = open_ok(path);
    CHECK(a == b);
    uint64_t key = ph_weights_at(a, 0)->key;
    ph_weights_unref(&a);
    CHECK_STR(ph_weights_at(b, 0)->name, "a.bias"); // the other reference holds it
    ph_weights_unref(&b);
    struct ph_weights *again = open_ok(path);
    CHECK(ph_weights_at(again, 0)->key == key);
    two_tensors("x.safetensors", 2); // renamed over it
    struct ph_weights *fresh = open_ok(path);
    CHECK(fresh != again);
    for (int i = 0; i < 4; i++)
        CHECK(ph_weights_at(fresh, i)->key != ph_weights_at(again, i)->key);
    ph_weights_unref(&again);
    ph_weights_unref(&fresh);
}

TEST(every_tensor_has_a_key_of_its_own)
{
    struct ph_weights *w = open_ok(two_tensors("x.safetensors", 1));
    struct ph_weights *v = open_ok(two_tensors("y.safetensors", 1));
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++) {
            CHECK(ph_weights_at(w, i)->key != ph_weights_at(v, k)->key);
            CHECK(i == k || ph_weights_at(w, i)->key != ph_weights_at(w, k)->key);
        }
    ph_weights_unref(&w);
    ph_weights_unref(&v);
}

static void *open_and_close(void *path)
{
    for (int i = 0; i < 200; i++) {
        struct ph_weights *w = open_ok(path), *more = ph_weights_ref(w);
        CHECK_INT(ph_weights_count(w), ==, 4);
        ph_weights_unref(&w);
        CHECK(ph_weights_find(more, "random"));
        ph_weights_unref(&more);
    }
    return NULL;
}

TEST(threads_open_and_close_the_same_file)
{
    pthread_t threads[4];
    const char *path = two_tensors("x.safetensors", 1);
    for (int i = 0; i < 4; i++)
        CHECK_OK(pthread_create(&threads[i], NULL, open_and_close, (void *) path));
    for (int i = 0; i < 4; i++) CHECK_OK(pthread_join(threads[i], NULL));
}

// ------------------------------------------------------------------------------------ bad files

#define F32x2(begin, end)                                                                      \
    "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[" #begin "," #end "]}"

TEST(headers_that_lie_are_refused_by_name)
{
    static const struct {
        const char *header;
        size_t data;
        const char *field, *message;
    } cases[] = {
        { "{\"a\":" F32x2(0, 8) ",\"b\":" F32x2(4, 12) "}", 12, "b",
          "tensor 'b' overlaps 'a'" },
        { "{\"b\":" F32x2(0, 8) ",\"a\":" F32x2(0, 8) "}", 8, NULL, "overlaps" },
        { "{\"a\":" F32x2(0, 8) ",\"b\":" F32x2(12, 20) "}", 20, "b",
          "after 4 bytes that belong" },
        { "{\"a\":" F32x2(4, 12) "}", 12, "a", "after 4 bytes" },
        { "{\"a\":" F32x2(0, 8) "}", 11, "header", "3 bytes at its end belong to no tensor" },
        { "{\"a\":" F32x2(0, 8) "}", 7, "a",
          "ends at byte 8 of the data, but the file has only 7" },
        { "{\"a\":" F32x2(0, 9) "}", 9, "a", "said to have 9 bytes, its shape needs 8" },
        { "{\"a\":" F32x2(8, 0) "}", 8, "a", "has no data_offsets" },
        { "{\"a\":" F32x2(-8, 0) "}", 8, "a", "has no data_offsets" },
        { "{\"a\":" F32x2(0, 8.0) "}", 8, "a", "has no data_offsets" },
        { "{\"a\":" F32x2(0, 9223372036854775807) "}", 8, "a",
          "ends at byte 9223372036854775807" },
        { "{\"a\":" F32x2(0, 99999999999999999999) "}", 8, "a", "has no data_offsets" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "a",
          "dimension 0 that is not a positive" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,-1],\"data_offsets\":[0,8]}}", 8, "a",
          "dimension 1" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,1.5],\"data_offsets\":[0,8]}}", 8, "a",
          "dimension 1" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}"
          "}",
          0, "a", "too large: dimension 1 overflows" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
          "a", "has 9 dimensions" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":3,\"data_offsets\":[0,4]}}", 4, "a",
          "no shape" },
        { "{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "a",
          "unknown dtype 'F31'" },
        { "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "a", "unknown dtype" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "a",
          "data_offsets" },
        { "{\"a\":5}", 0, "a", "is no object" },
        { "{\"\":" F32x2(0, 8) "}", 8, "header", "empty name" },
        { "{\"a\":" F32x2(0, 8) ",\"a\":" F32x2(0, 8) "}", 8, "header",
          "the member name 'a' comes twice" },
        { "{\"a\":" F32x2(0, 8), 8, "header", "no JSON" },
        { "[]", 0, "header", "is no object" },
        { "{\"__metadata__\":[]}", 0, "header", "__metadata__" },
        { "{\"__metadata__\":{\"a\":1}}", 0, "header", "__metadata__" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ph_fault fault =
            refused(file_of("bad.safetensors", cases[i].header, cases[i].data), PH_EFORMAT);
        CHECK_HAS(fault.message, cases[i].message);
        CHECK_HAS(fault.message, "bad.safetensors");
        if (cases[i].field) CHECK_STR(fault.field, cases[i].field);
    }
}

TEST(every_truncation_of_a_good_file_is_refused)
{
    static char bytes[4096];
    FILE *f = fopen(two_tensors("x.safetensors", 1), "rb");
    CHECK(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    CHECK(n > 500 && n < sizeof bytes);
    fclose(f);
    for (size_t cut = 0; cut < n; cut++) {
        write_file(in_folder("cut.safetensors"), bytes, cut);
        struct ph_fault fault = refused(in_folder("cut.safetensors"), PH_EFORMAT);
        CHECK_HAS(fault.message, "cut.safetensors");
    }
}

TEST(what_is_no_safetensors_file_is_told_by_what_it_is)
{
    static const struct {
        const char *bytes, *message;
    } cases[] = {
        { "version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer" },
        { "PK\3\4\1\1\1\1\1\1\1\1", "PyTorch pickle" },
        { "GGUF\1\1\1\1\1\1\1\1", "GGUF" },
        { "\377\377\377\377\377\377\377\377{}", "more than 16 MiB" },
        { "ab", "too short" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(in_folder("odd.safetensors"), cases[i].bytes, strlen(cases[i].bytes));
        CHECK_HAS(refused(in_folder("odd.safetensors"), PH_EFORMAT).message, cases[i].message);
    }
    CHECK_HAS(refused(in_folder("absent.safetensors"), PH_ENOENT).message,
              "absent.safetensors");
    CHECK_OK(mkfifo(in_folder("fifo.safetensors"), 0600));
    CHECK_HAS(refused(in_folder("fifo.safetensors"), PH_EIO).message, "is no file");
    CHECK_HAS(refused(in_folder("."), PH_ENOENT).message,
              "diffusion_pytorch_model.safetensors");
}

TEST(types_without_a_counterpart_keep_their_place_and_are_not_read)
{
    struct ph_weights *w = open_ok(
        file_of("x.safetensors",
                "{\"d\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]},"
                "\"m\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[16,19]},"
                "\"w\":" F32x2(19, 27) ",\"__metadata__\":{\"format\":\"pt\",\"k\":\"v\"}}",
                27));
    float out[3], want[2];
    CHECK_INT(ph_weights_find(w, "d")->disk.dtype, ==, PH_DTYPE_NONE);
    CHECK_INT(ph_weights_read(w, ph_weights_find(w, "m"), 0, 3, out), ==, PH_EINVAL);
    CHECK_OK(ph_weights_read(w, ph_weights_find(w, "w"), 0, 2, out)); // at an odd address
    memcpy(want, (uint8_t[]){ 19, 20, 21, 22, 23, 24, 25, 26 }, 8);
    CHECK(!memcmp(out, want, 8));
    CHECK_STR(ph_weights_metadata(w, "k"), "v");
    CHECK(!ph_weights_metadata(w, "none"));
    ph_weights_unref(&w);
}

TEST(a_file_cut_or_written_to_while_it_is_open_is_told)
{
    const char *path = two_tensors("x.safetensors", 1);
    struct ph_fault fault = { 0 };
    struct ph_weights *w = open_ok(path);
    CHECK_OK(ph_weights_check_unchanged(w, &fault));
    CHECK_OK(truncate(path, 300));
    CHECK_INT(ph_weights_check_unchanged(w, &fault), ==, PH_EIO);
    CHECK_HAS(fault.message, "x.safetensors was written to while in use");
    ph_weights_unref(&w);
    w = open_ok(two_tensors("x.safetensors", 1));
    two_tensors("x.safetensors", 2); // renamed over: what is mapped stays
    CHECK_OK(ph_weights_check_unchanged(w, &fault));
    ph_weights_unref(&w);
}

static ph_err check_one(enum ph_dtype dtype, const void *value, int64_t at,
                        struct ph_fault *fault)
{
    static char data[10000 * 4];
    size_t size = ph_dtype_size(dtype);
    struct ph_named_tensor t = { "some.weight", { dtype, 2, { 100, 100 }, data } };
    struct ph_weights *w;
    memset(data, 0x3c, sizeof data); // all finite
    if (value) memcpy(data + (size_t) at * size, value, size);
    CHECK_OK(ph_weights_save(in_folder("nan.safetensors"), &t, 1, 0, NULL));
    w = open_ok(in_folder("nan.safetensors"));
    ph_err ret = ph_weights_check_finite(w, (struct ph_stop){ 0 }, fault);
    ph_weights_unref(&w);
    return ret;
}

static bool count_down(void *left)
{
    return --*(int *) left < 0;
}

TEST(looking_for_values_that_are_not_finite_can_be_stopped)
{
    static float data[4];
    const struct ph_tensor tensor = { PH_F32, 1, { 4 }, data };
    const struct ph_named_tensor t[] = { { "a", tensor }, { "b", tensor }, { "c", tensor } };
    struct ph_fault fault = { 0 };
    data[3] = NAN; // of the first already
    CHECK_OK(ph_weights_save(in_folder("stop.safetensors"), t, 3, 0, NULL));
    struct ph_weights *w = open_ok(in_folder("stop.safetensors"));
    int left = 0;
    CHECK_INT(ph_weights_check_finite(w, (struct ph_stop){ count_down, &left }, &fault), ==,
              PH_ESTOPPED);
    left = 1;
    CHECK_INT(ph_weights_check_finite(w, (struct ph_stop){ count_down, &left }, &fault), ==,
              PH_EFORMAT);
    ph_weights_unref(&w);
}

TEST(a_value_that_is_not_finite_is_named_with_its_place)
{
    struct ph_fault fault = { 0 };
    CHECK_OK(check_one(PH_F32, NULL, 0, &fault));
    CHECK_OK(check_one(PH_F16, NULL, 0, &fault));
    CHECK_INT(check_one(PH_F32, &(float){ NAN }, 9999, &fault), ==, PH_EFORMAT);
    CHECK_HAS(fault.message, "nan.safetensors: tensor 'some.weight'");
    CHECK_HAS(fault.message, "element 9999");
    CHECK_INT(check_one(PH_F16, &(uint16_t){ 0xfc00 }, 4097, &fault), ==, PH_EFORMAT);
    CHECK_HAS(fault.message, "element 4097");
    CHECK_INT(check_one(PH_BF16, &(uint16_t){ 0x7f81 }, 0, &fault), ==, PH_EFORMAT);
    CHECK_HAS(fault.message, "element 0");
    CHECK_STR(fault.field, "some.weight");
}

TEST(a_header_of_two_megabytes_is_read)
{
    enum { COUNT = 20000 };
    struct ph_named_tensor *t = calloc(COUNT, sizeof *t);
    char(*names)[96] = calloc(COUNT, sizeof *names);
    float value = 3;
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof *names,
                 "down_blocks.%d.attentions.0.transformer_blocks.9.x.weight", i * 7919 % COUNT);
        t[i] = (struct ph_named_tensor){ names[i], { PH_F32, 1, { 1 }, &value } };
    }
    CHECK_OK(ph_weights_save(in_folder("many.safetensors"), t, COUNT, 0, NULL));
    struct ph_weights *w = open_ok(in_folder("many.safetensors"));
    CHECK_INT(ph_weights_count(w), ==, COUNT);
    for (int i = 0; i < COUNT; i += 97) CHECK(ph_weights_find(w, names[i]));
    ph_weights_unref(&w);
    free(t);
    free(names);
}

// A file with holes, so that it needs no room: one tensor of 6 GB, its last value 2.
static const char *huge_file(void)
{
    static const char header[] =
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1500000,1000],\"data_offsets\":[0,6000000000]}} ";
    const char *path = in_folder("huge.safetensors");
    uint64_t n = sizeof header - 1;
    float two = 2;
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0 && write(fd, &n, 8) == 8 && write(fd, header, n) == (ssize_t) n);
    if (ftruncate(fd, 8 + (off_t) n + 6000000000)) TEST_SKIP("no files of 6 GB here");
    CHECK_INT(pwrite(fd, &two, 4, 8 + (off_t) n + 6000000000 - 4), ==, 4);
    close(fd);
    return path;
}

TEST(tensors_of_more_than_four_gigabytes_are_read_to_their_end)
{
    float out[2];
    struct ph_weights *w = open_ok(huge_file());
    CHECK_OK(ph_weights_read(w, ph_weights_at(w, 0), 1499999998, 2, out));
    CHECK_NUM(out[0], ==, 0);
    CHECK_NUM(out[1], ==, 2);
    ph_weights_unref(&w);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

TEST(a_model_too_large_to_map_is_told_and_a_smaller_one_loads)
{
#if SANITIZED
    TEST_SKIP("sanitizers need the address space themselves");
#else
    const char *path = huge_file();
    struct rlimit limit = { 1u << 30, 1u << 30 };
    CHECK_OK(setrlimit(RLIMIT_AS, &limit));
    struct ph_fault fault = refused(path, PH_ENOMEM);
    CHECK_HAS(fault.message, "huge.safetensors");
    struct ph_weights *w = open_ok(two_tensors("x.safetensors", 1));
    CHECK_INT(ph_weights_count(w), ==, 4);
    ph_weights_unref(&w);
#endif
}

// ------------------------------------------------------------------------------------ shards

static void save_shard(const char *name, const char *a, const char *b, float first)
{
    float data[] = { first, first + 1, first + 2, first + 3 };
    struct ph_named_tensor t[] = { { a, { PH_F32, 1, { 2 }, data } },
                                   { b, { PH_F32, 1, { 2 }, data + 2 } } };
    CHECK_OK(ph_weights_save(in_folder(name), t, 2, 0, NULL));
}

static const char *save_index(const char *map)
{
    char text[1024];
    const char *path = in_folder("model.safetensors.index.json");
    snprintf(text, sizeof text, "{\"metadata\":{\"total_size\":32},\"weight_map\":%s}", map);
    write_file(path, text, strlen(text));
    save_shard("model-1.safetensors", "a", "c", 10);
    save_shard("model-2.safetensors", "b", "c", 20);
    return path;
}

TEST(shards_make_one_set_as_their_index_says)
{
    float out[2];
    save_index("{\"a\":\"model-1.safetensors\",\"b\":\"model-2.safetensors\","
               "\"c\":\"model-2.safetensors\"}");
    struct ph_weights *w = open_ok(in_folder(".")), *again = open_ok(in_folder("."));
    CHECK(w == again);
    CHECK_INT(ph_weights_count(w), ==, 3);
    CHECK_INT(ph_weights_bytes(w), ==, 24);
    CHECK_OK(ph_weights_read(w, ph_weights_find(w, "c"), 0, 2, out));
    CHECK_NUM(out[0], ==, 22);
    CHECK_HAS(ph_weights_find(w, "a")->file, "model-1.safetensors");
    ph_weights_unref(&w);
    ph_weights_unref(&again);
}

TEST(an_index_that_lies_is_refused)
{
    struct ph_fault fault = refused(save_index("{\"x\":\"model-1.safetensors\"}"), PH_EFORMAT);
    CHECK_HAS(fault.message, "model-1.safetensors has no tensor 'x'");
    CHECK_HAS(refused(save_index("{\"a\":\"../model-1.safetensors\"}"), PH_EFORMAT).message,
              "no name of a file beside it");
    CHECK_HAS(refused(save_index("{\"a\":7}"), PH_EFORMAT).message, "no name of a file");
    CHECK_HAS(refused(save_index("{\"a\":\"none.safetensors\"}"), PH_ENOENT).message,
              "none.safetensors");
    CHECK_HAS(refused(save_index("[]"), PH_EFORMAT).message, "has no weight_map");
    CHECK_HAS(refused(save_index("{"), PH_EFORMAT).message, "index.json");
}

TEST(a_folder_gives_the_plain_name_before_its_variants)
{
    save_shard("model.fp16.safetensors", "a", "b", 1);
    struct ph_weights *w = open_ok(in_folder("."));
    CHECK_HAS(ph_weights_path(w), "model.fp16.safetensors");
    ph_weights_unref(&w);
    save_shard("model.safetensors", "a", "b", 2);
    w = open_ok(in_folder("."));
    CHECK_HAS(ph_weights_path(w), "/model.safetensors");
    ph_weights_unref(&w);
    save_shard("diffusion_pytorch_model.safetensors", "a", "b", 3);
    w = open_ok(in_folder("."));
    CHECK_HAS(ph_weights_path(w), "diffusion_pytorch_model.safetensors");
    ph_weights_unref(&w);
}

// ------------------------------------------------------------------------------------ memory

static void fail_each(const char *path)
{
    for (long n = 0; n < 400; n++) {
        struct ph_weights *w = NULL;
        struct ph_fault fault = { 0 };
        alloc_fail_only(n);
        ph_err ret = ph_weights_open(path, &w, &fault);
        long failed = alloc_failed();
        alloc_fail_from(-1);
        if (failed) {
            CHECK_INT(ret, ==, PH_ENOMEM);
            CHECK(!w);
            CHECK_HAS(fault.message, "memory");
            w = open_ok(path); // and the next one works
        }
        CHECK(ph_weights_count(w) >= 3);
        ph_weights_unref(&w);
        if (failed) continue;
        CHECK_INT(n, >, 4);
        return;
    }
    TEST_FAIL("more than 400 allocations");
}

TEST(memory_running_out_leaves_a_clean_error_and_the_next_load_works)
{
    fail_each(two_tensors("x.safetensors", 1));
    fail_each(save_index("{\"a\":\"model-1.safetensors\",\"b\":\"model-2.safetensors\","
                         "\"c\":\"model-2.safetensors\"}"));
}

static int open_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

TEST(a_refused_file_leaves_no_descriptor_and_no_mapping)
{
    const char *good = two_tensors("x.safetensors", 1);
    int before = open_descriptors();
    for (int i = 0; i < 20; i++) {
        refused(file_of("bad.safetensors", "{\"a\":" F32x2(0, 8) "}", 7), PH_EFORMAT);
        refused(save_index("{\"a\":\"model-1.safetensors\",\"x\":\"model-2.safetensors\"}"),
                PH_EFORMAT);
        struct ph_weights *w = open_ok(good);
        ph_weights_unref(&w);
    }
    CHECK_INT(open_descriptors(), ==, before);
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[1024];
    while (maps && fgets(line, sizeof line, maps)) CHECK(!strstr(line, ".safetensors"));
    if (maps) fclose(maps);
}

TEST(a_file_that_cannot_be_written_is_told_and_leaves_nothing)
{
    float v = 1;
    struct ph_named_tensor t = { "a", { PH_F32, 1, { 1 }, &v } };
    struct ph_fault fault = { 0 };
    CHECK_INT(ph_weights_save(in_folder("none/x.safetensors"), &t, 1, 0, &fault), ==, PH_EIO);
    CHECK_HAS(fault.message, "none/x.safetensors");
    CHECK_OK(mkdir(in_folder("taken"), 0700));
    CHECK_INT(ph_weights_save(in_folder("taken"), &t, 1, 0, &fault), ==, PH_EIO);
    t.tensor.dim[0] = 0;
    CHECK_INT(ph_weights_save(in_folder("x.safetensors"), &t, 1, 0, &fault), ==, PH_EINVAL);
    CHECK_STR(fault.field, "a");
    CHECK(access(in_folder("x.safetensors"), F_OK));
    char command[256];
    snprintf(command, sizeof command, "test -z \"$(ls %s | grep part)\"", folder);
    CHECK_OK(system(command));
}

TEST(memory_running_out_while_writing_leaves_no_file)
{
    struct ph_named_tensor t = { "random", { PH_F16, 2, { 9, 9 }, NULL } };
    const char *path = in_folder("x.safetensors");
    long n = 0;
    for (;; n++) {
        struct ph_fault fault = { 0 };
        alloc_fail_only(n);
        ph_err ret = ph_weights_save(path, &t, 1, 0, &fault);
        long failed = alloc_failed();
        alloc_fail_from(-1);
        CHECK_INT(ret, ==, failed ? PH_ENOMEM : PH_OK);
        CHECK(!access(path, F_OK) == !failed);
        if (!failed) break;
        CHECK_HAS(fault.message, "memory");
    }
    CHECK_INT(n, >=, 3);
    struct ph_weights *w = open_ok(path);
    ph_weights_unref(&w);
}

// ------------------------------------------------------------------------------------ real layouts

TEST(the_reference_models_open_with_all_their_tensors)
{
    static const struct {
        const char *path, *tensor;
        int count;
    } cases[] = {
        { "diffusion/models/pipe_sd15_tiny/unet", "conv_in.weight", 0 },
        { "diffusion/models/pipe_sd15_tiny/text_encoder",
          "text_model.embeddings.token_embedding.weight", 0 },
        { "diffusion/models/taesd_full", "encoder.layers.0.weight", 0 },
        { "diffusion/models/lora/peft_adapter",
          "base_model.model.down_blocks.0.resnets.1.conv1.lora_A.weight", 42 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ph_fault fault = { 0 };
        struct ph_weights *w = open_ok(golden(cases[i].path));
        CHECK(ph_weights_find(w, cases[i].tensor));
        if (cases[i].count) CHECK_INT(ph_weights_count(w), ==, cases[i].count);
        CHECK_OK(ph_weights_check_finite(w, (struct ph_stop){ 0 }, &fault));
        for (int k = 1; k < ph_weights_count(w); k++)
            CHECK_INT(strcmp(ph_weights_at(w, k - 1)->name, ph_weights_at(w, k)->name), <, 0);
        ph_weights_unref(&w);
    }
}
