import { availableParallelism } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { eachAtOnce } from '../../scripts/setup/at-once.mjs';

describe('work on many items at once', () => {
  it('does each of them once, in order of their beginning, and no more at a time than there are processors', async () => {
    const items = Array.from({ length: 3 * availableParallelism() + 1 }, (_, index) => index);
    const begun: number[] = [];
    let running = 0;
    let most = 0;
    await eachAtOnce(items, async (item) => {
      begun.push(item);
      running += 1;
      most = Math.max(most, running);
      await turn();
      running -= 1;
    });
    expect(begun).toEqual(items);
    expect(most).toBe(availableParallelism());
  });

  it('throws the first failure and begins nothing after it', async () => {
    const items = Array.from({ length: 3 * availableParallelism() }, (_, index) => index);
    const begun: number[] = [];
    const work = async (item: number) => {
      begun.push(item);
      await turn();
      throw new Error(`item ${item}`);
    };
    await expect(eachAtOnce(items, work)).rejects.toThrow('item 0');
    await turn();
    expect(begun).toEqual(items.slice(0, availableParallelism()));
  });
});
