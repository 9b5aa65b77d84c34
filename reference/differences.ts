/**
 * `npm run bench:reference -- [--without-peft] [--write]`: measures how far each family is from transformers, tokenizers, TRL and PEFT, and prints a
 * table and one JSON line. The last column comes from PEFT itself, in the Python environment that `npm run test:peft` makes; --without-peft skips it.
 * --write puts the table into docs/results.md.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publishResult, table } from '../bench/results-page.ts';
import { Tokenizer } from '../workers/engine/data/tokenizer.ts';
import { FAMILIES, type Family } from './families.ts';
import { referencePath } from './fixtures.ts';
import { generationDifference } from './generation.ts';
import { type Differences, referenceDifferences, TOLERANCES } from './measures.ts';
import { askPython, LOGITS_TOLERANCE, randomAdapter } from './peft-check.ts';
import { pythonEnvironment } from './python/environment.ts';
import { templateDifference } from './template-measures.ts';
import { tokenizerDifference } from './tokenizer-measures.ts';

interface Count {
  tried: number;
  differing: number;
}

interface Measured extends Differences {
  tokenizer: Count;
  /** null if the family's models have no template. */
  template: Count | null;
  /** Tokens of greedy answers. */
  generation: Count;
  /** Largest |Δ| of a logit between Graft and PEFT with the files that Graft wrote; null if not measured. */
  peft: number | null;
}

const COLUMNS = Object.keys(TOLERANCES) as (keyof Differences)[];

function largestDifferences(family: Family): Differences {
  const all = family.fixtures.map((where) => referenceDifferences([...where]));
  return Object.fromEntries(COLUMNS.map((column) => [column, Math.max(...all.map((one) => one[column]))])) as Differences;
}

/** Measures each name once, because families share tokenizers and templates. */
function measuredOnce(measure: (name: string) => Promise<Count>): (names: readonly string[]) => Promise<Count> {
  const counts = new Map<string, Count>();
  return async (names) => {
    const sum = { tried: 0, differing: 0 };
    for (const name of names) {
      const count = counts.get(name) ?? (await measure(name));
      counts.set(name, count);
      sum.tried += count.tried;
      sum.differing += count.differing;
    }
    return sum;
  };
}

/** @returns the largest |Δ| of a logit, by fixture; NaN without an answer. @throws Error if PEFT reports problems with the files */
async function differencesInPeft(fixtures: readonly (readonly [string, string])[]): Promise<Map<string, number>> {
  const python = await pythonEnvironment();
  const scratch = mkdtempSync(join(tmpdir(), 'graft-reference-'));
  try {
    const requests = fixtures.map((where) => randomAdapter(scratch, where[1], referencePath(...where, 'model')));
    const answers = askPython(python, scratch, requests);
    const problems = answers.flatMap(({ name, problems }) => problems.map((problem) => `${name}: ${problem}`));
    if (problems.length > 0) throw new Error(`PEFT reports problems with the adapters: ${problems.join('; ')}`);
    return new Map(requests.map(({ name }, index) => [name, answers[index]?.logitsDifference ?? Number.NaN]));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const cell = (value: number): string => (value === 0 ? '0' : value.toExponential(1));
const countCell = ({ tried, differing }: Count): string => `${differing} of ${tried.toLocaleString('en')}`;

const exceedsTolerances = ({ tokenizer, template, generation, peft, ...differences }: Measured): boolean =>
  COLUMNS.some((column) => !(differences[column] <= TOLERANCES[column])) ||
  tokenizer.differing > 0 ||
  generation.differing > 0 ||
  (template?.differing ?? 0) > 0 ||
  (peft !== null && !(peft <= LOGITS_TOLERANCE));

const peftDifferences = process.argv.includes('--without-peft') ? null : await differencesInPeft(FAMILIES.flatMap(({ fixtures }) => fixtures));
const tokenizers = measuredOnce(async (kind) => tokenizerDifference(await Tokenizer.open(referencePath('tokenizers', kind)), kind));
const templates = measuredOnce(templateDifference);
const answers = measuredOnce(generationDifference);

const heads = ['logits', 'loss', 'gradients', 'ten steps'].map((head, index) => `${head} (${cell(TOLERANCES[COLUMNS[index]!])})`);
const head = ['family', ...heads, 'tokenizer', 'template', 'generation', `adapter in PEFT (${cell(LOGITS_TOLERANCE)})`];
const rows: string[][] = [];
const measured: Record<string, Measured> = {};
for (const family of FAMILIES) {
  const one: Measured = {
    ...largestDifferences(family),
    tokenizer: await tokenizers(family.tokenizers),
    template: family.templates.length === 0 ? null : await templates(family.templates),
    generation: await answers(family.fixtures.map(([, name]) => name)),
    peft: peftDifferences && Math.max(...family.fixtures.map(([, name]) => peftDifferences.get(name)!)),
  };
  measured[family.name] = one;
  const template = one.template === null ? 'none' : countCell(one.template);
  const peft = one.peft === null ? 'not measured' : cell(one.peft);
  rows.push([family.name, ...COLUMNS.map((column) => cell(one[column])), countCell(one.tokenizer), template, countCell(one.generation), peft]);
}
publishResult('reference', table(head, rows));
console.log(`\n${JSON.stringify({ bench: 'reference', measured })}`);
const failed = Object.keys(measured).filter((name) => exceedsTolerances(measured[name]!));
if (failed.length > 0) {
  console.error(`Beyond the tolerances: ${failed.join(', ')}`);
  process.exitCode = 1;
}
