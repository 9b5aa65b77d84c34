import type { DeltaNet, Mixer, ModelConfig, SoftmaxAttention } from './model-config.ts';

type Mixers = Pick<ModelConfig, 'mixers'>;

export const isSoftmax = (mixer: Mixer): mixer is SoftmaxAttention => mixer.kind === 'attention';
export const isDeltaNet = (mixer: Mixer): mixer is DeltaNet => mixer.kind === 'delta_net';

/** The layers with softmax attention, which alone have keys and values for every token. */
export const softmaxLayers = ({ mixers }: Mixers): SoftmaxAttention[] => mixers.filter(isSoftmax);

/** The heads of a layer. */
export const headsOf = ({ heads, kvHeads, headSize }: Pick<ModelConfig, 'heads' | 'kvHeads' | 'headSize'>, { sizes }: SoftmaxAttention) => ({
  heads,
  ...(sizes ?? { kvHeads, headSize }),
});

/** Elements that attention keeps for each token of a text that is continued. */
export const keptPerToken = (config: ModelConfig): number =>
  softmaxLayers(config).reduce((sum, layer) => {
    const { kvHeads, headSize } = headsOf(config, layer);
    return layer.sharesWith === undefined ? sum + 2 * kvHeads * headSize : sum;
  }, 0);

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
