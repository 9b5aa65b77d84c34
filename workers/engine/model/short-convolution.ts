/** The short convolution of LFM2 (Liquid AI 2025). */
import type { ModelConfig, ShortConvolution } from '../../../src/formats/model-config.ts';
import { type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { causalConvolution, convolutionWeight } from './causal-convolution.ts';
import type { TokenGrid } from './decoder.ts';
import type { Parameters } from './parameters.ts';

interface Convolved {
  config: ModelConfig;
  parameters: Parameters;
  mixer: ShortConvolution;
  grid: TokenGrid;
  /** Its number, from 0. */
  layer: number;
}

/**
 * out(C · conv(B · x)), with B, C and x from one projection.
 * @param x     [tokens, hidden]
 * @param block the block's name
 * @returns     [tokens, hidden]
 */
export function shortConvolution(x: Tensor2D, block: string, { config, parameters, mixer, grid, layer }: Convolved): Tensor2D {
  const names = config.names.shortConvolution!;
  const [B, C, input] = tf.split(parameters.linear(`${block}.${names.input}`, x), 3, 1) as [Tensor2D, Tensor2D, Tensor2D];
  const w = convolutionWeight(parameters, `${block}.${names.convolution}`);
  const sums = causalConvolution(tf.mul(B, input), w, { grid, layer });
  const convolved: Tensor2D = mixer.bias ? tf.add(sums, parameters.weight(`${block}.${names.convolution}.bias`)) : sums;
  return parameters.linear(`${block}.${names.output}`, tf.mul(C, convolved));
}
