import type { DeltaNet, Mixer, ModelConfig, SoftmaxAttention } from './model-config.ts';

type Mixers = Pick<ModelConfig, 'mixers'>;

export const isSoftmax = (mixer: Mixer): mixer is SoftmaxAttention => mixer.kind === 'attention';
export const isDeltaNet = (mixer: Mixer): mixer is DeltaNet => mixer.kind === 'delta_net';

/** The layers with softmax attention, which alone have keys and values for every token. */
export const softmaxLayers = ({ mixers }: Mixers): SoftmaxAttention[] => mixers.filter(isSoftmax);

/** Width of what a delta net's convolution goes over: queries, keys and values. */
export const mixedSize = ({ keyHeads, keySize, valueHeads, valueSize }: DeltaNet): number => 2 * keyHeads * keySize + valueHeads * valueSize;

/** How many elements the layers without softmax attention keep of a text that is continued, whatever its length. */
export const stateSize = ({ mixers, hiddenSize }: Mixers & Pick<ModelConfig, 'hiddenSize'>): number =>
  mixers
    .filter((mixer) => !isSoftmax(mixer))
    .reduce((sum, mixer) => {
      const channels = isDeltaNet(mixer) ? mixedSize(mixer) : hiddenSize;
      const ofHeads = isDeltaNet(mixer) ? mixer.valueHeads * mixer.valueSize * mixer.keySize : 0;
      return sum + ofHeads + (mixer.convolutionTokens - 1) * channels;
    }, 0);
