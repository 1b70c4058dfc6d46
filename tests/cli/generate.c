// SPDX-License-Identifier: MIT
// phosphene generate on a tiny pipeline.
#include "terminal.h"

#include "nodes/picture_file.h"

static const char *model(void)
{
    static char path[1024];
    const char *root = getenv("PH_GOLDEN");
    snprintf(path, sizeof path, "%s/diffusion/models/pipe_sd15_tiny", root ? root : "");
    if (access(path, R_OK)) TEST_SKIP("no %s", path);
    CHECK_OK(chdir(temp_dir()));
    return path;
}

static bool same_files(const char *a, const char *b)
{
    char command[512];
    snprintf(command, sizeof command, "cmp -s %s %s", a, b);
    return system(command) == 0;
}

#define GENERATE(...) PHOSPHENE("generate", "a red fox", "-m", model(), __VA_ARGS__)

TEST(a_text_becomes_a_picture_of_the_size_asked_for)
{
    const struct output *o = GENERATE("-o", "fox.png", "--size", "96x64", "--steps", "2");
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->err, "fox.png: 96x64, 2 steps, seed 2");
    struct ph_frame *f;
    struct ph_fault fault;
    CHECK_INT(ph_picture_load("fox.png", &f, &fault), ==, PH_OK);
    CHECK_INT(f->picture.width, ==, 96);
    CHECK_INT(f->picture.height, ==, 64);
    int low = 255, high = 0;
    for (int i = 0; i < 96 * 4; i += 4) {
        low = f->picture.data[0][i] < low ? f->picture.data[0][i] : low;
        high = f->picture.data[0][i] > high ? f->picture.data[0][i] : high;
    }
    CHECK_INT(high, >, low); // not one colour
    ph_frame_unref(&f);
}

TEST(the_same_seed_is_the_same_picture_and_another_another)
{
    CHECK_STATUS(GENERATE("-o", "a.png", "-q"), 0);
    CHECK_STATUS(GENERATE("-o", "b.png", "-q", "--seed", "2"), 0);
    CHECK_STATUS(GENERATE("-o", "c.png", "-q", "--seed", "3"), 0);
    CHECK(same_files("a.png", "b.png"));
    CHECK(!same_files("a.png", "c.png"));
    CHECK_STATUS(GENERATE("-o", "d.png", "-q", "--guidance", "7.5", "--negative", "blurry"), 0);
    CHECK(!same_files("a.png", "d.png"));
    CHECK_STATUS(GENERATE("-o", "e.png", "-q", "--from", "c.png", "--steps", "4"), 0);
    CHECK(!same_files("a.png", "e.png"));
}

TEST(json_has_the_times_of_the_parts)
{
    const struct output *o = GENERATE("-o", "fox.jpg", "--json", "-q", "--steps", "3");
    CHECK_STATUS(o, 0);
    const struct ph_json *v = parse_json(o->out);
    CHECK_STR(ph_json_string(ph_json_get(v, "path"), ""), "fox.jpg");
    CHECK_INT(ph_json_int(ph_json_get(v, "steps"), 0), ==, 3);
    CHECK_NUM(ph_json_double(ph_json_get(v, "modelMs"), 0), >, 0);
    CHECK_NUM(ph_json_double(ph_json_get(v, "gflop"), 0), >, 0);
    CHECK_INT(ph_json_int(ph_json_get(v, "packedBytes"), 0), >, 1000000);
    CHECK_STR(o->err, "");
}

TEST(without_a_name_pictures_are_numbered_and_a_named_one_is_not_replaced)
{
    CHECK_STATUS(GENERATE("-q"), 0);
    CHECK_STATUS(GENERATE("-q", "--seed", "3"), 0);
    CHECK(!access("picture.png", R_OK) && !access("picture-2.png", R_OK));
    CHECK(!same_files("picture.png", "picture-2.png"));
    const struct output *o = GENERATE("-o", "picture.png", "--seed", "3");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "-y replaces it");
    CHECK(!same_files("picture.png", "picture-2.png"));
    CHECK_STATUS(GENERATE("-o", "picture.png", "--seed", "3", "-y"), 0);
    CHECK(same_files("picture.png", "picture-2.png"));
}

TEST(what_was_measured_is_kept_where_it_was_told_also_beside_the_pictures)
{
    setenv("PH_KERNELS", "mine/kernels.txt", 1);
    CHECK_STATUS(GENERATE("-o", "a.png", "-q", "--size", "64x64", "--tune"), 0);
    const char *lines = read_text("mine/kernels.txt");
    CHECK_HAS(lines, "conv ");
}

// Without being asked, too; and what is known is not measured again, nor another choice made.
TEST(what_the_first_start_learnt_of_kernels_the_second_reads)
{
    setenv("PH_KERNELS", "own/kernels.txt", 1);
    CHECK_STATUS(GENERATE("-o", "a.png", "-q", "--size", "64x64"), 0);
    if (access("own/kernels.txt", R_OK)) TEST_SKIP("no layer has two kernels here");
    char *first = strdup(read_text("own/kernels.txt"));
    CHECK(first && strstr(first, "conv "));
    CHECK_STATUS(GENERATE("-o", "b.png", "-q", "--size", "64x64"), 0);
    CHECK_STR(read_text("own/kernels.txt"), first);
    free(first);
    CHECK(same_files("a.png", "b.png"));
}

// A quicker kernel has wider weights, and whoever asks for 4 bits asks for little memory.
TEST(four_bits_stay_four_bits_whatever_is_quicker)
{
    setenv("PH_KERNELS", "own/kernels.txt", 1);
    CHECK_STATUS(GENERATE("-o", "a.png", "-q", "--size", "64x64", "--precision", "q4"), 0);
    CHECK(access("own/kernels.txt", R_OK)); // nothing was learnt
}

// Gates of rounded weights are said when they are loaded.
TEST(rounding_to_bytes_says_what_the_weights_keep)
{
    const struct output *o = GENERATE("-o", "fox.png", "--precision", "int8", "--json");
    CHECK_STATUS(o, 0);
    if (!strstr(o->err, "the weights keep ")) {
        CHECK(!strstr(o->out, "weightsDb")); // a processor without int8 products
        TEST_SKIP("no layer is rounded here");
    }
    CHECK_HAS(o->err, "dB (gate 35), least in ");
    const struct ph_json *v = parse_json(o->out);
    CHECK_NUM(ph_json_double(ph_json_get(v, "weightsDb"), 0), >, 35);
    CHECK_NUM(ph_json_double(ph_json_get(v, "weightsDb"), 0), <, 50);
    CHECK_NUM(ph_json_double(ph_json_get(v, "weightsGateDb"), 0), ==, 35);
    o = GENERATE("-o", "whole.png", "--precision", "f32", "--json");
    CHECK(!strstr(o->err, "weights keep"));
    CHECK(!strstr(o->out, "weightsDb"));
}

TEST(what_cannot_be_is_said_before_the_work)
{
    static const struct {
        const char *option, *value, *says;
        int status;
    } cases[] = {
        { "--size", "63x64", "multiple of 8", 2 },
        { "--size", "big", "WIDTHxHEIGHT", 2 },
        { "--sampler", "heun", "dpmpp_2m", 2 },
        { "--precision", "f64", "bf16", 2 },
        { "--strength", "2", "from 0 to 1", 2 },
        { "--strength", "0.3", "--from names it", 2 },
        { "--style", "ink:much", "a number, the scale, as in ink:0.8", 2 },
        { "--steps", "99", "1 to 32", 2 },
        { "--from", "none.png", "none.png", 3 },
        { "--style", "none", "none", 3 },
        { "-o", "fox.gif", ".png", 2 },
        { "-o", "none/fox.png", "none/fox.png", 3 },
        { "--vae", "/none", "/none", 3 },
        { "--device", "gpu", "cpu", 2 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct output *o = GENERATE(cases[i].option, cases[i].value);
        if (o->status != cases[i].status || !strstr(o->err, cases[i].says))
            TEST_FAIL("%s %s: exit status %d, want %d; %s", cases[i].option, cases[i].value,
                      o->status, cases[i].status, o->err);
    }
    CHECK_STATUS(PHOSPHENE("generate", "a fox", "-m", "/none"), 3);
    CHECK(access("picture.png", F_OK));
}

// More work than any machine does in the two seconds after which there is something to see.
TEST_LIMIT(a_terminal_sees_the_step_and_the_time_left, 240)
{
    const char *text =
        TERMINAL_UNTIL(" left", "generate", "a fox", "-m", model(), "--size", "512x512",
                       "--device", "cpu:plain", "--steps", "32", "--guidance", "7.5");
    CHECK_HAS(text, "painting: step ");
    CHECK_HAS(text, " of 32 steps, ");
    CHECK_HAS(text, " left");
    CHECK(access("picture.png", F_OK));
}

TEST(interrupting_leaves_no_file)
{
    struct child c =
        start(program(), "generate", "a fox", "-m", model(), "-o", "fox.png", "--size",
              "1024x1024", "--device", "cpu:plain", "--steps", "32", NULL);
    const struct output *o;
    sleep_ms(1500);
    CHECK_NUM(stop_child(&c, SIGINT, &o), <, STOP_LIMIT_S);
    CHECK_STATUS(o, 130);
    CHECK(access("fox.png", F_OK) && access("fox.png.part", F_OK));
}
