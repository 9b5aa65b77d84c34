import { describe, expect, it } from 'vitest';
import { jsonText } from '../../src/formats/json-text.ts';
import { parseJsonValue } from '../../src/formats/json-value.ts';

describe('jsonText', () => {
  it.each([
    '1',
    '1.0',
    '-0.0',
    '1e+22',
    '1e-7',
    '0.1',
    '12345678901234567890',
    '"é\\n\\u0000🙂"',
    'null',
    '[]',
    '{}',
    '{"2":1,"1":[true,{"b":1.5,"a":null}]}',
  ])('%s › is written as it was read', (text) => {
    expect(jsonText(parseJsonValue(text))).toBe(text);
  });

  it('of a number too large for a float › reads as infinity again, as in Python', () => {
    expect(parseJsonValue(jsonText(parseJsonValue('[1e999, -1e999]')))).toEqual([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
  });

  it('with sorted keys › is the same for objects that differ only in their order', () => {
    expect(jsonText(parseJsonValue('{"b": {"d": 1, "c": 2}, "a": 0}'), { sorted: true })).toBe('{"a":0,"b":{"c":2,"d":1}}');
  });
});
