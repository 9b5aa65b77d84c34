import { isStorable } from '../database/storable.ts';
import { Refusal } from '../formats/refusal.ts';

/**
 * Parses a JSON body and refuses what must not get any further: text that the database cannot hold, keys that reach for prototypes.
 * @returns undefined for an empty body, as a cancel sends
 * @throws Refusal invalid_json
 */
export function parseJsonBody(text: string): unknown {
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text, (key, value: unknown) => {
      if (key === '__proto__') throw new Refusal('invalid_json', 'The body has a key "__proto__"');
      if (!isStorable(key) || (typeof value === 'string' && !isStorable(value))) {
        throw new Refusal('invalid_json', `The body has a NUL character or a lone surrogate at "${key}"`);
      }
      return value;
    });
  } catch (error) {
    if (error instanceof Refusal) throw error;
    // The reviver calls itself for each level.
    if (error instanceof RangeError) throw new Refusal('invalid_json', 'The body has lists and objects that are nested too deeply');
    throw new Refusal('invalid_json', `The body is not JSON: ${(error as Error).message}`);
  }
}
