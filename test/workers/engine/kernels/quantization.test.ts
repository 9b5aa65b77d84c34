import { afterEach, describe, expect, it } from 'vitest';
import { readReference, referenceTensors } from '../../../../reference/fixtures.ts';
import type { Precision } from '../../../../src/formats/hyperparameters.ts';
import { QUANTIZATIONS, type Quantization, quantizedBytes } from '../../../../src/formats/quantization.ts';
import { decodeFloats, encodeFloats } from '../../../../workers/engine/io/float-formats.ts';
import { dequantizeKernel, quantized } from '../../../../workers/engine/tensorflow/quantization.ts';
import { type Tensor, type Tensor2D, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';
import { disposeSession, expectClose, recorded, TOKENS, TOLERANCES, waves } from './recorded-kernels.ts';

afterEach(disposeSession);

interface Matrix {
  shape: [out: number, into: number];
  nf4: { codes: string; scales: string; nested: number[]; mean: number };
  int8: { codes: string; scales: number[] };
}

const { matrices } = readReference<{ matrices: Record<string, Matrix> }>('quantization', 'matrices.json');
const tensors = referenceTensors('quantization', 'matrices.safetensors');

const CACHE_LINE_BYTES = 64;
const aligned = (bytes: number): number => Math.ceil(bytes / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;
const base64 = (text: string): Buffer => Buffer.from(text, 'base64');
const floats = (values: number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);

/** What bitsandbytes has, put together as kernels/quantized-matrix.h describes. */
function assembled({ nf4, int8 }: Matrix, quantization: Quantization): Buffer {
  const parts =
    quantization === 'nf4' ? [base64(nf4.codes), base64(nf4.scales), floats([...nf4.nested, nf4.mean])] : [base64(int8.codes), floats(int8.scales)];
  return Buffer.concat(parts.map((part) => Buffer.concat([part, Buffer.alloc(aligned(part.length) - part.length)])));
}

const wordsOf = (bytes: Buffer): Int32Array => new Int32Array(new Uint8Array(bytes).buffer);
const bytesOf = (words: Int32Array): Buffer => Buffer.from(words.buffer, words.byteOffset, words.byteLength);

/** The scales' mean, and what is subtracted from it, depend on the order of a sum. */
const SUM_TOLERANCE = 1e-6;

describe.each(Object.keys(matrices))('a matrix (%s)', (name) => {
  const matrix = matrices[name]!;
  const [out, into] = matrix.shape;
  const W = tensors.get(name)!;

  it('quantised to NF4 has the codes of bitsandbytes, also for its scales, and their scales and mean', () => {
    const words = quantized(W, { quantization: 'nf4', out, in: into });
    const wanted = assembled(matrix, 'nf4');
    expect(words.byteLength).toBe(wanted.length);
    expect(words.byteLength).toBe(quantizedBytes('nf4', { out, in: into }));
    const codesEnd = aligned(base64(matrix.nf4.codes).length) + aligned(base64(matrix.nf4.scales).length);
    expect(bytesOf(words).subarray(0, codesEnd).equals(wanted.subarray(0, codesEnd))).toBe(true);
    const scales = new Float32Array(words.buffer, words.byteOffset + codesEnd);
    for (const [index, scale] of [...matrix.nf4.nested, matrix.nf4.mean].entries())
      expect(Math.abs(scales[index]! / scale - 1)).toBeLessThan(SUM_TOLERANCE);
  });

  it('quantised to int8 has the codes and the scales of bitsandbytes, bit for bit', () => {
    const words = quantized(W, { quantization: 'int8', out, in: into });
    expect(words.byteLength).toBe(quantizedBytes('int8', { out, in: into }));
    expect(bytesOf(words).equals(assembled(matrix, 'int8'))).toBe(true);
  });

  it.each(QUANTIZATIONS)('dequantised from what bitsandbytes has in %s is what it dequantises, bit for bit', (quantization) => {
    tf.tidy(() => {
      const packed = tf.tensor1d(wordsOf(assembled(matrix, quantization)), 'int32');
      const wanted = tensors.get(`${name}/${quantization}`)!;
      const given = { quantization, out, in: into };
      expect(dequantizeKernel(packed, given).dataSync()).toEqual(wanted);
      const transposed = tf.transpose(tf.tensor2d(wanted, [out, into]));
      expect(dequantizeKernel(packed, { ...given, inputFirst: true }).dataSync()).toEqual(transposed.dataSync());
    });
  });
});

/** In bf16, the dequantised matrix is rounded before it is multiplied. */
const inPrecision = (W: Tensor2D, precision: Precision): Tensor2D =>
  precision === 'f32' ? W : tf.tensor2d(decodeFloats(new Uint8Array(encodeFloats(W.dataSync<'float32'>(), 'BF16')), 'BF16'), W.shape);

/** Shapes whose panels are whole, cut in both directions, and of an odd number of elements. */
const SHAPES: [number, number][] = [
  [128, 256],
  [150, 330],
  [33, 301],
];

describe.each(QUANTIZATIONS.flatMap((quantization) => TOLERANCES.map(([precision, tolerance]) => ({ quantization, precision, tolerance }))))(
  'products with a matrix held in $quantization, in $precision,',
  ({ quantization, precision, tolerance }) => {
    it.each(SHAPES)('of %i outputs and %i inputs are those with the dequantised matrix, forward and backward', (out, into) => {
      const shape = { quantization, out, in: into };
      const words = quantized(waves([out, into], 1.7).dataSync<'float32'>(), shape);
      const { run, nodes } = recorded(
        { x: { shape: [TOKENS, into] }, dy: { shape: [TOKENS, out] }, packed: { shape: [words.length], dtype: 'int32' } },
        ({ x, dy, packed }) => {
          const W = dequantizeKernel(packed!, shape);
          const transposed = dequantizeKernel(packed!, { ...shape, inputFirst: true });
          const given = [x, dy] as [Tensor2D, Tensor2D];
          return [
            tf.matMul(given[0], W, false, true),
            tf.matMul(given[1], W),
            tf.matMul(given[0], transposed),
            tf.matMul(given[1], transposed, false, true),
          ];
        },
        precision,
      );
      expect(nodes.map(({ op }) => op)).toEqual(Array(4).fill('GraftQuantizedProduct'));
      for (const tokens of [1, 7, 600])
        tf.tidy(() => {
          const packed = tf.tensor1d(words, 'int32');
          const [x, dy] = [waves([tokens, into], 0.9), waves([tokens, out], 2.3)] as [Tensor2D, Tensor2D];
          const W = inPrecision(dequantizeKernel(packed, shape), precision);
          const [y, dx] = [tf.matMul(x, W, false, true), tf.matMul(dy, W)] as [Tensor, Tensor];
          for (const [index, result] of run({ x, dy, packed }).entries()) expectClose(result, index % 2 === 0 ? y : dx, tolerance);
        });
    });
  },
);
