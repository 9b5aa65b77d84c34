/** The bytes at the beginning of a GGUF file, read as far as they are needed, each value with a bound. */
import { readSync } from 'node:fs';
import { Refusal } from '../../../src/formats/refusal.ts';

/** The largest vocabularies, of 262,144 tokens, take ten megabytes. */
const MAX_HEADER_BYTES = 256 * 1024 * 1024;
const FIRST_BYTES = 64 * 1024;

export const brokenGguf = (where: string, what: string): Refusal =>
  new Refusal('corrupt_model_file', `${where} is not a whole GGUF file: ${what}`, { param: 'model', hint: 'Download or convert it again.' });

export class HeaderBytes {
  #bytes = Buffer.alloc(0);
  #at = 0;

  /**
   * @param file      an open file
   * @param fileBytes its size
   * @param where     its path, for messages
   */
  constructor(
    private readonly file: number,
    private readonly fileBytes: number,
    private readonly where: string,
  ) {}

  /** How many bytes have been read. */
  get position(): number {
    return this.#at;
  }

  u8 = (): number => this.#number(1, (at) => this.#bytes.readUInt8(at));
  i8 = (): number => this.#number(1, (at) => this.#bytes.readInt8(at));
  u16 = (): number => this.#number(2, (at) => this.#bytes.readUInt16LE(at));
  i16 = (): number => this.#number(2, (at) => this.#bytes.readInt16LE(at));
  u32 = (): number => this.#number(4, (at) => this.#bytes.readUInt32LE(at));
  i32 = (): number => this.#number(4, (at) => this.#bytes.readInt32LE(at));
  f32 = (): number => this.#number(4, (at) => this.#bytes.readFloatLE(at));
  f64 = (): number => this.#number(8, (at) => this.#bytes.readDoubleLE(at));
  /** Integers past 2⁵³ lose their last bits. */
  u64 = (): number => this.#number(8, (at) => Number(this.#bytes.readBigUInt64LE(at)));
  i64 = (): number => this.#number(8, (at) => Number(this.#bytes.readBigInt64LE(at)));

  /** @throws Refusal if there are more than a file may have */
  count(limit: number, what: string): number {
    const count = this.u64();
    if (count > limit) throw this.broken(`it claims ${count} ${what}; the limit is ${limit}`);
    return count;
  }

  /** @param limit of its UTF-8 bytes */
  text(limit: number, what: string): string {
    const length = this.count(limit, `bytes of ${what}`);
    this.#need(length);
    const text = this.#bytes.toString('utf8', this.#at, this.#at + length);
    this.#at += length;
    return text;
  }

  /** Passes over a text. */
  skipText(limit: number, what: string): void {
    this.skip(this.count(limit, `bytes of ${what}`));
  }

  skip(bytes: number): void {
    this.#need(bytes);
    this.#at += bytes;
  }

  /** Reads again what has been read before. @param read begins at the position */
  again<T>(position: number, read: () => T): T {
    const now = this.#at;
    this.#at = position;
    try {
      return read();
    } finally {
      this.#at = now;
    }
  }

  /** @returns the error for what is wrong at this place */
  broken = (what: string): Refusal => brokenGguf(this.where, `${what} (before byte ${this.#at})`);

  #number(size: number, read: (at: number) => number): number {
    this.#need(size);
    const value = read(this.#at);
    this.#at += size;
    return value;
  }

  /** Reads on, twice as far each time, until there are so many bytes past the position. */
  #need(bytes: number): void {
    const end = this.#at + bytes;
    if (end <= this.#bytes.length) return;
    if (end > this.fileBytes) throw this.broken(`it ends after ${this.fileBytes} bytes, ${end - this.fileBytes} too early`);
    if (end > MAX_HEADER_BYTES) throw this.broken(`its header has more than ${MAX_HEADER_BYTES} bytes`);
    const larger = Buffer.alloc(Math.min(this.fileBytes, Math.max(end, 2 * this.#bytes.length, FIRST_BYTES)));
    this.#bytes.copy(larger);
    for (let done = this.#bytes.length; done < larger.length; ) {
      const count = readSync(this.file, larger, done, larger.length - done, done);
      if (count === 0) throw this.broken('it became shorter while it was read');
      done += count;
    }
    this.#bytes = larger;
  }
}
