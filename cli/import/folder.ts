/** The folder of an import. All that was fetched, asked and begun is in it, so that an import that was interrupted is continued. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { usageFailure } from '../exit-code.ts';
import type { SourceJob } from './source.ts';

export interface ImportedFile {
  /** Relative to the folder; null: OpenAI no longer has the file. */
  path: string | null;
  bytes: number;
}

export interface ImportedJob {
  /** As OpenAI shows it. */
  source: SourceJob;
  /** The base model here; null until it was chosen. */
  base: string | null;
  /** The job here; null until it was begun. */
  started: string | null;
}

export interface Manifest {
  format: 1;
  /** Marks this import's requests, so that one that was repeated makes no second job. */
  id: string;
  /** Where the jobs came from. */
  source: string;
  jobs: Record<string, ImportedJob>;
  /** By their ids. */
  files: Record<string, ImportedFile>;
}

export const MANIFEST = 'import.json';

/** @returns null where there is no import yet. @throws Failure */
export async function readManifest(folder: string): Promise<Manifest | null> {
  const path = join(folder, MANIFEST);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (text === null) return null;
  const manifest = JSON.parse(text) as Manifest;
  if (manifest.format !== 1) throw usageFailure(`${path} is from another version of graft`, 'Use that version, or another folder: --dir.');
  return manifest;
}

/** @throws Failure if the folder has no import */
export async function requireManifest(folder: string): Promise<Manifest> {
  const manifest = await readManifest(folder);
  if (manifest === null) throw usageFailure(`There is no import in ${folder}`, 'Make one with `graft import openai`, or name its folder with --dir.');
  return manifest;
}

export const writeManifest = (folder: string, manifest: Manifest): Promise<void> =>
  writeWhole(join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);

/** Datasets are nobody else's business, and a file is there as a whole or not at all. */
export async function writeWhole(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

/** @returns the lines of a file of JSON Lines, without a last line that was cut off; an empty list if the file does not exist */
export async function readLines<T>(path: string): Promise<T[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

/** Adds lines to a file of JSON Lines, each on the disk before the next. @param known what the file has, which replaces it */
export async function openLines<T>(path: string, known: readonly T[]): Promise<{ add(line: T): Promise<void>; close(): Promise<void> }> {
  await writeWhole(path, known.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const file = await open(path, 'a');
  return {
    async add(line) {
      await file.appendFile(`${JSON.stringify(line)}\n`);
      await file.datasync();
    },
    close: () => file.close(),
  };
}

export const newImportId = (): string => randomUUID();
