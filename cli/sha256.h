// SPDX-License-Identifier: MIT
// SHA-256 (FIPS 180-4), to check downloads without a library that not every build has.
#ifndef PH_CLI_SHA256_H
#define PH_CLI_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct cli_sha256 {
    uint32_t state[8];
    uint64_t bytes;
    uint8_t block[64];
};
void cli_sha256_begin(struct cli_sha256 *s);
void cli_sha256_add(struct cli_sha256 *s, const void *bytes, size_t size);
// 64 lower-case digits and a NUL. s is of no more use.
void cli_sha256_end(struct cli_sha256 *s, char hex[65]);

#endif
