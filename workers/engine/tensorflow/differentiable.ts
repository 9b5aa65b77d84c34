/** Functions with gradients derived by hand, which take fewer and larger kernels than the tape would record. */
import { currentScope, within } from './scope.ts';
import { type Tensor, tf } from './tensorflow.ts';

export interface Derivation<Out extends Tensor> {
  value: Out;
  /** What the gradient needs; everything else is freed when the function returns. */
  saved: Tensor[];
  /** @returns one gradient for each input, in the same order */
  gradient(dy: Out, saved: Tensor[]): Tensor[];
}

/**
 * A typed `tf.customGrad`.
 * @param inputs tensors that may need a gradient. Close over any that never does, such as a frozen weight: its gradient is then never computed.
 */
export function differentiable<Out extends Tensor>(inputs: Tensor[], derive: () => Derivation<Out>): Out {
  const scope = currentScope();
  const run = tf.customGrad((...given) => {
    const save = given.at(-1) as (tensors: Tensor[]) => void;
    const { value, saved, gradient } = derive();
    save(saved);
    return { value, gradFunc: (dy, kept) => within(scope, () => gradient(dy as Out, kept)) };
  });
  return run(...inputs) as Out;
}

/** What `gradientsFlowInto` was called with. */
const computed = new WeakSet<Tensor>();

/** Marks a weight that is computed from variables, so that its users compute its gradient. */
export function gradientsFlowInto<T extends Tensor>(weight: T): T {
  computed.add(weight);
  return weight;
}

/** Whether a weight needs a gradient. */
export const isTrained = (weight: Tensor): boolean => weight instanceof tf.Variable || computed.has(weight);
