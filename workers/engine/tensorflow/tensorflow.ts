/**
 * The only import of TensorFlow.js. The rest of the engine imports `tf` from here, because the settings below must be made before the native library
 * is loaded.
 */
import { createRequire } from 'node:module';
import nodeUtil from 'node:util';

// tfjs-node 4.22 calls these two functions, which newer versions of Node warn about or lack.
const legacy = nodeUtil as unknown as Record<string, unknown>;
legacy['isNullOrUndefined'] = (value: unknown) => value === null || value === undefined;
legacy['isArray'] = Array.isArray;

// Silence the start-up messages, and let GPU memory grow as needed instead of allocating all of it.
process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
process.env['TF_FORCE_GPU_ALLOW_GROWTH'] ??= 'true';
// A ConfigProto {graph_options {rewrite_options {disable_meta_optimizer: true}}}: recorded graphs need no rewriting, which takes longer than a step.
process.env['TF_SESSION_CONFIG'] ??= '52055203980101';
// oneDNN's products: by default TensorFlow uses them only with AVX-512, but they are faster without it too (three times for attention).
process.env['TF_ENABLE_ONEDNN_OPTS'] ??= '1';
// On a GPU, products of f32 are exact to f32's last bits, as PyTorch's are by default: TensorFlow would round their factors to TF32's 11 bits.
process.env['NVIDIA_TF32_OVERRIDE'] ??= '0';

export const tf = createRequire(import.meta.url)('@tensorflow/tfjs-node-gpu') as typeof import('@tensorflow/tfjs-node-gpu');
export type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor3D, Tensor4D, Variable } from '@tensorflow/tfjs-node-gpu';

/** Versions of TensorFlow.js and of the native library. */
export const versions = (): { tfjs: string; tensorflow: string } => ({
  tfjs: tf.version['tfjs-node'] ?? 'unknown',
  tensorflow: (tf.backend() as unknown as { binding: { TF_Version: string } }).binding.TF_Version,
});

/** A ConfigProto {inter_op_parallelism_threads: -1, experimental {executor_type: "SINGLE_THREADED_EXECUTOR"}}. Messages one after another are merged. */
const ONE_THREAD = `28${'f'.repeat(18)}0182011a1a18${Buffer.from('SINGLE_THREADED_EXECUTOR').toString('hex')}`;

/**
 * Sessions that the code opens run their operations one after another on the thread that asks for a run, where a graph of many short operations takes
 * half the time. The engine's own kernels then share their work among threads that wait awake (kernels/team.h).
 */
export function openingForOneThread<T>(code: () => T): T {
  const config = process.env['TF_SESSION_CONFIG']!;
  process.env['TF_SESSION_CONFIG'] = config + ONE_THREAD;
  try {
    return code();
  } finally {
    process.env['TF_SESSION_CONFIG'] = config;
  }
}

/** While the code runs, every run of a session writes its trace, a RunMetadata, to this file. */
export function traceSessionTo(path: string, code: () => void): void {
  process.env['TF_SESSION_TRACE'] = path;
  try {
    code();
  } finally {
    delete process.env['TF_SESSION_TRACE'];
  }
}
