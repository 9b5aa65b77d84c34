/** What the jobs of a sweep differ in: `search.parameters` of the request. */
import { usageFailure } from '../exit-code.ts';
import { FILE_FIELDS, parseYaml } from '../jobs/request.ts';

interface Range {
  min: number;
  max: number;
  scale?: 'log';
  type?: 'integer';
}

/** Fields of PEFT's that may be named without `tuning.`. */
const TUNING = ['r', 'lora_alpha', 'lora_dropout', 'use_rslora', 'use_dora', 'target_modules'];
/** Fields of the request itself. */
const OWN = ['model', 'seed', ...FILE_FIELDS, 'priority', 'tuning', 'method'];
/** `1e-5..1e-2:log` */
const RANGE = /^([^.:]+(?:\.\d[^.:]*)?)\.\.([^:]+)((?::(?:log|integer))*)$/;

/** Values that may have commas in them: lists, objects and quoted texts. */
const NESTED = /[[{"]/;

/** @param texts `field=value,value` or `field=min..max`. @throws Failure */
export const parametersOf = (texts: readonly string[]): Record<string, unknown[] | Range> => Object.fromEntries(texts.map(parameterOf));

function parameterOf(text: string): [string, unknown[] | Range] {
  const at = text.indexOf('=');
  const name = text.slice(0, Math.max(0, at));
  const given = text.slice(at + 1);
  const range = RANGE.exec(given);
  if (range !== null) return [pathOf(name), rangeOf(range, text)];
  const values = valuesOf(given, `--vary ${name}`);
  if (name === '' || values.length === 0)
    throw usageFailure(`--vary ${text} is not FIELD=VALUE,VALUE or FIELD=MIN..MAX`, 'As in --vary learning_rate=1e-4,2e-4.');
  return [pathOf(name), values];
}

function valuesOf(given: string, where: string): unknown[] {
  if (NESTED.test(given)) return parseYaml(`[${given}]`, where) as unknown[];
  return given
    .split(',')
    .filter((value) => value !== '')
    .map((value) => parseYaml(value, where));
}

function rangeOf([, least, most, options]: RegExpExecArray, text: string): Range {
  const [min, max] = [Number(least), Number(most)];
  if (!Number.isFinite(min) || !Number.isFinite(max))
    throw usageFailure(`--vary ${text} is not a range of numbers`, 'As in --vary learning_rate=1e-5..1e-2:log.');
  return {
    min,
    max,
    ...(options!.includes(':log') && { scale: 'log' as const }),
    ...(options!.includes(':integer') && { type: 'integer' as const }),
  };
}

function pathOf(name: string): string {
  if (name.includes('.') || OWN.includes(name)) return name;
  return `${TUNING.includes(name) ? 'tuning' : 'hyperparameters'}.${name}`;
}

/** `learning_rate=0.0001 r=8` */
export const valuesText = (values: Record<string, unknown>): string =>
  Object.entries(values)
    .map(([path, value]) => `${path.split('.').at(-1)}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
