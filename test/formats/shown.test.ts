import { describe, expect, it } from 'vitest';
import { Refusal } from '../../src/formats/refusal.ts';
import { keepSecret, redacted } from '../../src/formats/secrets.ts';
import { shown } from '../../src/formats/shown.ts';
import { processorStopwatch } from '../processor-time.ts';

describe('shown', () => {
  it.each([null, true, 0, -1.5, 'text', 'a "quoted" one', [], {}, [1, [2, 'x'], {}], { a: 1, b: { c: [null] } }])('writes %j as JSON', (value) => {
    expect(shown(value)).toBe(JSON.stringify(value));
  });

  it('cuts what is longer, and writes no more of it than it shows', () => {
    expect(shown('x'.repeat(100), 10)).toBe(`"${'x'.repeat(9)}…`);
    expect(shown([1, 2, 3, 4, 5, 6], 5)).toBe('[1,2,…');
    const large = { long: 'x'.repeat(2 ** 20), list: new Array<number>(2 ** 20).fill(1) };
    const spentMs = processorStopwatch();
    for (let time = 0; time < 1_000; time++) shown([large.list, large], time);
    expect(spentMs()).toBeLessThan(2_000);
    const deep = JSON.parse(`${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`) as unknown;
    expect(shown(deep)).toMatch(/^\{"a":\{"a":.*…$/);
  });

  it('is the JSON or a beginning of it, for any value and length', () => {
    const values = [{ a: ['x', 1, null], b: 'yz' }, [[[]], {}, ''], 'plain', { '': { '"': [] } }];
    for (const value of values) {
      const json = JSON.stringify(value);
      for (let length = 1; length <= json.length + 2; length++)
        expect(shown(value, length)).toBe(json.length <= length ? json : `${json.slice(0, length)}…`);
    }
  });
});

describe('a refusal', () => {
  it('has a bounded message, hint and param, whatever it quotes', () => {
    const long = 'x'.repeat(10_000_000);
    const refusal = new Refusal('corrupt_model_file', long, { param: long, hint: long });
    expect(refusal.text.length).toBeLessThan(10_000);
    expect(refusal.param!.length).toBeLessThan(200);
  });
});

describe('redacted', () => {
  it.each([
    ['redis://:geheim@cache:6379/0 refused', 'redis://***@cache:6379/0 refused'],
    ['at postgresql://graft:p%40ss@db/graft?x=1 and s3://a:b@c', 'at postgresql://***@db/graft?x=1 and s3://***@c'],
    ['http://hub/org/name@main', 'http://hub/org/name@main'],
    ['mail me@example.org about https://example.org', 'mail me@example.org about https://example.org'],
  ])('hides the user and password of URLs: %s', (text, expected) => {
    expect(redacted(text)).toBe(expected);
  });

  it('hides what is known to be secret, also percent-encoded, in a refusal too', () => {
    keepSecret('s3cret/word');
    expect(redacted('AUTH s3cret/word and s3cret%2Fword')).toBe('AUTH *** and ***');
    expect(new Refusal('x', 'no: s3cret/word', { hint: 's3cret/word' }).text).toBe('no: ***. ***');
  });

  it.each(['a'.repeat(2 ** 20), 'a.'.repeat(2 ** 19), 'a://'.repeat(2 ** 18), `a://${'b'.repeat(2 ** 20)}`, '@'.repeat(2 ** 20)])(
    'takes time linear in the length of a hostile text',
    (text) => {
      const spentMs = processorStopwatch();
      redacted(`${text}@`);
      expect(spentMs()).toBeLessThan(2_000);
    },
  );
});
