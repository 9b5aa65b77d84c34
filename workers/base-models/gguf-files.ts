/** GGUF files among the base models on disk. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describeGguf } from '../engine/gguf/import-gguf.ts';
import { openGguf } from '../engine/gguf/read-file.ts';

const EXTENSION = '.gguf';
/** The part of a multimodal model that turns pictures into embeddings, which lies beside its language model. */
const PROJECTOR = /^mmproj/i;

/** @param path of a model that was found on disk, or a name */
export const isGgufFile = (path: string): boolean => path.endsWith(EXTENSION);
/** Whether a file of this name is a model. */
export const isGgufModel = (name: string): boolean => isGgufFile(name) && !name.startsWith('.') && !PROJECTOR.test(name);
export const withoutExtension = (name: string): string => name.slice(0, -EXTENSION.length);

/** Where Hugging Face directories are made of them. */
export const ggufDirectories = (dataDir: string): string => join(dataDir, 'gguf');
/** The one of the file with this hash. */
export const ggufDirectory = (dataDir: string, sha256: string): string => join(ggufDirectories(dataDir), sha256);

export interface GgufFacts {
  family: string;
  parameters: number;
  sizeBytes: number;
  /** Text of the config.json that it is converted to. */
  config: string;
}

/** By path. The header of a large vocabulary takes a tenth of a second, and every announcement asks for it. */
const described = new Map<string, { sizeBytes: number; mtimeMs: number; facts: GgufFacts | Error }>();

/** @throws what is wrong with the file: Refusal `unsupported_architecture`, `corrupt_model_file` */
export async function ggufFacts(path: string): Promise<GgufFacts> {
  const { size: sizeBytes, mtimeMs } = await stat(path);
  let known = described.get(path);
  if (known?.sizeBytes !== sizeBytes || known.mtimeMs !== mtimeMs) {
    known = { sizeBytes, mtimeMs, facts: read(path, sizeBytes) };
    described.set(path, known);
  }
  if (known.facts instanceof Error) throw known.facts;
  return known.facts;
}

function read(path: string, sizeBytes: number): GgufFacts | Error {
  try {
    const file = openGguf(path);
    try {
      const { config, configJson, parameters } = describeGguf(file);
      return { family: config.modelType, parameters, sizeBytes, config: JSON.stringify(configJson) };
    } finally {
      file.close();
    }
  } catch (error) {
    return error as Error;
  }
}
