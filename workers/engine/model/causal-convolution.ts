import { differentiable, gradientsFlowInto, isTrained } from '../tensorflow/differentiable.ts';
import { rollAxis } from '../tensorflow/native.ts';
import { cachedConvolutionKernel } from '../tensorflow/recurrent-kernels.ts';
import { type Tensor, type Tensor2D, type Tensor3D, tf } from '../tensorflow/tensorflow.ts';
import type { TokenGrid } from './decoder.ts';
import type { Parameters } from './parameters.ts';

interface Place {
  grid: TokenGrid;
  /** Number of the layer, from 0. */
  layer: number;
}

/** The weights of a convolution that goes over each channel alone. @returns [channels, K] */
export function convolutionWeight(parameters: Parameters, module: string): Tensor2D {
  const kernel = parameters.weight(`${module}.weight`); // [channels, 1, K]
  const w = tf.reshape(kernel, [kernel.shape[0]!, kernel.shape[2]!]) as Tensor2D;
  return isTrained(kernel) ? gradientsFlowInto(w) : w;
}

/**
 * Σⱼ w[·, K − 1 − j] · x[t − j]: each channel's sum over a token and the K − 1 before it in the same text.
 * With d = dy and m the mask of tokens that have one j places before them: dx[t] = Σⱼ w[·, K − 1 − j]·(m·d)[t + j], dw[·, K − 1 − j] = Σ m·d·x[t − j].
 * @param x [tokens, channels]
 * @param w [channels, K]
 * @returns [tokens, channels]
 */
export function causalConvolution(x: Tensor2D, w: Tensor2D, { grid, layer }: Place): Tensor2D {
  if (grid.slots === undefined) return convolution(x, w, grid);
  const places = tf.reshape(grid.positions, [x.shape[0]]);
  return cachedConvolutionKernel([x, w, grid.slots, places], { layer }) as Tensor2D;
}

function convolution(x: Tensor2D, w: Tensor2D, { positions }: TokenGrid): Tensor2D {
  const [rows, length] = positions.shape;
  const [channels, size] = w.shape;
  const inRows = (part: Tensor): Tensor3D => tf.reshape(part, [rows, length, channels]);
  const flat = (part: Tensor): Tensor2D => tf.reshape(part, [rows * length, channels]);
  const taps = (w: Tensor): Tensor[] => tf.split(tf.transpose(w as Tensor2D), size, 0).reverse(); // [1, channels], from the token itself backwards
  const hasEarlier = (positions: Tensor, distance: number): Tensor =>
    tf.reshape(tf.cast(tf.greaterEqual(positions, distance), 'float32'), [rows, length, 1]);
  /** Each token's input from some places before it. A roll brings a row's end to its start, where texts begin. */
  const earlier = (x: Tensor, distance: number, positions: Tensor): Tensor3D =>
    distance === 0 ? inRows(x) : tf.mul(rollAxis(inRows(x), { shift: distance, axis: 1 }), hasEarlier(positions, distance));
  const trained = isTrained(w);
  return differentiable<Tensor2D>(trained ? [x, w] : [x], () => {
    const value = taps(w).map((tap, distance) => tf.mul(earlier(x, distance, positions), tap));
    return {
      value: flat(tf.addN(value)),
      saved: [x, w, positions],
      gradient(dy, [x, w, positions]) {
        const dx = taps(w!).map((tap, distance) => {
          const d = tf.mul(inRows(dy), tap);
          return distance === 0 ? d : rollAxis(tf.mul(d, hasEarlier(positions!, distance)) as Tensor3D, { shift: -distance, axis: 1 });
        });
        const dxs = flat(tf.addN(dx));
        if (!trained) return [dxs];
        const dw = Array.from({ length: size }, (_, distance) => tf.sum(tf.mul(dy, flat(earlier(x!, distance, positions!))), 0)).reverse();
        return [dxs, tf.transpose(tf.stack(dw)) as Tensor];
      },
    };
  });
}
