/** graft-tiny's configuration: the JSON files of its Hugging Face model directory. */

export const VOCABULARY_SIZE = 2048;
/** Their ids follow the order of SPECIAL in make_tokenizer.py. */
const SPECIAL = { end: '<|endoftext|>', turnStart: '<|im_start|>', turnEnd: '<|im_end|>' } as const;
const IDS = { end: 0, turnStart: 1, turnEnd: 2 } as const;

/** `config.json`: a Llama small enough to train on two processor cores. */
export const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  attention_bias: false,
  attention_dropout: 0,
  bos_token_id: IDS.end,
  eos_token_id: IDS.turnEnd,
  pad_token_id: IDS.end,
  hidden_act: 'silu',
  hidden_size: 192,
  initializer_range: 0.02,
  intermediate_size: 512,
  max_position_embeddings: 512,
  mlp_bias: false,
  num_attention_heads: 6,
  num_hidden_layers: 6,
  num_key_value_heads: 2,
  head_dim: 32,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  use_cache: true,
  vocab_size: VOCABULARY_SIZE,
} as const;

export const GENERATION_CONFIG = { bos_token_id: IDS.end, eos_token_id: [IDS.turnEnd, IDS.end], pad_token_id: IDS.end, max_new_tokens: 96 } as const;

export const TOKENIZER_CONFIG = {
  tokenizer_class: 'PreTrainedTokenizerFast',
  add_prefix_space: false,
  clean_up_tokenization_spaces: false,
  bos_token: SPECIAL.end,
  eos_token: SPECIAL.turnEnd,
  pad_token: SPECIAL.end,
  additional_special_tokens: [SPECIAL.turnStart],
  model_max_length: CONFIG.max_position_embeddings,
} as const;
