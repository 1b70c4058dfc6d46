// SPDX-License-Identifier: MIT
#include "hub.h"

#include "core/json.h"
#include "core/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TEXT_LIMIT (4u << 20)
#define FILES_MOST 4096

const struct cli_hub_known cli_hub_known[] = {
    { "sd-turbo", "stabilityai/sd-turbo", "512x512 in one step; 2.6 GB" },
    { "sdxl-turbo", "stabilityai/sdxl-turbo", "larger and finer, one step; 7 GB" },
    { "sdxs-512", "IDKiro/sdxs-512-dreamshaper", "the fastest, one step" },
    { "sdxs-512-0.9", "IDKiro/sdxs-512-0.9", "its predecessor" },
    { "lcm-dreamshaper", "SimianLuo/LCM_Dreamshaper_v7", "four steps" },
    { "sd15", "stable-diffusion-v1-5/stable-diffusion-v1-5", "not distilled: 20 steps" },
    { "taesd", "madebyollin/taesd", "a quick autoencoder for all but SDXL; 10 MB" },
    { "taesdxl", "madebyollin/taesdxl", "the same for SDXL; 10 MB" },
    { "depth-anything-v2-small", "depth-anything/Depth-Anything-V2-Small-hf",
      "depth of a live picture; 99 MB" },
    { "da3-small", "depth-anything/DA3-SMALL", "depth, confidence and the lens; 137 MB" },
    { 0 },
};

// ------------------------------------------------------------------------------ names
static bool is_url(const char *text)
{
    return !strncmp(text, "http://", 7) || !strncmp(text, "https://", 8);
}

// A path from a server goes below our folder and nowhere else.
static bool is_tame(const char *path)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-+/";
    size_t len = strlen(path);
    return len && len < 512 && *path != '/' && *path != '.' && path[len - 1] != '/' &&
           strspn(path, allowed) == len && !strstr(path, "/.") && !strstr(path, "//");
}

static const char *known_repository(const char *name)
{
    for (const struct cli_hub_known *k = cli_hub_known; k->name; k++)
        if (!strcmp(k->name, name)) return k->repository;
    return name;
}

static ph_err refuse_name(const char *what, struct ph_fault *fault)
{
    char known[256] = "";
    for (const struct cli_hub_known *k = cli_hub_known; k->name; k++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s",
                 *known ? ", " : "", k->name);
    return ph_fail(fault, PH_EINVAL, "name",
                   "\"%.100s\" is no model: expected OWNER/NAME, a URL, or one of %s", what,
                   known);
}

struct place {
    char *repository, *revision; // of a hub
    char *url;                   // of another server's folder; then the others are NULL
};

// Cuts "owner/name@revision" or a page of the hub ("https://hub/owner/name/tree/main") up.
static ph_err read_place(void *tree, const struct cli_hub_params *par, struct place *out,
                         struct ph_fault *fault)
{
    const char *what = par->what;
    size_t hub = strlen(par->hub);
    bool of_hub = !strncmp(what, par->hub, hub) && what[hub] == '/';
    *out = (struct place){ 0 };
    if (is_url(what) && !of_hub) {
        out->url = ph_tree_text(tree, what, strlen(what) - (what[strlen(what) - 1] == '/'));
        return out->url ? PH_OK : PH_ENOMEM;
    }
    const char *name = of_hub ? what + hub + 1 : known_repository(what);
    size_t owner = strcspn(name, "/"), rest = owner + (name[owner] == '/');
    size_t len = rest + strcspn(name + rest, "/@?#");
    const char *revision = name[len] == '@'                    ? name + len + 1
                           : !strncmp(name + len, "/tree/", 6) ? name + len + 6
                                                               : "main";
    out->repository = ph_tree_text(tree, name, len);
    out->revision = ph_tree_text(tree, revision, strcspn(revision, "/?#"));
    if (!out->repository || !out->revision) return PH_ENOMEM;
    bool good = rest > owner && len > rest && is_tame(out->repository) && *out->revision &&
                is_tame(out->revision);
    return good ? PH_OK : refuse_name(what, fault);
}

char *cli_hub_url(struct cli_hub *hub, const char *path)
{
    return ph_tree_printf(hub->tree, "%s/%s", hub->files, path);
}

// ------------------------------------------------------------------------------ what is there
static ph_err add_file(struct cli_hub *hub, const char *path, int64_t size, const char *sha256)
{
    struct cli_hub_file file = { .size = size };
    if (!is_tame(path) || hub->all_count == FILES_MOST) return PH_OK; // of no use to us
    file.path = ph_tree_text(hub->tree, path, strlen(path));
    if (strlen(sha256) == 64 && strspn(sha256, "0123456789abcdef") == 64)
        memcpy(file.sha256, sha256, 65);
    if (!file.path || !ph_append(hub->tree, hub->all, hub->all_count, file)) return PH_ENOMEM;
    return PH_OK;
}

static ph_err read_tree(struct cli_hub *hub, const struct ph_json *list)
{
    ph_err ret = PH_OK;
    for (const struct ph_json *e = list->child; e && ret >= 0; e = e->next) {
        const struct ph_json *lfs = ph_json_get(e, "lfs");
        const char *path = ph_json_string(ph_json_get(e, "path"), "");
        int64_t size = ph_json_int(ph_json_get(lfs ? lfs : e, "size"), -1);
        if (!strcmp(ph_json_string(ph_json_get(e, "type"), "file"), "file"))
            ret = add_file(hub, path, size, ph_json_string(ph_json_get(lfs, "oid"), ""));
    }
    return ret;
}

static ph_err list_hub(struct cli_fetch *f, const struct cli_hub_params *par,
                       const struct place *place, struct cli_hub *hub, struct ph_fault *fault)
{
    struct ph_buf text = { 0 };
    struct ph_json_doc *doc = NULL;
    char *url = ph_tree_printf(hub->tree, "%s/api/models/%s/tree/%s?recursive=true", par->hub,
                               place->repository, place->revision);
    ph_err ret = url ? cli_fetch_text(f, url, TEXT_LIMIT, &text, fault) : PH_ENOMEM;
    if (ret == PH_ENOENT)
        ph_fail(fault, ret, "name", "%s has no model %s (%s)", par->hub, place->repository,
                place->revision);
    if (ret >= 0) ret = ph_json_parse(&doc, text.data ? text.data : "", text.len, 0, fault);
    if (ret >= 0 && ph_json_root(doc)->type != PH_JSON_ARRAY)
        ret = ph_fail(fault, PH_EFORMAT, "url", "%s: expected a list of files", url);
    if (ret >= 0) ret = read_tree(hub, ph_json_root(doc));
    hub->listed = ret >= 0;
    ph_json_free(&doc);
    ph_buf_free(&text);
    return ret;
}

// Lines of sha256sum(1): 64 digits, two characters, a path.
static ph_err list_sums(struct cli_fetch *f, struct cli_hub *hub, struct ph_fault *fault)
{
    struct ph_buf text = { 0 };
    char *url = cli_hub_url(hub, "SHA256SUMS"), *rest = NULL;
    ph_err ret = url ? cli_fetch_text(f, url, TEXT_LIMIT, &text, fault) : PH_ENOMEM;
    if (ret == PH_ENOENT) return ph_buf_free(&text), PH_OK; // files are tried one by one
    for (char *line = ret >= 0 && text.data ? strtok_r(text.data, "\r\n", &rest) : NULL;
         line && ret >= 0; line = strtok_r(NULL, "\r\n", &rest)) {
        char sum[65] = "";
        if (strlen(line) > 66 && sscanf(line, "%64[0-9a-f]", sum) == 1)
            ret = add_file(hub, line + 66 + (!strncmp(line + 66, "./", 2) ? 2 : 0), -1, sum);
    }
    hub->listed = ret >= 0;
    ph_buf_free(&text);
    return ret;
}

// NULL: it is not there, or asking failed (fault->code is set then).
static struct cli_hub_file *find_file(struct cli_fetch *f, struct cli_hub *hub,
                                      const char *path, struct ph_fault *fault)
{
    struct cli_remote remote = { .size = -1 };
    for (int i = 0; i < hub->all_count; i++)
        if (!strcmp(hub->all[i].path, path)) return &hub->all[i];
    if (hub->listed || !is_tame(path)) return NULL;
    char *url = cli_hub_url(hub, path);
    struct ph_fault own = { 0 };
    ph_err ret = url ? cli_fetch_head(f, url, &remote, &own) : PH_ENOMEM;
    if (ret >= 0) ret = add_file(hub, path, remote.size, remote.sha256);
    if (ret < 0 && ret != PH_ENOENT) *fault = own, fault->code = ret;
    return ret < 0 ? NULL : &hub->all[hub->all_count - 1];
}

// ------------------------------------------------------------------------------ what is needed
struct choice {
    struct cli_fetch *f;
    struct cli_hub *hub;
    struct ph_fault *fault;
    bool full;
};

static ph_err want(struct choice *c, const char *path, bool *there)
{
    c->fault->code = PH_OK;
    const struct cli_hub_file *file = find_file(c->f, c->hub, path, c->fault);
    *there = file != NULL;
    if (!file) return c->fault->code;
    for (int i = 0; i < c->hub->wanted_count; i++)
        if (!strcmp(c->hub->wanted[i].path, path)) return PH_OK;
    return ph_append(c->hub->tree, c->hub->wanted, c->hub->wanted_count, *file) ? PH_OK
                                                                                : PH_ENOMEM;
}

static ph_err need(struct choice *c, const char *folder, const char *name, bool required)
{
    char *path = ph_tree_printf(c->hub->tree, "%s%s%s", folder, *folder ? "/" : "", name);
    bool there;
    ph_err ret = path ? want(c, path, &there) : PH_ENOMEM;
    if (ret < 0 || there || !required) return ret;
    return ph_fail(c->fault, PH_EFORMAT, "url", "%s has no %s, which a model needs",
                   c->hub->files, path);
}

static ph_err fetch_json(struct choice *c, const char *path, struct ph_json_doc **doc)
{
    struct ph_buf text = { 0 };
    char *url = cli_hub_url(c->hub, path);
    ph_err ret = url ? cli_fetch_text(c->f, url, TEXT_LIMIT, &text, c->fault) : PH_ENOMEM;
    if (ret >= 0) ret = ph_json_parse(doc, text.data ? text.data : "", text.len, 0, c->fault);
    ph_buf_free(&text);
    return ret;
}

// Every file that weight_map names, beside the index.
static ph_err need_shards(struct choice *c, const char *folder, const char *index)
{
    struct ph_json_doc *doc = NULL;
    char *path = ph_tree_printf(c->hub->tree, "%s%s%s", folder, *folder ? "/" : "", index);
    ph_err ret = path ? fetch_json(c, path, &doc) : PH_ENOMEM;
    if (ret < 0) return ret;
    const struct ph_json *map = ph_json_get(ph_json_root(doc), "weight_map");
    const char *before = "";
    for (const struct ph_json *e = map ? map->child : NULL; e && ret >= 0; e = e->next) {
        const char *shard = ph_json_string(e, "");
        if (strcmp(shard, before)) ret = need(c, folder, shard, true);
        before = shard;
    }
    ph_json_free(&doc);
    return ret;
}

// f16 is half of the way and loses nothing that a picture shows; --full takes what was trained.
static ph_err need_weights(struct choice *c, const char *folder, const char *stem)
{
    static const char *const ends[] = { ".fp16.safetensors", ".safetensors.index.fp16.json",
                                        ".fp16.safetensors.index.json", ".safetensors",
                                        ".safetensors.index.json" };
    ph_err ret = PH_OK;
    for (int i = 0; i < 5; i++) {
        char name[128], *path;
        bool there = false;
        snprintf(name, sizeof name, "%s%s", stem, ends[c->full ? (i + 3) % 5 : i]);
        path = ph_tree_printf(c->hub->tree, "%s%s%s", folder, *folder ? "/" : "", name);
        ret = path ? want(c, path, &there) : PH_ENOMEM;
        if (ret < 0 || (there && !strstr(name, ".index."))) return ret;
        if (there) return need_shards(c, folder, name);
    }
    return ph_fail(c->fault, PH_EFORMAT, "url",
                   "%s has no %s%s%s.safetensors: other weights (.bin, .onnx) are not read",
                   c->hub->files, folder, *folder ? "/" : "", stem);
}

static ph_err need_tokenizer(struct choice *c, const char *folder)
{
    ph_err ret = need(c, folder, "vocab.json", true);
    if (ret >= 0) ret = need(c, folder, "merges.txt", true);
    if (ret >= 0) ret = need(c, folder, "special_tokens_map.json", false);
    if (ret >= 0) ret = need(c, folder, "tokenizer_config.json", false);
    return ret >= 0 ? need(c, folder, "added_tokens.json", false) : ret;
}

static ph_err need_component(struct choice *c, const char *folder)
{
    static const char *const unused[] = { "safety_checker", "feature_extractor",
                                          "image_encoder", NULL };
    for (int i = 0; unused[i]; i++)
        if (!strcmp(folder, unused[i])) return PH_OK;
    if (!is_tame(folder) || strchr(folder, '/')) return PH_OK;
    if (!strncmp(folder, "tokenizer", 9)) return need_tokenizer(c, folder);
    if (!strcmp(folder, "scheduler")) return need(c, folder, "scheduler_config.json", true);
    ph_err ret = need(c, folder, "config.json", true);
    bool text = !strncmp(folder, "text_encoder", 12);
    return ret >= 0 ? need_weights(c, folder, text ? "model" : "diffusion_pytorch_model") : ret;
}

// model_index.json: "unet": ["diffusers", "UNet2DConditionModel"], or [null, null] for none.
static ph_err need_pipeline(struct choice *c)
{
    struct ph_json_doc *doc = NULL;
    ph_err ret = fetch_json(c, "model_index.json", &doc);
    if (ret < 0) return ret;
    for (const struct ph_json *e = ph_json_root(doc)->child; e && ret >= 0; e = e->next)
        if (*e->key != '_' && ph_json_string(ph_json_at(e, 1), NULL))
            ret = need_component(c, e->key);
    ph_json_free(&doc);
    return ret;
}

static ph_err need_module(struct choice *c)
{
    struct ph_json_doc *doc = NULL;
    ph_err ret = fetch_json(c, "config.json", &doc);
    if (ret < 0) return ret;
    bool diffusers = ph_json_get(ph_json_root(doc), "_class_name") != NULL;
    ph_json_free(&doc);
    return need_weights(c, "", diffusers ? "diffusion_pytorch_model" : "model");
}

static ph_err choose(struct choice *c)
{
    bool pipeline, module = false;
    ph_err ret = want(c, "model_index.json", &pipeline);
    if (ret >= 0 && !pipeline) ret = want(c, "config.json", &module);
    if (ret < 0) return ret;
    if (!pipeline && !module)
        return ph_fail(c->fault, PH_EFORMAT, "url",
                       "%s has neither model_index.json nor config.json, so it is no model",
                       c->hub->files);
    return pipeline ? need_pipeline(c) : need_module(c);
}

// Sizes that are not known yet, for the time left; and checksums.
static ph_err ask_sizes(struct cli_fetch *f, struct cli_hub *hub, struct ph_fault *fault)
{
    ph_err ret = PH_OK;
    for (int i = 0; i < hub->wanted_count && ret >= 0; i++) {
        struct cli_hub_file *w = &hub->wanted[i];
        struct cli_remote remote;
        char *url = w->size < 0 ? cli_hub_url(hub, w->path) : NULL;
        if (w->size >= 0) continue;
        ret = url ? cli_fetch_head(f, url, &remote, fault) : PH_ENOMEM;
        if (ret < 0) break;
        w->size = remote.size;
        if (!*w->sha256) memcpy(w->sha256, remote.sha256, sizeof w->sha256);
    }
    return ret;
}

ph_err cli_hub_open(struct cli_fetch *f, const struct cli_hub_params *par, struct cli_hub *hub,
                    struct ph_fault *fault)
{
    struct place place;
    ph_err ret;
    *hub = (struct cli_hub){ .tree = ph_tree_alloc(NULL, 1) };
    if (!hub->tree) return ph_fail(fault, PH_ENOMEM, "", "out of memory");
    PH_TRY(read_place(hub->tree, par, &place, fault));
    const char *full = place.url ? place.url : place.repository;
    hub->name = strrchr(full, '/') + 1;
    hub->files = place.url ? place.url
                           : ph_tree_printf(hub->tree, "%s/%s/resolve/%s", par->hub,
                                            place.repository, place.revision);
    for (const struct cli_hub_known *k = cli_hub_known; k->name; k++)
        if (!strcmp(k->repository, full)) hub->name = k->name;
    if (!hub->files) PH_TRY(PH_ENOMEM);
    if (!is_tame(hub->name)) PH_TRY(refuse_name(par->what, fault));
    PH_TRY(place.url ? list_sums(f, hub, fault) : list_hub(f, par, &place, hub, fault));
    PH_TRY(choose(&(struct choice){ f, hub, fault, par->full }));
    PH_TRY(ask_sizes(f, hub, fault));
    return PH_OK;
fail:
    if (ret == PH_ENOMEM) ph_fail(fault, ret, "", "out of memory");
    return ret;
}
