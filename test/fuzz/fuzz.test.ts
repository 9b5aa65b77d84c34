import { afterEach, describe, it } from 'vitest';
import { seededRandom } from '../random.ts';
import type { OpenTarget } from './target.ts';
import { formatTargets } from './targets/formats.ts';
import { ggufTargets } from './targets/gguf.ts';
import { modelTargets } from './targets/models.ts';

/** `npm run test:fuzz` gives them a hundred times as many, and those of the HTTP service. */
const INPUTS = 1_000;

let parser: OpenTarget;
afterEach(() => parser.close?.());

describe.each([...formatTargets, ...modelTargets, ...ggufTargets])('$name', (target) => {
  it('that are mutated or random › are read or refused, and end nothing', async () => {
    parser = await target.open();
    for (let index = 0; index < INPUTS; index++) {
      const input = parser.make(seededRandom(index));
      try {
        await parser.read(input);
      } catch (error) {
        if (!parser.isRefusal(error)) throw new Error(`input ${index} of ${target.name}: ${String(input).slice(0, 500)}`, { cause: error });
      }
    }
  });
});
