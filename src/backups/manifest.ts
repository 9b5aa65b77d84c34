/** The file that makes a folder a backup: it is written last and names everything with its hash. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Refusal } from '../formats/refusal.ts';
import type { SavedTable } from './rows-store.ts';

const FORMAT = 'graft-backup-1';
const NAME = 'manifest.json';

export interface Manifest {
  format: typeof FORMAT;
  createdAt: string;
  migrations: string[];
  tables: (SavedTable & { sha256: string })[];
  objects: { key: string; sizeBytes: number; sha256: string }[];
}

export const manifestOf = (content: Omit<Manifest, 'format' | 'createdAt'>): Manifest => ({
  format: FORMAT,
  createdAt: new Date().toISOString(),
  ...content,
});

export const manifestPath = (dir: string): string => join(dir, NAME);
export const tablePath = (dir: string, table: string): string => join(dir, 'tables', `${table}.jsonl`);
export const objectPath = (dir: string, key: string): string => join(dir, 'objects', key);

/** @throws Refusal if the folder holds no complete backup, or one of another format */
export async function readManifest(dir: string): Promise<Manifest> {
  const path = manifestPath(dir);
  if (!existsSync(path))
    throw new Refusal('not_a_backup', `${dir} has no ${NAME}, so it is not a backup, or one that was interrupted`, {
      hint: 'Make the backup again.',
    });
  const manifest = JSON.parse(await readFile(path, 'utf8')) as Manifest;
  if (manifest.format !== FORMAT) throw new Refusal('unknown_backup', `${path} is of the format "${manifest.format}"; this version reads ${FORMAT}`);
  return manifest;
}
