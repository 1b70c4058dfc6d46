// SPDX-License-Identifier: MIT
// Numbers that need nothing prepared go to the diffuser with each picture: drives may move them
// without a wish, and what they move lands with the very picture that it is of.
#include "nodes/model/diffusion.h"

#include <math.h>
#include <string.h>

static const char *const notes[12] = { "chroma_c",  "chroma_cs", "chroma_d",  "chroma_ds",
                                       "chroma_e",  "chroma_f",  "chroma_fs", "chroma_g",
                                       "chroma_gs", "chroma_a",  "chroma_as", "chroma_b" };

static void find_notes(struct diffusion *p, const struct ph_node_info *from)
{
    if (from == p->notes_of) return;
    p->notes_of = from;
    for (int k = 0; k < 12; k++) {
        p->chroma[k] = -1;
        for (int i = 0; from && from->signals && from->signals[i].name; i++)
            if (!strcmp(from->signals[i].name, notes[k])) p->chroma[k] = i;
    }
}

static void hear_notes(struct ph_node *n, float chroma[12])
{
    struct diffusion *p = ph_priv(n);
    struct ph_frame *f;
    find_notes(p, ph_node_before(n, DIFFUSION_NOTES));
    if (!p->notes_of || ph_node_read(n, DIFFUSION_NOTES, &f) != PH_OK) return;
    for (int k = 0; k < 12; k++) {
        int i = p->chroma[k];
        float x = i >= 0 && i < f->signals.count ? f->signals.value[i] : 0;
        chroma[k] = x > 0 ? fminf(x, 1) : 0; // not for NaN, too
    }
    ph_frame_unref(&f);
}

static void turn(struct diffusion *p, int64_t pts_ns)
{
    int64_t dt_ns = p->spins ? pts_ns - p->spun_ns : 0;
    if (dt_ns > 0)
        p->spun += (double) p->spin * (double) dt_ns * 1e-9; // a film may begin again
    p->spun -= floor(p->spun);
    p->spun_ns = pts_ns;
    p->spins = true;
}

ph_err ph_diffusion_steer(struct ph_node *n, int64_t pts_ns, struct ph_fault *fault)
{
    struct diffusion *p = ph_priv(n);
    turn(p, pts_ns);
    struct ph_steering s = { .radius = p->radius,
                             .angle = (double) p->angle + p->spun,
                             .variation = (double) p->variation,
                             .walk = (enum ph_prompt_walk) p->walk,
                             .position = (double) p->position,
                             .reach = p->reach,
                             .similar = p->similar,
                             .similar_max = (int) p->similar_max,
                             .smooth = p->smooth,
                             .latent_feedback = p->latent_feedback,
                             .picture_feedback = p->picture_feedback };
    if (p->walk == PH_WALK_NOTES) hear_notes(n, s.chroma);
    return ph_diffuser_steer(p->diffuser, &s, fault);
}
