import type { DeltaNet, Mixer, ModelConfig, SoftmaxAttention } from './model-config.ts';

type Mixers = Pick<ModelConfig, 'mixers'>;

export const isSoftmax = (mixer: Mixer): mixer is SoftmaxAttention => mixer.kind === 'attention';
export const isDeltaNet = (mixer: Mixer): mixer is DeltaNet => mixer.kind === 'delta_net';

/** The layers with softmax attention, which alone have keys and values for every token. */
export const softmaxLayers = ({ mixers }: Mixers): SoftmaxAttention[] => mixers.filter(isSoftmax);
export const deltaNets = ({ mixers }: Mixers): DeltaNet[] => mixers.filter(isDeltaNet);

/** Width of what a delta net's convolution goes over: queries, keys and values. */
export const mixedSize = ({ keyHeads, keySize, valueHeads, valueSize }: DeltaNet): number => 2 * keyHeads * keySize + valueHeads * valueSize;

/** Elements of what a delta net keeps of a text that is continued. */
export const stateSize = (mixer: DeltaNet): number =>
  mixer.valueHeads * mixer.valueSize * mixer.keySize + (mixer.convolutionTokens - 1) * mixedSize(mixer);
