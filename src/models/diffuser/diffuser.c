// SPDX-License-Identifier: MIT
// A diffuser: the thread that makes what settings need, and what it owns. Painting is in paint.c.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tree.h"
#include "models/diffuser/diffuser.h"
#include "nn/rng.h"

// ------------------------------------------------------------------------------ the maker's thread
// At most one wish waits and one made waits to land; a newer one takes its place.
static void *maker_thread(void *arg)
{
    struct ph_diffuser *d = arg;
    struct ph_made *last = NULL; // what was made last, for the parts it can lend
    pthread_mutex_lock(&d->lock);
    for (;;) {
        while (!d->wish && !d->quit) pthread_cond_wait(&d->change, &d->lock);
        if (d->quit) break;
        struct ph_wish *wish = d->wish;
        d->wish = NULL;
        d->making = true;
        pthread_mutex_unlock(&d->lock);
        struct ph_made *made = ph_make(&d->maker, wish, last);
        pthread_mutex_lock(&d->lock);
        d->making = false;
        d->problem_told = false;
        if (!made || made->ret < 0) {
            if (!made)
                ph_fail(&d->problem, PH_ENOMEM, "", "out of memory");
            else
                d->problem = made->fault;
            if (d->wish) d->problem.code = PH_OK; // the next one counts
            ph_made_unref(&made);
        } else {
            d->problem.code = PH_OK;
            ph_made_ref(made); // one for landing, one as `last`
            ph_made_unref(&d->ready);
            d->ready = made;
            struct ph_made *old = last;
            last = made;
            pthread_mutex_unlock(&d->lock);
            ph_made_unref(&old); // may free plans: not under the lock
            pthread_mutex_lock(&d->lock);
        }
        pthread_cond_broadcast(&d->change);
    }
    pthread_mutex_unlock(&d->lock);
    ph_made_unref(&last);
    return NULL;
}

ph_err ph_diffuser_set(struct ph_diffuser *d, const struct ph_diffuser_settings *s,
                       struct ph_fault *fault)
{
    struct ph_wish *wish;
    ph_err ret = ph_wish_create(s, &d->maker, &wish, fault);
    if (ret < 0) return ret;
    pthread_mutex_lock(&d->lock);
    wish->number = ++d->wishes;
    struct ph_wish *old = d->wish;
    d->wish = wish;
    d->problem.code = PH_OK;
    pthread_cond_broadcast(&d->change);
    pthread_mutex_unlock(&d->lock);
    ph_tree_free(old);
    return PH_OK;
}

ph_err ph_diffuser_settle(struct ph_diffuser *d, struct ph_fault *fault)
{
    pthread_mutex_lock(&d->lock);
    while (d->wish || d->making) pthread_cond_wait(&d->change, &d->lock);
    ph_err ret = d->problem.code;
    if (ret < 0 && fault) *fault = d->problem;
    pthread_mutex_unlock(&d->lock);
    return ret;
}

// ------------------------------------------------------------------------------ open, close
static bool is_over(void *arg)
{
    struct ph_diffuser *d = arg;
    return d->quit || (d->stop && d->stop(d->stop_arg));
}

static void describe(struct ph_diffuser *d)
{
    const struct ph_folder *f = d->maker.folder;
    const char *name = strrchr(f->path, '/');
    struct ph_prog_cost cost = { 0 };
    ph_module_cost(f->unet, 0, NULL, &cost, NULL);
    snprintf(d->description, sizeof d->description, "%s: unet of %.0f M, %s, %s on %s",
             name && name[1] ? name + 1 : f->path, (double) cost.params * 1e-6,
             f->vae->class->name, ph_precision_name(ph_precision_resolve(d->maker.precision)),
             ph_device_name(d->maker.device));
}

ph_err ph_diffuser_open(const struct ph_diffuser_params *params, struct ph_diffuser **out,
                        struct ph_fault *fault)
{
    struct ph_diffuser *d = calloc(1, sizeof *d);
    *out = NULL;
    if (!d) return ph_fail(fault, PH_ENOMEM, "", "out of memory");
    d->draw = ph_rng_normal;
    d->stop = params->stop;
    d->stop_arg = params->stop_arg;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->change, NULL);
    struct ph_fault own = { 0 };
    ph_err ret = ph_maker_open(params, (struct ph_stop){ is_over, d }, &d->maker, &own);
    if (ret < 0 && !own.code) ph_fail(&own, ret, "", "%s", ph_strerror(ret));
    if (ret < 0 && fault) *fault = own;
    if (ret >= 0) {
        describe(d);
        d->has_thread = pthread_create(&d->thread, NULL, maker_thread, d) == 0;
        if (!d->has_thread) ret = ph_fail(fault, PH_ENOMEM, "", "cannot start a thread");
    }
    if (ret < 0)
        ph_diffuser_close(&d);
    else
        *out = d;
    return ret;
}

void ph_diffuser_close(struct ph_diffuser **out)
{
    struct ph_diffuser *d = *out;
    *out = NULL;
    if (!d) return;
    if (d->has_thread) {
        pthread_mutex_lock(&d->lock);
        d->quit = true;
        pthread_cond_broadcast(&d->change);
        pthread_mutex_unlock(&d->lock);
        pthread_join(d->thread, NULL);
    }
    ph_tree_free(d->wish);
    ph_made_unref(&d->ready);
    ph_made_unref(&d->now);
    ph_painting_free(d);
    ph_maker_close(&d->maker);
    pthread_cond_destroy(&d->change);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

const char *ph_diffuser_describe(const struct ph_diffuser *d)
{
    return d->description;
}

void ph_diffuser_on_step(struct ph_diffuser *d, bool (*step)(void *arg, int done, int of),
                         void *arg)
{
    d->on_step = step;
    d->on_step_arg = arg;
}
