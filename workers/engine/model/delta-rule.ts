import { differentiable } from '../tensorflow/differentiable.ts';
import { isRecorded } from '../tensorflow/native.ts';
import { cachedDeltaRuleKernel, deltaRuleGradientKernel, deltaRuleKernel } from '../tensorflow/recurrent-kernels.ts';
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, type Tensor4D, tf } from '../tensorflow/tensorflow.ts';

/** valueHeads / keyHeads value heads share a query and a key. */
export interface DeltaRuleInputs {
  /** [rows, length, keyHeads, keySize], with their scale */
  q: Tensor4D;
  /** [rows, length, keyHeads, keySize] */
  k: Tensor4D;
  /** [rows, length, valueHeads, valueSize] */
  v: Tensor4D;
  /** Logarithms of the decays, [rows, length, valueHeads]. */
  g: Tensor3D;
  /** How much of the error is learned, [rows, length, valueHeads]. */
  beta: Tensor3D;
}

/**
 * The gated delta rule (Yang et al. 2024, eq. 10). Each value head has a state S [keySize, valueSize], zero before a text:
 * S ← e^g·S, S ← S + k·(β·(v − Sᵀk))ᵀ, o = Sᵀq.
 * @param positions [rows, length] int32, of each token in its text
 * @returns [rows, length, valueHeads, valueSize]
 */
export function deltaRule(inputs: DeltaRuleInputs, positions: Tensor2D): Tensor4D {
  if (!isRecorded()) return tokenByToken(inputs, positions);
  const { q, k, v, g, beta } = inputs;
  return differentiable<Tensor4D>([q, k, v, g, beta], () => {
    const [o, errors] = deltaRuleKernel([q, k, v, g, beta, positions]);
    return {
      value: o as Tensor4D,
      saved: [q, k, v, g, beta, positions, errors],
      gradient: (dO, [q, k, v, g, beta, positions, errors]) => deltaRuleGradientKernel([q!, k!, v!, g!, beta!, positions!, errors!, dO]),
    };
  });
}

/** The formula as it stands, for every row and head at once. */
function tokenByToken({ q, k, v, g, beta }: DeltaRuleInputs, positions: Tensor2D): Tensor4D {
  const [rows, length, keyHeads, keySize] = k.shape;
  const [, , valueHeads, valueSize] = v.shape;
  const shared = valueHeads / keyHeads;
  const perToken = (x: Tensor, shape: number[]): Tensor[] => tf.split(x, length, 1).map((token) => tf.reshape(token, [rows, keyHeads, ...shape]));
  const [qs, ks] = [q, k].map((x) => perToken(x, [1, keySize, 1])) as [Tensor[], Tensor[]];
  const vs = perToken(v, [shared, 1, valueSize]);
  const continues = tf.reshape(tf.cast(tf.greater(positions, 0), 'float32'), [rows, length, 1]);
  const decays = perToken(tf.mul(tf.exp(g), continues), [shared, 1, 1]);
  const betas = perToken(beta, [shared, 1, 1]);
  let S: Tensor = tf.zeros([rows, keyHeads, shared, keySize, valueSize]);
  const os = vs.map((v, t) => {
    const decayed = tf.mul(S, decays[t]!);
    const error = tf.sub(v, tf.sum(tf.mul(decayed, ks[t]!), 3, true));
    S = tf.add(decayed, tf.mul(ks[t]!, tf.mul(betas[t]!, error)));
    return tf.reshape(tf.sum(tf.mul(S, qs[t]!), 3), [rows, 1, valueHeads, valueSize]);
  });
  return tf.concat(os, 1) as Tensor4D;
}

/** The same for tokens whose texts have their states in the session, without a gradient; each row is one token. */
export function cachedDeltaRule(
  { q, k, v, g, beta }: DeltaRuleInputs,
  { slots, positions, layer }: { slots: Tensor1D; positions: Tensor2D; layer: number },
): Tensor4D {
  const [tokens] = slots.shape;
  return cachedDeltaRuleKernel([q, k, v, g, beta, slots, tf.reshape(positions, [tokens])], { layer }) as Tensor4D;
}
