// SPDX-License-Identifier: MIT
// The lists that a person writes into a knob, and what they mean. Every list is a block of `tree`;
// a fault names the knob.
#ifndef PH_NODES_LISTS_H
#define PH_NODES_LISTS_H

#include <phosphene/model.h>

// "an oil painting | a watercolour:0.3": texts between bars, each with ":weight" behind it or 1;
// "\|" is a bar. What lies between two bars and is empty does not count, one text may be.
ph_err ph_prompts_parse(void *tree, const char *text, const struct ph_prompt **out, int *count,
                        struct ph_fault *fault);
// "1 2:0.5": whole numbers, each with ":weight" behind it or 1; blanks or commas between. "" = none.
ph_err ph_seeds_parse(void *tree, const char *text, const struct ph_seed **out, int *count,
                      struct ph_fault *fault);
// "40 41": two seeds; "" = 0 0, which is the diffuser's own choice.
ph_err ph_circle_parse(const char *text, uint64_t out[2], struct ph_fault *fault);
// "0 16 32 45". "" = none.
ph_err ph_index_parse(void *tree, const char *text, const int **out, int *count,
                      struct ph_fault *fault);
// "lineart:0.8, other.safetensors:0.5": names in `folder` (models/shelf.h), each with ":scale" or
// 1; commas between. "" = none.
ph_err ph_styles_parse(void *tree, const char *text, const char *folder,
                       const struct ph_style **out, int *count, struct ph_fault *fault);

#endif
