/** Which GGUF file a model directory was made of: lineages and cards name that file, not the directory's. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Static } from 'typebox';
import { Value } from 'typebox/value';
import { HashedFile } from '../../../src/formats/hashed-file.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { readJson, writeFileWhole } from './files.ts';
import { MODEL_DIRECTORY_HINT } from './weight-files.ts';

const SOURCE_FILE = 'graft_gguf.json';

const GgufSource = HashedFile;
/** The file, by its name alone. */
export type GgufSource = Static<typeof GgufSource>;

export function writeGgufSource(dir: string, source: GgufSource): void {
  writeFileWhole(join(dir, SOURCE_FILE), `${JSON.stringify(source, null, 2)}\n`);
}

/** @returns null for a directory that was not made of such a file. @throws Refusal `corrupt_model_file` */
export function readGgufSource(dir: string): GgufSource | null {
  const path = join(dir, SOURCE_FILE);
  if (!existsSync(path)) return null;
  const source = readJson(path, MODEL_DIRECTORY_HINT);
  if (Value.Check(GgufSource, source)) return source;
  throw new Refusal('corrupt_model_file', `${path} does not name a file with its size and hash`, {
    param: 'model',
    hint: 'Make the directory again.',
  });
}
