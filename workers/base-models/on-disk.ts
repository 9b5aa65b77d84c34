import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../src/config.ts';
import { CONFIG_FILE } from '../../src/formats/model-files.ts';
import { parseModelConfig } from '../../src/formats/parse-model-config.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { BaseModel } from '../../src/models/store.ts';
import { storedShapes, weightFiles } from '../engine/io/weight-files.ts';
import { newestSnapshots } from './snapshots.ts';

/** A base model on this machine's disk. */
export interface BaseModelDirectory extends BaseModel {
  dir: string;
  /** Why a job on it will fail; null if its configuration and headers show no problem. */
  problem: string | null;
}

/**
 * Directories with a config.json, by name (the first of a name wins), then the newest commit of each model that was downloaded from the hub. A faulty
 * model is listed too: a job on it fails with a message that names the file, which helps its user more than a missing model.
 */
export async function findBaseModels({ modelsDirs, dataDir }: Pick<Config, 'modelsDirs' | 'dataDir'>): Promise<BaseModelDirectory[]> {
  const found = new Map<string, BaseModelDirectory>();
  for (const parent of modelsDirs) {
    const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
    for (const { name } of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (name.startsWith('.') || found.has(name)) continue;
      const dir = join(parent, name);
      const config = await readFile(join(dir, CONFIG_FILE), 'utf8').catch(() => null);
      if (config !== null) found.set(name, { id: name, dir, revision: null, ...(await describe(dir, config)) });
    }
  }
  for (const { name, commit, dir } of await newestSnapshots(dataDir)) {
    const config = await readFile(join(dir, CONFIG_FILE), 'utf8');
    if (!found.has(name)) found.set(name, { id: name, dir, revision: commit, ...(await describe(dir, config)) });
  }
  return [...found.values()];
}

async function describe(dir: string, config: string): Promise<Pick<BaseModelDirectory, 'family' | 'parameters' | 'sizeBytes' | 'problem'>> {
  const facts = { family: 'unknown', parameters: 0, sizeBytes: 0, problem: null as string | null };
  try {
    const json: unknown = JSON.parse(config);
    facts.family = String((json as { model_type?: unknown } | null)?.model_type ?? 'unknown');
    parseModelConfig(json, join(dir, CONFIG_FILE));
    for (const shape of storedShapes(dir).values()) facts.parameters += shape.reduce((product, length) => product * length, 1);
    for (const path of weightFiles(dir)) facts.sizeBytes += (await stat(path)).size;
  } catch (error) {
    facts.problem = error instanceof Refusal ? error.text : (error as Error).message;
  }
  return facts;
}
