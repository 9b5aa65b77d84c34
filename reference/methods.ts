/**
 * `npm run report:methods`: trains graft-tiny with every method on the same task, and writes docs/methods.md: what each costs, what it learns, what it
 * forgets, and how far it is from PEFT. Some minutes on 2 cores.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lastLineOf } from '../bench/program.ts';
import { table } from '../bench/results-page.ts';
import { pirateDataset, toJsonLines } from '../scripts/demo/pirate-dataset.ts';
import { conversations } from '../scripts/graft-tiny/conversations.ts';
import { baseLearningRate, deliveredBy, TUNING_TYPES, type Tuning } from '../src/formats/tuning/tuning.ts';
import { openForInference } from '../workers/engine/compiled/open-model.ts';
import { type Differences, referenceDifferences } from './measures.ts';
import { methodCases, methodDifferences } from './method-fixtures.ts';
import type { MethodRequest, TrainedMethod } from './methods/train.ts';
import { metricsOn } from './peft-case.ts';
import { askPython, BASE_MODEL_NAME, LOGITS_TOLERANCE, type PeftAnswer } from './peft-check.ts';
import { pythonEnvironment } from './python/environment.ts';

const ROOT = join(import.meta.dirname, '..');
const PAGE = join(ROOT, 'docs/methods.md');
const modelDir = join(ROOT, 'models/graft-tiny');
const EXAMPLES = { training: 240, validation: 48, general: 96 };
const SEED = 5;
const HYPERPARAMETERS = { n_epochs: 6, batch_size: 8, precision: 'f32' } as const;

interface Row {
  name: string;
  tuning: Tuning;
  /** Folder of `test/fixtures/reference/methods`; undefined: LoRA's fixtures. */
  fixtures?: string;
  /** Why graft-tiny cannot be trained with it. */
  impossible?: string;
}

const ROWS: Row[] = [
  { name: 'LoRA, r 16', tuning: { type: 'lora' } },
  { name: 'full', tuning: { type: 'full' } },
  { name: 'full, last 2 of 6 blocks', tuning: { type: 'full', layers_to_transform: [4, 5], freeze_embeddings: true }, fixtures: 'last-block' },
  { name: 'BitFit', tuning: { type: 'bitfit' }, fixtures: 'bitfit', impossible: 'graft-tiny has no biases' },
  { name: '(IA)³', tuning: { type: 'ia3' }, fixtures: 'ia3' },
  { name: 'VeRA, r 256', tuning: { type: 'vera' }, fixtures: 'vera' },
  { name: 'prompt tuning, 20 tokens', tuning: { type: 'prompt' }, fixtures: 'prompt' },
  { name: 'prefix tuning, 20 tokens', tuning: { type: 'prefix' }, fixtures: 'prefix' },
];

/** The largest differences to PEFT and transformers over all fixtures of a method. */
function differencesOf({ fixtures, tuning }: Row): Differences {
  const all =
    fixtures === undefined
      ? [fullOrLora(tuning)]
      : methodCases.filter(({ method }) => method === fixtures).map((one): Differences => methodDifferences(one, 'compiled'));
  const worst = (name: keyof Differences): number => Math.max(...all.map((one) => one[name]));
  return { logits: worst('logits'), loss: worst('loss'), gradients: worst('gradients'), steps: worst('steps') };
}

const fullOrLora = ({ type }: Tuning): Differences => referenceDifferences(['cases', 'llama-gqa-tied'], type === 'full' ? 'full' : 'lora');

const folderOf = (scratch: string, { name }: Row): string => join(scratch, name.replaceAll(/\W+/g, '-'));

function trained(scratch: string, row: Row, files: Record<'training' | 'validation' | 'general', string>): TrainedMethod {
  const folder = folderOf(scratch, row);
  mkdirSync(folder);
  const request: MethodRequest = {
    options: {
      modelDir,
      trainingFile: files.training,
      validationFile: files.validation,
      outputDir: join(folder, 'output'),
      tuning: row.tuning,
      hyperparameters: HYPERPARAMETERS,
      seed: SEED,
      baseModelName: BASE_MODEL_NAME,
    },
    generalFile: files.general,
    scratch: folder,
  };
  writeFileSync(join(folder, 'request.json'), JSON.stringify(request));
  const program = join(import.meta.dirname, 'methods/train.ts');
  return JSON.parse(lastLineOf(['node', '--expose-gc', '--import', 'tsx', program, join(folder, 'request.json')])) as TrainedMethod;
}

const power = (value: number): string => value.toExponential(0);
const MIB = 2 ** 20;

function cells(
  { name, tuning, impossible }: Row,
  differences: Differences,
  run: TrainedMethod | null,
  answer: PeftAnswer | undefined,
  baseLoss: number,
): string[] {
  const parity = `${power(differences.logits)}, ${power(differences.gradients)}, ${power(differences.steps)}`;
  const head = [name, parity];
  if (run === null) return [...head, impossible ?? '', ...Array.from({ length: 5 }, () => '–')];
  const loads = answer?.problems.length === 0 && answer.logitsDifference! <= LOGITS_TOLERANCE;
  const reader = deliveredBy(tuning.type) === 'model' ? 'transformers does' : 'yes';
  return [
    ...head,
    loads ? `${reader}, ${power(answer!.logitsDifference!)}` : `no: ${answer?.problems.join('; ') ?? 'not asked'}`,
    `${((100 * run.trained) / run.total).toFixed(2)} %`,
    `${Math.round(run.peakBytes / MIB)} MiB`,
    `${Math.round(1000 * run.stepSeconds)} ms`,
    `${(100 * run.accuracy).toFixed(1)} %`,
    `${baseLoss.toFixed(3)} → ${run.generalLoss.toFixed(3)}`,
  ];
}

const HEAD = ['method', 'differs from PEFT by', 'PEFT loads it', 'trained', 'peak memory', 'step', 'accuracy', 'forgetting'];

const page = (rows: string): string => `# Methods compared

Made by \`npm run report:methods\`: graft-tiny (${HYPERPARAMETERS.precision}) learns to answer like a pirate from ${EXAMPLES.training} conversations, ${HYPERPARAMETERS.n_epochs} epochs in batches of ${HYPERPARAMETERS.batch_size}, each method at
its base learning rate (${TUNING_TYPES.map((type) => `${type} ${baseLearningRate(type)}`).join(', ')}), one seed. What a job may ask of each is in [jobs.md](jobs.md#methods).

${rows}

- **differs from PEFT by**: the largest difference on the tiny models of the fixtures (\`test/fixtures/reference\`), in f32: of a logit, of a gradient relative to the
  largest, and of ten steps of AdamW relative to their length. Full fine-tuning and BitFit are compared with PyTorch and transformers, which have them without PEFT.
- **PEFT loads it**: whether PEFT (transformers, where a model is delivered) loads what was delivered without a warning, and the largest difference of its logits to ours.
- **trained**: the share of the parameters, of the model with what the method adds.
- **peak memory, step**: of the training process, and the median of the steps. A machine that is busy makes steps longer.
- **accuracy**: how many tokens of the answers are the most probable one, on ${EXAMPLES.validation} conversations about other questions and subjects.
- **forgetting**: the loss on ${EXAMPLES.general} plain conversations that graft-tiny was not trained on, before → after, in nats per token.

Each is one run with one seed, so small differences mean nothing.
`;

async function main(): Promise<void> {
  const missing = TUNING_TYPES.filter((type) => !ROWS.some(({ tuning }) => tuning.type === type));
  if (missing.length > 0) throw new Error(`the report has no row for ${missing.join(', ')}`);
  const python = await pythonEnvironment();
  const scratch = mkdtempSync(join(tmpdir(), 'graft-methods-'));
  try {
    const files = {
      training: join(scratch, 'training.jsonl'),
      validation: join(scratch, 'validation.jsonl'),
      general: join(scratch, 'general.jsonl'),
    };
    const pirate = pirateDataset({ seed: SEED, training: EXAMPLES.training, validation: EXAMPLES.validation });
    writeFileSync(files.training, toJsonLines(pirate.training));
    writeFileSync(files.validation, toJsonLines(pirate.validation));
    writeFileSync(files.general, toJsonLines([...conversations({ seed: SEED, count: EXAMPLES.general, split: 'validation' })]));
    const base = openForInference({ modelDir });
    const baseLoss = (await metricsOn(base, { modelDir, file: files.general })).loss;
    const { mean_token_accuracy: baseAccuracy } = await metricsOn(base, { modelDir, file: files.validation });
    base.dispose();
    const runs = ROWS.map((row) => {
      console.error(`${row.name} …`);
      return { row, differences: differencesOf(row), run: row.impossible === undefined ? trained(scratch, row, files) : null };
    });
    const requests = runs.flatMap(({ row, run }) => {
      if (run === null) return [];
      const { sequences, logitsFile } = run;
      const delivered = { outputDir: join(folderOf(scratch, row), 'output'), delivered: deliveredBy(row.tuning.type) };
      const one = { name: row.name, baseModelDir: modelDir, baseModelName: BASE_MODEL_NAME, findsBase: false, validationFile: null, validLoss: null };
      return [{ ...one, ...delivered, sequences, logitsFile }];
    });
    const answers = new Map(askPython(python, scratch, requests).map((answer) => [answer.name, answer]));
    const rows = runs.map(({ row, differences, run }) => cells(row, differences, run, answers.get(row.name), baseLoss));
    const untrained = [
      'the base, not trained',
      ...Array.from({ length: 5 }, () => '–'),
      `${(100 * baseAccuracy!).toFixed(1)} %`,
      baseLoss.toFixed(3),
    ];
    const made = table(HEAD, [untrained, ...rows]);
    writeFileSync(PAGE, page(made));
    console.log(made);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

await main();
