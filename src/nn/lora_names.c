// SPDX-License-Identifier: MIT
// The names that trainers give to the tensors of a LoRA.
#include "nn/lora.h"

#include "core/tree.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *text;
    enum ph_lora_role role;
    bool bare; // means something only after one of `infixes`
} suffixes[] = {
    { ".lora_down.weight", PH_LORA_DOWN, false },
    { ".lora_up.weight", PH_LORA_UP, false },
    { ".lora_mid.weight", PH_LORA_MID, false },
    { ".lora_A.weight", PH_LORA_DOWN, false },
    { ".lora_B.weight", PH_LORA_UP, false },
    { ".lora_A.default.weight", PH_LORA_DOWN, false },
    { ".lora_B.default.weight", PH_LORA_UP, false },
    { ".down.weight", PH_LORA_DOWN, true },
    { ".up.weight", PH_LORA_UP, true },
    { ".alpha", PH_LORA_ALPHA, false },
};

static const char *const infixes[] = { ".lora_linear_layer", ".lora", "_lora" };

static const struct {
    const char *text;
    bool flat;
    enum ph_lora_part part;
} prefixes[] = {
    { "lora_unet_", true, PH_LORA_UNET },
    { "lora_te_", true, PH_LORA_TEXT },
    { "lora_te1_", true, PH_LORA_TEXT },
    { "lora_te2_", true, PH_LORA_TEXT2 },
    { "unet.", false, PH_LORA_UNET },
    { "text_encoder.", false, PH_LORA_TEXT },
    { "text_encoder_2.", false, PH_LORA_TEXT2 },
    { "text_model.", false, PH_LORA_TEXT },
};

static bool starts(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

static bool cut_end(char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    if (n < m || strcmp(text + n - m, end)) return false;
    text[n - m] = 0;
    return true;
}

static bool cut_suffix(char *name, enum ph_lora_role *role, bool *bare)
{
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (!cut_end(name, suffixes[i].text)) continue;
        *role = suffixes[i].role;
        *bare = suffixes[i].bare;
        return true;
    }
    return false;
}

// "attn1.processor.to_q" and, of text encoders, "self_attn.to_q", as the first versions wrote.
// `name` has room for four more bytes.
static void modernise(char *name)
{
    static const char *const text_names[][2] = { { ".self_attn.to_q", ".self_attn.q_proj" },
                                                 { ".self_attn.to_k", ".self_attn.k_proj" },
                                                 { ".self_attn.to_v", ".self_attn.v_proj" },
                                                 { ".self_attn.to_out",
                                                   ".self_attn.out_proj" } };
    for (size_t i = 0; i < sizeof text_names / sizeof *text_names; i++) {
        if (!cut_end(name, text_names[i][0])) continue;
        strcat(name, text_names[i][1]);
        return;
    }
    char *processor = strstr(name, ".processor.");
    if (processor) memmove(processor, processor + 10, strlen(processor + 10) + 1);
    if (cut_end(name, ".to_out")) strcat(name, ".to_out.0");
}

// What the prefix says; the rest of the name. Names without one are of the UNet.
static const char *cut_prefix(const char *name, struct ph_lora_name *out)
{
    if (starts(name, "base_model.model.")) name += strlen("base_model.model.");
    out->part = PH_LORA_UNET;
    out->flat = false;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (!starts(name, prefixes[i].text)) continue;
        out->part = prefixes[i].part;
        out->flat = prefixes[i].flat;
        // a text encoder's own names begin so: that is no prefix to cut
        return !strcmp(prefixes[i].text, "text_model.") ? name
                                                        : name + strlen(prefixes[i].text);
    }
    return name;
}

ph_err ph_lora_name_parse(void *parent, const char *tensor, struct ph_lora_name *out)
{
    bool bare, old = false;
    size_t n = strlen(tensor);
    char *text = ph_tree_alloc(parent, n + 8);
    if (!text) return PH_ENOMEM;
    memcpy(text, tensor, n + 1);
    if (!cut_suffix(text, &out->role, &bare)) return PH_EFORMAT;
    if (!(out->shown = ph_tree_text(parent, text, strlen(text)))) return PH_ENOMEM;
    for (size_t i = 0; i < sizeof infixes / sizeof *infixes && !old; i++)
        if (cut_end(text, infixes[i])) old = true;
    if (bare && !old) return PH_EFORMAT;
    if (old) modernise(text);
    out->module = (char *) cut_prefix(text, out);
    return out->module[0] ? PH_OK : PH_EFORMAT;
}

// ------------------------------------------------------------------------------------ older layout

// Layers of one resolution in the older layout: two blocks and what changes the size.
#define PER_LEVEL 3

static const char *const renamed[][2] = {
    { "time_embed_0", "time_embedding_linear_1" },
    { "time_embed_2", "time_embedding_linear_2" },
    { "label_emb_0_0", "add_embedding_linear_1" },
    { "label_emb_0_2", "add_embedding_linear_2" },
    { "input_blocks_0_0", "conv_in" },
    { "out_2", "conv_out" },
    { "in_layers_2", "conv1" },
    { "out_layers_3", "conv2" },
    { "emb_layers_1", "time_emb_proj" },
    { "skip_connection", "conv_shortcut" },
};

static const char *rename_of(const char *name)
{
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++)
        if (!strcmp(renamed[i][0], name)) return renamed[i][1];
    return name;
}

static bool put(char *out, size_t size, const char *block, int level, const char *kind,
                int index, const char *rest)
{
    char at[16] = "";
    if (level >= 0) snprintf(at, sizeof at, "_%d", level);
    int n = snprintf(out, size, "%s%s_%s_%d_%s", block, at, kind, index, rename_of(rest));
    return n > 0 && (size_t) n < size;
}

// Source: the order in which the two implementations build the same network (CompVis
// openaimodel.py UNetModel; diffusers unet_2d_condition.py).
bool ph_lora_name_modern(const char *flat, char *out, size_t size)
{
    int i, part, used = 0;
    if (sscanf(flat, "input_blocks_%2d_%1d_%n", &i, &part, &used) == 2 && used && i >= 1) {
        int level = (i - 1) / PER_LEVEL, layer = (i - 1) % PER_LEVEL;
        if (!strcmp(flat + used, "op"))
            return put(out, size, "down_blocks", level, "downsamplers", 0, "conv");
        return part < 2 && put(out, size, "down_blocks", level, part ? "attentions" : "resnets",
                               layer, flat + used);
    }
    if (sscanf(flat, "middle_block_%1d_%n", &part, &used) == 1 && used)
        return part >= 0 && part < 3 &&
               put(out, size, "mid_block", -1, part == 1 ? "attentions" : "resnets", part / 2,
                   flat + used);
    if (sscanf(flat, "output_blocks_%2d_%1d_%n", &i, &part, &used) == 2 && used && i >= 0) {
        int level = i / PER_LEVEL, layer = i % PER_LEVEL;
        if (!strcmp(flat + used, "conv"))
            return put(out, size, "up_blocks", level, "upsamplers", 0, "conv");
        return part < 2 && put(out, size, "up_blocks", level, part ? "attentions" : "resnets",
                               layer, flat + used);
    }
    int n = snprintf(out, size, "%s", rename_of(flat));
    return rename_of(flat) != flat && n > 0 && (size_t) n < size;
}
