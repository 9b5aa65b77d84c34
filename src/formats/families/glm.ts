/** GLM 4 (0414): norms around attention and MLP, half of each head rotated, in pairs of neighbours. */
import { type Family, withInputBias } from './family.ts';
import { LLAMA_NAMES, llamaLike } from './llama.ts';

/** Of a file that names none. */
const EOS = [151_329, 151_336, 151_338];

export const glm4: Family = (fields) => {
  const config = llamaLike(fields, {
    epsilon: 1.5625e-7,
    headSize: 128,
    kvHeads: 2,
    padTokenId: 151_329,
    maxPositionTokens: 131_072,
    rotary: { partial: { field: 'partial_rotary_factor', fallback: 0.5 }, interleaved: true },
  });
  return withInputBias(
    {
      ...config,
      eosTokenIds: config.eosTokenIds.length > 0 ? config.eosTokenIds : EOS,
      names: {
        ...LLAMA_NAMES,
        norms: {
          beforeAttention: 'input_layernorm',
          afterAttention: 'post_self_attn_layernorm',
          beforeMlp: 'post_attention_layernorm',
          afterMlp: 'post_mlp_layernorm',
        },
        mlp: { gateAndUp: 'mlp.gate_up_proj', down: 'mlp.down_proj' },
      },
    },
    fields.flag('attention_bias', true),
  );
};
