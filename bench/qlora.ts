/**
 * `npm run bench:qlora -- [--models smollm2,qwen2.5-coder-1.5b] [--epochs 2] [--write]`: tunes real models with frozen weights in bf16, in int8 and in NF4,
 * on two tasks: a pirate's answers, for a model that chats, and the prose of this project's own pages. The runs of a task differ in nothing else. Each is in a
 * process of its own. Prints the validation loss before and after, peak memory and time of a step as a table and one JSON line; --write puts the table into
 * docs/results.md. Downloads the models once (1.1 GB), and needs 7 GB of memory and 7 GB of disk.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packagedGguf } from '../scripts/demo/fetch-gguf.ts';
import { realModel } from '../scripts/demo/models.ts';
import { pirateDataset, toJsonLines } from '../scripts/demo/pirate-dataset.ts';
import { importGguf } from '../workers/engine/gguf/import-gguf.ts';
import { measured } from './measures.ts';
import type { QloraRun } from './qlora-round.ts';
import { publishResult, table, thisMachine } from './results-page.ts';

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: 'smollm2,qwen2.5-coder-1.5b' },
    epochs: { type: 'string', default: '2' },
    write: { type: 'boolean', default: false },
  },
});
const { epochs } = options;
if (!(Number(epochs) >= 1)) throw new Error(`--epochs is "${epochs}"; it takes 1 or more`);

const HELD = ['none', 'int8', 'nf4'] as const;
/** Shorter paragraphs say little. */
const PARAGRAPH_CHARACTERS = 200;
/** Every so many paragraphs, one is for validation. */
const HELD_OUT = 6;

/** Paragraphs of the project's pages, without tables, code and headings. */
function prose(): string[] {
  const docs = join(import.meta.dirname, '..', 'docs');
  const pages = readdirSync(docs).filter((name) => name.endsWith('.md') && name !== 'results.md');
  return pages
    .sort()
    .flatMap((name) =>
      readFileSync(join(docs, name), 'utf8')
        .replaceAll(/^```[\s\S]*?^```$/gm, '')
        .split(/\n\s*\n/),
    )
    .map((paragraph) => paragraph.replaceAll(/\s*\n\s*/g, ' ').trim())
    .filter((paragraph) => paragraph.length >= PARAGRAPH_CHARACTERS && !/^[|#<!]/.test(paragraph));
}

const work = mkdtempSync(join(tmpdir(), 'graft-qlora-'));
const file = (name: string, lines: string): string => {
  const path = join(work, name);
  writeFileSync(path, lines);
  return path;
};
const textLines = (paragraphs: readonly string[]): string => paragraphs.map((text) => `${JSON.stringify({ text })}\n`).join('');

interface Task {
  name: string;
  /** Whether its examples are conversations. */
  chats: boolean;
  training: string;
  validation: string;
}

function tasks(): Task[] {
  const pirate = pirateDataset({ seed: 1, training: 200, validation: 40 });
  const paragraphs = prose();
  const isHeldOut = (_: string, index: number) => index % HELD_OUT === HELD_OUT - 1;
  return [
    {
      name: 'a pirate’s answers',
      chats: true,
      training: file('pirate.jsonl', toJsonLines(pirate.training)),
      validation: file('pirate-validation.jsonl', toJsonLines(pirate.validation)),
    },
    {
      name: 'prose',
      chats: false,
      training: file('prose.jsonl', textLines(paragraphs.filter((text, index) => !isHeldOut(text, index)))),
      validation: file('prose-validation.jsonl', textLines(paragraphs.filter(isHeldOut))),
    },
  ];
}

try {
  const models = options.models.split(',').map(realModel);
  const given = tasks();
  const cases = [];
  for (const model of models) {
    const modelDir = join(work, model.id);
    await importGguf(await packagedGguf(model.gguf), modelDir);
    cases.push(...given.filter(({ chats }) => model.chats || !chats).map((task) => ({ ...task, model: model.id, modelDir })));
  }
  const runs = cases.flatMap(({ name, training, validation, model, modelDir }) => {
    let inBf16: QloraRun | undefined;
    return HELD.map((quantization) => {
      const run = measured<QloraRun>('qlora-round.ts', { model: modelDir, training, validation, quantization, epochs });
      inBf16 ??= run;
      console.error(`${model}, ${name}, ${quantization}: ${run.before.toFixed(4)} to ${run.after.toFixed(4)}`);
      return { model, task: name, held: quantization === 'none' ? 'bf16' : quantization, ...run, ofBf16: run.after / inBf16.after };
    });
  });
  const rows = runs.map(({ model, task, held, steps, before, after, ofBf16, peakMemoryMb, stepSeconds }) => [
    model,
    task,
    held,
    String(steps),
    before.toFixed(4),
    after.toFixed(4),
    held === 'bf16' ? '' : `**${((ofBf16 - 1) * 100).toFixed(2)} %**`,
    `${(peakMemoryMb / 1000).toFixed(2)} GB`,
    `${stepSeconds.toFixed(2)} s`,
  ]);
  const head = ['model', 'task', 'frozen weights in', 'steps', 'validation loss before', 'after', 'against bf16', 'peak memory', 'a step'];
  publishResult('qlora', `${table(head, rows)}\n\nLoRA of rank 16 on every linear layer, batches of 8, bf16; ${thisMachine()}.`);
  console.log(JSON.stringify({ bench: 'qlora', machine: thisMachine(), runs }));
} finally {
  rmSync(work, { recursive: true });
}
