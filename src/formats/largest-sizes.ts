/**
 * The largest sizes that a config.json may claim. A description comes from anyone (a hub, a directory), and lists and tensors are built from it: one field of
 * 100,000,000 would fill the memory. Each limit is about ten times the largest published model, so that no real model is refused.
 */
const LAYERS = 2_000;
const WIDTH = 2 ** 18;
const HEADS = 2 ** 12;
const TOKENS = 2 ** 27;
const EXPERTS = 2 ** 12;

/** By the fields' names in every family. */
export const LARGEST: Readonly<Record<string, number>> = {
  ...{ num_hidden_layers: LAYERS, n_layer: LAYERS, max_window_layers: LAYERS, no_rope_layer_interval: LAYERS, sliding_window_pattern: LAYERS },
  full_attention_interval: LAYERS,
  ...{ hidden_size: WIDTH, n_embd: WIDTH, head_dim: WIDTH },
  // An MLP is usually four times as wide as the model, in a few models eight or sixteen times.
  ...{ intermediate_size: 16 * WIDTH, intermediate_size_mlp: 16 * WIDTH, interleave_moe_layer_step: LAYERS, n_inner: 16 * WIDTH },
  ...{ num_attention_heads: HEADS, num_key_value_heads: HEADS, n_head: HEADS },
  ...{ linear_num_key_heads: HEADS, linear_num_value_heads: HEADS, linear_key_head_dim: WIDTH, linear_value_head_dim: WIDTH },
  ...{ mamba_n_heads: HEADS, mamba_n_groups: HEADS, mamba_d_head: WIDTH, mamba_d_state: WIDTH, mamba_expand: 64 },
  // A convolution of so many tokens would be as long as a sentence.
  ...{ linear_conv_kernel_dim: 64, conv_L_cache: 64, mamba_d_conv: 64 },
  ...{ block_ff_dim: 16 * WIDTH, block_multiple_of: WIDTH },
  ...{ num_experts: EXPERTS, num_local_experts: EXPERTS, num_experts_per_tok: EXPERTS, decoder_sparse_step: LAYERS },
  ...{ moe_intermediate_size: 16 * WIDTH, shared_expert_intermediate_size: 16 * WIDTH, shared_intermediate_size: 16 * WIDTH },
  vocab_size: 2 ** 22,
  ...{ max_position_embeddings: TOKENS, n_positions: TOKENS, original_max_position_embeddings: TOKENS },
};
