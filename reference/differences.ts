/**
 * `npm run bench:reference`: how far Graft is from transformers, tokenizers, TRL and PEFT, family by family; a table and one JSON line.
 * The last column asks PEFT itself, in the Python environment that `npm run test:peft` makes; `--without-peft` leaves it out, visibly. `--write` puts
 * the table into docs/results.md.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { table, writeResult } from '../bench/results-page.ts';
import { Tokenizer } from '../workers/engine/data/tokenizer.ts';
import { FAMILIES, type Family } from './families.ts';
import { referencePath } from './fixtures.ts';
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
  /** null: its models have none of their own. */
  template: Count | null;
  /** Largest |Δ| of a logit between us and PEFT with the files we wrote; null when not asked. */
  peft: number | null;
}

const COLUMNS = Object.keys(TOLERANCES) as (keyof Differences)[];

function numbers(family: Family): Differences {
  const all = family.fixtures.map((where) => referenceDifferences([...where]));
  return Object.fromEntries(COLUMNS.map((column) => [column, Math.max(...all.map((one) => one[column]))])) as Differences;
}

/** Each kind once: several families share one. */
function remembered(measure: (name: string) => Promise<Count>): (names: readonly string[]) => Promise<Count> {
  const known = new Map<string, Count>();
  return async (names) => {
    const sum = { tried: 0, differing: 0 };
    for (const name of names) {
      const count = known.get(name) ?? (await measure(name));
      known.set(name, count);
      sum.tried += count.tried;
      sum.differing += count.differing;
    }
    return sum;
  };
}

/** By fixture. @throws Error when the answers are not those asked for, or PEFT finds fault with the files */
async function differencesInPeft(fixtures: readonly (readonly [string, string])[]): Promise<Map<string, number>> {
  const python = await pythonEnvironment();
  const scratch = mkdtempSync(join(tmpdir(), 'graft-reference-'));
  try {
    const requests = fixtures.map((where) => randomAdapter(scratch, where[1], referencePath(...where, 'model')));
    const answers = askPython(python, scratch, requests);
    const problems = answers.flatMap(({ name, problems }) => problems.map((problem) => `${name}: ${problem}`));
    if (problems.length > 0) throw new Error(`PEFT says of what we wrote: ${problems.join('; ')}`);
    return new Map(requests.map(({ name }, index) => [name, answers[index]?.logitsDifference ?? Number.NaN]));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const cell = (value: number): string => (value === 0 ? '0' : value.toExponential(1));
const counted = ({ tried, differing }: Count): string => `${differing} of ${tried.toLocaleString('en')}`;

const beyond = ({ tokenizer, template, peft, ...differences }: Measured): boolean =>
  COLUMNS.some((column) => !(differences[column] <= TOLERANCES[column])) ||
  tokenizer.differing > 0 ||
  (template?.differing ?? 0) > 0 ||
  (peft !== null && !(peft <= LOGITS_TOLERANCE));

const inPeft = process.argv.includes('--without-peft') ? null : await differencesInPeft(FAMILIES.flatMap(({ fixtures }) => fixtures));
const tokenizers = remembered(async (kind) => tokenizerDifference(await Tokenizer.open(referencePath('tokenizers', kind)), kind));
const templates = remembered(templateDifference);

const heads = ['logits', 'loss', 'gradients', 'ten steps'].map((head, index) => `${head} (${cell(TOLERANCES[COLUMNS[index]!])})`);
const head = ['family', ...heads, 'tokenizer', 'template', `adapter in PEFT (${cell(LOGITS_TOLERANCE)})`];
const rows: string[][] = [];
const measured: Record<string, Measured> = {};
for (const family of FAMILIES) {
  const one: Measured = {
    ...numbers(family),
    tokenizer: await tokenizers(family.tokenizers),
    template: family.templates.length === 0 ? null : await templates(family.templates),
    peft: inPeft && Math.max(...family.fixtures.map(([, name]) => inPeft.get(name)!)),
  };
  measured[family.name] = one;
  const template = one.template === null ? 'none' : counted(one.template);
  const peft = one.peft === null ? 'not asked' : cell(one.peft);
  rows.push([family.name, ...COLUMNS.map((column) => cell(one[column])), counted(one.tokenizer), template, peft]);
}
console.log(table(head, rows));
if (process.argv.includes('--write')) writeResult('reference', table(head, rows));
console.log(`\n${JSON.stringify({ bench: 'reference', measured })}`);
const worse = Object.keys(measured).filter((name) => beyond(measured[name]!));
if (worse.length > 0) {
  console.error(`Beyond what is allowed: ${worse.join(', ')}`);
  process.exitCode = 1;
}
