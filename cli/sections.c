// SPDX-License-Identifier: MIT
#include "sections.h"
#include "cli.h"

#include "audio/sections.h"
#include "core/cpu.h"
#include "core/together.h"
#include "nodes/media/song_file.h"

#include <stdio.h>

#define PIECE_S 600

struct piece {
    struct ph_song_source of;
    int64_t from;
};

static ph_err read_piece(void *opaque, int64_t at, int64_t n, float *out)
{
    const struct piece *p = opaque;
    return p->of.read(p->of.opaque, p->from + at, n, out);
}

static ph_err add_piece(struct ph_sections *all, struct piece *p, int64_t samples,
                        struct ph_fault *fault)
{
    struct ph_song *song = NULL;
    const struct ph_song_source source = {
        .samples = samples, .rate_hz = p->of.rate_hz, .read = read_piece, .opaque = p
    };
    const struct ph_song_params par = { .together = ph_together,
                                        .workers = ph_cpu_count() < 8 ? ph_cpu_count() : 8,
                                        .stop = &cli_signal };
    ph_err ret = ph_song_analyse(&song, &source, &par, fault);
    if (ret >= 0) ret = ph_sections_add(all, song);
    ph_song_destroy(&song);
    return ret;
}

static ph_err add_pieces(struct ph_sections *all, struct ph_song_file *file, int64_t length_ns,
                         struct ph_fault *fault)
{
    struct piece p = { ph_song_file_source(file), 0 };
    double rate = p.of.rate_hz > 0 ? p.of.rate_hz : PH_SONG_RATE_HZ;
    int64_t most = (int64_t) ((double) length_ns * 1e-9 * rate),
            piece = (int64_t) (PIECE_S * rate);
    if (most > p.of.samples) most = p.of.samples;
    ph_err ret = PH_OK;
    for (; p.from < most && ret >= 0; p.from += piece)
        ret = add_piece(all, &p, most - p.from < piece ? most - p.from : piece, fault);
    return ret;
}

int cli_song_chapters(const char *path, int64_t length_ns,
                      struct ph_chapter chapters[MAX_CHAPTERS], struct ph_fault *fault)
{
    const struct ph_song_file_params read = { .stop = &cli_signal };
    struct ph_section found[MAX_CHAPTERS];
    struct ph_song_file *file = NULL;
    struct ph_sections *all = NULL;
    int count = 0;
    ph_err ret = ph_song_file_open(&file, path, &read, fault);
    if (ret >= 0) ret = ph_sections_create(&all);
    if (ret >= 0) ret = add_pieces(all, file, length_ns, fault);
    if (ret >= 0) count = ph_sections_find(all, found, MAX_CHAPTERS);
    if (count < 2) count = 0;
    for (int i = 0; i < count; i++) {
        chapters[i].begin_ns = (int64_t) (found[i].begin_s * 1e9);
        snprintf(chapters[i].title, sizeof chapters[i].title, "Section %d", i + 1);
    }
    ph_sections_destroy(&all);
    ph_song_file_close(&file);
    return ret < 0 ? ret : count;
}
