/** The request of one job of a sweep. */
import { jsonText } from '../formats/json-text.ts';
import { isJsonObject, type JsonObject, parseJsonValue, toJsonValue } from '../formats/json-value.ts';
import { Refusal } from '../formats/refusal.ts';
import type { Sweep, Trial } from './sweep.ts';

/**
 * @returns the body, in which numbers have the form that they have in the sweep's request
 * @throws Refusal for a path that leads nowhere
 */
export function trialBodyText({ request, seed }: Pick<Sweep, 'request' | 'seed'>, trial: Trial): string {
  const base = (parseJsonValue(request) as JsonObject).get('base') as JsonObject;
  if (base.get('seed') == null) base.set('seed', BigInt(seed));
  // A whole `tuning` comes before `tuning.r`.
  for (const [path, value] of Object.entries(trial).sort(([a], [b]) => depth(a) - depth(b) || (a < b ? -1 : 1)))
    assign(base, { path, keys: keysOf(path, base), value });
  addTypes(base);
  return jsonText(base);
}

const depth = (path: string): number => path.split('.').length;

/** `hyperparameters` are those of the method, unless the base has them in the deprecated place. */
function keysOf(path: string, base: JsonObject): string[] {
  const keys = path.split('.');
  if (keys[0] !== 'hyperparameters' || base.has('hyperparameters')) return keys;
  const method = base.get('method');
  const type = isJsonObject(method) ? method.get('type') : undefined;
  return ['method', typeof type === 'string' ? type : SUPERVISED, ...keys];
}

const SUPERVISED = 'supervised';

function assign(base: JsonObject, { path, keys, value }: { path: string; keys: string[]; value: unknown }): void {
  const last = keys.at(-1)!;
  const parent = keys.slice(0, -1).reduce((object, key) => {
    const inner = object.get(key) ?? new Map();
    if (!isJsonObject(inner))
      throw new Refusal('invalid_value', `${key} is not an object in the base, so it has no ${last}`, { param: `search.parameters.${path}` });
    object.set(key, inner);
    return inner;
  }, base);
  parent.set(last, toJsonValue(value));
}

/** What a request that has no method or tuning at all would have. */
function addTypes(base: JsonObject): void {
  for (const [key, type] of [
    ['method', SUPERVISED],
    ['tuning', 'lora'],
  ] as const) {
    const object = base.get(key);
    if (isJsonObject(object) && !object.has('type')) object.set('type', type);
  }
}
