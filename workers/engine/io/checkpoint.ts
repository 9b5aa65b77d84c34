/** The whole state of a run between two steps, on disk: what it delivers, and what it needs to resume bit for bit. */
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ResolvedHyperparameters } from '../../../src/formats/hyperparameters.ts';
import { momentsIn8Bits, type Optim } from '../../../src/formats/optimizer.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning/tuning.ts';
import type { BadStepState } from '../bad-steps.ts';
import type { BestState } from '../best-model.ts';
import type { StepReport } from '../contract.ts';
import type { LearningModel, MomentValues, TensorValues } from '../tuning/tuned-model.ts';
import { momentTensors, readMoments } from './checkpoint-moments.ts';
import { openSafetensors, type SafetensorsFile, writeSafetensors } from './safetensors.ts';

/** Directory in a checkpoint that is delivered to users. */
export const DELIVERABLE = 'adapter';
const STATE = 'trainer_state.json';
const TENSORS = 'trainer_state.safetensors';
const FORMAT = 2;
/** Present if, and only if, a run computed before its first step what it compares its model with. */
export const REFERENCE_OF_TRAINING = 'reference.training';

/** The state besides the tensors. Randomness has no state: it is a function of seed and step. */
export interface TrainerState {
  format: typeof FORMAT;
  /** Steps done; the data's cursor follows from it, the seed and the batch size. */
  step: number;
  seed: number;
  tuning: ResolvedTuning;
  hyperparameters: ResolvedHyperparameters;
  /** SHA-256 of the training file. */
  trainingSha256: string;
  /** Hash of the job's own chat template and its variables; null (and absent in older checkpoints) if it has neither. */
  chatTemplate?: string | null;
  /** ISO 8601; the date that chat templates see. */
  today: string;
  trainedTokens: number;
  /** Loss on a few training examples, in nats per supervised token; absent in older checkpoints. */
  sampleLoss?: number;
  last: StepReport;
  /** Whether the run was stopped while the model answered after the step, which is then not reported yet; absent otherwise. */
  unanswered?: boolean;
  /** Steps of the optimizer, where some were left out; absent if there are as many as steps. */
  updates?: number;
  badSteps?: BadStepState;
  bestModel?: BestState;
}

export interface CheckpointParts {
  model: LearningModel;
  state: Omit<TrainerState, 'format'>;
  /** Trained values of the best step, if the run delivers it and it is another step. */
  bestValues: ReadonlyMap<string, Float32Array> | null;
  /** Besides parameters and moments, by name. */
  others?: ReadonlyMap<string, TensorValues>;
  /** Writes what is delivered to users. */
  deliver(dir: string): void;
}

/**
 * Writes `{checkpointsDir}/{step}`: first under a temporary name, then synced and renamed, so that it is complete or absent.
 * @returns its path
 */
export function writeCheckpoint(checkpointsDir: string, { model, state, bestValues, others = new Map(), deliver }: CheckpointParts): string {
  const dir = join(checkpointsDir, String(state.step));
  const partial = join(checkpointsDir, `.${state.step}.partial`);
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(join(partial, DELIVERABLE), { recursive: true });
  deliver(join(partial, DELIVERABLE));
  const tensors = new Map<string, TensorValues>(others);
  for (const [name, values] of model.readLazily?.() ?? model.read()) tensors.set(`parameter.${name}`, values);
  for (const [name, values] of model.constants()) tensors.set(`constant.${name}`, values);
  const { floats, codes } = momentTensors(model.momentsLazily?.() ?? model.moments(), {
    shapeOf: (name) => model.trainable.get(name)!.shape,
    in8Bits: momentsIn8Bits(state.hyperparameters.optim ?? 'adamw_torch', model.config),
  });
  for (const [name, values] of floats) tensors.set(name, values);
  for (const [name, data] of bestValues ?? []) tensors.set(`best.${name}`, { shape: model.trainable.get(name)!.shape, data });
  writeSafetensors(join(partial, TENSORS), tensors, { copied: codes });
  writeFileSync(join(partial, STATE), `${JSON.stringify({ format: FORMAT, ...state } satisfies TrainerState, null, 2)}\n`);
  for (const path of ['.', ...readdirSync(partial, { recursive: true, encoding: 'utf8' })]) sync(join(partial, path));
  rmSync(dir, { recursive: true, force: true });
  renameSync(partial, dir);
  sync(checkpointsDir);
  return dir;
}

function sync(path: string): void {
  const file = openSync(path, 'r');
  fsyncSync(file);
  closeSync(file);
}

/** @throws Refusal `corrupt_checkpoint` when it is not a complete checkpoint of this version */
export function readTrainerState(dir: string): TrainerState {
  const path = join(dir, STATE);
  let state: TrainerState;
  try {
    state = JSON.parse(readFileSync(path, 'utf8')) as TrainerState;
  } catch (error) {
    throw corrupt(`${path} cannot be read: ${(error as Error).message}`);
  }
  if ((state.format as number) === 1) return { ...state, format: FORMAT, last: asReport(state.last as unknown as FormerReport) };
  if (state.format !== FORMAT) throw corrupt(`${path} has the format ${JSON.stringify(state.format)}; this version reads ${FORMAT}`);
  return state;
}

/** A step as format 1 had it: a field for each metric. */
type FormerReport = Record<string, number> & Pick<StepReport, 'step' | 'totalSteps'>;

function asReport({ step, totalSteps, ...fields }: FormerReport): StepReport {
  const named = Object.entries(fields).map(([field, value]) => [field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value] as const);
  return { step, totalSteps, metrics: Object.fromEntries(named) };
}

/**
 * Sets the model's parameters and the optimizer's moments to those of a checkpoint.
 * @throws Refusal `corrupt_checkpoint`
 */
export function restoreTensors(
  dir: string,
  { model, steps, optim = 'adamw_torch' }: { model: LearningModel; steps: number; optim?: Optim | undefined },
): void {
  const path = join(dir, TENSORS);
  const file = openState(path);
  const parameters = new Map<string, Float32Array>();
  const constants = new Map<string, Float32Array>();
  const moments = new Map<string, MomentValues>();
  const in8Bits = momentsIn8Bits(optim, model.config);
  const readFloats = (name: string, shape: readonly number[]) => readAs(file, name, shape, path);
  const checkBytes = (name: string, shape: readonly number[]) => checkEntry(file, name, { shape, bytes: true, path });
  try {
    for (const [name, { shape }] of model.trainable) {
      parameters.set(name, readFloats(`parameter.${name}`, shape));
      moments.set(name, readMoments({ file, readFloats, checkBytes }, name, { shape, in8Bits: in8Bits(name, shape) }));
    }
    // An adapter that was continued has its own; older checkpoints have none.
    for (const [name, { shape }] of model.constants()) {
      const stored = `constant.${name}`;
      if (file.header.tensors.has(stored)) constants.set(name, readAs(file, stored, shape, path));
    }
  } finally {
    file.close();
  }
  if (constants.size > 0) model.assign(new Map([...parameters, ...constants]));
  model.restore(steps, parameters, moments);
}

/** @returns the trained values of the best step so far, which a checkpoint of another step has. @throws Refusal `corrupt_checkpoint` */
export function readBestValues(dir: string, { trainable }: Pick<LearningModel, 'trainable'>, isOfThisStep: boolean): Map<string, Float32Array> {
  const path = join(dir, TENSORS);
  const file = openState(path);
  const part = isOfThisStep ? 'parameter' : 'best';
  try {
    return new Map([...trainable].map(([name, { shape }]) => [name, readAs(file, `${part}.${name}`, shape, path)]));
  } finally {
    file.close();
  }
}

/** @throws Refusal `corrupt_checkpoint` if the checkpoint does not hold it */
export function readTensor(dir: string, name: string, shape: readonly number[]): Float32Array {
  const path = join(dir, TENSORS);
  const file = openState(path);
  try {
    return readAs(file, name, shape, path);
  } finally {
    file.close();
  }
}

/** Whether a checkpoint holds what the run's model is compared with. */
export function holdsReferences(dir: string): boolean {
  const file = openState(join(dir, TENSORS));
  try {
    return file.header.tensors.has(REFERENCE_OF_TRAINING);
  } finally {
    file.close();
  }
}

function openState(path: string): SafetensorsFile {
  try {
    return openSafetensors(path);
  } catch (error) {
    throw corrupt(error instanceof Refusal ? error.message : `${path} cannot be read: ${(error as Error).message}`);
  }
}

function readAs(file: SafetensorsFile, name: string, shape: readonly number[], path: string): Float32Array {
  checkEntry(file, name, { shape, bytes: false, path });
  return file.read(name).data as Float32Array;
}

interface Expected {
  shape: readonly number[];
  /** Whether it is of bytes rather than of floats. */
  bytes: boolean;
  path: string;
}

function checkEntry(file: SafetensorsFile, name: string, { shape, bytes, path }: Expected): void {
  const entry = file.header.tensors.get(name);
  if (entry === undefined || entry.shape.join() !== shape.join() || (entry.dtype === 'U8') !== bytes) {
    const [found, needed] = [entry && `${entry.dtype} [${entry.shape.join()}]`, `${bytes ? 'U8' : 'F32'} [${shape.join()}]`];
    throw corrupt(`${path} holds ${name} as ${found ?? '[nothing]'}; the model needs ${needed}`);
  }
}

const corrupt = (message: string): Refusal =>
  new Refusal('corrupt_checkpoint', message, { hint: 'Resume from another checkpoint, or start a new run.' });
