/** Reads a GGUF file's metadata and the names, shapes and types of its tensors, by the format's description alone. */

export interface ReadGguf {
  version: number;
  metadata: Record<string, unknown>;
  tensors: Map<string, { shape: number[]; type: number; offset: number }>;
  /** Where the tensors' bytes begin. */
  dataStart: number;
}

export function readGguf(bytes: Buffer): ReadGguf {
  let at = 0;
  const take = <T>(size: number, read: (position: number) => T): T => {
    const value = read(at);
    at += size;
    return value;
  };
  const u32 = () => take(4, (p) => bytes.readUInt32LE(p));
  const u64 = () => Number(take(8, (p) => bytes.readBigUInt64LE(p)));
  const text = () => {
    const length = u64();
    return take(length, (p) => bytes.toString('utf8', p, p + length));
  };
  const scalars: Record<number, () => unknown> = {
    4: u32,
    5: () => take(4, (p) => bytes.readInt32LE(p)),
    6: () => take(4, (p) => bytes.readFloatLE(p)),
    7: () => take(1, (p) => bytes[p] === 1),
    8: text,
  };
  const value = (type: number): unknown => {
    if (type !== 9) return scalars[type]!();
    const [of, count] = [u32(), u64()];
    return Array.from({ length: count }, () => scalars[of]!());
  };
  if (take(4, (p) => bytes.toString('latin1', p, p + 4)) !== 'GGUF') throw new Error('not a GGUF file');
  const version = u32();
  const [tensorCount, valueCount] = [u64(), u64()];
  const metadata: Record<string, unknown> = {};
  for (let i = 0; i < valueCount; i++) metadata[text()] = value(u32());
  const tensors: ReadGguf['tensors'] = new Map();
  for (let i = 0; i < tensorCount; i++) {
    const name = text();
    const shape = Array.from({ length: u32() }, u64);
    tensors.set(name, { shape, type: u32(), offset: u64() });
  }
  return { version, metadata, tensors, dataStart: Math.ceil(at / 32) * 32 };
}
