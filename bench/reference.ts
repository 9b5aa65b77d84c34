/** `npm run bench:reference`: how far the engine is from transformers and PEFT, family by family; a table and one JSON line. */
import { readdirSync } from 'node:fs';
import { referencePath } from '../test/workers/engine/reference.ts';
import { type Differences, referenceDifferences, TOLERANCES } from '../test/workers/engine/reference-measures.ts';

const FIXTURES: [kind: string, name: string][] = [
  ...(['llama-gqa-tied', 'llama-untied-v4'] as const).map((name): [string, string] => ['cases', name]),
  ...readdirSync(referencePath('families')).map((name): [string, string] => ['families', name]),
];
const COLUMNS = Object.keys(TOLERANCES) as (keyof Differences)[];

const cell = (value: number): string => value.toExponential(1);
const row = (cells: string[]): string => `| ${cells.join(' | ')} |`;

console.log(
  'In f32: logits max |Δ|; loss |Δ|; gradients of A and B, max |Δ| ÷ max |g|; ten AdamW steps, ‖Δ − Δref‖ ÷ ‖Δref‖; the worst tensor of each.\n',
);
console.log(row(['family', ...COLUMNS]));
console.log(row(['---', ...COLUMNS.map(() => '---')]));
console.log(row(['allowed', ...COLUMNS.map((column) => cell(TOLERANCES[column]))]));
const measured: Record<string, Differences> = {};
for (const where of FIXTURES) {
  const differences = referenceDifferences(where);
  measured[where[1]] = differences;
  console.log(row([where[1], ...COLUMNS.map((column) => cell(differences[column]))]));
}
console.log(`\n${JSON.stringify({ bench: 'reference', measured })}`);
const worse = Object.entries(measured).filter(([, differences]) => COLUMNS.some((column) => !(differences[column] <= TOLERANCES[column])));
if (worse.length > 0) {
  console.error(`Beyond what is allowed: ${worse.map(([name]) => name).join(', ')}`);
  process.exitCode = 1;
}
