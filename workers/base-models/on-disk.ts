import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Config } from '../../src/config.ts';
import { ADAPTER_CONFIG_FILE, CONFIG_FILE, MAX_JSON_BYTES } from '../../src/formats/model-files.ts';
import { parseModelConfig } from '../../src/formats/parse-model-config.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { cut } from '../../src/formats/shown.ts';
import type { AnnouncedModel } from '../../src/models/store.ts';
import { notAModel } from '../engine/io/not-a-model.ts';
import { storedShapes, weightFiles } from '../engine/io/weight-files.ts';
import { cachedModel } from './hub-cache.ts';
import { newestSnapshots } from './snapshots.ts';

/** A base model on this machine's disk. */
export interface BaseModelDirectory extends AnnouncedModel {
  dir: string;
  /** Why a job on it will fail; null if its configuration and headers show no problem. */
  problem: string | null;
}

type Place = Pick<BaseModelDirectory, 'id' | 'revision' | 'dir'>;

/**
 * The models of each directory by name (the first of a name wins): `name`, `org/name`, and those of a Hugging Face cache; then the newest commit of each
 * model that was downloaded from the hub. Directories that only look like a model (an adapter, GGUF files) are listed too, as faulty models are: a job on one
 * fails with a message that says what is the matter, which helps its user more than a missing model.
 */
export async function findBaseModels({ modelsDirs, dataDir }: Pick<Config, 'modelsDirs' | 'dataDir'>): Promise<BaseModelDirectory[]> {
  const places: Place[] = [];
  for (const parent of modelsDirs) places.push(...((await modelAt(parent, basename(parent))) ?? (await modelsIn(parent, null))));
  for (const { name, commit, dir } of await newestSnapshots(dataDir)) places.push({ id: name, revision: commit, dir });
  const found = new Map<string, BaseModelDirectory>();
  for (const place of places) if (!found.has(place.id)) found.set(place.id, { ...place, ...(await describe(place.dir)) });
  return [...found.values()];
}

/** @param org the name of the directory within a models directory; null: the models directory itself */
async function modelsIn(parent: string, org: string | null): Promise<Place[]> {
  const places: Place[] = [];
  for (const name of (await readdir(parent).catch(() => [])).sort()) {
    if (name.startsWith('.')) continue;
    const dir = join(parent, name);
    const at = await modelAt(dir, org === null ? name : `${org}/${name}`);
    places.push(...(at ?? (org === null ? await modelsIn(dir, name) : [])));
  }
  return places;
}

/** Files by which a directory is taken for a model, even if something is missing. */
const MODEL_FILE = new RegExp(`^(${CONFIG_FILE}|${ADAPTER_CONFIG_FILE}|.+\\.(safetensors|gguf)|pytorch_model.*\\.bin)$`);

/** @returns the model that is this directory; null if it is none */
async function modelAt(dir: string, id: string): Promise<[Place] | null> {
  const cached = await cachedModel(dir, basename(dir));
  if (cached !== null) return [{ id: cached.name, revision: cached.commit, dir: cached.dir }];
  const names = await readdir(dir).catch(() => []);
  return names.some((name) => MODEL_FILE.test(name)) ? [{ id, revision: null, dir }] : null;
}

/** Longest config.json that is announced. Those that models are published with have a few kilobytes. */
const MAX_ANNOUNCED_CONFIG = 64 * 1024;
/** Longest message of what is not our own refusal. */
const MAX_PROBLEM = 500;

async function describe(dir: string): Promise<Omit<BaseModelDirectory, keyof Place>> {
  const facts = { family: 'unknown', parameters: 0, sizeBytes: 0, config: null as string | null, problem: null as string | null };
  try {
    const path = join(dir, CONFIG_FILE);
    const { size } = await stat(path).catch(() => {
      throw notAModel(dir);
    });
    if (size > MAX_JSON_BYTES) throw new Refusal('corrupt_model_file', `${path} has ${size} bytes; the limit is ${MAX_JSON_BYTES}`);
    const text = await readFile(path, 'utf8');
    const json: unknown = JSON.parse(text);
    const modelType = (json as { model_type?: unknown } | null)?.model_type;
    facts.family = typeof modelType === 'string' ? cut(modelType) : 'unknown';
    parseModelConfig(json, path);
    if (text.length <= MAX_ANNOUNCED_CONFIG) facts.config = text;
    for (const shape of storedShapes(dir).values()) facts.parameters += shape.reduce((product, length) => product * length, 1);
    for (const path of weightFiles(dir)) facts.sizeBytes += (await stat(path)).size;
  } catch (error) {
    facts.problem = error instanceof Refusal ? error.text : cut((error as Error).message, MAX_PROBLEM);
  }
  return facts;
}
