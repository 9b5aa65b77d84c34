/**
 * The one import of TensorFlow.js. Everything in the engine takes `tf` from here, so that what must happen
 * before the native library is loaded happens in one place.
 */
import { createRequire } from 'node:module';
import nodeUtil from 'node:util';

// tfjs-node 4.22 calls these two, of which newer versions of Node warn or which they no longer have.
const legacy = nodeUtil as unknown as Record<string, unknown>;
legacy['isNullOrUndefined'] = (value: unknown) => value === null || value === undefined;
legacy['isArray'] = Array.isArray;

// Silence the start-up chatter and let a GPU's memory grow as needed instead of being taken whole.
process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
process.env['TF_FORCE_GPU_ALLOW_GROWTH'] ??= 'true';
// A ConfigProto {graph_options {rewrite_options {disable_meta_optimizer: true}}}: what is recorded needs no rewriting, which takes longer than a step.
process.env['TF_SESSION_CONFIG'] ??= '52055203980101';
// oneDNN's products: TensorFlow takes them by itself only where there is AVX-512, but they are faster without it too (attention's three times).
process.env['TF_ENABLE_ONEDNN_OPTS'] ??= '1';

export const tf = createRequire(import.meta.url)('@tensorflow/tfjs-node-gpu') as typeof import('@tensorflow/tfjs-node-gpu');
export type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D, Variable } from '@tensorflow/tfjs-node-gpu';

/** The library's version and the JavaScript side's. */
export const versions = (): { tfjs: string; tensorflow: string } => ({
  tfjs: tf.version['tfjs-node'] ?? 'unknown',
  tensorflow: (tf.backend() as unknown as { binding: { TF_Version: string } }).binding.TF_Version,
});

/** Has every run of a session meanwhile leave its trace, a RunMetadata, in this file. */
export function traceSessionTo(path: string, code: () => void): void {
  process.env['TF_SESSION_TRACE'] = path;
  try {
    code();
  } finally {
    delete process.env['TF_SESSION_TRACE'];
  }
}
