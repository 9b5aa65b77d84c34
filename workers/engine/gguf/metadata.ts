/** The metadata of a GGUF file: values by key, each of one of thirteen types. Arrays, some of which are long, are read when they are asked for. */
import { Refusal } from '../../../src/formats/refusal.ts';
import { cut, shown } from '../../../src/formats/shown.ts';
import type { HeaderBytes } from './header-bytes.ts';

/** The format's own limit. */
const MAX_KEY_BYTES = 65_535;
/** Chat templates are the longest, with some hundred kilobytes. */
const MAX_TEXT_BYTES = 16 * 1024 * 1024;
const MAX_ELEMENTS = 1 << 24;

type Scalar = number | boolean | string;

interface List {
  count: number;
  read(): Scalar[];
}

const STRING = 8;
const ARRAY = 9;
/** Bytes of the types of fixed size, by code. */
const SIZES: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };

function readScalar(bytes: HeaderBytes, type: number, key: string): Scalar {
  switch (type) {
    case 0:
      return bytes.u8();
    case 1:
      return bytes.i8();
    case 2:
      return bytes.u16();
    case 3:
      return bytes.i16();
    case 4:
      return bytes.u32();
    case 5:
      return bytes.i32();
    case 6:
      return bytes.f32();
    case 7:
      return bytes.u8() !== 0;
    case STRING:
      return bytes.text(MAX_TEXT_BYTES, cut(key));
    case 10:
      return bytes.u64();
    case 11:
      return bytes.i64();
    case 12:
      return bytes.f64();
    default:
      throw bytes.broken(`${cut(key)} is of the type ${type}, which the format does not have`);
  }
}

function readList(bytes: HeaderBytes, key: string): List {
  const type = bytes.u32();
  if (type === ARRAY) throw bytes.broken(`${cut(key)} is a list of lists, which no known model has`);
  const count = bytes.count(MAX_ELEMENTS, `elements of ${cut(key)}`);
  const start = bytes.position;
  const size = SIZES[type];
  if (size !== undefined) bytes.skip(count * size);
  else if (type !== STRING) throw bytes.broken(`${cut(key)} is a list of the type ${type}, which the format does not have`);
  else for (let i = 0; i < count; i++) bytes.skipText(MAX_TEXT_BYTES, cut(key));
  return { count, read: () => bytes.again(start, () => Array.from({ length: count }, () => readScalar(bytes, type, key))) };
}

function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) if (Math.fround(Number(value.toPrecision(digits))) === value) return Number(value.toPrecision(digits));
  return value;
}

/** Values by key, checked as they are asked for. */
export class GgufMetadata {
  readonly #values = new Map<string, Scalar | List>();

  /** @param where the file's path, for messages */
  constructor(private readonly where: string) {}

  /** Reads the next key and its value. */
  readNext(bytes: HeaderBytes): void {
    const key = bytes.text(MAX_KEY_BYTES, 'a key');
    if (this.#values.has(key)) throw bytes.broken(`it has ${cut(key)} twice`);
    const type = bytes.u32();
    this.#values.set(key, type === ARRAY ? readList(bytes, key) : readScalar(bytes, type, key));
  }

  keys = (): IterableIterator<string> => this.#values.keys();
  has = (key: string): boolean => this.#values.has(key);
  /** @returns the value as the file has it; null for a list */
  scalar(key: string): Scalar | null {
    const value = this.#values.get(key);
    return value === undefined || typeof value === 'object' ? null : value;
  }

  text = (key: string): string | null => this.#of(key, 'a text', (value) => typeof value === 'string') as string | null;
  flag = (key: string): boolean | null => this.#of(key, 'true or false', (value) => typeof value === 'boolean') as boolean | null;
  /** Floats of 32 bits as the shortest number that they are, e.g. 1e-5. */
  number(key: string): number | null {
    const value = this.#of(key, 'a number', (one) => typeof one === 'number' && Number.isFinite(one)) as number | null;
    return value === null ? null : shortest(value);
  }

  /** A whole number of 0 or more. */
  natural = (key: string): number | null =>
    this.#of(key, 'a whole number', (value) => Number.isSafeInteger(value) && (value as number) >= 0) as number | null;

  /** @throws Refusal without the key */
  required<T>(key: string, value: T | null): T {
    if (value === null) throw this.wrong(`it has no ${key}`);
    return value;
  }

  /** @returns how many elements a list has; null without the key */
  length(key: string): number | null {
    const value = this.#values.get(key);
    return typeof value === 'object' ? value.count : null;
  }

  strings = (key: string): string[] | null => this.#list(key, 'texts', (value) => typeof value === 'string') as string[] | null;
  numbers = (key: string): number[] | null => this.#list(key, 'numbers', (value) => typeof value === 'number') as number[] | null;

  wrong = (what: string): Refusal =>
    new Refusal('corrupt_model_file', `${this.where}: ${what}`, { param: 'model', hint: 'Convert the model again with a current llama.cpp.' });

  #of(key: string, what: string, isRight: (value: Scalar) => boolean): Scalar | null {
    const value = this.#values.get(key);
    if (value === undefined) return null;
    if (typeof value === 'object') throw this.wrong(`${key} is a list of ${value.count}, not ${what}`);
    if (!isRight(value)) throw this.wrong(`${key} is ${shown(value)}, not ${what}`);
    return value;
  }

  #list(key: string, what: string, isRight: (value: Scalar) => boolean): Scalar[] | null {
    const value = this.#values.get(key);
    if (value === undefined) return null;
    const list = typeof value === 'object' ? value.read() : null;
    if (list?.every(isRight)) return list;
    throw this.wrong(`${key} is not a list of ${what}`);
  }
}
