// SPDX-License-Identifier: MIT
#ifndef PH_CLI_TABLE_H
#define PH_CLI_TABLE_H

#include "core/json.h"

#include <stdio.h>

// The room document (docs/protocol.md) for people: rates, nodes with their times, queues and
// drops. At most `rows` lines (0 = any), each at most `columns` wide; `eol` ends a line.
void cli_print_room(FILE *out, const struct ph_json *room, int rows, int columns,
                    const char *eol);

#endif
