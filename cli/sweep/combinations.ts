/** The settings of a sweep. */
import { createHash } from 'node:crypto';
import { usageFailure } from '../exit-code.ts';
import { hyperparametersPath, parseYaml, type Request } from '../jobs/request.ts';

/** A field of the request and the values that it takes. */
export interface Axis {
  path: string;
  values: unknown[];
}

/** Fields of PEFT's that may be named without `tuning.`. */
const TUNING = ['r', 'lora_alpha', 'lora_dropout', 'use_rslora', 'use_dora', 'target_modules'];
/** Fields of the request itself. */
const OWN = ['model', 'seed', 'training_file', 'validation_file', 'priority'];

/** @param texts `field=value,value`. @throws Failure */
export const axesOf = (texts: readonly string[], request: Request): Axis[] => texts.map((text) => axisOf(text, request));

function axisOf(text: string, request: Request): Axis {
  const at = text.indexOf('=');
  const name = text.slice(0, Math.max(0, at));
  const values = text
    .slice(at + 1)
    .split(',')
    .filter((value) => value !== '');
  if (name === '' || values.length === 0) throw usageFailure(`--vary ${text} is not FIELD=VALUE,VALUE`, 'As in --vary learning_rate=1e-4,2e-4.');
  return { path: pathOf(name, request), values: values.map((value) => parseYaml(value, `--vary ${name}`)) };
}

function pathOf(name: string, request: Request): string {
  if (name.includes('.') || OWN.includes(name)) return name;
  if (TUNING.includes(name)) return `tuning.${name}`;
  return `${hyperparametersPath(request)}.${name}`;
}

export type Combination = readonly { path: string; value: unknown }[];

/** Every combination, the last axis fastest. */
export const combinations = (axes: readonly Axis[]): Combination[] =>
  axes.reduce<Combination[]>((made, { path, values }) => made.flatMap((before) => values.map((value) => [...before, { path, value }])), [[]]);

/** `learning_rate=0.0001 r=8` */
export const nameOf = (combination: Combination): string =>
  combination.map(({ path, value }) => `${path.split('.').at(-1)}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join(' ');

/** Draws some, in an order that looks random and is always the same. */
export const drawn = (all: readonly Combination[], number: number): Combination[] =>
  [...all].sort((a, b) => (rankOf(a) < rankOf(b) ? -1 : 1)).slice(0, number);

const rankOf = (combination: Combination): string => createHash('sha256').update(nameOf(combination)).digest('hex');
