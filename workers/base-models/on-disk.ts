import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Config } from '../../src/config.ts';
import { ADAPTER_CONFIG_FILE, CONFIG_FILE, MAX_JSON_BYTES } from '../../src/formats/model-files.ts';
import { parseModelConfig } from '../../src/formats/parse-model-config.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { shapeSize } from '../../src/formats/shape-size.ts';
import { cut } from '../../src/formats/shown.ts';
import type { AnnouncedModel } from '../../src/models/store.ts';
import { notAModel } from '../engine/io/not-a-model.ts';
import { storedShapes, weightFiles } from '../engine/io/weight-files.ts';
import { ggufFacts, isGgufFile, isGgufModel, withoutExtension } from './gguf-files.ts';
import { cachedModel } from './hub-cache.ts';
import { newestSnapshots } from './snapshots.ts';

/** A base model on this machine's disk. */
export interface BaseModelDirectory extends AnnouncedModel {
  /** A Hugging Face directory, or a GGUF file, of which one is made when it is used. */
  dir: string;
  /** Why a job on it will fail; null if its configuration and headers show no problem. */
  problem: string | null;
}

type Place = Pick<BaseModelDirectory, 'id' | 'revision' | 'dir'>;

/**
 * The models of each directory by name (the first of a name wins): `name`, `org/name`, and those of a Hugging Face cache; then the newest commit of each
 * model that was downloaded from the hub. A GGUF file is a model: as the only one of a directory by the directory's name, otherwise by its own. Directories
 * that only look like a model (an adapter) are listed too, as faulty models are: a job on one fails with a message that says what is the matter, which helps
 * its user more than a missing model.
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
    const id = org === null ? name : `${org}/${name}`;
    if (isGgufModel(name)) places.push({ id: withoutExtension(id), revision: null, dir });
    else places.push(...((await modelAt(dir, id)) ?? (await onlyGgufAt(dir, id)) ?? (org === null ? await modelsIn(dir, name) : [])));
  }
  return places;
}

/** @returns the model that is a directory's only GGUF file; null if it has none or several */
async function onlyGgufAt(dir: string, id: string): Promise<[Place] | null> {
  const [only, ...others] = (await readdir(dir).catch(() => [])).filter(isGgufModel);
  return only === undefined || others.length > 0 ? null : [{ id, revision: null, dir: join(dir, only) }];
}

/** Files by which a directory is taken for a model, even if something is missing. */
const MODEL_FILE = new RegExp(`^(${CONFIG_FILE}|${ADAPTER_CONFIG_FILE}|.+\\.(safetensors)|pytorch_model.*\\.bin)$`);

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
    if (isGgufFile(dir)) return { ...facts, ...(await ggufFacts(dir)) };
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
    for (const shape of storedShapes(dir).values()) facts.parameters += shapeSize(shape);
    for (const path of weightFiles(dir)) facts.sizeBytes += (await stat(path)).size;
  } catch (error) {
    facts.problem = error instanceof Refusal ? error.text : cut((error as Error).message, MAX_PROBLEM);
  }
  return facts;
}
