// SPDX-License-Identifier: MIT
// Every node of this build, by name. A new node is a line in each table, in its place. A build that
// lacks a library keeps the node; its open() then says what is missing.
#include <phosphene/node.h>

// clang-format off
extern const struct ph_node_info ph_node_blend;
extern const struct ph_node_info ph_node_bloom;
extern const struct ph_node_info ph_node_blur;
extern const struct ph_node_info ph_node_browser;
extern const struct ph_node_info ph_node_camera;
extern const struct ph_node_info ph_node_cloud;
extern const struct ph_node_info ph_node_color;
extern const struct ph_node_info ph_node_crop;
extern const struct ph_node_info ph_node_delay;
extern const struct ph_node_info ph_node_depth;
extern const struct ph_node_info ph_node_depth16;
extern const struct ph_node_info ph_node_diffusion;
extern const struct ph_node_info ph_node_export;
extern const struct ph_node_info ph_node_feedback;
extern const struct ph_node_info ph_node_file;
extern const struct ph_node_info ph_node_flash;
extern const struct ph_node_info ph_node_fuse;
extern const struct ph_node_info ph_node_hash;
extern const struct ph_node_info ph_node_image;
extern const struct ph_node_info ph_node_jpeg;
extern const struct ph_node_info ph_node_kaleidoscope;
extern const struct ph_node_info ph_node_listen;
extern const struct ph_node_info ph_node_live;
extern const struct ph_node_info ph_node_midi;
extern const struct ph_node_info ph_node_mirror;
extern const struct ph_node_info ph_node_msgpack;
extern const struct ph_node_info ph_node_null;
extern const struct ph_node_info ph_node_osc;
extern const struct ph_node_info ph_node_osc_send;
extern const struct ph_node_info ph_node_overlay;
extern const struct ph_node_info ph_node_pattern;
extern const struct ph_node_info ph_node_play;
extern const struct ph_node_info ph_node_rate;
extern const struct ph_node_info ph_node_record;
extern const struct ph_node_info ph_node_resize;
extern const struct ph_node_info ph_node_scene;
extern const struct ph_node_info ph_node_screen;
extern const struct ph_node_info ph_node_sound;
extern const struct ph_node_info ph_node_spectrum;
extern const struct ph_node_info ph_node_split;
extern const struct ph_node_info ph_node_steady;
extern const struct ph_node_info ph_node_tape;
extern const struct ph_node_info ph_node_text;
extern const struct ph_node_info ph_node_video;
extern const struct ph_node_info ph_node_warp;
extern const struct ph_node_info ph_node_waveform;
extern const struct ph_node_info ph_node_window;

static const struct ph_node_info *const nodes[] = {
    &ph_node_blend,
    &ph_node_bloom,
    &ph_node_blur,
    &ph_node_browser,
    &ph_node_camera,
    &ph_node_cloud,
    &ph_node_color,
    &ph_node_crop,
    &ph_node_delay,
    &ph_node_depth,
    &ph_node_depth16,
    &ph_node_diffusion,
    &ph_node_export,
    &ph_node_feedback,
    &ph_node_file,
    &ph_node_flash,
    &ph_node_fuse,
    &ph_node_hash,
    &ph_node_image,
    &ph_node_jpeg,
    &ph_node_kaleidoscope,
    &ph_node_listen,
    &ph_node_live,
    &ph_node_midi,
    &ph_node_mirror,
    &ph_node_msgpack,
    &ph_node_null,
    &ph_node_osc,
    &ph_node_osc_send,
    &ph_node_overlay,
    &ph_node_pattern,
    &ph_node_play,
    &ph_node_rate,
    &ph_node_record,
    &ph_node_resize,
    &ph_node_scene,
    &ph_node_screen,
    &ph_node_sound,
    &ph_node_spectrum,
    &ph_node_split,
    &ph_node_steady,
    &ph_node_tape,
    &ph_node_text,
    &ph_node_video,
    &ph_node_warp,
    &ph_node_waveform,
    &ph_node_window,
    NULL,
};
// clang-format on

const struct ph_node_info *const *ph_nodes(void)
{
    return nodes;
}
