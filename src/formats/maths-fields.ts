/**
 * Fields that change the maths in one family or another. One that is set but not read by the model's own family is refused:
 * transformers would ignore it, but a fork might not, and nobody could tell which was meant.
 */
export const MATHS_FIELDS = [
  ...['quantization_config', 'per_layer_config', 'rope_interleaved', 'rope_scaling', 'rope_parameters', 'partial_rotary_factor', 'rotary_pct'],
  ...[
    'sliding_window',
    'use_sliding_window',
    'layer_types',
    'no_rope_layers',
    'rope_local_base_freq',
    'sliding_window_pattern',
    'attention_chunk_size',
  ],
  ...['attention_bias', 'mlp_bias', 'qkv_bias', 'use_bias', 'lm_head_bias', 'use_qk_norm', 'qk_layernorm', 'clip_qkv', 'alibi', 'parallel_attn'],
  ...['query_pre_attn_scalar', 'attn_logit_softcapping', 'final_logit_softcapping', 'use_parallel_residual', 'use_bidirectional_attention'],
  ...['scale_attn_by_inverse_layer_idx', 'scale_attn_weights', 'add_cross_attention', 'num_experts', 'num_local_experts', 'n_routed_experts'],
  ...['embedding_multiplier', 'attention_multiplier', 'residual_multiplier', 'logits_scaling', 'logit_scale', 'hidden_act', 'activation_function'],
];
