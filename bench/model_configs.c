// SPDX-License-Identifier: MIT
#include "model_configs.h"

// clang-format off
const struct bench_model_config bench_model_configs[BENCH_MODELS] = {
    [BENCH_SD_TURBO] = { "unet-sd-turbo",
        "{\"_class_name\": \"UNet2DConditionModel\", \"act_fn\": \"silu\", \"in_channels\": 4,"
        " \"out_channels\": 4, \"sample_size\": 64, \"block_out_channels\": [320, 640, 1280, 1280],"
        " \"down_block_types\": [\"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\","
        " \"CrossAttnDownBlock2D\", \"DownBlock2D\"],"
        " \"up_block_types\": [\"UpBlock2D\", \"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\","
        " \"CrossAttnUpBlock2D\"], \"attention_head_dim\": [5, 10, 20, 20],"
        " \"cross_attention_dim\": 1024, \"norm_num_groups\": 32, \"norm_eps\": 1e-05,"
        " \"layers_per_block\": 2, \"flip_sin_to_cos\": true, \"freq_shift\": 0,"
        " \"downsample_padding\": 1, \"use_linear_projection\": true}" },
    [BENCH_SDXS] = { "unet-sdxs",
        "{\"_class_name\": \"UNet2DConditionModel\", \"act_fn\": \"silu\", \"in_channels\": 4,"
        " \"out_channels\": 4, \"sample_size\": 64, \"block_out_channels\": [320, 640, 1280],"
        " \"down_block_types\": [\"DownBlock2D\", \"CrossAttnDownBlock2D\","
        " \"CrossAttnDownBlock2D\"],"
        " \"up_block_types\": [\"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\", \"UpBlock2D\"],"
        " \"attention_head_dim\": 8, \"cross_attention_dim\": 768, \"norm_num_groups\": 32,"
        " \"norm_eps\": 1e-05, \"layers_per_block\": 1, \"flip_sin_to_cos\": true,"
        " \"freq_shift\": 0, \"downsample_padding\": 1, \"mid_block_type\": null}" },
    [BENCH_TAESD] = { "taesd",
        "{\"_class_name\": \"AutoencoderTiny\", \"act_fn\": \"relu\", \"in_channels\": 3,"
        " \"out_channels\": 3, \"latent_channels\": 4,"
        " \"encoder_block_out_channels\": [64, 64, 64, 64], \"num_encoder_blocks\": [1, 3, 3, 3],"
        " \"decoder_block_out_channels\": [64, 64, 64, 64], \"num_decoder_blocks\": [3, 3, 3, 1],"
        " \"upsampling_scaling_factor\": 2, \"latent_magnitude\": 3, \"latent_shift\": 0.5,"
        " \"scaling_factor\": 1.0}" },
    [BENCH_CLIP_L] = { "clip-l",
        "{\"architectures\": [\"CLIPTextModel\"], \"model_type\": \"clip_text_model\","
        " \"hidden_size\": 768, \"intermediate_size\": 3072, \"num_hidden_layers\": 12,"
        " \"num_attention_heads\": 12, \"hidden_act\": \"quick_gelu\", \"layer_norm_eps\": 1e-05,"
        " \"max_position_embeddings\": 77, \"vocab_size\": 49408, \"projection_dim\": 768,"
        " \"bos_token_id\": 0, \"eos_token_id\": 2, \"pad_token_id\": 1}" },
    [BENCH_DA2_SMALL] = { "da2-small",
        "{\"architectures\": [\"DepthAnythingForDepthEstimation\"],"
        " \"backbone_config\": {\"model_type\": \"dinov2\", \"hidden_size\": 384,"
        " \"num_attention_heads\": 6, \"image_size\": 518}, \"fusion_hidden_size\": 64,"
        " \"head_hidden_size\": 32, \"neck_hidden_sizes\": [48, 96, 192, 384],"
        " \"depth_estimation_type\": \"relative\"}" },
    [BENCH_DA3_SMALL] = { "da3-small", "{\"model_name\": \"da3-small\"}" },
};
