/** A file that grows at its end, is hashed as it grows, and can be read while it is open. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { Refusal } from '../../../src/formats/refusal.ts';

const BUFFER_BYTES = 1 << 20;

/** What a file held when it was finished, to recognise it. */
export interface Content {
  bytes: number;
  /** SHA-256, hex. */
  sha256: string;
}

export class AppendFile {
  readonly #file: number;
  readonly #hash = createHash('sha256');
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #buffered = 0;
  #bytes = 0;

  /** @throws when the file exists */
  constructor(readonly path: string) {
    this.#file = openSync(path, 'wx+');
  }

  /** Number of bytes appended so far. */
  get bytes(): number {
    return this.#bytes;
  }

  append(words: Uint32Array): void {
    const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    if (this.#buffered + bytes.length > BUFFER_BYTES) this.#flush();
    if (bytes.length > BUFFER_BYTES) this.#write(bytes);
    else {
      this.#buffer.set(bytes, this.#buffered);
      this.#buffered += bytes.length;
    }
    this.#bytes += bytes.length;
  }

  /** Writes what is still in memory. @returns the open file, now the caller's to close, and its content */
  finish(): { file: number; content: Content } {
    this.#flush();
    return { file: this.#file, content: { bytes: this.#bytes, sha256: this.#hash.digest('hex') } };
  }

  close(): void {
    closeSync(this.#file);
  }

  #flush(): void {
    this.#write(this.#buffer.subarray(0, this.#buffered));
    this.#buffered = 0;
  }

  #write(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#file, bytes, done);
    } catch (error) {
      if (!['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
      throw new Refusal('disk_full', `there is no room left to write ${this.path}, which holds tokenised examples`, {
        hint: 'Free about as much space as the dataset takes, then start again.',
      });
    }
  }
}

/**
 * Fills `bytes` from a place in a file.
 * @throws when the file ends before
 */
export function readAt(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    const read = readSync(file, bytes, done, bytes.length - done, position + done);
    if (read === 0) throw new Error('a file of tokenised examples has lost its end while it was in use');
    done += read;
  }
}
