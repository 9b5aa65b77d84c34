/**
 * Event files of TensorBoard: records framed as TFRecord (tensorflow/core/lib/io/record_writer.cc), each an `Event` in protocol buffers' encoding
 * (tensorflow/core/util/event.proto): 1 wall_time, 2 step, 3 file_version, 5 summary { 1 value { 1 tag, 2 simple_value } }.
 */

/** Numbers of one step. */
export interface TensorBoardStep {
  /** Seconds since 1970. */
  wallTime: number;
  step: number;
  /** Finite. */
  scalars: readonly { tag: string; value: number }[];
}

/** How TensorBoard recognises an event file, wherever it stands in the name. */
export const EVENT_FILE = 'events.out.tfevents';

/** A file's first record. */
export const fileVersion = (wallTime: number): Buffer => record(Buffer.concat([double(1, wallTime), bytes(3, Buffer.from('brain.Event:2'))]));

export function scalarsRecord({ wallTime, step, scalars }: TensorBoardStep): Buffer {
  const values = scalars.map(({ tag, value }) => bytes(1, Buffer.concat([bytes(1, Buffer.from(tag)), float(2, value)])));
  return record(Buffer.concat([double(1, wallTime), varintField(2, step), bytes(5, Buffer.concat(values))]));
}

/** Length and data, each with its checksum. */
function record(data: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([length, checksum(length), data, checksum(data)]);
}

/** Masked, so that a checksum of data with checksums in it is not weak. */
function checksum(data: Buffer): Buffer {
  const crc = crc32c(data);
  const masked = Buffer.alloc(4);
  masked.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  return masked;
}

/** Castagnoli's polynomial, reflected. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function crc32c(data: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Wire types: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes. */
const key = (field: number, wireType: number): Buffer => varint((field << 3) | wireType);
const varintField = (field: number, value: number): Buffer => Buffer.concat([key(field, 0), varint(value)]);
const bytes = (field: number, data: Buffer): Buffer => Buffer.concat([key(field, 2), varint(data.length), data]);

function double(field: number, value: number): Buffer {
  const data = Buffer.alloc(8);
  data.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), data]);
}

function float(field: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeFloatLE(value);
  return Buffer.concat([key(field, 5), data]);
}

/** @param value a whole number from 0 to 2⁵³ */
function varint(value: number): Buffer {
  const encoded: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    encoded.push(rest > 0 ? low | 128 : low);
  } while (rest > 0);
  return Buffer.from(encoded);
}
