/** How much a turn or an example counts in the loss: OpenAI's 0 or 1, or any other number up to the limit. */
import type { KeyPlace } from './example-keys.ts';
import { shown } from './shown.ts';

/** A larger one is taken for a mistake: the example would drown all others. */
const MAX_WEIGHT = 100;

/** @returns the weight, 1 by default. @throws Refusal if it is not a number in range */
export function parseWeight(weight: unknown, { name, fail }: Pick<KeyPlace, 'name' | 'fail'>): number {
  if (weight === undefined || weight === null) return 1;
  if (typeof weight === 'number' && weight >= 0 && weight <= MAX_WEIGHT) return weight;
  throw fail(`${name} has the weight ${shown(weight)}; it must be a number from 0 to ${MAX_WEIGHT}`, undefined, { field: 'weight' });
}
