// SPDX-License-Identifier: MIT
#include "core/nearest.h"

#include <string.h>

#define MAX_LEN 63

static int min3(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

int ph_edit_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na > MAX_LEN || nb > MAX_LEN) return 1000;
    int row[3][MAX_LEN + 1]; // rows i-2, i-1, i of the table, taking turns
    for (size_t j = 0; j <= nb; j++) row[0][j] = (int) j;
    for (size_t i = 1; i <= na; i++) {
        int *now = row[i % 3], *up = row[(i - 1) % 3], *up2 = row[(i + 1) % 3];
        now[0] = (int) i;
        for (size_t j = 1; j <= nb; j++) {
            now[j] = min3(up[j] + 1, now[j - 1] + 1, up[j - 1] + (a[i - 1] != b[j - 1]));
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && up2[j - 2] + 1 < now[j]) now[j] = up2[j - 2] + 1;
        }
    }
    return row[na % 3][nb];
}

const char *ph_nearest(const char *text, const char *const *list)
{
    const char *best = NULL;
    int limit = PH_NEAREST_LIMIT;
    for (; *list; list++) {
        int d = ph_edit_distance(text, *list);
        if (d >= limit) continue;
        limit = d;
        best = *list;
    }
    return best;
}
