/**
 * `npm run test:exports -- [--write]`: exports a small model of every family as GGUF in every type, and has other people's programs read the files: the
 * `gguf` package, llama.cpp's own converter, whose bytes must be the same, and llama.cpp itself, which must compute what the engine does. --write puts the
 * table into docs/results.md.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { publishResult, table } from '../bench/results-page.ts';
import { Tokenizer } from '../workers/engine/data/tokenizer.ts';
import { type Expected, type Exported, expectedOf, exportAll, type ModelDirs, modelDirs } from './exports/cases.ts';
import { compareWithLlama, type Difference, differenceOf } from './exports/probabilities.ts';
import { idsOf, plainLines } from './exports/vocabularies.ts';
import { referencePath } from './fixtures.ts';
import { checkWithLlamaCpp, type Tools } from './loaders/check.ts';
import type { EvaluatedCase } from './loaders/evaluate.ts';
import { pythonPackage } from './python/wheel.ts';

const GGUF = 'gguf==0.19.0';
const PROMPT = 'The old tree and the young one, 12 cafés.';
/** Largest |Δ| of a probability from the engine's, in f32. llama.cpp computes GELU in 16 bits, so GPT-2, GPT-NeoX and Gemma have most of it. */
const TOLERANCE = 1e-3;
/** llama.cpp's converter of adapters leaves the matrices of GPT-2's layers, which are stored [in, out], in the wrong order. */
const WRONG_CONVERSIONS = ['gpt2-adapter'];

interface Model extends ModelDirs {
  exported: Exported;
  expected: Expected;
  lines: { texts: string[]; ids: number[][] };
}

interface Pair {
  name: string;
  ours: string;
  theirs: string | null;
}

interface Read {
  tensors: number;
  differing: string[];
  /** `name: ours / theirs` */
  metadata: string[];
}

async function prepare(dirs: ModelDirs, scratch: string): Promise<Model> {
  const tokenizer = await Tokenizer.open(dirs.modelDir);
  const prompt = [...(await tokenizer.encode(PROMPT, { addSpecialTokens: true })).ids];
  const texts = plainLines();
  return {
    ...dirs,
    exported: await exportAll(dirs, scratch),
    expected: expectedOf(dirs, [prompt]),
    lines: { texts, ids: await idsOf(dirs.modelDir, texts) },
  };
}

/** Has llama.cpp's converters convert the same weights. */
function convert(models: readonly Model[], { python, llamaCpp, scratch }: Tools): Pair[] {
  const requests = models.flatMap(({ name, modelDir, adapterDir, mergedDir, exported }) => [
    ...Object.entries(exported.merged).map(([type, ours]) => ({ name: `${name}-${type}`, ours, model: mergedDir, adapter: null, type })),
    { name: `${name}-adapter`, ours: exported.adapter, model: modelDir, adapter: adapterDir, type: 'f32' },
  ]);
  const file = (name: string) => join(scratch, `theirs-${name}.gguf`);
  const list = join(scratch, 'convert.json');
  writeFileSync(list, JSON.stringify(requests.map((request) => ({ ...request, file: file(request.name) }))));
  const answer = execFileSync(python, [join(import.meta.dirname, 'exports/convert.py'), llamaCpp.convertersDir, list], {
    env: llamaCpp.converterEnv,
    encoding: 'utf8',
  });
  const problems = JSON.parse(answer) as (string | null)[];
  return requests.map(({ name, ours }, index) => {
    if (problems[index] !== null) throw new Error(`llama.cpp's converter does not take ${name}: ${problems[index]}`);
    return { name, ours, theirs: WRONG_CONVERSIONS.includes(name) ? null : file(name) };
  });
}

async function read(pairs: readonly Pair[], { python, scratch }: Pick<Tools, 'python' | 'scratch'>): Promise<Map<string, Read>> {
  const list = join(scratch, 'read.json');
  writeFileSync(list, JSON.stringify(pairs));
  const program = join(import.meta.dirname, 'exports/read_gguf.py');
  const answer = execFileSync(python, [program, dirname(await pythonPackage(GGUF, python)), list], { encoding: 'utf8' });
  return new Map((JSON.parse(answer) as Read[]).map((one, index) => [pairs[index]!.name, one]));
}

const KINDS = ['f32', 'adapter', 'f16', 'bf16', 'q8_0'] as const;
type Kind = (typeof KINDS)[number];

function casesOf({ name, exported, expected, lines }: Model, scratch: string): { kind: Kind; evaluated: EvaluatedCase }[] {
  return KINDS.map((kind) => {
    const isAdapter = kind === 'adapter';
    const evaluated: EvaluatedCase = {
      model: isAdapter ? exported.base : exported.merged[kind],
      adapter: isAdapter ? exported.adapter : null,
      scale: 1,
      sequences: expected.sequences,
      probabilitiesFile: join(scratch, `${name}-${kind}.f32`),
      ...(kind === 'f32' && { tokenized: { texts: lines.texts, idsFile: join(scratch, `${name}.ids`) } }),
    };
    return { kind, evaluated };
  });
}

async function run({ python, llamaCpp, scratch }: Tools): Promise<string[]> {
  const folder = join(scratch, 'models');
  mkdirSync(folder);
  execFileSync(python, [join(import.meta.dirname, 'exports/make_models.py'), referencePath('tokenizers'), folder], { stdio: 'ignore' });
  const models: Model[] = [];
  for (const dirs of modelDirs(folder)) models.push(await prepare(dirs, scratch));
  console.error(`${models.length} models exported; converting and reading them …`);
  const pairs = convert(models, { python, llamaCpp, scratch });
  const readers = await read(pairs, { python, scratch });
  console.error('computing with llama.cpp …');
  const cases = models.map((model) => casesOf(model, scratch));
  await llamaCpp.evaluate(
    scratch,
    cases.flat().map(({ evaluated }) => evaluated),
  );

  const problems: string[] = [];
  const rows = models.map((model, index) => {
    const { name, expected, lines } = model;
    const of = (kind: Kind): Difference => differenceOf(expected, cases[index]!.find((one) => one.kind === kind)!.evaluated.probabilitiesFile);
    const found = new Map(KINDS.map((kind) => [kind, of(kind)]));
    for (const kind of ['f32', 'adapter'] as const) problems.push(...compareWithLlama(`${name}-${kind}`, found.get(kind)!, TOLERANCE));
    const ids = JSON.parse(readFileSync(join(scratch, `${name}.ids`), 'utf8')) as number[][];
    const other = lines.texts.filter((_, line) => !isDeepStrictEqual(ids[line], lines.ids[line]));
    if (other.length > 0) problems.push(`${name}: llama.cpp makes other ids of ${other.length} texts, e.g. ${JSON.stringify(other[0])}`);
    const own = pairs.filter((pair) => KINDS.some((kind) => pair.name === `${name}-${kind}`));
    for (const pair of own) {
      const { differing, metadata } = readers.get(pair.name)!;
      for (const what of [...differing, ...metadata]) problems.push(`${pair.name}: ${what}`);
    }
    const compared = own.filter(({ theirs }) => theirs !== null).map((pair) => readers.get(pair.name)!.tensors);
    return [
      name,
      `${compared.reduce((a, b) => a + b, 0)}`,
      `${lines.texts.length - other.length} of ${lines.texts.length}`,
      ...KINDS.map((kind) => found.get(kind)!.probability.toExponential(1)),
      `${found.get('f32')!.otherFirst} and ${found.get('adapter')!.otherFirst} of ${found.get('f32')!.places}`,
    ];
  });
  const head = ['model', 'tensors with the bytes of llama.cpp’s converter', 'texts with the same ids', ...KINDS, 'other greedy token (f32, adapter)'];
  publishResult('exports', table(head, rows));
  return problems;
}

process.exitCode = await checkWithLlamaCpp('exports', run);
