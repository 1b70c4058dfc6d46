// SPDX-License-Identifier: MIT
// The quality gates that doctor prints, on every kind of kernels this machine has.
#include "models/gate.h"
#include "test.h"

static void check_gates(const char *device)
{
    struct ph_fault fault = { 0 };
    struct ph_device *d;
    struct ph_gate gates[PH_GATES];
    if (ph_device_open(device, &d, &fault) < 0) TEST_FAIL("%s", fault.message);
    if (ph_gates_run(d, gates, &fault) < 0) TEST_FAIL("%s", fault.message);
    for (int i = 0; i < PH_GATES; i++) {
        printf("# %s, %s: PSNR %.1f dB (gate %.0f), UNet rel_l2 %.2g, depth %.1f dB (%.0f)\n",
               device, ph_precision_name(gates[i].precision), gates[i].psnr_db,
               gates[i].gate_db, gates[i].rel_l2, gates[i].depth_db, gates[i].depth_gate_db);
        CHECK_NUM(gates[i].depth_db, >=, gates[i].depth_gate_db);
        CHECK_NUM(gates[i].depth_db, <, 100);
        CHECK(gates[i].passed);
        CHECK_NUM(gates[i].psnr_db, >=, gates[i].gate_db);
    }
    // They are what they are called: a bf16 that is f32 in disguise would have no error at all.
    CHECK_NUM(gates[0].rel_l2, >, 1e-6);
    CHECK_NUM(gates[0].rel_l2, <, 0.02);
    CHECK_NUM(gates[1].rel_l2, >, gates[0].rel_l2 / 2);
    ph_device_unref(&d);
}

TEST(every_precision_passes_its_gate_on_the_kernels_that_are_chosen)
{
    check_gates("cpu");
}

TEST(every_precision_passes_its_gate_on_one_thread)
{
    check_gates("cpu:threads=1");
}

TEST(nothing_is_left_of_the_models_that_were_made)
{
    char folder[] = "/tmp/ph-gate-test-XXXXXX";
    struct ph_gate gates[PH_GATES];
    struct ph_device *d;
    CHECK(mkdtemp(folder) != NULL);
    setenv("TMPDIR", folder, 1);
    CHECK_INT(ph_device_open(NULL, &d, NULL), ==, PH_OK);
    CHECK_INT(ph_gates_run(d, gates, NULL), ==, PH_OK);
    CHECK_INT(rmdir(folder), ==, 0); // empty
    setenv("TMPDIR", "/none", 1);
    struct ph_fault fault = { 0 };
    CHECK_INT(ph_gates_run(d, gates, &fault), <, 0);
    CHECK_HAS(fault.message, "/none");
    ph_device_unref(&d);
}

TEST(the_model_that_comes_along_passes_them_with_what_it_learnt)
{
    char path[1024];
    struct ph_fault fault = { 0 };
    struct ph_gate gates[] = { { .precision = PH_PRECISION_BF16, .gate_db = PH_GATE_BF16_DB },
                               { .precision = PH_PRECISION_I8, .gate_db = PH_GATE_INT8_DB },
                               { .precision = PH_PRECISION_Q4, .gate_db = PH_GATE_Q4_DB },
                               { .precision = PH_PRECISION_Q4, .gate_db = 90 } };
    for (int i = 0; i < 4; i++) gates[i].passed = true;
    snprintf(path, sizeof path, "%s/../../share/models/spark", getenv("PH_TEST_DATA"));
    if (access(path, R_OK)) TEST_SKIP("no %s", path);
    if (ph_gate_trained(path, NULL, gates, 4, &fault) < 0) TEST_FAIL("%s", fault.message);
    for (int i = 0; i < 3; i++) {
        printf("# %s: %.1f dB\n", ph_precision_name(gates[i].precision), gates[i].trained_db);
        CHECK(gates[i].passed);
        CHECK_NUM(gates[i].trained_db, >=, gates[i].gate_db);
    }
    if (gates[2].trained_db < 90) CHECK(!gates[3].passed); // where 4 bits are used at all
}
