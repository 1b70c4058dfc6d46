// SPDX-License-Identifier: MIT
// Runs a journal again: offline, with each lane following its own script of inputs, ticks,
// changes and cuts. Lanes need no common order: what each takes is fixed, so the bytes are.
#include "graph/graph_priv.h"

#include "core/json.h"
#include "core/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum entry_type { ENTRY_POP, ENTRY_TICK, ENTRY_EPOCH, ENTRY_SET, ENTRY_CUT, ENTRY_METRIC };

struct entry {
    enum entry_type type;
    uint64_t run;
    int link;       // POP
    uint64_t value; // POP: seq; TICK: index; EPOCH; CUT: chunks
    char *node, *name, *text;
    struct ph_frame frame; // POP from outside: meta; its bytes are in the file
    int64_t offset;
    size_t bytes;
};

struct script {
    struct entry *entries;
    int count, next;
    _Atomic uint64_t end; // runs of this lane in this segment; UINT64_MAX = not known
};

// Sequence numbers of a link that its consumer takes; what is pushed beside them is dropped at
// once, as the live link did.
struct needs {
    uint64_t *seq;
    int count, next;
    uint64_t all_after; // and everything after this; 0 = nothing else
};

struct segment {
    char *text;
    uint64_t *taken; // of each link, when the segment began
    int *previous;   // the link's index in the segment before; -1 = new
    int link_count;
    int *inputs; // of each lane: the one link that starts its runs; -1 = more or none
    int lane_count;
    struct script *scripts;
    int script_count;
    struct needs **needs; // of each link
    uint64_t runs;        // of the busiest lane; 0 = not known
    bool cut;             // the journal ends within it: how often lanes ran is not all known
};

struct replay {
    FILE *file;
    pthread_mutex_t file_lock;
    struct segment *segments;
    int segment_count;
    _Atomic int now;
    uint64_t seed, frames;
};

// --- reading

struct loader {
    struct replay *r;
    struct segment *seg;
    struct ph_fault *fault;
    const char *path;
    int line;
};

static ph_err bad(struct loader *l, const char *what)
{
    return ph_fail(l->fault, PH_EFORMAT, "journal", "%s: record %d: %s", l->path, l->line,
                   what);
}

static ph_err read_segment(struct loader *l, const struct ph_json *v)
{
    struct segment s = { 0 };
    const char *text = ph_json_string(ph_json_get(v, "graph"), "");
    const struct ph_json *links = ph_json_get(v, "links"), *lanes = ph_json_get(v, "lanes");
    s.link_count = links ? links->count : 0;
    s.lane_count = lanes ? lanes->count : 0;
    s.text = ph_tree_text(l->r, text, strlen(text));
    s.taken = ph_new(l->r, uint64_t, (size_t) s.link_count + 1);
    s.previous = ph_new(l->r, int, (size_t) s.link_count + 1);
    s.inputs = ph_new(l->r, int, (size_t) s.lane_count + 1);
    if (!s.text || !s.taken || !s.previous || !s.inputs) return PH_ENOMEM;
    const struct ph_json *p = links ? links->child : NULL;
    for (int i = 0; p; p = p->next, i++) {
        s.taken[i] = (uint64_t) ph_json_int(ph_json_at(p, 0), 0);
        s.previous[i] = (int) ph_json_int(ph_json_at(p, 1), -1);
    }
    p = lanes ? lanes->child : NULL;
    for (int i = 0; p; p = p->next, i++) {
        s.inputs[i] = (int) ph_json_int(p, -1);
        if (s.inputs[i] >= s.link_count) return bad(l, "names a link that is not there");
    }
    if (!ph_append(l->r, l->r->segments, l->r->segment_count, s)) return PH_ENOMEM;
    l->seg = &l->r->segments[l->r->segment_count - 1];
    return PH_OK;
}

static struct script *script_of(struct loader *l, int lane)
{
    if (!l->seg || lane < 0 || lane >= l->seg->lane_count) return NULL;
    while (l->seg->script_count <= lane) {
        struct script empty = { .end = UINT64_MAX };
        if (!ph_append(l->r, l->seg->scripts, l->seg->script_count, empty)) return NULL;
    }
    return &l->seg->scripts[lane];
}

static void read_frame(struct entry *e, const struct ph_json *v)
{
    struct ph_frame *f = &e->frame;
    f->kind = (enum ph_kind) ph_json_int(ph_json_get(v, "kind"), 0);
    f->id = (uint64_t) ph_json_int(ph_json_get(v, "id"), 0);
    f->epoch = (uint32_t) ph_json_int(ph_json_get(v, "epoch"), 0);
    f->pts_ns = ph_json_int(ph_json_get(v, "pts"), 0);
    f->capture_ns = ph_json_int(ph_json_get(v, "capture"), 0);
    const struct ph_json *lens = ph_json_get(v, "lens");
    if (lens)
        f->intrinsics =
            (struct ph_intrinsics){ (float) ph_json_double(ph_json_at(lens, 0), 0),
                                    (float) ph_json_double(ph_json_at(lens, 1), 0),
                                    (float) ph_json_double(ph_json_at(lens, 2), 0),
                                    (float) ph_json_double(ph_json_at(lens, 3), 0) };
    int w = (int) ph_json_int(ph_json_get(v, "w"), 0),
        h = (int) ph_json_int(ph_json_get(v, "h"), 0);
    if (f->kind == PH_PACKET) {
        f->packet.codec = (enum ph_codec) ph_json_int(ph_json_get(v, "codec"), 0);
        f->packet.key = ph_json_int(ph_json_get(v, "key"), 0);
        f->packet.width = w;
        f->packet.height = h;
    } else if (f->kind == PH_SAMPLES) {
        f->samples.count = (int) ph_json_int(ph_json_get(v, "samples"), 0);
        f->samples.channels = (int) ph_json_int(ph_json_get(v, "channels"), 0);
        f->samples.rate_hz = (int) ph_json_int(ph_json_get(v, "rate"), 0);
    } else {
        f->picture.format = (enum ph_format) ph_json_int(ph_json_get(v, "format"), 0);
        f->picture.width = w;
        f->picture.height = h;
        f->picture.matrix = (enum ph_matrix) ph_json_int(ph_json_get(v, "matrix"), 0);
        f->picture.range = (enum ph_range) ph_json_int(ph_json_get(v, "range"), 0);
    }
}

static bool copy_text(struct loader *l, const struct ph_json *v, const char *key, char **out)
{
    const char *text = ph_json_string(ph_json_get(v, key), NULL);
    if (!text) return false;
    return (*out = ph_tree_text(l->r, text, strlen(text))) != NULL;
}

static bool read_entry(struct loader *l, const struct ph_json *v, struct entry *e)
{
    const struct ph_json *bytes = ph_json_get(v, "bytes");
    if (ph_json_get(v, "pop")) {
        e->type = ENTRY_POP;
        e->link = (int) ph_json_int(ph_json_get(v, "pop"), -1);
        e->value = (uint64_t) ph_json_int(ph_json_get(v, "seq"), 0);
        e->bytes = (size_t) ph_json_int(bytes, 0);
        read_frame(e, v);
        return e->link >= 0 && e->link < l->seg->link_count;
    }
    if (ph_json_get(v, "epoch")) {
        e->type = ENTRY_EPOCH;
        e->value = (uint64_t) ph_json_int(ph_json_get(v, "epoch"), 0);
        return true;
    }
    if (copy_text(l, v, "tick", &e->node)) {
        e->type = ENTRY_TICK;
        e->value = (uint64_t) ph_json_int(ph_json_get(v, "index"), 0);
        return true;
    }
    if (copy_text(l, v, "cut", &e->node)) {
        e->type = ENTRY_CUT;
        e->value = (uint64_t) ph_json_int(ph_json_get(v, "chunks"), 1);
        return true;
    }
    if (copy_text(l, v, "set", &e->node)) {
        e->type = ENTRY_SET;
        return copy_text(l, v, "param", &e->name) && copy_text(l, v, "value", &e->text);
    }
    e->type = ENTRY_METRIC;
    return copy_text(l, v, "metric", &e->node) && copy_text(l, v, "name", &e->name) &&
           copy_text(l, v, "value", &e->text);
}

static ph_err read_record(struct loader *l, const struct ph_json *v, int64_t offset)
{
    if (ph_json_get(v, "phosphene")) {
        if (ph_json_int(ph_json_get(v, "version"), 0) != 1)
            return bad(l, "made by another version");
        l->r->seed = (uint64_t) ph_json_int(ph_json_get(v, "seed"), 1);
        l->r->frames = (uint64_t) ph_json_int(ph_json_get(v, "frames"), 0);
        return PH_OK;
    }
    if (ph_json_get(v, "graph")) return read_segment(l, v);
    struct script *s = script_of(l, (int) ph_json_int(ph_json_get(v, "l"), -1));
    if (!s) return bad(l, "belongs to no lane");
    if (ph_json_get(v, "end")) {
        s->end = (uint64_t) ph_json_int(ph_json_get(v, "end"), 0);
        return PH_OK;
    }
    struct entry e = { .run = (uint64_t) ph_json_int(ph_json_get(v, "r"), 0),
                       .offset = offset };
    if (!read_entry(l, v, &e)) return bad(l, "not understood");
    if (s->count && e.run < s->entries[s->count - 1].run) return bad(l, "out of order");
    return ph_append(l->r, s->entries, s->count, e) ? PH_OK : PH_ENOMEM;
}

// A journal whose writer was killed ends anywhere: what is whole is used.
static ph_err read_all(struct loader *l)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    ph_err ret = PH_OK;
    int64_t end = fseeko(l->r->file, 0, SEEK_END) ? 0 : ftello(l->r->file);
    rewind(l->r->file);
    while (ret == PH_OK && (n = getline(&line, &size, l->r->file)) > 0) {
        struct ph_json_doc *doc;
        l->line++;
        if (line[n - 1] != '\n') break;
        ret = ph_json_parse(&doc, line, (size_t) n, 0, NULL);
        if (ret < 0) {
            ret = bad(l, "not JSON");
            break;
        }
        int64_t offset = ftello(l->r->file);
        int64_t follow = ph_json_int(ph_json_get(ph_json_root(doc), "bytes"), 0);
        bool whole = follow >= 0 && follow <= end - offset;
        if (whole) ret = read_record(l, ph_json_root(doc), offset);
        ph_json_free(&doc);
        if (!whole) break;
        if (follow && fseeko(l->r->file, (off_t) (follow + 1), SEEK_CUR)) break;
    }
    free(line);
    if (ret == PH_OK && (!l->r->segment_count || !l->line))
        ret = ph_fail(l->fault, PH_EFORMAT, "journal", "%s is not a journal of phosphene",
                      l->path);
    return ret;
}

static ph_err plan_segment(struct replay *r, int index);

static ph_err load(struct replay **out, const char *path, struct ph_fault *fault)
{
    struct replay *r = ph_new(NULL, struct replay, 1);
    *out = r;
    if (!r) return PH_ENOMEM;
    pthread_mutex_init(&r->file_lock, NULL);
    if (!(r->file = fopen(path, "rbe")))
        return ph_fail(fault, PH_EIO, "journal", "cannot read %s: %s", path, strerror(errno));
    struct loader l = { .r = r, .fault = fault, .path = path };
    ph_err ret = read_all(&l);
    for (int i = 0; i < r->segment_count && ret == PH_OK; i++) ret = plan_segment(r, i);
    return ret;
}

static void unload(struct replay **r)
{
    if (!*r) return;
    if ((*r)->file) fclose((*r)->file);
    pthread_mutex_destroy(&(*r)->file_lock);
    ph_tree_free(*r);
    *r = NULL;
}

// --- following the script

static struct script *script_now(const struct ph_lane *lane)
{
    struct replay *r = lane->graph->replay;
    struct segment *s = &r->segments[r->now];
    return lane->index < s->script_count ? &s->scripts[lane->index] : NULL;
}

bool ph_replay_over(const struct ph_lane *lane)
{
    const struct script *s = script_now(lane);
    return !s || atomic_load(&lane->run) >= s->end;
}

bool ph_replay_keeps(struct ph_link *l)
{
    struct needs *n = l->needs;
    if (!n || (n->all_after && l->pushed >= n->all_after)) return true;
    while (n->next < n->count && n->seq[n->next] < l->pushed) n->next++;
    return n->next < n->count && n->seq[n->next] == l->pushed;
}

static struct ph_frame *load_frame(struct replay *r, const struct entry *e)
{
    struct ph_frame *f = NULL;
    const struct ph_frame *m = &e->frame;
    ph_err ret = PH_EFORMAT;
    if (m->kind == PH_PACKET)
        ret = ph_frame_packet(NULL, m->packet.codec, e->bytes, &f);
    else if (m->kind == PH_SAMPLES)
        ret = ph_frame_samples(NULL, m->samples.count, m->samples.channels, m->samples.rate_hz,
                               &f);
    else if (m->kind == PH_PICTURE)
        ret =
            ph_frame_picture(NULL, m->picture.format, m->picture.width, m->picture.height, &f);
    if (ret < 0) return NULL;
    ph_frame_copy_meta(f, m);
    pthread_mutex_lock(&r->file_lock);
    bool ok = !fseeko(r->file, (off_t) e->offset, SEEK_SET);
    if (m->kind == PH_PACKET) {
        f->packet.size = e->bytes;
        f->packet.key = m->packet.key;
        f->packet.width = m->packet.width;
        f->packet.height = m->packet.height;
        ok = ok && fread(f->packet.data, 1, e->bytes, r->file) == e->bytes;
    } else if (m->kind == PH_SAMPLES) {
        ok = ok && fread(f->samples.data, 1, e->bytes, r->file) == e->bytes;
    } else {
        struct ph_picture *p = &f->picture;
        p->matrix = m->picture.matrix;
        p->range = m->picture.range;
        for (int k = 0; ok && k < PH_PLANES; k++)
            for (int y = 0; ok && y < ph_plane_rows(p->format, k, p->height); y++) {
                size_t row = ph_plane_row_bytes(p->format, k, p->width);
                ok = fread(p->data[k] + y * p->stride[k], 1, row, r->file) == row;
            }
    }
    pthread_mutex_unlock(&r->file_lock);
    if (!ok) ph_frame_unref(&f);
    return f;
}

// Waits for the item with that number; false when the link ended before or the graph stops.
static bool wait_for(struct ph_link *l, uint64_t seq, struct link_item *out)
{
    struct ph_graph *g = l->graph;
    for (;;) {
        pthread_mutex_lock(&l->lock);
        while (!l->ring.count && !l->eof && !atomic_load(&g->stopping) &&
               !atomic_load(&l->unread))
            pthread_cond_wait(&l->changed, &l->lock);
        bool any = l->ring.count > 0;
        pthread_mutex_unlock(&l->lock);
        if (!any || !ph_link_pop(l, 0, out)) return false;
        if (out->seq >= seq) return true;
        ph_frame_unref(&out->frame);
    }
}

static void take_scripted(struct ph_lane *lane, const struct entry *e)
{
    struct ph_graph *g = lane->graph;
    struct ph_link *l = g->links[e->link];
    struct link_item item = { .seq = e->value };
    if (e->bytes)
        item.frame = load_frame(g->replay, e);
    else if (!wait_for(l, e->value, &item))
        return;
    l->last_seq = item.seq;
    if (l->to->in[l->to_port].info->flags & PH_PORT_HOLD) {
        ph_frame_unref(&l->held);
        l->held = item.frame;
    } else {
        ph_frame_unref(&l->inbox.frame);
        l->inbox = item;
    }
}

// Each lane comes to a cut at its own time; the graph's epoch is that of the foremost.
static void raise_epoch(struct ph_graph *g, uint32_t epoch)
{
    uint32_t now = atomic_load(&g->epoch);
    while ((int32_t) (epoch - now) > 0 && !atomic_compare_exchange_weak(&g->epoch, &now, epoch))
        continue;
}

static void follow(struct ph_lane *lane, const struct entry *e)
{
    struct ph_graph *g = lane->graph;
    struct ph_node *n = e->node ? ph_graph_find(g, e->node) : NULL;
    switch (e->type) {
    case ENTRY_POP: take_scripted(lane, e); break;
    case ENTRY_EPOCH:
        ph_lane_observe_epoch(lane, (uint32_t) e->value);
        raise_epoch(g, (uint32_t) e->value);
        break;
    case ENTRY_TICK:
        if (!n) break;
        n->due_now = true;
        n->ticker.next = e->value;
        break;
    case ENTRY_SET: {
        const struct ph_param *p = n ? ph_param_find(n->info->params, e->name, NULL) : NULL;
        if (p) ph_node_store(n, p, e->text);
        break;
    }
    case ENTRY_CUT:
        if (!n) break;
        n->cut = (struct ph_cut){ .chunks = (int) e->value };
        n->cut_owed = true;
        break;
    case ENTRY_METRIC:
        if (n) ph_journal_remember(n, e->name, e->text);
        break;
    }
}

// Instead of taking what happens to be there: what this run of the lane took then.
void ph_replay_step(struct ph_lane *lane)
{
    struct script *s = script_now(lane);
    uint64_t run = atomic_load(&lane->run);
    bool popped = false;
    for (int i = 0; i < lane->node_count && lane->one_source; i++)
        lane->nodes[i]->due_now = lane->nodes[i]->source && !lane->nodes[i]->done;
    while (s->next < s->count && s->entries[s->next].run <= run) {
        const struct entry *e = &s->entries[s->next++];
        popped |= e->type == ENTRY_POP && e->link == lane->input;
        follow(lane, e);
    }
    if (!lane->one_input || popped) return;
    struct ph_link *l = lane->graph->links[lane->input];
    struct link_item item;
    if (l->from && !l->inbox.frame && wait_for(l, l->last_seq + 1, &item)) {
        l->inbox = item;
        l->last_seq = item.seq;
    }
}

// In a journal that was cut short another lane may wait for what this one made later.
void ph_replay_rest(struct ph_lane *lane)
{
    const struct replay *r = lane->graph->replay;
    struct script *s = script_now(lane);
    while (s && s->next < s->count) follow(lane, &s->entries[s->next++]);
    for (int i = 0; i < lane->leaving_count && r->segments[r->now].cut; i++)
        ph_link_close(lane->leaving[i]);
}

// --- what each link must keep, over all segments

static bool need(struct replay *r, struct needs *n, uint64_t seq)
{
    if (n->count && n->seq[n->count - 1] >= seq) return true;
    return ph_append(r, n->seq, n->count, seq);
}

// Expands a lane's script: explicit pops, and one a run where nothing else is said.
static bool expand(struct replay *r, struct segment *s, int lane)
{
    struct script *sc = &s->scripts[lane];
    int input = s->inputs[lane];
    uint64_t last = input >= 0 ? s->taken[input] : 0, run = 0;
    for (int i = 0; i < sc->count; i++) {
        const struct entry *e = &sc->entries[i];
        if (e->type != ENTRY_POP) continue;
        if (e->link == input) {
            for (; run < e->run; run++)
                if (!need(r, s->needs[input], ++last)) return false;
            last = e->value;
            run = e->run + 1;
        }
        if (!need(r, s->needs[e->link], e->value)) return false;
    }
    s->cut |= sc->end == UINT64_MAX;
    if (sc->end == UINT64_MAX && sc->count) sc->end = sc->entries[sc->count - 1].run + 1;
    if (input < 0) return true;
    // the writer was killed: how often this lane ran is not known, all that comes is taken
    if (sc->end == UINT64_MAX) s->needs[input]->all_after = last + 1;
    for (; run < sc->end && sc->end != UINT64_MAX; run++)
        if (!need(r, s->needs[input], ++last)) return false;
    return true;
}

static ph_err plan_segment(struct replay *r, int index)
{
    struct segment *s = &r->segments[index], *before = index ? s - 1 : NULL;
    while (s->script_count < s->lane_count) {
        struct script empty = { .end = UINT64_MAX };
        if (!ph_append(r, s->scripts, s->script_count, empty)) return PH_ENOMEM;
    }
    s->needs = ph_new(r, struct needs *, (size_t) s->link_count + 1);
    if (!s->needs) return PH_ENOMEM;
    for (int i = 0; i < s->link_count; i++) {
        int p = s->previous[i];
        bool goes_on = before && p >= 0 && p < before->link_count;
        s->needs[i] = goes_on ? before->needs[p] : ph_new(r, struct needs, 1);
        if (!s->needs[i]) return PH_ENOMEM;
    }
    bool known = true;
    for (int k = 0; k < s->lane_count; k++) {
        if (!expand(r, s, k)) return PH_ENOMEM;
        uint64_t end = atomic_load(&s->scripts[k].end);
        known = known && end != UINT64_MAX;
        if (end != UINT64_MAX && end > s->runs) s->runs = end;
    }
    if (!known) s->runs = 0;
    return PH_OK;
}

// --- other texts

static bool same_links(const struct ph_ast *a, const struct ph_ast *b)
{
    if (a->link_count != b->link_count) return false;
    for (int i = 0; i < a->link_count; i++) {
        const struct ph_ast_link *x = &a->links[i], *y = &b->links[i];
        if (x->from != y->from || x->to != y->to || x->queue != y->queue) return false;
    }
    return true;
}

static bool same_nodes(const struct ph_ast *a, const struct ph_ast *b)
{
    if (a->node_count != b->node_count) return false;
    for (int i = 0; i < a->node_count; i++)
        if (strcmp(a->nodes[i].name, b->nodes[i].name) || a->lane[i] != b->lane[i])
            return false;
    return true;
}

// Whether scripts made for one text fit the other.
static ph_err check_shape(const struct ph_node_info *const *types, const char *was,
                          const char *now, struct ph_fault *fault)
{
    struct ph_ast *a = NULL, *b = NULL;
    ph_err ret = ph_ast_parse(&a, was, types, fault);
    if (ret == PH_OK) ret = ph_ast_parse(&b, now, types, fault);
    if (ret == PH_OK && !(same_nodes(a, b) && same_links(a, b)))
        ret = ph_fail(fault, PH_EINVAL, "graph",
                      "another graph than the journal's: names, lanes and links must stay");
    ph_tree_free(a);
    ph_tree_free(b);
    return ret;
}

static ph_err take_texts(struct replay *r, const struct ph_replay_params *par, char **texts,
                         struct ph_fault *fault)
{
    const struct ph_node_info *const *types = par->nodes ? par->nodes : ph_nodes();
    ph_err ret = par->graphs(par->opaque, texts, r->segment_count, fault);
    for (int i = 0; i < r->segment_count && ret == PH_OK; i++) {
        struct segment *s = &r->segments[i];
        ret = check_shape(types, s->text, texts[i], fault);
        if (ret == PH_OK && !(s->text = ph_tree_text(r, texts[i], strlen(texts[i]))))
            ret = PH_ENOMEM;
    }
    return ret;
}

static ph_err change_texts(struct replay *r, const struct ph_replay_params *par,
                           struct ph_fault *fault)
{
    if (!par->graphs) return PH_OK;
    char **texts = calloc((size_t) r->segment_count, sizeof *texts);
    bool ok = texts != NULL;
    for (int i = 0; ok && i < r->segment_count; i++)
        ok = (texts[i] = strdup(r->segments[i].text)) != NULL;
    ph_err ret = ok ? take_texts(r, par, texts, fault)
                    : ph_fail(fault, PH_ENOMEM, "journal", "out of memory");
    for (int i = 0; texts && i < r->segment_count; i++) free(texts[i]);
    free(texts);
    return ret;
}

// --- running

// Called with all lanes parked, before they start on this segment.
static ph_err enter_segment(struct ph_graph *g)
{
    struct segment *s = &g->replay->segments[g->replay->now];
    if (s->link_count != g->link_count || s->lane_count != g->lane_count) return PH_EFORMAT;
    for (int i = 0; i < g->link_count; i++)
        if (g->links[i]->from && g->links[i]->queue) g->links[i]->needs = s->needs[i];
    return PH_OK;
}

static bool any_known(const struct ph_graph *g)
{
    const struct segment *s = &g->replay->segments[g->replay->now];
    for (int k = 0; k < g->lane_count; k++)
        if (s->scripts[k].end != UINT64_MAX) return true;
    return false;
}

// Nothing but the end of another lane ends this one: all it takes comes through one link, and what is
// not in its script is taken as it comes.
static bool ends_with_its_input(const struct ph_graph *g, const struct ph_lane *lane)
{
    return lane->one_input && g->links[lane->input]->from;
}

// Lanes end by themselves. In a journal that was cut short the number of runs of some is not
// known: of those the ones that make frames by themselves stop when the known lanes have, the
// others take what is left. Each closes what leads out of it.
static void join_lanes(struct ph_graph *g)
{
    struct segment *s = &g->replay->segments[g->replay->now];
    bool known[PH_MAX_NODES];
    for (int k = 0; k < g->lane_count; k++) known[k] = s->scripts[k].end != UINT64_MAX;
    for (int k = 0; k < g->lane_count; k++)
        if (known[k]) ph_lane_join(g->lanes[k]);
    for (int k = 0; k < g->lane_count; k++) {
        if (known[k] || ends_with_its_input(g, g->lanes[k])) continue;
        s->scripts[k].end = 0;
        ph_lane_poke(g->lanes[k]);
    }
    for (int k = 0; k < g->lane_count; k++) ph_lane_join(g->lanes[k]);
}

// The text of the next segment is compared with what this one had become.
static void note_changes(struct ph_graph *g, const struct segment *s)
{
    for (int k = 0; k < s->script_count; k++)
        for (int i = 0; i < s->scripts[k].count; i++) {
            const struct entry *e = &s->scripts[k].entries[i];
            struct ph_ast_node *n = e->type == ENTRY_SET ? ph_ast_find(g->ast, e->node) : NULL;
            if (n) ph_ast_set(g->ast, n, e->name, e->text, NULL);
        }
}

static ph_err run_segments(struct ph_graph *g, struct ph_fault *fault)
{
    struct replay *r = g->replay;
    for (r->now = 0; r->now < r->segment_count; r->now++) {
        ph_err ret = PH_OK;
        if (r->now) {
            note_changes(g, &r->segments[r->now - 1]);
            ret = ph_graph_edit(g, 0, r->segments[r->now].text, fault);
        }
        if (ret < 0) return ret;
        if ((ret = enter_segment(g)) < 0)
            return ph_fail(fault, ret, "journal", "segment %d does not fit its graph", r->now);
        if (!any_known(g))
            return ph_fail(fault, PH_EFORMAT, "journal", "it ends before the first frame");
        g->started = true;
        if ((ret = ph_graph_start_lanes(g)) < 0)
            return ph_fail(fault, ret, "journal", "not enough threads for its lanes");
        join_lanes(g);
    }
    return PH_OK;
}

void ph_replay_progress(struct ph_graph *g, uint64_t *done, uint64_t *total)
{
    struct replay *r = g->replay;
    uint64_t most = 0;
    bool known = true;
    *done = *total = 0;
    if (!r) return;
    pthread_rwlock_rdlock(&g->topo);
    for (int k = 0; k < g->lane_count; k++) {
        uint64_t run = atomic_load(&g->lanes[k]->run);
        if (run > most) most = run;
    }
    pthread_rwlock_unlock(&g->topo);
    int now = atomic_load(&r->now);
    for (int i = 0; i < r->segment_count; i++) {
        if (i < now) *done += r->segments[i].runs;
        *total += r->segments[i].runs;
        known = known && r->segments[i].runs;
    }
    if (now < r->segment_count) *done += most;    // else the last one's are counted
    if (*total && *done > *total) *done = *total; // lanes of the graph before, within an edit
    if (!known) *total = 0;
}

ph_err ph_replay(const char *path, const struct ph_replay_params *par, struct ph_fault *fault)
{
    static const struct ph_replay_params defaults;
    struct ph_fault local = { 0 };
    struct replay *r = NULL;
    struct ph_graph *g = NULL;
    ph_err ret;
    if (!par) par = &defaults;
    if (!fault) fault = &local;
    PH_TRY(load(&r, path, fault));
    PH_TRY(change_texts(r, par, fault));
    PH_TRY(ph_graph_make(&g, r->segments[0].text,
                         ph_graph_params(.log = par->log, .mode = PH_OFFLINE, .seed = r->seed,
                                         .frames = r->frames, .nodes = par->nodes),
                         true, fault));
    g->replay = r;
    if (par->started) par->started(par->opaque, g);
    ret = run_segments(g, fault);
    if (par->ended) par->ended(par->opaque, g);
fail:
    ph_graph_destroy(&g);
    unload(&r);
    return ret;
}
