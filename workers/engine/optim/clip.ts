/** Global-norm clipping, as `torch.nn.utils.clip_grad_norm_`. */
import { type Scalar, tf } from '../tensorflow/tensorflow.ts';

/** Keeps the division finite for a gradient of zeros; PyTorch's own constant. */
const EPSILON = 1e-6;

/** min(1, maxNorm / (norm + ε)), the factor for every gradient. */
export const clipFactor = (norm: Scalar, maxNorm: Scalar): Scalar => tf.minimum(1, tf.div(maxNorm, tf.add(norm, EPSILON)));
