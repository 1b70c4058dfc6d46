// SPDX-License-Identifier: MIT
// A room's life, and what its worker does to its graph.
#include "room/room_priv.h"

#include "core/nearest.h"
#include "core/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ph_room *ph_room_ref(struct ph_room *room)
{
    atomic_fetch_add(&room->refs, 1);
    return room;
}

// The last reference goes after the worker has ended: the worker's thread holds one.
void ph_room_unref(struct ph_room **out)
{
    struct ph_room *room = *out;
    *out = NULL;
    if (!room || atomic_fetch_sub(&room->refs, 1) != 1) return;
    ph_acks_finish(&room->acks);
    pthread_rwlock_destroy(&room->graph_lock);
    pthread_mutex_destroy(&room->view_lock);
    ph_worker_finish(&room->worker);
    ph_tree_free(room->ast);
    ph_hide_free(&room->paths);
    free(room->home);
    free(room->journal);
    free(room);
}

// --- jobs

static void finish_job(struct ph_room_job *j)
{
    struct ph_room *room = j->room;
    free(j->message);
    free(j->text);
    if (j != &room->closing) free(j);
    ph_room_unref(&room);
}

static void run_job(struct ph_job *job)
{
    struct ph_room_job *j = (struct ph_room_job *) job;
    j->act(j->room, j);
    finish_job(j);
}

static void fill_job(struct ph_room_job *j, struct ph_room *room, struct ph_asker *from,
                     void (*act)(struct ph_room *room, struct ph_room_job *j))
{
    j->job.run = run_job;
    j->room = ph_room_ref(room);
    j->asker = *from;
    *from = (struct ph_asker){ 0 };
    j->act = act;
}

struct ph_room_job *ph_room_job(struct ph_room *room, struct ph_asker *from,
                                void (*act)(struct ph_room *room, struct ph_room_job *j),
                                const char *text)
{
    struct ph_fault fault;
    struct ph_room_job *j = calloc(1, sizeof *j);
    if (j && text && !(j->text = strdup(text))) {
        free(j);
        j = NULL;
    }
    if (!j) {
        ph_fail(&fault, PH_ENOMEM, "room", "out of memory");
        ph_asker_fault(from, &fault);
        return NULL;
    }
    j->job.bytes = sizeof *j + (text ? strlen(text) : 0);
    fill_job(j, room, from, act);
    return j;
}

void ph_room_post(struct ph_room_job *j)
{
    struct ph_fault fault;
    ph_err ret = ph_worker_post(&j->room->worker, &j->job);
    if (ret == PH_OK) return;
    if (ret == PH_ELIMIT)
        ph_fail(&fault, ret, "room", "the room \"%s\" is busy and too much waits for it",
                j->room->name);
    else
        ph_fail(&fault, ret, "room", "the room \"%s\" was closed", j->room->name);
    ph_asker_fault(&j->asker, &fault);
    finish_job(j);
}

void ph_room_post_closing(struct ph_room *room, struct ph_asker *from)
{
    fill_job(&room->closing, room, from, ph_room_act_close);
    ph_room_post(&room->closing);
}

bool ph_room_is_open(struct ph_room *room, struct ph_asker *a)
{
    struct ph_fault fault;
    if (room->graph) return true;
    ph_fail(&fault, PH_ESTOPPED, "room", "the room \"%s\" was closed", room->name);
    ph_asker_fault(a, &fault);
    return false;
}

// --- what the graph says, from a lane or from the worker

static void hide_in(const struct ph_room *room, char *text)
{
    ph_hide_in(room->house->allow.hidden, text);
    ph_hide_in(room->paths, text);
}

char *ph_room_hide(struct ph_room *room, const char *text)
{
    pthread_mutex_lock(&room->view_lock);
    char *copy = ph_hide(room->house->allow.hidden, room->paths, text);
    pthread_mutex_unlock(&room->view_lock);
    return copy;
}

// To a C caller as it is: that is the owner of the files.
static void tell_fault(struct ph_room *room, struct ph_asker *asker,
                       const struct ph_fault *fault)
{
    struct ph_fault copy = *fault;
    pthread_mutex_lock(&room->view_lock);
    if (!asker->waiter) hide_in(room, copy.message);
    pthread_mutex_unlock(&room->view_lock);
    ph_asker_fault(asker, &copy);
}

// node NULL: the whole room. A node that is well again takes back only what it said itself.
static void note_problem(struct ph_room *room, const char *node, const char *message)
{
    if (!node) node = "";
    pthread_mutex_lock(&room->view_lock);
    if (message || !strcmp(room->problem_node, node)) {
        snprintf(room->problem_node, sizeof room->problem_node, "%s", node);
        snprintf(room->problem, sizeof room->problem, "%s", message ? message : "");
        hide_in(room, room->problem);
        room->problem_new = true;
    }
    pthread_mutex_unlock(&room->view_lock);
    ph_worker_poke(&room->worker);
}

void ph_room_event(void *opaque, const struct ph_event *e)
{
    struct ph_room *room = opaque;
    switch (e->type) {
    case PH_EVENT_ACK: ph_acks_landed(room, e->id, e->frame, e->epoch); break;
    case PH_EVENT_PROBLEM:
        ph_record_note(room, e->node, e->message);
        note_problem(room, e->node, e->message);
        break;
    case PH_EVENT_EOF: note_problem(room, NULL, "the stream of this room has ended"); break;
    case PH_EVENT_EDITED: break;
    }
}

int ph_room_not_ready(struct ph_room *room, char *text, size_t size)
{
    int n = 0;
    if (atomic_load(&room->state) == PH_ROOM_OPENING)
        return snprintf(text, size, "the room \"%s\" is opening its nodes", room->name);
    text[0] = 0;
    pthread_mutex_lock(&room->view_lock);
    if (!room->ready)
        n = snprintf(text, size, "the room \"%s\" has made no frame yet%s%s%s%s", room->name,
                     room->problem[0] ? ": " : "", room->problem_node,
                     room->problem[0] && room->problem_node[0] ? ": " : "", room->problem);
    pthread_mutex_unlock(&room->view_lock);
    return n;
}

// --- opening

ph_err ph_room_learn(struct ph_room *room, struct ph_fault *fault)
{
    struct ph_ast *ast = NULL;
    char *text = ph_graph_text(room->graph);
    if (!text) return ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
    ph_err ret = ph_ast_parse(&ast, text, ph_nodes(), fault);
    free(text);
    if (ret < 0) return ret;
    struct ph_hidden *hidden = NULL;
    ret = ph_hide_graph(&hidden, ast);
    pthread_mutex_lock(&room->view_lock);
    struct ph_hidden *old = room->paths;
    room->paths = hidden;
    pthread_mutex_unlock(&room->view_lock);
    ph_hide_free(&old);
    ph_tree_free(room->ast);
    room->ast = ast;
    return ret < 0 ? ph_fail(fault, ret, "graph", "out of memory") : PH_OK;
}

// The room is ready with its first frame; a room that cannot make one by itself is ready now.
static void begin(struct ph_room *room)
{
    bool outlet = false;
    for (int k = 0; k < PH_FEEDS; k++) outlet = outlet || room->feeds[k].outlet.live[0];
    pthread_mutex_lock(&room->view_lock);
    room->probe = outlet && !room->inlet_count && !room->hidden;
    room->ready = !room->probe;
    pthread_mutex_unlock(&room->view_lock);
}

// A client's text, beside what the room runs now; with the paths put back that it was not shown.
static ph_err check_text(struct ph_room *room, char **text, struct ph_fault *fault)
{
    const struct ph_allow *allow = &room->house->allow;
    struct ph_ast *ast = NULL;
    bool changed = false;
    ph_err ret = ph_ast_parse(&ast, *text, ph_nodes(), fault);
    if (ret == PH_OK) ret = ph_allow_resolve(allow, ast, room->ast, &changed, fault);
    if (ret == PH_OK) ret = ph_allow_graph(allow, ast, room->ast, fault);
    char *resolved = ret == PH_OK && changed ? ph_ast_print(ast) : NULL;
    if (ret == PH_OK && changed && !resolved)
        ret = ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
    if (resolved) {
        free(*text);
        *text = resolved;
    }
    ph_tree_free(ast);
    return ret;
}

static ph_err open_graph(struct ph_room *room, struct ph_room_job *j, struct ph_fault *fault)
{
    struct ph_graph *g = NULL;
    ph_err ret = j->trusted ? PH_OK : check_text(room, &j->text, fault);
    if (ret < 0) return ret;
    ret = ph_graph_create(&g, j->text,
                          ph_graph_params(.log = &room->house->log, .mode = PH_LIVE,
                                          .seed = j->seed, .journal = room->journal,
                                          .event = ph_room_event, .opaque = room),
                          fault);
    if (ret < 0) return ret;
    pthread_rwlock_wrlock(&room->graph_lock);
    room->graph = g;
    pthread_rwlock_unlock(&room->graph_lock);
    if ((ret = ph_room_learn(room, fault)) < 0) return ret;
    const struct ph_ast_node *source = ph_edit_source_of(room->ast);
    room->home = source ? ph_edit_print(source) : NULL;
    if ((ret = ph_graph_start(g)) < 0)
        return ph_fail(fault, ret, "room", "the room's threads did not start");
    atomic_store(&room->state, PH_ROOM_OPEN);
    ph_view_set_outlets(room, room->ast);
    begin(room);
    return PH_OK;
}

static void close_graph(struct ph_room *room)
{
    struct ph_fault fault;
    struct ph_graph *g = room->graph;
    ph_fail(&fault, PH_ESTOPPED, "room", "the room was closed");
    atomic_store(&room->state, PH_ROOM_CLOSED);
    ph_calibrate_end(room);
    ph_view_end(room);
    ph_view_close_all(room, "the room was removed");
    pthread_rwlock_wrlock(&room->graph_lock);
    room->graph = NULL;
    pthread_rwlock_unlock(&room->graph_lock);
    ph_graph_destroy(&g);
    ph_acks_fail_all(room, &fault);
}

void ph_room_act_open(struct ph_room *room, struct ph_room_job *j)
{
    struct ph_fault fault = { 0 };
    ph_err ret = open_graph(room, j, &fault);
    if (ret < 0) {
        // nothing may be left: the next attempt starts from the beginning
        ph_rooms_forget(room->house, room);
        close_graph(room);
        ph_view_close_all(room, "the room did not open");
        tell_fault(room, &j->asker, &fault);
        ph_rooms_reap(room);
        return;
    }
    ph_info(&room->house->log, "room", "%s is open", room->name);
    ph_room_act_doc(room, j);
}

void ph_room_act_close(struct ph_room *room, struct ph_room_job *j)
{
    close_graph(room);
    ph_info(&room->house->log, "room", "%s is closed", room->name);
    ph_asker_json(&j->asker, 204, "");
    ph_rooms_reap(room);
}

// --- edits

// Whether the graph itself still complains about that node; "" = whether it has ended.
static bool complains(struct ph_room *room, const char *node)
{
    struct ph_json_doc *doc = NULL;
    bool any = false;
    if (!node[0]) return ph_graph_wait(room->graph, 0) == PH_EOF;
    char *status = ph_graph_status_json(room->graph);
    if (status && ph_json_parse(&doc, status, strlen(status), 0, NULL) == PH_OK) {
        const struct ph_json *nodes = ph_json_get(ph_json_root(doc), "nodes");
        for (const struct ph_json *n = nodes ? nodes->child : NULL; n; n = n->next)
            if (!strcmp(ph_json_string(ph_json_get(n, "name"), ""), node))
                any = ph_json_string(ph_json_get(n, "problem"), NULL) != NULL;
    }
    ph_json_free(&doc);
    free(status);
    return any;
}

// A node that was replaced does not take its words back.
static void forget_problem(struct ph_room *room)
{
    char node[PH_NAME_MAX];
    pthread_mutex_lock(&room->view_lock);
    bool any = room->problem[0];
    memcpy(node, room->problem_node, sizeof node);
    pthread_mutex_unlock(&room->view_lock);
    if (any && !complains(room, node)) note_problem(room, node, NULL);
}

ph_err ph_room_edit_graph(struct ph_room *room, const char *text, struct ph_fault *fault)
{
    ph_err ret = ph_graph_edit(room->graph, 0, text, fault);
    if (ret == PH_OK) ret = ph_room_learn(room, fault);
    if (ret < 0) return ret;
    forget_problem(room);
    ph_view_set_outlets(room, room->ast);
    ph_record_follow(room);
    return PH_OK;
}

static void answer_edit(struct ph_room *room, struct ph_room_job *j, ph_err ret,
                        const struct ph_fault *fault)
{
    if (ret < 0)
        tell_fault(room, &j->asker, fault);
    else
        ph_room_act_doc(room, j);
}

void ph_room_act_edit(struct ph_room *room, struct ph_room_job *j)
{
    struct ph_fault fault = { 0 };
    if (!ph_room_is_open(room, &j->asker)) return;
    ph_err ret = j->trusted ? PH_OK : check_text(room, &j->text, &fault);
    char *carried = ret == PH_OK ? ph_record_carry(room, j->text) : NULL;
    if (ret == PH_OK) ret = ph_room_edit_graph(room, carried ? carried : j->text, &fault);
    free(carried);
    answer_edit(room, j, ret, &fault);
}

// The source that the room began with comes back with the parameters that it had.
static const char *source_text(const struct ph_room *room, const struct ph_source *s)
{
    size_t len = strlen(s->node);
    bool plain = !strpbrk(s->node, " \t");
    bool home = plain && room->home && !strncmp(room->home, s->node, len) &&
                (!room->home[len] || room->home[len] == ' ');
    return home ? room->home : s->node;
}

void ph_room_act_source(struct ph_room *room, struct ph_room_job *j)
{
    struct ph_fault fault = { 0 };
    char *text = NULL, *edited = NULL;
    if (!ph_room_is_open(room, &j->asker)) return;
    const struct ph_allow *allow = &room->house->allow;
    const struct ph_source *s = ph_allow_find(allow, j->text);
    const char *near = s ? NULL : ph_allow_nearest(allow, j->text);
    ph_err ret = PH_OK;
    if (!s)
        ret = ph_fail(&fault, PH_ENOENT, "source", "\"%.60s\" is none of /api/v1/sources%s%s%s",
                      j->text, near ? ", did you mean \"" : "", near ? near : "",
                      near ? "\"?" : "");
    else if (!(text = ph_graph_text(room->graph)))
        ret = ph_fail(&fault, PH_ENOMEM, "graph", "out of memory");
    if (ret == PH_OK) ret = ph_edit_source(text, source_text(room, s), &edited, &fault);
    if (ret == PH_OK) ret = ph_room_edit_graph(room, edited, &fault);
    free(text);
    free(edited);
    answer_edit(room, j, ret, &fault);
}

// --- parameters

static const struct ph_ast_node *find_node(const struct ph_room *room, const char *name,
                                           struct ph_fault *fault)
{
    const char *names[PH_MAX_NODES + 1] = { 0 };
    const struct ph_ast_node *n = ph_ast_find(room->ast, name);
    if (n) return n;
    for (int i = 0; i < room->ast->node_count && i < PH_MAX_NODES; i++)
        names[i] = room->ast->nodes[i].name;
    const char *near = ph_nearest(name, names);
    ph_fail(fault, PH_ENOENT, "node", "the room \"%s\" has no node \"%.60s\"%s%s%s", room->name,
            name, near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return NULL;
}

// On a copy of the graph: what it says is told before anything is changed.
static ph_err check_drive(const struct ph_room *room, const char *node,
                          const struct ph_message_value *v, struct ph_fault *fault)
{
    struct ph_ast *ast = NULL;
    char *text = ph_ast_print(room->ast);
    ph_err ret = text ? ph_ast_parse(&ast, text, ph_nodes(), fault)
                      : ph_fail(fault, PH_ENOMEM, v->param, "out of memory");
    free(text);
    if (ret == PH_OK) ret = ph_drive_set(ast, ph_ast_find(ast, node), v->param, v->text, fault);
    ph_tree_free(ast);
    if (ret < 0) snprintf(fault->field, sizeof fault->field, "%s", v->param);
    return ret;
}

// Finds the parameter and replaces null by its default.
static ph_err check_value(const struct ph_room *room, const struct ph_ast_node *n,
                          struct ph_message_value *v, int when, bool *setup,
                          struct ph_fault *fault)
{
    const char *near = NULL;
    union ph_value value;
    const struct ph_param *p = ph_param_find(n->info->params, v->param, &near);
    if (!p)
        return ph_fail(fault, PH_EINVAL, v->param, "%s has no parameter \"%.60s\"%s%s%s",
                       n->name, v->param, near ? ", did you mean \"" : "", near ? near : "",
                       near ? "\"?" : "");
    if (v->drive) {
        *setup = true; // the text changes
        return check_drive(room, n->name, v, fault);
    }
    if (!v->text) v->text = ph_edit_default(p);
    if (p->flags & PH_PARAM_SETUP && when != PH_AT_ONCE)
        return ph_fail(fault, PH_EINVAL, v->param,
                       "%s rebuilds the node, so it cannot wait for a beat", v->param);
    *setup = *setup || p->flags & PH_PARAM_SETUP;
    ph_err ret = ph_allow_value(&room->house->allow, n, p, v->text, fault);
    return ret < 0 ? ret : ph_param_parse(p, v->text, &value, fault);
}

// All or nothing: which values are wrong is told for each.
static int check_values(const struct ph_room *room, struct ph_message *m, bool *setup,
                        struct ph_fault faults[PH_MESSAGE_VALUES])
{
    int wrong = 0;
    const struct ph_ast_node *n = find_node(room, m->node, &faults[0]);
    if (!n) return 1;
    for (int i = 0; i < m->count; i++)
        wrong += check_value(room, n, &m->values[i], m->at, setup, &faults[wrong]) < 0;
    return wrong;
}

// A stream that has ended makes no frame that could show a change.
static bool is_over(struct ph_room *room, uint64_t id, int missing)
{
    struct ph_fault fault;
    if (ph_graph_wait(room->graph, 0) != PH_EOF) return false;
    ph_fail(&fault, PH_ESTOPPED, "room",
            "the stream of this room has ended; the value is kept "
            "for when it runs again");
    ph_acks_fail(room, id, missing, &fault);
    return true;
}

static uint64_t expect(struct ph_room *room, struct ph_room_job *j, int count, bool hard)
{
    struct ph_fault fault;
    uint64_t id = ph_acks_add(room, &j->asker, count, j->message->bytes, hard);
    if (id) return id;
    ph_fail(&fault, PH_ELIMIT, "room",
            "too many changes of this room wait for a frame already");
    ph_asker_fault(&j->asker, &fault);
    return 0;
}

static void set_values(struct ph_room *room, struct ph_room_job *j)
{
    const struct ph_message *m = j->message;
    struct ph_fault fault = { 0 };
    uint64_t id = expect(room, j, m->count, false);
    for (int i = 0; id && i < m->count; i++) {
        const struct ph_message_value *v = &m->values[i];
        ph_err ret = v->drive
                         ? ph_graph_drive(room->graph, id, m->node, v->param, v->text, &fault)
                         : ph_graph_set_at(room->graph, id, m->node, v->param, v->text,
                                           (enum ph_when) m->at, &fault);
        if (ret >= 0) continue;
        ph_acks_fail(room, id, m->count - i, &fault);
        return;
    }
    if (id) is_over(room, id, m->count);
}

void ph_room_act_set(struct ph_room *room, struct ph_room_job *j)
{
    struct ph_fault faults[PH_MESSAGE_VALUES], fault;
    bool setup = false;
    if (!ph_room_is_open(room, &j->asker)) return;
    int wrong = check_values(room, j->message, &setup, faults);
    if (wrong) {
        ph_asker_faults(&j->asker, faults, wrong);
        return;
    }
    set_values(room, j);
    if (!setup || ph_room_learn(room, &fault) < 0) return;
    forget_problem(room);
    ph_view_set_outlets(room, room->ast); // a codec may have changed
}

void ph_room_act_cut(struct ph_room *room, struct ph_room_job *j)
{
    const struct ph_message *m = j->message;
    struct ph_fault fault;
    if (!ph_room_is_open(room, &j->asker)) return;
    uint64_t id = expect(room, j, 1, m->hard);
    if (!id) return;
    ph_err ret = ph_graph_cut(room->graph, id, (struct ph_cut){ m->hard, m->chunks });
    if (ret < 0) {
        ph_fail(&fault, ret, "cut", "%s", ph_strerror(ret));
        ph_acks_fail(room, id, 1, &fault);
        return;
    }
    is_over(room, id, 1);
}
