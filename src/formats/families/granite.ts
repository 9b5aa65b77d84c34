/** Granite 3, and Granite 4 where it is dense: Llama with factors on embeddings, scores, residuals and logits. */
import type { ConfigFields } from '../config-fields.ts';
import type { ModelConfig } from '../model-config.ts';
import { shown } from '../shown.ts';
import { everyLayer, type Family, layerTypes, withAttentionBias } from './family.ts';
import { LLAMA_NAMES, llama, llamaLike } from './llama.ts';

export const granite: Family = (fields) => withFactors(fields, llama(fields));

/** Without experts and Mamba layers, which the decoder does not compute. */
export const granite4: Family = (fields) => {
  const config = llamaLike(fields, {
    mixers({ layers, rotary }) {
      if (fields.value('layer_types') === undefined) fields.unsupported('layer_types is absent, and so all of them Mamba layers');
      layerTypes(fields, layers, ['attention', 'full_attention']);
      const type = fields.value('position_embedding_type');
      if (type !== undefined && type !== 'rope' && type !== 'nope') fields.unsupported(`position_embedding_type is ${shown(type)}`);
      return everyLayer(layers, type === 'rope' ? rotary() : null);
    },
  });
  if (fields.value('num_local_experts') !== 0) fields.unsupported(`num_local_experts is ${shown(fields.value('num_local_experts') ?? 8)}`);
  return withFactors(
    fields,
    withAttentionBias(
      {
        ...config,
        intermediateSize: fields.natural('shared_intermediate_size', 1024),
        names: { ...LLAMA_NAMES, mlp: { gateAndUp: 'shared_mlp.input_linear', down: 'shared_mlp.output_linear' } },
      },
      fields.flag('attention_bias'),
    ),
  );
};

const withFactors = (fields: ConfigFields, config: ModelConfig): ModelConfig => ({
  ...config,
  embeddingScale: fields.positive('embedding_multiplier', 1),
  residualScale: fields.positive('residual_multiplier', 1),
  logitScale: 1 / fields.positive('logits_scaling', 1),
  attention: { ...config.attention, scale: fields.positive('attention_multiplier', 1) },
});
