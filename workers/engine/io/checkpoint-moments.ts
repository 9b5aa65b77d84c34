/**
 * Moments of the optimizer in a checkpoint: `m.NAME` and `v.NAME` in f32, in the parameter's shape; or codes of 8 bits (U8) under the same names, with
 * `m_absmax.NAME` and `v_absmax.NAME` [blocks] beside them.
 */
import { blocksOf } from '../../../src/formats/optimizer.ts';
import { shapeSize } from '../../../src/formats/shape-size.ts';
import type { CodedMoment, Moment, MomentValues, TensorValues } from '../tuning/tuned-model.ts';
import type { CopiedTensor, SafetensorsFile } from './safetensors.ts';

const KINDS = ['m', 'v'] as const;

interface MomentKinds {
  shapeOf(name: string): readonly number[];
  /** Whether a parameter's moments are held in 8 bits. */
  in8Bits(name: string, shape: readonly number[]): boolean;
}

/**
 * @param moments which may be read when they are asked for
 * @returns what a checkpoint holds of moments: floats, and codes that are written as they are. Both are read when they are written
 */
export function momentTensors(
  moments: ReadonlyMap<string, MomentValues>,
  { shapeOf, in8Bits }: MomentKinds,
): { floats: Map<string, TensorValues>; codes: Map<string, CopiedTensor> } {
  const floats = new Map<string, TensorValues>();
  const codes = new Map<string, CopiedTensor>();
  for (const [name, values] of moments) {
    const shape = shapeOf(name);
    for (const kind of KINDS) {
      if (!in8Bits(name, shape)) {
        floats.set(
          `${kind}.${name}`,
          read(shape, () => values[kind] as Float32Array),
        );
        continue;
      }
      const coded = () => values[kind] as CodedMoment;
      const elements = shapeSize(shape);
      codes.set(`${kind}.${name}`, {
        dtype: 'U8',
        shape,
        byteLength: elements,
        readInto: (part, first) => part.set(coded().codes.subarray(first, first + part.length)),
      });
      floats.set(
        `${kind}_absmax.${name}`,
        read([blocksOf(elements)], () => coded().absmax),
      );
    }
  }
  return { floats, codes };
}

const read = (shape: readonly number[], values: () => Float32Array): TensorValues => ({
  shape,
  get data() {
    return values();
  },
});

interface MomentReader {
  file: SafetensorsFile;
  /** @throws Refusal if the file does not have the tensor in this shape */
  readFloats(name: string, shape: readonly number[]): Float32Array;
  /** @throws Refusal if it is not a tensor of bytes in this shape */
  checkBytes(name: string, shape: readonly number[]): void;
}

/** Reads both moments of a parameter. @throws Refusal `corrupt_checkpoint` */
export function readMoments(
  { file, readFloats, checkBytes }: MomentReader,
  name: string,
  of: { shape: readonly number[]; in8Bits: boolean },
): MomentValues {
  const read = (kind: (typeof KINDS)[number]): Moment => {
    const stored = `${kind}.${name}`;
    if (!of.in8Bits) return readFloats(stored, of.shape);
    checkBytes(stored, of.shape);
    const codes = new Uint8Array(shapeSize(of.shape));
    file.readBytesInto(stored, codes, 0);
    return { codes, absmax: readFloats(`${kind}_absmax.${name}`, [blocksOf(codes.length)]) };
  };
  return { m: read('m'), v: read('v') };
}
