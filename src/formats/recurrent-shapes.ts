/** Names and shapes of the weights of layers without softmax attention, inside their block. */
import { convolvedSize, innerSize, mixedSize } from './mixers.ts';
import type { DeltaNet, Mixer, ModelConfig, SoftmaxAttention } from './model-config.ts';
import type { DeltaNetNames, ModuleNames } from './module-names.ts';

export interface LinearLayer {
  out: number;
  in: number;
  bias: boolean;
}

type Recurrent = Exclude<Mixer, SoftmaxAttention>;
type Described = Pick<ModelConfig, 'hiddenSize' | 'names'>;

export const isRecurrent = (mixer: Mixer): mixer is Recurrent => mixer.kind !== 'attention';

/** The module of a layer. */
export function recurrentModule({ kind }: Recurrent, { deltaNet, mamba, shortConvolution }: ModuleNames): string {
  if (kind === 'delta_net') return deltaNet!.module;
  return kind === 'mamba' ? mamba!.module : shortConvolution!.module;
}

/** Its linear layers, by name. */
export function recurrentLayers(mixer: Recurrent, { hiddenSize: hidden, names }: Described): Record<string, LinearLayer> {
  if (mixer.kind === 'delta_net') return deltaNetLayers(mixer, names.deltaNet!, hidden);
  if (mixer.kind === 'mamba') {
    const { input, output } = names.mamba!;
    const [inner, { bias }] = [innerSize(mixer), mixer];
    return { [input]: { out: inner + convolvedSize(mixer) + mixer.heads, in: hidden, bias }, [output]: { out: hidden, in: inner, bias } };
  }
  const { input, output } = names.shortConvolution!;
  return { [input]: { out: 3 * hidden, in: hidden, bias: mixer.bias }, [output]: { out: hidden, in: hidden, bias: mixer.bias } };
}

function deltaNetLayers(mixer: DeltaNet, { inputs, output }: DeltaNetNames, hidden: number): Record<string, LinearLayer> {
  const [mixed, values, heads] = [mixedSize(mixer), mixer.valueHeads * mixer.valueSize, mixer.valueHeads];
  const layer = (out: number): LinearLayer => ({ out, in: hidden, bias: false });
  const ofInputs: Record<string, LinearLayer> =
    'mixedAndGate' in inputs
      ? { [inputs.mixedAndGate]: layer(mixed + values), [inputs.betaAndDecay]: layer(2 * heads) }
      : { [inputs.mixed]: layer(mixed), [inputs.gate]: layer(values), [inputs.beta]: layer(heads), [inputs.decay]: layer(heads) };
  return { ...ofInputs, [output]: { out: hidden, in: values, bias: false } };
}

/** All its other weights, by name. */
export function recurrentWeights(mixer: Recurrent, { hiddenSize, names }: Described): Record<string, number[]> {
  const convolution = (module: string, channels: number, bias: boolean): Record<string, number[]> => ({
    [`${module}.weight`]: [channels, 1, mixer.convolutionTokens],
    ...(bias && { [`${module}.bias`]: [channels] }),
  });
  if (mixer.kind === 'delta_net') {
    const { convolution: module, decayBias, decayLog, norm } = names.deltaNet!;
    const ofHeads = [mixer.valueHeads];
    return { ...convolution(module, mixedSize(mixer), false), [decayBias]: ofHeads, [decayLog]: ofHeads, [`${norm}.weight`]: [mixer.valueSize] };
  }
  if (mixer.kind === 'mamba') {
    const { convolution: module, stepBias, decayLog, skip, norm } = names.mamba!;
    const ofHeads = [mixer.heads];
    return {
      ...convolution(module, convolvedSize(mixer), mixer.convolutionBias),
      ...{ [stepBias]: ofHeads, [decayLog]: ofHeads, [skip]: ofHeads, [`${norm}.weight`]: [innerSize(mixer)] },
    };
  }
  return convolution(names.shortConvolution!.convolution, hiddenSize, mixer.bias);
}
