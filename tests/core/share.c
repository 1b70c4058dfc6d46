// SPDX-License-Identifier: MIT
#include "core/share.h"
#include "test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

TEST(what_comes_with_the_program_is_found_from_the_build_folder)
{
    char path[PH_SHARE_PATH_MAX];
    struct ph_fault fault = { 0 };
    unsetenv("PH_SHARE");
    CHECK_INT(ph_share_find("models/README.md", path, &fault), ==, PH_OK);
    CHECK_INT(access(path, R_OK), ==, 0);
    CHECK(strstr(path, "share/"));
}

TEST(a_folder_that_is_named_counts_alone)
{
    char path[PH_SHARE_PATH_MAX], folder[] = "/tmp/ph-share-XXXXXX", file[64];
    struct ph_fault fault = { 0 };
    CHECK(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/thing", folder);
    setenv("PH_SHARE", folder, 1);
    CHECK_INT(ph_share_find("thing", path, &fault), ==, PH_ENOENT);
    CHECK(strstr(fault.message, "PH_SHARE"));
    CHECK_INT(mkdir(file, 0700), ==, 0);
    CHECK_INT(ph_share_find("thing", path, &fault), ==, PH_OK);
    CHECK_STR(path, file);
    CHECK_INT(ph_share_find("models/README.md", path, NULL), ==, PH_ENOENT);
    rmdir(file), rmdir(folder);
}

TEST(what_is_nowhere_is_said_with_its_name)
{
    char path[PH_SHARE_PATH_MAX];
    struct ph_fault fault = { 0 };
    unsetenv("PH_SHARE");
    CHECK_INT(ph_share_find("models/no-such-thing", path, &fault), ==, PH_ENOENT);
    CHECK(strstr(fault.message, "no-such-thing"));
}
