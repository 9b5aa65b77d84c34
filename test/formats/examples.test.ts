import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { parseExample, readExamples } from '../../src/formats/examples.ts';
import { type JsonObject, toJsonValue } from '../../src/formats/json-value.ts';
import { MAX_LINE_BYTES } from '../../src/formats/lines.ts';
import { MAX_PROBLEMS } from '../../src/formats/problems.ts';
import { Refusal } from '../../src/formats/refusal.ts';

const parse = (value: unknown) => parseExample(typeof value === 'string' ? value : JSON.stringify(value), 3, 'training_file');
const read = async (text: string | Uint8Array, chunkBytes = 7) => {
  const bytes = Buffer.from(text);
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, i) => bytes.subarray(i * chunkBytes, (i + 1) * chunkBytes));
  const examples = [];
  for await (const example of readExamples(Readable.from(chunks), 'training_file')) examples.push(example);
  return examples;
};
const user = { role: 'user', content: 'Hi' };
const assistant = { role: 'assistant', content: 'Hello' };

describe('parseExample', () => {
  it('keeps roles, contents, weights, tools and all other fields of a message', () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } };
    const tools = [{ type: 'function', function: { name: 'f' } }];
    const messages = [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
        name: 'ann',
      },
      { role: 'assistant', content: null, tool_calls: [call], weight: 0 },
      { role: 'tool', content: '1', tool_call_id: 'call_1' },
      assistant,
    ];
    const form = toJsonValue({ messages, tools }) as JsonObject;
    const parts = (form.get('messages') as JsonObject[])[0]!.get('content');
    const extra = (given: object) => toJsonValue(given);
    expect(parse({ messages, tools, chat_template_kwargs: { enable_thinking: false } })).toEqual({
      kind: 'chat',
      tools: form.get('tools'),
      templateKwargs: new Map([['enable_thinking', false]]),
      messages: [
        { role: 'user', content: 'ab', parts, weight: 1, extra: extra({ name: 'ann' }), keys: ['role', 'content', 'name'] },
        { role: 'assistant', content: null, weight: 0, extra: extra({ tool_calls: [call] }), keys: ['role', 'content', 'tool_calls'] },
        { role: 'tool', content: '1', weight: 1, extra: extra({ tool_call_id: 'call_1' }), keys: ['role', 'content', 'tool_call_id'] },
        { role: 'assistant', content: 'Hello', weight: 1, extra: new Map(), keys: ['role', 'content'] },
      ],
    });
  });

  it('keeps the form of numbers and the order of keys that a template may print', () => {
    const call = '{"id": 1234567890123456789, "ratio": 1.0, "10": 1e2, "9": -0}';
    const line = `{"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": null, "tool_calls": [${call}]}], "tools": [${call}]}`;
    const example = parseExample(line, 1, 'training_file');
    const wanted = new Map<string, unknown>([
      ['id', 1234567890123456789n],
      ['ratio', 1],
      ['10', 100],
      ['9', 0n],
    ]);
    expect(example).toMatchObject({ tools: [wanted], messages: [{}, { extra: new Map([['tool_calls', [wanted]]]) }] });
    if (example.kind === 'chat') expect([...(example.tools as JsonObject[])[0]!.keys()]).toEqual(['id', 'ratio', '10', '9']);
  });

  it('reads a prompt and a completion that are lists of messages', () => {
    const read = (role: string, content: string) => ({ role, content, weight: 1, extra: new Map() });
    expect(parse({ prompt: [user], completion: [assistant] })).toEqual({
      kind: 'continuation',
      prompt: [read('user', 'Hi')],
      completion: [read('assistant', 'Hello')],
      tools: null,
      templateKwargs: new Map(),
    });
  });

  it.each([
    ['{"messages": [', /^line 3 is not valid JSON \(column 15: Unexpected end of JSON input\)$/],
    ['{"b":NaN,"c":"😀😀😀😀"}', /^line 3 is not valid JSON \(Unexpected token 'N' in "\{"b":NaN,"c":"[^\\]*\)$/],
    ['{"messages": "a\u0001b"}', /^line 3 is not valid JSON \(column 16: Bad control character in string literal\)$/],
    [{ messages: [user, assistant], chat_template_kwargs: [] }, 'line 3 has "chat_template_kwargs" that is []; it must be an object'],
    [
      { messages: [user, assistant], chat_template_kwargs: { tools: [] } },
      'line 3 has "chat_template_kwargs" with "tools", which is not a variable of the template',
    ],
    [{ messages: [user, assistant], prompt: 'x' }, 'line 3 has both "messages" and "prompt"'],
    [`{"messages": ${'['.repeat(20_000)}${']'.repeat(20_000)}}`, 'line 3 has lists and objects that are nested more than 900 deep'],
    [`{"messages": ${'['.repeat(900)}${']'.repeat(900)}}`, 'line 3 has lists and objects that are nested more than 900 deep'],
    [`{"messages": [${'['.repeat(898)}${']'.repeat(898)}]}`, /^line 3, message 1 is \[+/],
    ['{"messages": nope}', /^line 3 is not valid JSON \(Unexpected token 'o' in "{"messages": nope}"\)$/],
    ['{"a": 1 "b": 2}', /^line 3 is not valid JSON \(column 9: Expected ',' or '}' after property value\)$/],
    ['[1]', 'line 3 is [1], not a JSON object'],
    ['  ', 'line 3 is blank'],
    [{ id: 'x' }, 'line 3 has neither "messages" nor "prompt" and "completion" nor "text"; its keys are ["id"]'],
    [{ text: 7 }, 'line 3 has a "text" that is 7; it must be a string'],
    [{ text: '' }, 'line 3 has an empty "text"'],
    [{ text: 'x', prompt: 'y', completion: 'z' }, 'line 3 has both "text" and "prompt" or "completion"'],
    [{ text: 'x', weight: -1 }, 'line 3 has the weight -1; it must be a number from 0 to 100'],
    [{ prompt: [user], completion: 'x' }, 'line 3 has one of "prompt" and "completion" as messages and the other not'],
    [{ prompt: [], completion: [assistant] }, 'line 3 has a "prompt" without messages'],
    [{ prompt: [user], completion: [] }, 'line 3 has a "completion" without messages'],
    [{ prompt: [user], completion: [user] }, 'line 3, message 2: the last message is from "user"'],
    [{ prompt: [user], completion: [{ ...assistant, weight: 0 }] }, 'line 3, message 2 has a weight, but all of a completion is learned'],
    [
      { messages: [user, { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{}' } }] },
      'line 3, message 2 has "function_call", which is not supported here',
    ],
    [{ messages: 'x' }, 'line 3 has "messages" that is "x"; it must be an array'],
    [{ messages: [] }, 'line 3 has no messages'],
    [{ messages: [user, { role: 'bot', content: 'x' }] }, 'line 3, message 2 has the role "bot"'],
    [{ messages: [user, { role: 'assistant' }] }, 'line 3, message 2 has no content'],
    [{ messages: [user, { ...assistant, weight: 101 }] }, 'line 3, message 2 has the weight 101; it must be a number from 0 to 100'],
    [{ messages: [user, { ...assistant, weight: '1' }] }, 'line 3, message 2 has the weight "1"; it must be a number from 0 to 100'],
    [
      { messages: [{ role: 'user', content: [{ type: 'image_url' }] }, assistant] },
      'line 3, message 1, part 1 is "image_url"; only text parts are supported',
    ],
    [{ messages: [user, assistant, user] }, 'line 3, message 3: the last message is from "user"'],
    [{ messages: [user, assistant], tools: 'x' }, 'line 3 has "tools" that is "x"; it must be an array'],
    [{ input: {}, preferred_output: [], non_preferred_output: [] }, 'line 3 has neither "messages" nor "prompt" and "completion"'],
    [{ prompt: 'x' }, 'line 3 has a "completion" that is missing; it must be a string'],
    [{ prompt: 'x', completion: '' }, 'line 3 has an empty "completion"'],
  ])('refuses %j with the place and the reason', (value, message) => {
    expect(() => parse(value)).toThrow(message as string);
    try {
      parse(value);
    } catch (error) {
      expect(error).toBeInstanceOf(Refusal);
      expect(error).toMatchObject({ code: 'invalid_training_file', param: 'training_file' });
    }
  });
});

describe('readExamples', () => {
  const line = JSON.stringify({ prompt: 'é🙂', completion: 'ü' });

  it('yields every example despite chunks that split characters, Windows line endings, a byte order mark and trailing blank lines', async () => {
    const expected = { kind: 'completion', prompt: 'é🙂', completion: 'ü' };
    expect(await read(`\ufeff${line}\r\n${line}\n\n\n`)).toEqual([
      { lineNumber: 1, example: expected },
      { lineNumber: 2, example: expected },
    ]);
  });

  it('refuses an empty file', async () => {
    await expect(read('')).rejects.toThrow('the file is empty');
  });

  it('names all of several bad lines at once', async () => {
    await expect(read(`${line}\n{}\n\n${line}\n[]`)).rejects.toThrow(
      /^3 problems: line 2 has neither .*; line 3 is blank; line 5 is \[\], not a JSON object$/,
    );
  });

  it('stops after the first ten bad lines', async () => {
    const error = await read('{}\n'.repeat(10_000)).catch((caught: unknown) => caught);
    expect((error as Error).message).toContain(`the first ${MAX_PROBLEMS} problems: line 1 has`);
    expect((error as Error).message).not.toContain(`line ${MAX_PROBLEMS + 1} `);
  });

  it('names the line that is not UTF-8', async () => {
    await expect(read(Buffer.concat([Buffer.from(`${line}\n`), Buffer.from([0xff, 0xfe, 0x0a])]))).rejects.toThrow('line 2 is not UTF-8');
  });

  it('stops reading a file without line breaks before it fills the memory', async () => {
    await expect(read(new Uint8Array(MAX_LINE_BYTES + 2 ** 20).fill(97), 2 ** 16)).rejects.toThrow('line 1 is longer than 8 MiB');
  });
});
