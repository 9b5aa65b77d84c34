import { describe, expect, it } from 'vitest';
import { ExampleKeys } from '../../src/formats/example-keys.ts';
import { parseExample } from '../../src/formats/examples.ts';
import type { Refusal } from '../../src/formats/refusal.ts';

const user = { role: 'user', content: 'Hi' };
const assistant = { role: 'assistant', content: 'Hello' };
const chat = (fields: object = {}, answer: object = {}) => ({ messages: [user, { ...assistant, ...answer }], ...fields });

function parse(value: object, keys = new ExampleKeys(), line = 3) {
  try {
    return parseExample(JSON.stringify(value), line, 'training_file', keys);
  } catch (error) {
    return (error as Refusal).text;
  }
}

describe('an unknown key', () => {
  it.each([
    [chat({}, { wieght: 0 }), 'line 3, message 2 has the unknown key "wieght". Did you mean "weight"?'],
    [chat({}, { Weight: 0 }), 'line 3, message 2 has the unknown key "Weight". Did you mean "weight"?'],
    [chat({}, { toolCalls: [{}] }), 'line 3, message 2 has the unknown key "toolCalls". Did you mean "tool_calls"?'],
    [chat({}, { tool_call: {} }), 'line 3, message 2 has the unknown key "tool_call". Did you mean "tool_calls"?'],
    [chat({}, { reasoning_contents: 'x' }), 'line 3, message 2 has the unknown key "reasoning_contents". Did you mean "reasoning_content"?'],
    [chat({ tool: [] }), 'line 3 has the unknown key "tool". Did you mean "tools"?'],
    [chat({ chat_template_kwarg: {} }), 'line 3 has the unknown key "chat_template_kwarg". Did you mean "chat_template_kwargs"?'],
    [{ prompt: 'a', completion: 'b', compltion: 'c' }, 'line 3 has the unknown key "compltion". Did you mean "completion"?'],
    [chat({ colour: 'red' }), /^line 3 has the unknown key "colour"\. Used are "messages", .*put what only describes the line into "metadata"\.$/],
    [chat({}, { colour: 'red' }), /^line 3, message 2 has the unknown key "colour"\. Used are "role", .*what the chat template reads\.$/],
    [
      { messages: [{ ...user, content: [{ type: 'text', text: 'x', txet: 'y' }] }, assistant] },
      /^line 3, message 1, part 1 has the unknown key "txet"\. Did you mean "text"\?$/,
    ],
  ])('in %j › is refused with the nearest known one', (value, message) => {
    expect(parse(value)).toMatch(message);
  });

  it.each([
    [chat({ functions: [{ name: 'f' }] }), /^line 3 has "functions", which is not supported here\. .*write "tools": \[\{"type": "function"/],
    [chat({ system: 'Be kind' }), /^line 3 has "system", .*Write it as the first message, \{"role": "system"/],
    [chat({ images: ['a.png'] }), /Only text is supported\.$/],
    [chat({ labels: [1] }), /Graft tokenises it/],
    [chat({ documents: ['x'] }), /Write it into "chat_template_kwargs"/],
    [chat({ role: 'user' }), /It belongs into a message/],
    [chat({}, { audio: { id: 'a' } }), /^line 3, message 2 has "audio", .*Only text is supported\.$/],
    [chat({}, { refusal: 'No.' }), /^line 3, message 2 has "refusal", .*as its content\.$/],
    [{ conversations: [{ from: 'human', value: 'x' }] }, /^line 3 has neither "messages" nor .*\. Write "messages": \[\{"role": "user"/],
    [{ message: [user, assistant] }, /^line 3 has neither .*\. Did you mean "messages"\?$/],
    [{ instruction: 'x', output: 'y' }, /^line 3 has neither .*\. Write \{"prompt": "\.\.\.", "completion": "\.\.\."\}, or messages\.$/],
  ])('in %j, which means something › is refused with what to write instead', (value, message) => {
    expect(parse(value)).toMatch(message);
  });

  it('that is null, as in tables that give every row all columns › may be there', () => {
    const keys = new ExampleKeys();
    const nulls = { refusal: null, audio: null, function_call: null, tool_calls: null, name: null, colour: null };
    expect(parse(chat({ colour: null, functions: null }, nulls), keys)).toMatchObject({ kind: 'chat' });
    expect(keys.warnings('training file')).toEqual([]);
  });

  it('that the chat template reads › is used', () => {
    const keys = new ExampleKeys({
      mentions: (key) => ['mood', 'side', 'tool_call'].includes(key),
      readsOfMessage: (key) => key === 'mood',
      readsVariable: () => true,
    });
    expect(parse(chat({}, { mood: 'calm' }), keys)).toMatchObject({ messages: [{}, { extra: new Map([['mood', 'calm']]) }] });
    expect(keys.warnings('training file')).toEqual([]);
    expect(parse(chat({}, { side: 'left' }), keys)).toMatchObject({ kind: 'chat' });
    expect(parse(chat({}, { tool_call: {} }), keys)).toMatch(/Did you mean "tool_calls"/);
    expect(parse(chat({}, { moods: 'calm' }), keys)).toMatch(/has the unknown key "moods"/);
  });
});

describe('a key that changes nothing', () => {
  it('is named once a file, with how many lines have it and the first of them', () => {
    const keys = new ExampleKeys();
    const line = chat({ id: 1, prompt_id: 'p', parallel_tool_calls: false, metadata: { a: 1 } }, { name: 'Ann', annotations: [] });
    for (const number of [4, 5, 9]) expect(parse(line, keys, number)).toMatchObject({ kind: 'chat' });
    parse(chat({ num_turns: 2 }), keys, 12);
    expect(keys.warnings('training file')).toEqual([
      'The training file has keys that training does not use: "id" (3 lines, first on line 4), "prompt_id" (3 lines, first on line 4), ' +
        '"parallel_tool_calls" (3 lines, first on line 4), "metadata" (3 lines, first on line 4), "num_turns" (1 line, first on line 12).',
      'Messages of the training file have keys that the model\'s chat template does not read: "name" (3 lines, first on line 4).',
    ]);
  });

  it('is named among variables that the chat template does not read, tools among them', () => {
    const keys = new ExampleKeys({ mentions: () => false, readsOfMessage: () => false, readsVariable: (name) => name === 'enable_thinking' });
    const tools = [{ type: 'function', function: { name: 'f' } }];
    parse(chat({ chat_template_kwargs: { enable_thinking: false, enable_thinkin: true }, tools }), keys, 3);
    parse(chat({ chat_template_kwargs: {}, tools: [] }), keys, 4);
    expect(keys.warnings('training file')).toEqual([
      'The training file gives the model\'s chat template variables that it does not read: "enable_thinkin" (1 line, first on line 3), "tools" (1 line, first on line 3).',
    ]);
  });

  it('counts a line once, however many of its messages have the key', () => {
    const keys = new ExampleKeys();
    parse(
      {
        messages: [
          { ...user, name: 'a' },
          { ...assistant, name: 'b' },
        ],
      },
      keys,
    );
    expect(keys.warnings('validation file')).toEqual([
      'Messages of the validation file have keys that the model\'s chat template does not read: "name" (1 line, first on line 3).',
    ]);
  });

  it("is also a weight of 1 on a message that the assistant did not write, tools beside plain text, and a part's cache_control", () => {
    const keys = new ExampleKeys();
    parse({ messages: [{ ...user, weight: 1 }, { ...user, weight: 0 }, assistant] }, keys, 1);
    parse({ prompt: 'a', completion: 'b', tools: [{}] }, keys, 2);
    parse({ messages: [{ role: 'user', content: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }] }, assistant] }, keys, 3);
    expect(keys.warnings('training file')).toEqual([
      'The training file has keys that training does not use: "tools" (1 line, first on line 2).',
      'Text parts of the training file have keys that training does not use: "cache_control" (1 line, first on line 3).',
      'Messages of the training file that are not the assistant\'s have keys that count only there: "weight" (1 line, first on line 1).',
    ]);
  });

  it('is named among the first ten at most', () => {
    const keys = new ExampleKeys();
    parse(chat(Object.fromEntries(Array.from({ length: 13 }, (_, n) => [`n_${n}`, 1]))), keys);
    expect(keys.warnings('training file')[0]).toMatch(/"n_9" \(1 line, first on line 3\), and 3 more\.$/);
  });
});
