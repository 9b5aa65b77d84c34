/** What transformers' `generate` answers in every model of the fixtures, and the same models for Graft. */
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { CONFIG_FILE } from '../src/formats/model-files.ts';
import { GREEDY, openGenerationModel } from '../workers/engine/index.ts';
import { readSafetensors, writeSafetensors } from '../workers/engine/io/safetensors.ts';
import { readReference, referencePath } from './fixtures.ts';

export interface ReferenceAnswer {
  prompt: number[];
  answer: number[];
  /** Of each token of the answer. */
  logprobs: number[];
  /** Between the two largest logits of a token of the answer. */
  smallestGap: number;
}

interface ReferenceGeneration {
  kind: string;
  /** What is changed in config.json, so that the context has room for the answers. */
  config: Record<string, unknown>;
  /** By adapter; `base` is the model alone. */
  runs: Record<string, ReferenceAnswer[]>;
}

const WEIGHTS_FILE = 'model.safetensors';
const LEARNED_POSITIONS = 'transformer.wpe.weight';
/** The models of families have no tokenizer. All use one, whose ids include theirs. */
const TOKENIZER = ['tokenizer.json', 'tokenizer_config.json'].map((file) => referencePath('cases', 'llama-gqa-tied', 'model', file));

export interface GenerationCase {
  modelDir: string;
  /** By name. */
  adapterDirs: Map<string, string>;
  /** @returns the answers of the model alone (null) or with an adapter */
  answers(adapter: string | null): readonly ReferenceAnswer[];
  dispose(): void;
}

/** @param name of a fixture in `cases` or `families` */
export function openGenerationCase(name: string): GenerationCase {
  const { kind, config: changes, runs } = readReference<ReferenceGeneration>('generation', `${name}.json`);
  const modelDir = mkdtempSync(join(tmpdir(), 'graft-generation-'));
  for (const file of TOKENIZER) copyFileSync(file, join(modelDir, basename(file)));
  cpSync(referencePath(kind, name, 'model'), modelDir, { recursive: true });
  const config = JSON.parse(readFileSync(referencePath(kind, name, 'model', CONFIG_FILE), 'utf8')) as Record<string, unknown>;
  writeFileSync(join(modelDir, CONFIG_FILE), JSON.stringify({ ...config, ...changes }));
  if (typeof changes['n_positions'] === 'number') repeatPositions(join(modelDir, WEIGHTS_FILE), changes['n_positions']);
  const adapters = Object.keys(runs).filter((run) => run !== 'base');
  return {
    modelDir,
    adapterDirs: new Map(adapters.map((adapter) => [adapter, referencePath(kind, name, 'adapters', adapter, 'adapter')])),
    answers: (adapter) => runs[adapter ?? 'base']!,
    dispose: () => rmSync(modelDir, { recursive: true }),
  };
}

/** Makes a table of learned positions longer by repeating it. */
function repeatPositions(file: string, count: number): void {
  const tensors = new Map([...readSafetensors(file)].map(([name, { shape, data }]) => [name, { shape, data: data as Float32Array }]));
  const { data, shape } = tensors.get(LEARNED_POSITIONS)!;
  const [positions = 1, width = 1] = shape;
  const longer = Float32Array.from({ length: count * width }, (_, index) => data[index % (positions * width)]!);
  tensors.set(LEARNED_POSITIONS, { shape: [count, width], data: longer });
  writeSafetensors(file, tensors);
}

/** @returns how many tokens of all answers in a fixture differ from transformers', with and without adapters, all asked for at once */
export async function generationDifference(name: string): Promise<{ tried: number; differing: number }> {
  const fixture = openGenerationCase(name);
  const model = await openGenerationModel({ modelDir: fixture.modelDir });
  try {
    for (const [adapter, directory] of fixture.adapterDirs) await model.addAdapter(adapter, directory);
    const cases = [null, ...fixture.adapterDirs.keys()].flatMap((adapter) => fixture.answers(adapter).map((wanted) => ({ adapter, wanted })));
    const differing = await Promise.all(
      cases.map(async ({ adapter, wanted: { prompt, answer } }) => {
        const { tokenIds } = await model.generate({ ...GREEDY, prompt: Int32Array.from(prompt), adapter, maxTokens: answer.length });
        return answer.filter((id, index) => tokenIds[index] !== id).length;
      }),
    );
    return {
      tried: cases.reduce((sum, { wanted }) => sum + wanted.answer.length, 0),
      differing: differing.reduce((sum, count) => sum + count, 0),
    };
  } finally {
    model.dispose();
    fixture.dispose();
  }
}
