import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../src/config.ts';
import { parseModelConfig } from '../../src/formats/parse-model-config.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { parseHeader, parseHeaderLength } from '../../src/formats/safetensors.ts';
import type { BaseModel } from '../../src/models/store.ts';
import { newestSnapshots } from './snapshots.ts';

/** A base model on this machine's disk. */
export interface BaseModelDirectory extends BaseModel {
  dir: string;
  /** Why a job on it will fail; null when nothing is wrong with it as far as headers tell. */
  problem: string | null;
}

/**
 * Directories with a config.json, by name; the first of the same name counts. Then what was downloaded from the hub, the newest commit of each model. One with a fault is a base model too:
 * a job on it fails with a message that names the file, which tells its user more than a model that is not there.
 */
export async function findBaseModels({ modelsDirs, dataDir }: Pick<Config, 'modelsDirs' | 'dataDir'>): Promise<BaseModelDirectory[]> {
  const found = new Map<string, BaseModelDirectory>();
  for (const parent of modelsDirs) {
    const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
    for (const { name } of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (name.startsWith('.') || found.has(name)) continue;
      const dir = join(parent, name);
      const config = await readFile(join(dir, 'config.json'), 'utf8').catch(() => null);
      if (config !== null) found.set(name, { id: name, dir, revision: null, ...(await describe(dir, config)) });
    }
  }
  for (const { name, commit, dir } of await newestSnapshots(dataDir)) {
    const config = await readFile(join(dir, 'config.json'), 'utf8');
    if (!found.has(name)) found.set(name, { id: name, dir, revision: commit, ...(await describe(dir, config)) });
  }
  return [...found.values()];
}

async function describe(dir: string, config: string): Promise<Pick<BaseModelDirectory, 'family' | 'parameters' | 'sizeBytes' | 'problem'>> {
  const facts = { family: 'unknown', parameters: 0, sizeBytes: 0, problem: null as string | null };
  try {
    const json: unknown = JSON.parse(config);
    facts.family = String((json as { model_type?: unknown } | null)?.model_type ?? 'unknown');
    parseModelConfig(json, join(dir, 'config.json'));
    const weights = (await readdir(dir)).filter((name) => name.endsWith('.safetensors'));
    if (weights.length === 0) facts.problem = `${dir} has no model.safetensors`;
    for (const name of weights) {
      const { parameters, sizeBytes } = await readWeights(join(dir, name));
      facts.parameters += parameters;
      facts.sizeBytes += sizeBytes;
    }
  } catch (error) {
    facts.problem = error instanceof Refusal ? error.text : (error as Error).message;
  }
  return facts;
}

/** Reads the header alone, however large the file. */
async function readWeights(path: string): Promise<{ parameters: number; sizeBytes: number }> {
  const { size } = await stat(path);
  const file = await open(path);
  try {
    const first8 = Buffer.alloc(Math.min(8, size));
    await file.read(first8, 0, first8.length, 0);
    const header = Buffer.alloc(parseHeaderLength(first8, size, path));
    await file.read(header, 0, header.length, 8);
    const { tensors } = parseHeader(header, size, path);
    const parameters = [...tensors.values()].reduce((sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1), 0);
    return { parameters, sizeBytes: size };
  } finally {
    await file.close();
  }
}
