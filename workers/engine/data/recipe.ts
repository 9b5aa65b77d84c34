/** What decides how a file of examples becomes tokens, as one hash. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import { serialize } from 'node:v8';
import { hashFile } from '../../../src/formats/hashing.ts';
import { ADDITIONAL_TEMPLATES_DIR } from '../../../src/formats/model-files.ts';
import type { TrainOptions } from '../contract.ts';
import { GRAFT_VERSION } from '../version.ts';
import type { DatasetOptions } from './dataset.ts';

/** The kinds of files that hold tokenizers, chat templates and configurations; weights are none of them. */
const EXTENSIONS = ['.json', '.jinja', '.model', '.txt', '.tiktoken'];

/** @returns SHA-256, hex, of all but the file of examples and the date that chat templates see */
export async function recipeOf(
  options: TrainOptions,
  resolved: Pick<DatasetOptions, 'vocabSize' | 'maxLengthTokens' | 'truncation' | 'incompleteTurns' | 'multiTurn' | 'families'>,
): Promise<string> {
  // What does not decide tokens is named, so that an option of tomorrow counts until someone knows better.
  const { trainingFile, validationFile, outputDir, checkpointsDir, tokensDir, resumeFrom, answers, machineFile, signal, report, ...rest } = options;
  const { modelDir, tuning, hyperparameters, seed, baseModelName, baseModelRevision, ...deciding } = rest;
  const files: [name: string, sha256: string][] = [];
  for (const name of modelFiles(modelDir)) files.push([name, await hashFile(join(modelDir, name))]);
  return createHash('sha256')
    .update(serialize({ version: GRAFT_VERSION, deciding, ...resolved, files }))
    .digest('hex');
}

function modelFiles(modelDir: string): string[] {
  const more = join(modelDir, ADDITIONAL_TEMPLATES_DIR);
  const names = [...readdirSync(modelDir), ...(existsSync(more) ? readdirSync(more).map((name) => join(ADDITIONAL_TEMPLATES_DIR, name)) : [])];
  return names.filter((name) => EXTENSIONS.includes(extname(name))).sort();
}
