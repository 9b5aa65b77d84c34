import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRange } from '../../src/http/byte-range.ts';

/** The examples of RFC 9110, section 14.1.2, and what is beside them. */
describe('a Range header for 10,000 bytes', () => {
  it.each([
    ['bytes=0-499', { start: 0, end: 499 }],
    ['bytes=500-999', { start: 500, end: 999 }],
    ['bytes=-500', { start: 9500, end: 9999 }],
    ['bytes=9500-', { start: 9500, end: 9999 }],
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=-20000', { start: 0, end: 9999 }],
    ['bytes=9999-123456789012345', { start: 9999, end: 9999 }],
    ['Bytes= 1-2 ', { start: 1, end: 2 }],
    ['bytes=10000-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=5-4', null],
    ['bytes=0-0,-1', null],
    ['bytes=-', null],
    ['bytes=a-b', null],
    ['bytes=1 -2', null],
    ['items=0-1', null],
    ['bytes=9999999999999999-', null],
    ['', null],
    [undefined, null],
  ] as const)('%j › is %j', (header, expected) => {
    expect(parseRange(header, 10_000)).toEqual(expected);
  });

  it('whatever it says › is within the content', () => {
    const header = fc.oneof(
      fc.string().map((text) => `bytes=${text}`),
      fc.tuple(fc.maxSafeNat(), fc.maxSafeNat()).map(([from, to]) => `bytes=${from}-${to}`),
    );
    fc.assert(
      fc.property(header, fc.nat(20_000), (text, sizeBytes) => {
        const range = parseRange(text, sizeBytes);
        if (range === null || range === 'unsatisfiable') return;
        expect(range.start).toBeGreaterThanOrEqual(0);
        expect(range.end).toBeGreaterThanOrEqual(range.start);
        expect(range.end).toBeLessThan(sizeBytes);
      }),
    );
  });
});
