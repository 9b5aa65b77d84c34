/** All runs of the report: learning rates are chosen with the first seed, and used with the others. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { baseLearningRate, deliveredBy } from '../../src/formats/tuning/tuning.ts';
import type { TunedFiles } from '../../workers/engine/export/merged-weights.ts';
import type { CompareRequest, Overlaps } from './compare.ts';
import type { Results } from './results.ts';
import { BATCH_SIZE, type Extent, FULL, type Row } from './rows.ts';
import type { StepTime, StepTimesRequest } from './step-times.ts';
import type { Task } from './task.ts';
import type { MeasuredBase, RunRequest, TrainedRun } from './train.ts';

export interface MeasuredRow extends Row {
  learningRate: number;
  /** Whether it is the smallest or the largest rate that was tried. */
  isAtEdge: boolean;
  /** One a seed. */
  runs: TrainedRun[];
  /** All rates that were tried with the first seed, the chosen one among them. */
  tried: TrainedRun[];
  /** With full fine-tuning of the same seed, and of full fine-tuning with that of another; empty for other methods. */
  overlaps: Overlaps[];
  step: StepTime;
}

export interface Measured {
  base: MeasuredBase;
  rows: MeasuredRow[];
}

interface Context {
  task: Task;
  extent: Extent;
  results: Results;
}

export function measureAll(rows: readonly Row[], context: Context): Measured {
  const { task, results } = context;
  const base = results.of<MeasuredBase>(`base ${task.hash}`, 'train.ts', requestOf(task, null));
  const trained = rows.map((row) => trainedRow(row, context));
  const overlaps = overlapsOf(trained, context);
  const times = stepTimes(rows, context);
  const measured = trained.map(({ files: _, keys: __, ...row }, index) => ({ ...row, overlaps: overlaps.get(row.name) ?? [], step: times[index]! }));
  return { base, rows: measured };
}

interface TrainedRow extends Omit<MeasuredRow, 'overlaps' | 'step'> {
  /** What each run delivered. */
  files: TunedFiles[];
  /** What each result is known by. */
  keys: string[];
}

function trainedRow(row: Row, { task, extent, results }: Context): TrainedRow {
  const base = baseLearningRate(row.tuning.type);
  const hyperparameters = { max_steps: extent.steps, batch_size: BATCH_SIZE, precision: 'f32', eval_steps: extent.steps } as const;
  const at = (seed: number, factor: number): Tried | null => {
    const settings = { ...hyperparameters, learning_rate: base * factor };
    const key = `${row.name}, seed ${seed}, learning rate ×${factor}: ${JSON.stringify([row.tuning, settings])} ${task.hash}`;
    const outputDir = join(results.folder, 'runs', `${row.name}-${seed}-${factor}`.replaceAll(/[^\w.]+/g, '-'));
    const options = { modelDir: task.modelDir, trainingFile: task.training, validationFile: task.choosing, outputDir, tuning: row.tuning };
    const run = results.of<TrainedRun | null>(key, 'train.ts', requestOf(task, { ...options, hyperparameters: settings, seed }));
    const files: TunedFiles =
      deliveredBy(row.tuning.type) === 'model' ? { modelDir: outputDir, adapterDir: null } : { modelDir: task.modelDir, adapterDir: outputDir };
    return run && { run, key, files, factor };
  };
  const [first, ...others] = extent.seeds as [number, ...number[]];
  const tried: Tried[] = [];
  for (const factor of extent.rateFactors) {
    if (tried.length > 1 && best(tried).factor !== tried.at(-1)!.factor) break;
    const one = at(first, factor);
    if (one === null) break; // larger rates diverge too
    tried.push(one);
  }
  const chosen = best(tried);
  for (const { files } of tried) if (files !== chosen.files) rmSync(files.adapterDir ?? files.modelDir, { recursive: true, force: true });
  const all = [chosen, ...others.flatMap((seed) => at(seed, chosen.factor) ?? [])];
  if (all.length < extent.seeds.length) throw new Error(`${row.name} diverged with the learning rate that was the best with another seed`);
  return {
    ...row,
    learningRate: base * chosen.factor,
    isAtEdge: tried.length > 1 && [tried[0], tried.at(-1)].includes(chosen),
    runs: all.map(({ run }) => run),
    tried: tried.map(({ run }) => run),
    files: all.map(({ files }) => files),
    keys: all.map(({ key }) => key),
  };
}

interface Tried {
  run: TrainedRun;
  key: string;
  files: TunedFiles;
  factor: number;
}

/** @throws Error if even the smallest learning rate diverged */
function best(tried: readonly Tried[]): Tried {
  const [first] = tried.toSorted((a, b) => a.run.choosingLoss - b.run.choosingLoss);
  if (first === undefined) throw new Error('training diverged with the smallest learning rate');
  return first;
}

function requestOf({ modelDir, measured, general }: Task, options: RunRequest['options']): RunRequest {
  return { options, modelDir, measuredFile: measured, generalFile: general };
}

/** @returns by the names of the rows, what is compared of LoRA and of full fine-tuning, one a seed */
function overlapsOf(rows: readonly TrainedRow[], { task, extent, results }: Context): Map<string, Overlaps[]> {
  const full = rows.find(({ name }) => name === FULL.name)!;
  const seeds = extent.seeds.length;
  const compared = rows.filter((row) => row.tuning.type === 'lora' || (row === full && seeds > 1));
  const overlaps = new Map(compared.map(({ name }): [string, Overlaps[]] => [name, []]));
  for (let index = 0; index < seeds; index++) {
    const at = (row: TrainedRow): number => (row === full ? (index + 1) % seeds : index);
    const key = `compared with full: ${JSON.stringify([full.keys[index], compared.map((row) => row.keys[at(row)])])}`;
    const request: CompareRequest = { modelDir: task.modelDir, tuned: compared.map((row) => row.files[at(row)]!), other: full.files[index]! };
    const found = results.of<Overlaps[]>(key, 'compare.ts', request);
    for (const [place, { name }] of compared.entries()) overlaps.get(name)!.push(found[place]!);
  }
  return overlaps;
}

function stepTimes(rows: readonly Row[], { task, extent, results }: Context): StepTime[] {
  const tunings = rows.map(({ tuning }) => tuning);
  const request: StepTimesRequest = {
    modelDir: task.modelDir,
    trainingFile: task.training,
    tunings,
    batchSize: BATCH_SIZE,
    steps: extent.timedSteps,
  };
  return results.of(`step times ${JSON.stringify([tunings, extent.timedSteps])} ${task.hash}`, 'step-times.ts', request);
}
