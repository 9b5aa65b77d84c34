import type { DeltaNet, Mamba, Mixer, ModelConfig, SoftmaxAttention } from './model-config.ts';

type Mixers = Pick<ModelConfig, 'mixers'>;

export const isSoftmax = (mixer: Mixer): mixer is SoftmaxAttention => mixer.kind === 'attention';
export const isDeltaNet = (mixer: Mixer): mixer is DeltaNet => mixer.kind === 'delta_net';
export const isMamba = (mixer: Mixer): mixer is Mamba => mixer.kind === 'mamba';

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

/** Width of x in a Mamba layer, and of its gates and result. */
export const innerSize = ({ heads, headSize }: Mamba): number => heads * headSize;

/** Width of what a Mamba layer's convolution goes over: x, B and C. */
export const convolvedSize = (mixer: Mamba): number => innerSize(mixer) + 2 * mixer.groups * mixer.stateSize;

/** How many elements the layers without softmax attention keep of a text that is continued, whatever its length. */
export const stateSize = ({ mixers, hiddenSize }: Mixers & Pick<ModelConfig, 'hiddenSize'>): number =>
  mixers.reduce((sum, mixer) => {
    if (isSoftmax(mixer)) return sum;
    const { channels, ofHeads } = stateParts(mixer, hiddenSize);
    return sum + ofHeads + (mixer.convolutionTokens - 1) * channels;
  }, 0);

/** @returns the channels of its convolution, and the elements of its heads' states */
function stateParts(mixer: Exclude<Mixer, SoftmaxAttention>, hiddenSize: number): { channels: number; ofHeads: number } {
  if (isDeltaNet(mixer)) return { channels: mixedSize(mixer), ofHeads: mixer.valueHeads * mixer.valueSize * mixer.keySize };
  if (isMamba(mixer)) return { channels: convolvedSize(mixer), ofHeads: innerSize(mixer) * mixer.stateSize };
  return { channels: hiddenSize, ofHeads: 0 };
}
