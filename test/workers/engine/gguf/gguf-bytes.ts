/** GGUF files of a test's own making, right or wrong, by the format's description alone. */

export type Value =
  | { u32: number }
  | { u64: bigint }
  | { f32: number }
  | { bool: boolean }
  | { string: string }
  | { strings: string[] }
  | { floats: number[] }
  | { integers: number[] }
  | { type: number; bytes: Buffer };

export interface Tensor {
  name: string;
  /** As in the file: fastest dimension first. */
  dimensions: (number | bigint)[];
  type: number;
  /** From where the tensors' bytes begin; by default after the one before. */
  offset?: number;
  bytes: Buffer;
}

export interface Content {
  magic?: string;
  version?: number;
  /** What the header claims, where it is not so. */
  counts?: { tensors?: number | bigint; values?: number | bigint };
  values: [key: string, Value][];
  tensors: Tensor[];
}

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: number | bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const f32 = (value: number) => Buffer.from(Float32Array.of(value).buffer);
const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

function written(value: Value): Buffer {
  if ('u32' in value) return Buffer.concat([u32(4), u32(value.u32)]);
  if ('u64' in value) return Buffer.concat([u32(10), u64(value.u64)]);
  if ('f32' in value) return Buffer.concat([u32(6), f32(value.f32)]);
  if ('bool' in value) return Buffer.concat([u32(7), Buffer.of(value.bool ? 1 : 0)]);
  if ('string' in value) return Buffer.concat([u32(8), text(value.string)]);
  if ('strings' in value) return Buffer.concat([u32(9), u32(8), u64(value.strings.length), ...value.strings.map(text)]);
  if ('floats' in value) return Buffer.concat([u32(9), u32(6), u64(value.floats.length), ...value.floats.map(f32)]);
  if ('integers' in value) return Buffer.concat([u32(9), u32(5), u64(value.integers.length), ...value.integers.map(u32)]);
  return Buffer.concat([u32(value.type), value.bytes]);
}

const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((32 - (bytes.length % 32)) % 32)]);

export function ggufBytes({ magic = 'GGUF', version = 3, counts = {}, values, tensors }: Content): Buffer {
  let next = 0;
  const described = tensors.map(({ name, dimensions, type, offset = next, bytes }) => {
    next = offset + padded(bytes).length;
    return Buffer.concat([text(name), u32(dimensions.length), ...dimensions.map(u64), u32(type), u64(offset)]);
  });
  const header = Buffer.concat([
    Buffer.from(magic),
    u32(version),
    u64(counts.tensors ?? tensors.length),
    u64(counts.values ?? values.length),
    ...values.flatMap(([key, value]) => [text(key), written(value)]),
    ...described,
  ]);
  return Buffer.concat([padded(header), ...tensors.map(({ bytes }) => padded(bytes))]);
}
