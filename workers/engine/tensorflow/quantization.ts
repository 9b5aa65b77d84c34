/** Kernels for matrices that are held quantised, as bitsandbytes quantises them (kernels/quantized-matrix.h). A CPU quantises, also for a GPU. */
import type { Quantization, QuantizedShape } from '../../../src/formats/quantization.ts';
import { backend, type OpAttribute } from './backend.ts';
import { type Tensor, type Tensor1D, type Tensor2D, tf } from './tensorflow.ts';
import { tidyValues } from './tidy-values.ts';

const { TF_ATTR_BOOL, TF_ATTR_INT, TF_ATTR_STRING, TF_ATTR_TYPE, TF_FLOAT, TF_INT32 } = backend.binding;
const formatOf = (quantization: Quantization): OpAttribute => ({ name: 'format', type: TF_ATTR_STRING, value: quantization });

/**
 * @param W [out, in]
 * @returns int32 words with the bytes of the quantised matrix, `quantizedBytes` of them
 */
export const quantizeKernel = (W: Tensor2D, quantization: Quantization): Tensor1D =>
  backend.executeSingleOutput('GraftQuantize', [formatOf(quantization)], [W]) as Tensor1D;

interface Dequantized extends QuantizedShape {
  quantization: Quantization;
  /** Whether the result is [in, out]; default: [out, in]. */
  inputFirst?: boolean;
}

/**
 * The whole matrix. While code is being recorded, products with it become products with the quantised one.
 * @param packed the words that `quantizeKernel` returned, or more; on a GPU, as the f32 with the same bytes
 */
export function dequantizeKernel(packed: Tensor, { quantization, out, in: into, inputFirst = false }: Dequantized): Tensor2D {
  const attributes = [
    { name: 'Tw', type: TF_ATTR_TYPE, value: packed.dtype === 'int32' ? TF_INT32 : TF_FLOAT },
    formatOf(quantization),
    { name: 'rows', type: TF_ATTR_INT, value: out },
    { name: 'columns', type: TF_ATTR_INT, value: into },
    { name: 'transposed', type: TF_ATTR_BOOL, value: inputFirst },
  ];
  return backend.executeSingleOutput('GraftDequantize', attributes, [packed]) as Tensor2D;
}

/** @returns the words of `quantizeKernel`. @param values [out, in], row-major */
export function quantized(values: Float32Array, { quantization, out, in: into }: Omit<Dequantized, 'inputFirst'>): Int32Array {
  return tidyValues(() => quantizeKernel(tf.tensor2d(values, [out, into]), quantization).dataSync<'int32'>()) as unknown as Int32Array;
}
