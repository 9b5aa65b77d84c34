import { differentiable } from '../tensorflow/differentiable.ts';
import { isRecorded } from '../tensorflow/native.ts';
import { cachedStateSpaceKernel, stateSpaceGradientKernel, stateSpaceKernel } from '../tensorflow/recurrent-kernels.ts';
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, type Tensor4D, tf } from '../tensorflow/tensorflow.ts';

/** With the names of the paper. heads / groups heads share B and C. */
export interface StateSpaceInputs {
  /** [rows, length, heads, headSize] */
  x: Tensor4D;
  /** Where in its state a token is written, [rows, length, groups, stateSize]. */
  B: Tensor4D;
  /** Where in its state a token reads, [rows, length, groups, stateSize]. */
  C: Tensor4D;
  /** Time steps, [rows, length, heads]. */
  dt: Tensor3D;
  /** dt·A, the logarithms of the decays, [rows, length, heads]. */
  g: Tensor3D;
}

/**
 * Mamba 2's state space (Dao & Gu 2024, eq. 1 and 2 with A a number). Each head has a state S [stateSize, headSize], zero before a text:
 * S ← e^g·S + B·(dt·x)ᵀ, y = Sᵀ·C. It is the delta rule without its correction, with B as k, C as q, x as v and dt as β.
 * @param positions [rows, length] int32, of each token in its text
 * @returns [rows, length, heads, headSize]
 */
export function stateSpace(inputs: StateSpaceInputs, positions: Tensor2D): Tensor4D {
  if (!isRecorded()) return tokenByToken(inputs, positions);
  const { x, B, C, dt, g } = inputs;
  return differentiable<Tensor4D>([C, B, x, g, dt], () => ({
    value: stateSpaceKernel([C, B, x, g, dt, positions]) as Tensor4D,
    saved: [C, B, x, g, dt, positions],
    gradient: (dY, saved) => stateSpaceGradientKernel([...saved, dY]),
  }));
}

/** The formula as it stands, for every row and head at once. */
function tokenByToken({ x, B, C, dt, g }: StateSpaceInputs, positions: Tensor2D): Tensor4D {
  const [rows, length, groups, stateSize] = B.shape;
  const [, , heads, headSize] = x.shape;
  const shared = heads / groups;
  const perToken = (part: Tensor, shape: number[]): Tensor[] => tf.split(part, length, 1).map((token) => tf.reshape(token, [rows, groups, ...shape]));
  const [Bs, Cs] = [B, C].map((part) => perToken(part, [1, stateSize, 1])) as [Tensor[], Tensor[]];
  const continues = tf.reshape(tf.cast(tf.greater(positions, 0), 'float32'), [rows, length, 1]);
  const decays = perToken(tf.mul(tf.exp(g), continues), [shared, 1, 1]);
  const written = perToken(tf.mul(x, tf.reshape(dt, [rows, length, heads, 1])), [shared, 1, headSize]);
  let S: Tensor = tf.zeros([rows, groups, shared, stateSize, headSize]);
  const ys = written.map((dtX, t) => {
    S = tf.add(tf.mul(S, decays[t]!), tf.mul(Bs[t]!, dtX));
    return tf.reshape(tf.sum(tf.mul(S, Cs[t]!), 3), [rows, 1, heads, headSize]);
  });
  return tf.concat(ys, 1) as Tensor4D;
}

/** The same for tokens whose texts have their states in the session, without a gradient; each row is one token. */
export function cachedStateSpace(
  { x, B, C, dt, g }: StateSpaceInputs,
  { slots, positions, layer }: { slots: Tensor1D; positions: Tensor2D; layer: number },
): Tensor4D {
  const [tokens] = slots.shape;
  return cachedStateSpaceKernel([C, B, x, g, dt, slots, tf.reshape(positions, [tokens])], { layer }) as Tensor4D;
}
