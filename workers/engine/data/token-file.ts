/**
 * Tokenised examples on disk: `records` holds them one after the other (`example-record.ts`), `index` six 32-bit words for each: where its record
 * ends (two words, the lower first), its number of tokens, its digest (two words), and its line in the file. Nothing of them stays in memory, so their number is not limited
 * by it.
 */
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppendFile, type Content, readAt } from './append-file.ts';
import type { Example } from './batch.ts';
import { digestWords } from './digests.ts';
import { decodeRecord, type IdBytes, RecordEncoder } from './example-record.ts';
import type { ExampleStore } from './example-store.ts';

const RECORDS = 'records';
const INDEX = 'index';
const ENTRY_WORDS = 6;
const ENTRY_BYTES = 4 * ENTRY_WORDS;
/** Where an entry has its number of tokens, its digest and its line. */
const TOKENS_AT = 2;
const DIGEST_AT = 3;
const LINE_AT = 5;
/** Entries read at once when all are visited: 768 KiB. */
const ENTRIES_AT_ONCE = 32_768;

/** What is needed to open a token file again, and to see that it is whole. */
export interface TokenFileContent {
  idBytes: IdBytes;
  records: Content;
  index: Content;
}

export class TokenWriter {
  readonly #encoder: RecordEncoder;
  readonly #records: AppendFile;
  readonly #index: AppendFile;
  readonly #entry = new Uint32Array(ENTRY_WORDS);

  /** @param dir holds the two files, which must not be there yet */
  constructor(dir: string, idBytes: IdBytes) {
    this.#encoder = new RecordEncoder(idBytes);
    this.#records = new AppendFile(join(dir, RECORDS));
    this.#index = new AppendFile(join(dir, INDEX));
  }

  /** Writes files in the temporary folder that have no name, so that their space is free once they are closed, however the process ends. */
  static temporary(idBytes: IdBytes): TokenWriter {
    const dir = mkdtempSync(join(tmpdir(), 'graft-tokens-'));
    try {
      return new TokenWriter(dir, idBytes);
    } finally {
      rmSync(dir, { recursive: true });
    }
  }

  /** @param line of the file, from 1 */
  append(example: Example, line: number): void {
    const record = this.#encoder.encode(example);
    this.#records.append(record);
    const end = this.#records.bytes;
    this.#entry[0] = end % 2 ** 32;
    this.#entry[1] = Math.floor(end / 2 ** 32);
    this.#entry[TOKENS_AT] = example.inputIds.length;
    this.#entry.set(digestWords(record), DIGEST_AT);
    this.#entry[LINE_AT] = line;
    this.#index.append(this.#entry);
  }

  /** @returns the examples, to read; the writer is done */
  finish(): { examples: TokenFile; content: TokenFileContent } {
    const { idBytes } = this.#encoder;
    const records = this.#records.finish();
    const index = this.#index.finish();
    const length = index.content.bytes / ENTRY_BYTES;
    return {
      examples: new TokenFile({ records: records.file, index: index.file }, { length, idBytes }),
      content: { idBytes, records: records.content, index: index.content },
    };
  }

  /** Closes the files of a writer that does not finish. */
  close(): void {
    this.#records.close();
    this.#index.close();
  }
}

export class TokenFile implements ExampleStore {
  readonly length: number;
  /**
   * Log-probabilities before training, as many for each example: of its own sequences, then of its mismatched one. `read` gives them with it; null: none
   * were computed.
   */
  reference: Float32Array | null = null;
  /** Makes `Example.mismatched`, which `read` gives with each example; null where examples have none. */
  mismatched: ((example: Example, index: number) => Example) | null = null;
  readonly #files: { records: number; index: number };
  readonly #idBytes: IdBytes;
  /** The end of the record before and the entry. */
  readonly #entries = new Uint32Array(2 * ENTRY_WORDS);
  #record = new Uint32Array(1024);
  #open = true;

  /** Takes over two open files. */
  constructor(files: { records: number; index: number }, { length, idBytes }: { length: number; idBytes: IdBytes }) {
    this.#files = files;
    this.length = length;
    this.#idBytes = idBytes;
  }

  /** @throws when a file is missing */
  static open(dir: string, { idBytes, index }: TokenFileContent): TokenFile {
    const records = openSync(join(dir, RECORDS), 'r');
    return new TokenFile({ records, index: openSync(join(dir, INDEX), 'r') }, { length: index.bytes / ENTRY_BYTES, idBytes });
  }

  read(index: number): Example {
    const example = this.stored(index);
    const mismatched = this.mismatched?.(example, index);
    if (this.reference === null) return mismatched === undefined ? example : { ...example, mismatched };
    const perExample = this.reference.length / this.length;
    const reference = this.reference.subarray(perExample * index, perExample * (index + 1));
    if (mismatched === undefined) return { ...example, reference };
    const own = example.starts?.length ?? 1;
    return { ...example, reference: reference.subarray(0, own), mismatched: { ...mismatched, reference: reference.subarray(own) } };
  }

  /** @returns the example as it is in the file, without what `read` gives with it */
  stored(index: number): Example {
    const entries = this.#entries;
    // The entry before says where the record begins.
    if (index === 0) entries.fill(0);
    const into = index === 0 ? entries.subarray(ENTRY_WORDS) : entries;
    readAt(this.#files.index, bytesOf(into), Math.max(0, index - 1) * ENTRY_BYTES);
    const start = entries[0]! + entries[1]! * 2 ** 32;
    const end = entries[ENTRY_WORDS]! + entries[ENTRY_WORDS + 1]! * 2 ** 32;
    const words = (end - start) / 4;
    if (words > this.#record.length) this.#record = new Uint32Array(2 * words);
    const record = this.#record.subarray(0, words);
    readAt(this.#files.records, bytesOf(record), start);
    return decodeRecord(record, this.#idBytes);
  }

  /** @returns the line of the file that an example is from, from 1 */
  lineOf(index: number): number {
    const entry = new Uint32Array(ENTRY_WORDS);
    readAt(this.#files.index, bytesOf(entry), index * ENTRY_BYTES);
    return entry[LINE_AT]!;
  }

  lengths(): Uint32Array {
    const lengths = new Uint32Array(this.length);
    let at = 0;
    for (const entries of this.#allEntries()) for (let word = TOKENS_AT; word < entries.length; word += ENTRY_WORDS) lengths[at++] = entries[word]!;
    return lengths;
  }

  /** @returns the examples' digests in ascending order, [length] */
  digests(): BigUint64Array {
    const digests = new BigUint64Array(this.length);
    const words = new Uint32Array(digests.buffer);
    let at = 0;
    for (const entries of this.#allEntries()) {
      for (let word = DIGEST_AT; word < entries.length; word += ENTRY_WORDS) {
        words[at++] = entries[word]!;
        words[at++] = entries[word + 1]!;
      }
    }
    return digests.sort();
  }

  /** Further calls do nothing. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#files.records);
    closeSync(this.#files.index);
  }

  /** @yields the index in parts, each a view that the next one overwrites */
  *#allEntries(): Generator<Uint32Array> {
    const buffer = new Uint32Array(Math.min(this.length, ENTRIES_AT_ONCE) * ENTRY_WORDS);
    for (let first = 0; first < this.length; first += ENTRIES_AT_ONCE) {
      const entries = buffer.subarray(0, Math.min(this.length - first, ENTRIES_AT_ONCE) * ENTRY_WORDS);
      readAt(this.#files.index, bytesOf(entries), first * ENTRY_BYTES);
      yield entries;
    }
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Uint32Array): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength);
