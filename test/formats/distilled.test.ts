import { describe, expect, it } from 'vitest';
import { parseOf } from '../../src/formats/example-families.ts';
import { ExampleKeys } from '../../src/formats/example-keys.ts';
import { parseLine } from '../../src/formats/example-line.ts';
import { ExampleRefusal } from '../../src/formats/example-refusal.ts';
import { distillationFormat } from '../../src/formats/objectives/distillation.ts';
import type { ExampleFamily } from '../../src/formats/objectives/format.ts';
import { MAX_TOP_LOGPROBS } from '../../src/formats/teacher-logprobs.ts';

type Families = [ExampleFamily, ...ExampleFamily[]];

function read(line: object | string, families: Families = ['distilled'], keys = new ExampleKeys()) {
  const { value, at } = parseLine(typeof line === 'string' ? line : JSON.stringify(line), { lineNumber: 3, param: 'training_file', keys });
  return parseOf(families, value, at);
}

function refusal(line: object | string, families?: Families): { problem: string; hint: string | null; place: object } {
  try {
    read(line, families);
  } catch (error) {
    if (error instanceof ExampleRefusal) return { problem: error.message, hint: error.hint, place: error.place };
    throw error;
  }
  throw new Error('the line was taken');
}

const user = { role: 'user', content: 'Say it.' };
const chosen = { token: 'Hi', logprob: -0.25, bytes: [72, 105], top_logprobs: [{ token: 'Hi', logprob: -0.25, bytes: [72, 105] }] };
const withLogprobs = (logprobs: unknown, more: object = {}) => ({ messages: [user, { role: 'assistant', content: 'Hi', logprobs, ...more }] });
const withToken = (token: unknown) => withLogprobs({ content: [token] });

describe('a conversation with logprobs', () => {
  it('is read as the server returned it, keys of its own included', () => {
    const outside = { token: '🙂', logprob: -9999 };
    const entry = { id: 7, ...chosen, top_logprobs: [...chosen.top_logprobs, outside] };
    expect(read(withLogprobs({ content: [entry], refusal: null }))).toMatchObject({
      kind: 'distilled',
      conversation: { kind: 'chat', messages: [{ role: 'user' }, { role: 'assistant', content: 'Hi', extra: new Map() }] },
      teacher: [
        null,
        [
          {
            token: 'Hi',
            logprob: -0.25,
            bytes: Uint8Array.of(72, 105),
            top: [{ logprob: -0.25 }, { logprob: Number.NEGATIVE_INFINITY, bytes: Uint8Array.of(0xf0, 0x9f, 0x99, 0x82) }],
          },
        ],
      ],
    });
  });

  it('may have a token without alternatives, and turns without logprobs', () => {
    const { token, logprob } = chosen;
    const later = { role: 'assistant', content: 'Yes', logprobs: null };
    const line = { messages: [...withToken({ token, logprob }).messages, user, later] };
    expect(read(line)).toMatchObject({ teacher: [null, [{ token, logprob, top: [] }], null, null] });
  });

  it('keeps what a template may read of its messages', () => {
    const call = { type: 'function', function: { name: 'f', arguments: '{}' } };
    const { conversation } = read(withLogprobs({ content: [chosen] }, { tool_calls: [call] })) as never as {
      conversation: { messages: { extra: Map<string, unknown>; keys: string[] }[] };
    };
    expect([...conversation.messages[1]!.extra.keys()]).toEqual(['tool_calls']);
    expect(conversation.messages[1]!.keys).toEqual(['role', 'content', 'tool_calls']);
  });

  it.each([
    ['logprobs that are no object', withLogprobs([chosen]), /message 2 has "logprobs" that is \[.*must be an object/],
    ['content that is no array', withLogprobs({ content: 'Hi' }), /"content" that is "Hi"/],
    ['a token that is no object', withToken('Hi'), /whose token 1 is "Hi"/],
    ['a token without text', withToken({ logprob: -1 }), /whose token 1 has a "token" that is missing/],
    ['no logprob', withToken({ token: 'Hi', logprob: null }), /"logprob" that is null/],
    ['NaN', JSON.stringify(withToken(chosen)).replace('-0.25', 'NaN'), /JSON/],
    ['an infinite logprob', JSON.stringify(withToken(chosen)).replace('-0.25', '-1e999'), /"logprob" that is -Infinity/],
    ['a positive logprob', withToken({ ...chosen, logprob: 0.5 }), /has the logprob 0\.5.*0 or less/],
    ['bytes above 255', withToken({ ...chosen, bytes: [256] }), /"bytes" that are \[256\]/],
    ['alternatives that are no array', withToken({ ...chosen, top_logprobs: {} }), /"top_logprobs" that is \{\}/],
    [
      'a bad alternative',
      withToken({ ...chosen, top_logprobs: [chosen, { token: 'x', logprob: 1 }] }),
      /token 1 at top_logprobs 2 has the logprob 1/,
    ],
    [
      'too many alternatives',
      withToken({ ...chosen, top_logprobs: Array(MAX_TOP_LOGPROBS + 1).fill(chosen) }),
      /has 21 top_logprobs; the limit is 20/,
    ],
  ])('with %s › is refused by line, message and token', (_, line, problem) => {
    const refused = refusal(line);
    expect(refused.problem).toMatch(problem);
    expect(refused.place).toMatchObject({ line: 3 });
  });

  it('of a user is refused', () => {
    const line = {
      messages: [
        { ...user, logprobs: { content: [chosen] } },
        { role: 'assistant', content: 'Hi' },
      ],
    };
    expect(refusal(line)).toMatchObject({
      problem: expect.stringContaining('the assistant did not write it'),
      place: { message: 1, field: 'logprobs' },
    });
  });

  it('as a prompt and completion is refused, with what to write', () => {
    const [prompt, answer] = withToken(chosen).messages;
    expect(refusal({ prompt: [prompt], completion: [answer] })).toMatchObject({
      problem: expect.stringContaining('only a conversation'),
      hint: 'Write it as "messages".',
    });
  });

  it('without any logprobs is refused, with the method to use', () => {
    expect(refusal(withLogprobs(undefined)).hint).toMatch(/Use the method "supervised"/);
    expect(refusal(withLogprobs({ content: [] }))).toMatchObject({
      problem: expect.stringContaining("no message with a teacher's log-probabilities"),
    });
  });

  it('is for supervised training a conversation like any other, which says so', () => {
    const keys = new ExampleKeys();
    expect(read(withToken(chosen), ['supervised', 'distilled'], keys)).toMatchObject({ kind: 'distilled' });
    expect(keys.warnings('training file').join()).toContain('"logprobs" (1 line');
  });

  it('is refused by a method that compares answers, with those to use', () => {
    expect(refusal(withToken(chosen), ['preference'])).toMatchObject({ hint: expect.stringContaining('"supervised" or "distillation"') });
  });
});

describe('the settings of distillation', () => {
  it("have the documentation's defaults, and refuse a loss without parts", () => {
    expect(distillationFormat.resolve({})).toEqual({ kd_alpha: 0.9, kd_ce_alpha: 0.1, kd_temperature: 1 });
    expect(() => distillationFormat.check({ kd_alpha: 0, kd_ce_alpha: 0 }, 'p')).toThrow(/both 0/);
    expect(() => distillationFormat.check({ kd_alpha: 0 }, 'p')).not.toThrow();
  });
});
