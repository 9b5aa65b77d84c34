/** The trials of a search: what each job of a sweep changes in the base. */
import { createHash } from 'node:crypto';
import { quantity } from '../formats/quantity.ts';
import { Refusal } from '../formats/refusal.ts';
import { MAX_TRIALS, type Range, type Search } from './schema.ts';
import type { Trial } from './sweep.ts';

const DEFAULT_ETA = 3;
/** Draws for each trial: a value that was drawn before is drawn again, and the last ones of a small space take the longest. */
const MAX_DRAWS = 1_000;

/** Fields of a job that its sweep decides, or that would make no job to compare. */
const NOT_SEARCHED = ['dry_run', 'metadata', 'integrations'];

/** @throws Refusal for a search that contradicts itself or is too large */
export function trialsOf(search: Search, seed: number): Trial[] {
  const { strategy, n } = search;
  const parameters = Object.entries(search.parameters);
  for (const [path] of parameters) checkPath(path);
  for (const [path, values] of parameters) if (!Array.isArray(values)) checkRange(path, values);
  const halves = strategy === 'successive_halving';
  if (!halves) for (const field of ['eta', 'min_steps'] as const) if (search[field] !== undefined) throw notOf(strategy, field);
  if (halves && search.min_steps === undefined)
    throw new Refusal('missing_required_parameter', 'search.min_steps is missing', {
      param: 'search.min_steps',
      hint: 'It is the step at which all jobs are first compared.',
    });
  if (strategy === 'grid' && n !== undefined) throw notOf(strategy, 'n');
  if (strategy === 'random' && n === undefined)
    throw new Refusal('missing_required_parameter', 'search.n is missing', { param: 'search.n', hint: 'Say how many jobs are to be drawn.' });
  const trials = n === undefined ? combinations(parameters) : drawn(parameters, n, seed);
  if (halves && trials.length < 2)
    throw new Refusal('invalid_value', 'successive halving compares at least two jobs, and there is one', { param: 'search.parameters' });
  return trials;
}

/** @returns the steps at which the jobs of a successive halving are compared, and how many of them then train on */
export function rungsOf({ strategy, eta = DEFAULT_ETA, min_steps: minSteps }: Search, jobs: number): { step: number; keep: number }[] {
  if (strategy !== 'successive_halving' || minSteps === undefined) return [];
  const rungs: { step: number; keep: number }[] = [];
  for (let [step, left] = [minSteps, jobs]; left > 1; step *= eta) {
    left = Math.max(1, Math.floor(left / eta));
    rungs.push({ step, keep: left });
  }
  return rungs;
}

type Parameters = [path: string, values: unknown[] | Range][];

const tooLarge = (jobs: number): Refusal =>
  new Refusal('sweep_too_large', `These are ${quantity(jobs, 'combination')}; a sweep has at most ${quantity(MAX_TRIALS, 'job')}`, {
    param: 'search',
    hint: 'Give fewer values, or draw some of them: "strategy": "random" with "n".',
  });

/** Every combination, the last parameter fastest. */
function combinations(parameters: Parameters): Trial[] {
  const size = sizeOf(parameters);
  if (size === null)
    throw new Refusal('invalid_value', 'a range has infinitely many values, so it has no grid', {
      param: `search.parameters.${parameters.find(([, values]) => !Array.isArray(values))![0]}`,
      hint: 'List the values, or draw from the range: "strategy": "random" with "n".',
    });
  if (size > MAX_TRIALS) throw tooLarge(size);
  return parameters.reduce<Trial[]>(
    (made, [path, values]) => made.flatMap((trial) => (values as unknown[]).map((value) => ({ ...trial, [path]: value }))),
    [{}],
  );
}

/** How many combinations there are; null if there is a range. */
const sizeOf = (parameters: Parameters): number | null =>
  parameters.reduce<number | null>((size, [, values]) => (size !== null && Array.isArray(values) ? size * values.length : null), 1);

/** Different combinations, as the seed has it. */
function drawn(parameters: Parameters, n: number, seed: number): Trial[] {
  if (n > MAX_TRIALS) throw tooLarge(n);
  const size = sizeOf(parameters);
  if (size !== null && size < n)
    throw new Refusal('invalid_value', `n is ${n}, and there are only ${quantity(size, 'combination')}`, { param: 'search.n', hint: 'Lower it.' });
  const seen = new Set<string>();
  const trials: Trial[] = [];
  for (let draw = 0; trials.length < n; draw++) {
    const trial = Object.fromEntries(parameters.map(([path, values]) => [path, one(values, uniform(`${seed} ${draw} ${path}`))]));
    const key = JSON.stringify(trial);
    if (!seen.has(key)) trials.push(trial);
    seen.add(key);
    if (draw > n * MAX_DRAWS)
      throw new Refusal('invalid_value', `the parameters have too few different values for n = ${n}`, { param: 'search.n', hint: 'Lower it.' });
  }
  return trials;
}

/** @param u from 0 up to 1 */
function one(values: unknown[] | Range, u: number): unknown {
  if (Array.isArray(values)) return values[Math.floor(u * values.length)];
  const { min, max, scale, type } = values;
  // A whole number has the same chance at both ends as in between.
  const [from, to] = type === 'integer' ? [Math.ceil(min), Math.floor(max) + 1] : [min, max];
  const value = scale === 'log' ? Math.exp(Math.log(from) + u * (Math.log(to) - Math.log(from))) : from + u * (to - from);
  if (type === 'integer') return Math.min(Math.floor(max), Math.floor(value));
  return Number(value.toPrecision(DIGITS));
}

/** Enough to tell values apart, and short enough to read. */
const DIGITS = 6;

/** A number that looks random and is always the same. @returns from 0 up to 1 */
const uniform = (name: string): number => createHash('sha256').update(name).digest().readUIntBE(0, 6) / 2 ** 48;

function checkRange(path: string, { min, max, scale, type }: Range): void {
  const param = `search.parameters.${path}`;
  if (min >= max) throw new Refusal('invalid_value', `the range of ${path} goes from ${min} to ${max}`, { param, hint: 'min has to be below max.' });
  if (scale === 'log' && min <= 0)
    throw new Refusal('invalid_value', `the range of ${path} begins at ${min}, which has no logarithm`, { param, hint: 'Begin above 0.' });
  if (type === 'integer' && Math.ceil(min) > Math.floor(max))
    throw new Refusal('invalid_value', `there is no whole number from ${min} to ${max}`, { param });
}

/** Names of fields, with dots between them. */
const PATH = /^[a-z]\w*(\.[A-Za-z]\w*)*$/;

function checkPath(path: string): void {
  const param = `search.parameters.${path}`;
  if (!PATH.test(path) || path.split('.').includes('constructor'))
    throw new Refusal('invalid_value', `"${path}" is not the path of a job's field`, {
      param,
      hint: 'As in hyperparameters.learning_rate or tuning.r.',
    });
  const [field] = path.split('.');
  if (NOT_SEARCHED.includes(field!)) throw new Refusal('invalid_value', `${field} cannot differ between the jobs of a sweep`, { param });
}

const notOf = (strategy: string, field: string): Refusal =>
  new Refusal('invalid_value', `search.${field} does nothing with the strategy "${strategy}"`, { param: `search.${field}`, hint: 'Leave it out.' });
