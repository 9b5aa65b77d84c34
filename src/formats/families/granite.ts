/** Granite 3 and 4: Llama with factors on embeddings, scores, residuals and logits, in some with experts, in some with Mamba layers. */
import type { ConfigFields } from '../config-fields.ts';
import type { Mamba, Mixer, ModelConfig } from '../model-config.ts';
import type { ExpertNames, MambaNames, MlpNames } from '../module-names.ts';
import { isRecord } from '../record.ts';
import { shown } from '../shown.ts';
import { type Family, layerTypes, withAttentionBias } from './family.ts';
import { LLAMA_NAMES, llama, llamaLike } from './llama.ts';
import { expertsEverywhere, withExperts } from './mixtures.ts';

const SHARED_MLP: MlpNames = { gateAndUp: 'shared_mlp.input_linear', down: 'shared_mlp.output_linear' };

const EXPERT_NAMES: ExpertNames = {
  router: 'block_sparse_moe.router',
  gateAndUp: 'block_sparse_moe.experts.gate_up_proj',
  down: 'block_sparse_moe.experts.down_proj',
  stored: { router: 'block_sparse_moe.router.layer', gateAndUp: 'block_sparse_moe.input_linear', down: 'block_sparse_moe.output_linear' },
};

const MAMBA_NAMES: MambaNames = {
  module: 'mamba',
  input: 'mamba.in_proj',
  convolution: 'mamba.conv1d',
  stepBias: 'mamba.dt_bias',
  decayLog: 'mamba.A_log',
  skip: 'mamba.D',
  norm: 'mamba.norm',
  output: 'mamba.out_proj',
};

export const granite: Family = (fields) => withFactors(fields, llama(fields));

/** Granite 3 with experts in every block. */
export const graniteMoe: Family = (fields) => withGraniteExperts(fields, plain(fields), 0);

/** With an MLP of all tokens beside them, unless its size is 0, as it is by default. */
export const graniteMoeShared: Family = (fields) => {
  const hasShared = (fields.value('shared_intermediate_size') ?? 0) !== 0;
  return withGraniteExperts(fields, plain(fields), hasShared ? fields.natural('shared_intermediate_size') : 0);
};

/** Granite 4: in its hybrid models most layers are Mamba layers, and in those with experts these stand beside the MLP of all tokens. */
export const granite4: Family = (fields) => {
  const config = llamaLike(fields, {
    mixers({ layers, hiddenSize, rotary }) {
      const attention: Mixer = { kind: 'attention', windowTokens: null, rotary: isRotated(fields) ? rotary() : null };
      const kinds = layerKinds(fields, layers);
      const mamba = kinds.includes('mamba') ? readMamba(fields, hiddenSize) : null;
      return kinds.map((kind) => (kind === 'mamba' ? mamba! : attention));
    },
  });
  const sharedSize = fields.natural('shared_intermediate_size', 1024);
  const biased = withAttentionBias(withFactors(fields, config), fields.flag('attention_bias'));
  const described: ModelConfig = { ...biased, names: { ...LLAMA_NAMES, mlp: SHARED_MLP, mamba: MAMBA_NAMES } };
  return fields.value('num_local_experts') === 0 ? { ...described, intermediateSize: sharedSize } : withGraniteExperts(fields, described, sharedSize);
};

const plain: Family = (fields) => withFactors(fields, withAttentionBias(llamaLike(fields), fields.flag('attention_bias')));

const withFactors = (fields: ConfigFields, config: ModelConfig): ModelConfig => ({
  ...config,
  embeddingScale: fields.positive('embedding_multiplier', 1),
  residualScale: fields.positive('residual_multiplier', 1),
  logitScale: 1 / fields.positive('logits_scaling', 1),
  attention: { ...config.attention, scale: fields.positive('attention_multiplier', 1) },
});

/** @param sharedSize the width of the MLP that all tokens go through; 0 without one */
function withGraniteExperts(fields: ConfigFields, config: ModelConfig, sharedSize: number): ModelConfig {
  const hasShared = sharedSize > 0;
  return withExperts(fields, config, {
    ...expertsEverywhere(fields, config),
    ...(hasShared && { shared: { intermediateSize: sharedSize } }),
    names: { ...EXPERT_NAMES, ...(hasShared && { shared: SHARED_MLP }) },
  });
}

/** Whether queries and keys are rotated. What the file says of rotary positions has no effect if they are not. */
function isRotated(fields: ConfigFields): boolean {
  const type = fields.value('position_embedding_type');
  if (type === 'rope') return true;
  if (type !== undefined && type !== 'nope') fields.unsupported(`position_embedding_type is ${shown(type)}`);
  fields.value('rope_parameters'); // transformers 5 writes its default into every file
  fields.ignore('rope_scaling');
  return false;
}

const KINDS = { mamba: 'mamba', linear_attention: 'mamba', attention: 'attention', full_attention: 'attention' } as const;

/** As `layer_types` says, otherwise Mamba layers alone. transformers 5 has other names for both kinds. */
function layerKinds(fields: ConfigFields, layers: number): ('mamba' | 'attention')[] {
  if (fields.value('layers_block_type') !== undefined) fields.unsupported(`layers_block_type is ${shown(fields.value('layers_block_type'))}`);
  const types = layerTypes(fields, layers, Object.keys(KINDS) as (keyof typeof KINDS)[]);
  return types?.map((type) => KINDS[type] ?? 'attention') ?? Array.from({ length: layers }, () => 'mamba' as const);
}

function readMamba(fields: ConfigFields, hiddenSize: number): Mamba {
  const [heads, groups] = [fields.natural('mamba_n_heads', 128), fields.natural('mamba_n_groups', 1)];
  const inner = fields.natural('mamba_expand', 2) * hiddenSize;
  const given = fields.value('mamba_d_head') ?? 'auto';
  const headSize = given === 'auto' ? Math.floor(inner / heads) : fields.natural('mamba_d_head');
  if (headSize * heads !== inner)
    fields.contradiction(`mamba_n_heads (${heads}) of mamba_d_head (${headSize}) are not mamba_expand · hidden_size (${inner})`);
  if (heads % groups !== 0) fields.contradiction(`mamba_n_heads (${heads}) is not a multiple of mamba_n_groups (${groups})`);
  return {
    kind: 'mamba',
    groups,
    heads,
    stateSize: fields.natural('mamba_d_state', 256),
    headSize,
    convolutionTokens: fields.natural('mamba_d_conv', 4),
    convolutionBias: fields.flag('mamba_conv_bias', true),
    bias: fields.flag('mamba_proj_bias'),
    stepLimits: readStepLimits(fields),
  };
}

/** Time steps are above 0, so limits of 0 and infinity, which JSON has no number for, are none. */
function readStepLimits(fields: ConfigFields): Mamba['stepLimits'] {
  const given = fields.value('time_step_limit');
  if (given === undefined) return null;
  const [least, most] = Array.isArray(given) && given.length === 2 ? given.map(numberOf) : [];
  // Comparisons with NaN and undefined are false.
  if (!(least! <= most!) || least === Number.POSITIVE_INFINITY) {
    fields.invalid('time_step_limit', given, 'the least and the most of a time step');
    return null;
  }
  return least! <= 0 && most === Number.POSITIVE_INFINITY ? null : { least: least!, most: most! };
}

/** @param value a number, or infinity as transformers 5 writes it. @returns NaN for anything else */
function numberOf(value: unknown): number {
  if (isRecord(value)) return value['__float__'] === 'Infinity' ? Number.POSITIVE_INFINITY : Number.NaN;
  return typeof value === 'number' ? value : Number.NaN;
}
