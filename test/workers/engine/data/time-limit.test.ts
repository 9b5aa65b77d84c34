import { describe, expect, it } from 'vitest';
import { withinTime } from '../../../../workers/engine/data/time-limit.ts';

const never = () => new Promise<never>(() => {});
const tooSlow = () => new Error('too slow');

describe('work in another thread', () => {
  it('returns what it returns, and throws what it throws', async () => {
    expect(await withinTime(Promise.resolve(1), { limitMs: 10, tooSlow })).toBe(1);
    await expect(withinTime(Promise.reject(new Error('its own')), { limitMs: 10, tooSlow })).rejects.toThrow('its own');
  });

  it('that computes for longer than it may is given up', async () => {
    const computing = setInterval(() => {
      for (const endMs = performance.now() + 9; performance.now() < endMs; );
    }, 10);
    await expect(withinTime(never(), { limitMs: 300, tooSlow })).rejects.toThrow('too slow');
    clearInterval(computing);
  });

  it('of a process that did not get to compute is waited for', async () => {
    const outcome = await Promise.race([
      withinTime(never(), { limitMs: 100, tooSlow }).catch(() => 'given up'),
      new Promise((resolve) => setTimeout(() => resolve('waited for'), 600)),
    ]);
    expect(outcome).toBe('waited for');
  });
});
