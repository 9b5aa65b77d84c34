/** A tar of a PEFT adapter directory, read once from its beginning to its end: nothing of it is written anywhere. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { HashedFile } from '../formats/hashed-file.ts';
import { type JudgedFile, unreadableFile } from '../formats/judged-file.ts';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, TOKENIZER_FILE } from '../formats/model-files.ts';
import { isRecord } from '../formats/record.ts';
import { Refusal } from '../formats/refusal.ts';
import { parseHeader, parseHeaderLength } from '../formats/safetensors.ts';
import { shown } from '../formats/shown.ts';
import { entriesOf, partsOf } from './tar.ts';

/** An adapter directory has a dozen files. */
const MAX_ENTRIES = 1_000;
/** Unpacked: a compressed tar may be a thousand times as large as it looks. */
const MAX_BYTES = 16 * 1024 ** 3;
/** Of what is read whole. PEFT writes a few kilobytes of configuration, and 200 bytes of header for a tensor. */
const MAX_CONFIG_BYTES = 1024 ** 2;
const MAX_HEADER_BYTES = 16 * 1024 ** 2;
/** A model of a hundred layers has some thousands. */
const MAX_TENSORS = 50_000;
/** Warnings name so many files. */
const NAMED = 10;

const GZIP = [0x1f, 0x8b];
/** Where a tar says so, in the header of its first file. */
const [USTAR, USTAR_AT] = ['ustar', 257];

export const isGzip = (start: Uint8Array): boolean => GZIP.every((byte, index) => start[index] === byte);
const isTar = (start: Uint8Array): boolean => Buffer.from(start.subarray(USTAR_AT, USTAR_AT + USTAR.length)).toString('latin1') === USTAR;

/** Whether a file can be an adapter, by its first bytes. @param filename  because a dataset may be compressed too */
export const isAdapterArchive = (start: Uint8Array, filename: string): boolean =>
  isTar(start) || (isGzip(start) && /\.(tar\.gz|tgz)$/i.test(filename));

const HINT = "Pack the directory that PEFT's save_pretrained writes: tar -cf adapter.tar -C DIRECTORY .";
const refuse = (message: string, hint = HINT): Refusal => new Refusal('invalid_adapter', message, { hint });

/** @param bytes the tar, compressed with gzip or not */
export async function judgeAdapter(bytes: AsyncIterable<Uint8Array>, start: Uint8Array): Promise<JudgedFile> {
  try {
    return await read(bytes, isGzip(start));
  } catch (error) {
    if (error instanceof Refusal) return unreadableFile(error.message, error.hint ?? HINT);
    if (isUnpacking(error)) return unreadableFile(`The tar cannot be unpacked: ${error.message}`, 'Was it uploaded whole?');
    throw error;
  }
}

/** How the messages of tar-stream's errors begin, which have no codes. */
const TAR_ERROR = /^(Invalid tar header|Invalid header|Header exceeds max size|Unexpected end of data)/;

/** Errors of the archive itself, not of the store that it is read from. */
const isUnpacking = (error: unknown): error is Error =>
  error instanceof Error && (TAR_ERROR.test(error.message) || String((error as NodeJS.ErrnoException).code).startsWith('Z_'));

type Found = Map<string, { path: string; file: HashedFile; content: Uint8Array }>;

async function read(bytes: AsyncIterable<Uint8Array>, compressed: boolean): Promise<JudgedFile> {
  const found: Found = new Map();
  const ignored: string[] = [];
  let [entries, total] = [0, 0];
  for await (const entry of entriesOf(Readable.from(bytes, { objectMode: false }), compressed)) {
    const { name, size = 0, type } = entry.header;
    if (++entries > MAX_ENTRIES) throw refuse(`The tar has more than ${MAX_ENTRIES} files`);
    total += size;
    if (total > MAX_BYTES) throw refuse(`The tar has more than ${MAX_BYTES / 1024 ** 3} GiB unpacked`);
    const path = safePath(name);
    const base = path.split('/').at(-1)!;
    if (type === 'directory') entry.resume();
    else if (type !== 'file' && type !== 'contiguous-file') throw refuse(`${shown(name)} in the tar is a ${type}, not a file`);
    else if (!Object.hasOwn(USED, base)) {
      if (base !== '') ignored.push(path);
      entry.resume();
    } else {
      const earlier = found.get(base);
      if (earlier !== undefined)
        throw refuse(`The tar has two adapters: ${shown(earlier.path)} and ${shown(path)}`, 'Upload each in a tar of its own.');
      found.set(base, {
        path,
        ...(await readEntry(entry as AsyncIterable<Uint8Array>, { path, size, keep: USED[base as keyof typeof USED](size) })),
      });
    }
  }
  return judged(found, ignored);
}

/** How many bytes of a file are kept in memory: all of the configuration, the header of the weights, nothing of the tokenizer. */
const USED = {
  [ADAPTER_CONFIG_FILE]: (size: number) => {
    if (size > MAX_CONFIG_BYTES) throw refuse(`${ADAPTER_CONFIG_FILE} has ${size} bytes; the limit is ${MAX_CONFIG_BYTES}`);
    return size;
  },
  [ADAPTER_WEIGHTS_FILE]: (size: number) => Math.min(size, 8 + MAX_HEADER_BYTES),
  [TOKENIZER_FILE]: () => 0,
} as const;

/** @throws Refusal for a path that leads out of the directory */
function safePath(name: string): string {
  const parts = partsOf(name);
  if (name.startsWith('/') || name.includes('\\') || parts.includes('..')) throw refuse(`The tar has the path ${shown(name)}, which leads out of it`);
  return parts.join('/');
}

async function readEntry(
  entry: AsyncIterable<Uint8Array>,
  { path, size, keep }: { path: string; size: number; keep: number },
): Promise<{ file: HashedFile; content: Uint8Array }> {
  const hash = createHash('sha256');
  const kept: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of entry) {
    hash.update(chunk);
    if (length < keep) kept.push(chunk.subarray(0, keep - length));
    length += chunk.byteLength;
  }
  return { file: { name: path, bytes: size, sha256: hash.digest('hex') }, content: Buffer.concat(kept) };
}

const PICKLED = /\.(bin|pt|pth|pkl|ckpt)$/i;

function judged(found: Found, ignored: string[]): JudgedFile {
  const [config, weights] = [found.get(ADAPTER_CONFIG_FILE), found.get(ADAPTER_WEIGHTS_FILE)];
  const pickled = ignored.find((path) => PICKLED.test(path));
  if (weights === undefined && pickled !== undefined)
    throw refuse(
      `${shown(pickled)} is pickled, and reading it could run code`,
      `Save the adapter again, with safe_serialization=True: ${ADAPTER_WEIGHTS_FILE}.`,
    );
  if (config === undefined || weights === undefined)
    throw refuse(`The tar has no ${config === undefined ? ADAPTER_CONFIG_FILE : ADAPTER_WEIGHTS_FILE}`);
  const parsed = parsedConfig(config.content);
  const { bytes } = weights.file;
  const length = parseHeaderLength(weights.content.subarray(0, 8), bytes, ADAPTER_WEIGHTS_FILE);
  if (length > MAX_HEADER_BYTES) throw refuse(`The header of ${ADAPTER_WEIGHTS_FILE} has ${length} bytes; the limit is ${MAX_HEADER_BYTES}`);
  const { tensors } = parseHeader(weights.content.subarray(8, 8 + length), bytes, ADAPTER_WEIGHTS_FILE);
  if (tensors.size > MAX_TENSORS) throw refuse(`${ADAPTER_WEIGHTS_FILE} has ${tensors.size} tensors; the limit is ${MAX_TENSORS}`);
  const used = ignored.slice(0, NAMED).map((path) => shown(path));
  const more = ignored.length > NAMED ? ' and others' : '';
  return {
    lines: 0,
    examples: { chat: 0, completion: 0, preference: 0 },
    problemCount: 0,
    problems: [],
    warnings: ignored.length === 0 ? [] : [`These files of the adapter are not used: ${used.join(', ')}${more}.`],
    adapter: {
      config: parsed,
      tensors: Object.fromEntries([...tensors].map(([name, { shape }]) => [name, shape])),
      files: [...found.values()].map(({ file }) => file),
    },
  };
}

function parsedConfig(content: Uint8Array): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content));
  } catch (error) {
    throw refuse(`${ADAPTER_CONFIG_FILE} is not JSON: ${(error as Error).message}`);
  }
  if (!isRecord(parsed)) throw refuse(`${ADAPTER_CONFIG_FILE} is not a JSON object`);
  return parsed;
}
