/**
 * Inputs of the kinds that people report of fine-tuning systems, with what transformers and TRL make of them (`test/fixtures/reference/reported.py`).
 * Those about weights are in tied-heads.test.ts and finite-weights.test.ts (`test/workers/engine/model`), the one about requests with the same
 * `Idempotency-Key` in `test/jobs/create.test.ts`; that time grows with a conversation's length is in linear.test.ts.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readReference, referencePath } from '../../../../reference/fixtures.ts';
import { type ExpectedSequence, learnedMask } from '../../../../reference/template-measures.ts';
import type { Refusal } from '../../../../src/formats/refusal.ts';
import { type DatasetOptions, tokenizeFile } from '../../../../workers/engine/data/dataset.ts';
import { firstExamples } from '../../../../workers/engine/data/example-store.ts';
import { sequencesIn } from '../../../../workers/engine/data/sequences.ts';
import { ChatTemplate } from '../../../../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';

interface Model {
  files: Record<string, unknown>;
  /** Keys of tokenizer.json that replace the shared file's. */
  changes?: object;
  template_of?: string;
}
/** The first line of the input. */
interface Learned {
  sequences: ExpectedSequence[];
  /** All that TRL learns, as text; null where it cannot. */
  trl: string | null;
}
interface Long {
  tokens: number;
  learned: number;
  /** The last ids learned. */
  end: number[];
}
type Expected = { input: string; model: string } & (Learned | Long | { refused: string });

const MODELS = readReference<Record<string, Model>>('reported', 'models.json');
const EXPECTED = readReference<Expected[]>('reported', 'expected.json');
let root: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'graft-reported-'));
  const serialized = readReference<object>('reported', 'tokenizer.json');
  for (const [name, { files, changes, template_of }] of Object.entries(MODELS)) {
    const all: Record<string, unknown> = { 'tokenizer.json': { ...serialized, ...changes }, ...files };
    if (template_of !== undefined)
      all['chat_template.jinja'] = await readFile(referencePath('chat-templates', template_of, 'chat_template.jinja'), 'utf8');
    for (const [path, content] of Object.entries(all)) {
      mkdirSync(dirname(join(root, name, path)), { recursive: true });
      writeFileSync(join(root, name, path), typeof content === 'string' ? content : JSON.stringify(content));
    }
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const inputPath = (input: string) => referencePath('reported', 'inputs', `${input}.jsonl`);

async function train(path: string, model: string, options: Partial<DatasetOptions> = {}) {
  const tokenizer = await Tokenizer.open(join(root, model));
  const template = await ChatTemplate.open(tokenizer, new Date(0));
  const base = { param: 'training_file', tokenizer, template, vocabSize: 700, maxLengthTokens: 1024, truncation: 'error' } as const;
  const { examples, facts, receipt } = await tokenizeFile(path, { ...base, ...options });
  const example = firstExamples(examples, 1)[0]!;
  examples.close();
  const learned = example.inputIds.filter((_, index) => example.lossWeights[index] !== 0);
  const text = await tokenizer.decode(learned, { specialTokens: true });
  const warnings = facts.warnings.filter((warning) => !/repeated examples? among|are rarely enough/.test(warning));
  return { example, learned, text, warnings, shown: receipt.samples[0]!.spans.map((span) => span.text).join('') };
}

function expectedOf(input: string, model: string) {
  const expected = EXPECTED.find((each) => each.input === input && each.model === model);
  expect(expected).toBeDefined();
  return expected!;
}

/** What TRL learns, by turn: its templates mark line breaks before and after a turn, which the generation prompt has or nothing reads. */
const turns = (text: string) => text.split('<|im_end|>').map((turn) => turn.trim());

const calls = (json: string) => `<tool_call>\n{"name": "get_weather", "arguments": ${json}}\n</tool_call><|im_end|>It is cold.<|im_end|>`;
const OSLO = '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call><|im_end|>It is cold.<|im_end|>';
const FUNCTION = '<function=get_weather>{"city": "Oslo"}</function><|im_end|>It is cold.<|im_end|>';
const cutPrompt = (end: string) =>
  `The training file has 12 examples whose prompt does not end where a token ends: the end of the prompt is left out and learned with the answer, so the model is trained on a context that differs from the one it sees in use; the first is on line 1, where this end of the prompt is left out: ${JSON.stringify(end)}. End prompts without white space, and begin completions with it.`;
const unread = (lines: number) =>
  `Messages of the training file have keys that the model's chat template does not read: "tool_call_id" (${lines} lines, first on line 1).`;
const NO_EOS = /^The training file has 12 examples after which the model may never stop.*Set eos_token in tokenizer_config.json, or eos_token_id in/;
const APART = /^The training file has 10 examples with turns .* each such turn is trained in a text of its own/;
const OWN_REASONING =
  /^The training file has 10 examples with a turn whose reasoning the chat template leaves out even of the turn itself; the content is/;

/** Kind, input, model, the text learned of its first line, warnings. */
const LEARNED: [string, string, string, string, (string | RegExp)[]][] = [
  ['tokens only in tokenizer_config.json', '02-chat', 'tokens-in-config', 'The old judge keeps the moon 0.<|im_end|>', []],
  ['a prompt that ends within a token', '03-space', 'plain', ' positive</s>', [cutPrompt(' ')]],
  ['such a prompt, and eos after each text', '03-space', 'eos-after-text', ' positive</s></s>', [cutPrompt(' </s>')]],
  ['a tool_use template in tokenizer_config.json', '04-tools', 'templates-in-list', OSLO, [unread(12)]],
  ['a tool_use template in a file of its own', '04-tools', 'templates-in-folder', OSLO, [unread(12)]],
  ['numbers of tool calls', '05-numbers', 'qwen2.5', calls('{"id": 1234567890123456789, "ratio": 1.0, "tiny": 1e-07}'), [unread(10)]],
  ['keys of tool calls', '05-keys', 'qwen2.5', calls('{"10": "ten", "9": "nine", "b": 1, "1": "one"}'), [unread(10)]],
  ['arguments as text', '06-08-call', 'function-text', FUNCTION, [unread(10)]],
  ['several turns of Qwen 3', '09-multi-turn', 'qwen3', '<think>\n\n</think>\n\n1<|im_end|><think>\n\n</think>\n\n2<|im_end|>', [APART]],
  ['reasoning of R1', '09-reasoning', 'r1-distill', '<｜Assistant｜><think>\nadd\n</think>\n\n4<｜end▁of▁sentence｜>', [OWN_REASONING]],
  ['continue in a template', '11-system', 'continue', 'Yo<|im_end|>', []],
  ['no eos token', '14-pairs', 'without-eos', ' positive', [NO_EOS]],
  ["a line's variables for Qwen 3", '16-kwargs', 'qwen3', '<think>\n\n</think>\n\n4<|im_end|>', []],
  ["a line's variables, printed", '16-kwargs', 'prints-variable', '4<|im_end|>', []],
];

describe('tokenizeFile › of inputs as people report them', () => {
  it.each(LEARNED)('learns what Python learns: %s', async (_, input, model, text, warnings) => {
    const expected = expectedOf(input, model) as Learned;
    const found = await train(inputPath(input), model);
    const sequences = sequencesIn(found.example);
    expect(sequences.map(({ inputIds }) => [...inputIds])).toEqual(expected.sequences.map(({ ids }) => ids));
    expect(sequences.map(({ lossWeights }) => [...lossWeights])).toEqual(expected.sequences.map(learnedMask));
    expect(found.text).toBe(text);
    if (expected.trl !== null) expect(turns(found.text)).toEqual(turns(expected.trl));
    expect(found.warnings).toEqual(warnings.map((warning) => (typeof warning === 'string' ? warning : expect.stringMatching(warning))));
  });

  it('shows the system message that a template prints before it goes on to the next', async () => {
    const { shown } = await train(inputPath('11-system'), 'continue');
    expect(shown).toMatch(/^<\|im_start\|>system\nBe brief\.<\|im_end\|>\n/);
  });

  it('learns the turns of a conversation of 1,600 messages as if the template marked them', async () => {
    const messages = Array.from({ length: 800 }, (_, at) => [
      { role: 'user', content: `${at}: is the red fox good, and what does the old judge keep?` },
      { role: 'assistant', content: `${at}: The old judge keeps the moon, the fox follows the river.` },
    ]).flat();
    const path = join(root, 'long.jsonl');
    writeFileSync(path, JSON.stringify({ messages }));
    const { tokens, learned, end } = expectedOf('10-long', 'plain') as Long;
    for (const model of ['plain', 'marked']) {
      const found = await train(path, model, { maxLengthTokens: 2 ** 17 });
      expect([found.example.inputIds.length, found.learned.length, [...found.learned.slice(-12)]]).toEqual([tokens, learned, end]);
    }
  });
});

describe('tokenizeFile › of inputs as people report them, which cannot be trained on', () => {
  const tenLines = '(the same on lines 2, 3, 4, 5, 6, 7, 8, 9 and 10)';
  const refused = (input: string, model: string) => (expectedOf(input, model) as { refused: string }).refused;
  const errorOf = async (input: string, model = 'plain') => {
    const { code, message, hint } = await train(inputPath(input), model).then(
      () => expect.fail('it was not refused'),
      (error: Refusal) => error,
    );
    expect(code).toBe('invalid_training_file');
    return { message, hint };
  };

  it.each([
    ['UTF-16 with the high byte first', '01-utf16be-no-bom', 'the file is UTF-16 text (big-endian)', 'Save the file as UTF-8 ('],
    ['UTF-16 with the low byte first', '01-utf16le-no-bom', 'the file is UTF-16 text (little-endian)', 'Save the file as UTF-8 ('],
    ['NUL bytes at the end', '01-nul-tail', 'line 13 is nothing but 64 NUL bytes', 'It was never written completely'],
    ['NaN', '01-nan-emoji', 'line 1 is not valid JSON (', 'JSON has neither NaN nor Infinity: write null or a number.'],
  ])('names %s, in text that a database can store', async (_, input, begin, hint) => {
    const error = await errorOf(input);
    expect(error).toEqual({ message: expect.toSatisfy((text: string) => text.startsWith(begin)), hint: expect.stringContaining(hint) });
    expect(error.message).not.toContain('\0');
    expect(Buffer.from(error.message).toString()).toBe(error.message); // no half of a surrogate pair
  });

  it('refuses a call without content where the template needs content, as Python does', async () => {
    const reason = refused('06-08-call', 'plain').replace('UndefinedError: ', '');
    expect(await errorOf('06-08-call')).toEqual({
      message: `the first 10 problems: line 1 is refused by the model's chat template: ${reason} (message 2 has no content; if the template needs one, write "content": "") ${tenLines}`,
      hint: null,
    });
  });

  it('refuses a turn whose call the template leaves out, which Python would train as the empty turn', async () => {
    const { sequences } = expectedOf('06-08-call', 'without-calls') as Learned;
    const [from, to] = sequences[0]!.learned[0]!;
    expect(sequences[0]!.ids.slice(from, to)).toEqual([4]); // <|im_end|> alone
    expect(await errorOf('06-08-call', 'without-calls')).toEqual({
      message: `the first 10 problems: line 1 has a turn to learn (message 2) of which the chat template leaves out its call of "get_weather" ${tenLines}`,
      hint: 'Use a model or chat_template that writes it, write it into the content, give the turn a weight of 0, or set incomplete_turns to "drop".',
    });
  });

  it('refuses half a surrogate pair, as Python does', async () => {
    expect(refused('15-half-surrogate', 'plain')).toMatch(/^TypeError: /);
    expect(await errorOf('15-half-surrogate')).toEqual({
      message: 'line 9, message 1 has half a surrogate pair (\\ud83d) in "content"',
      hint: 'It is no character: write the whole pair, as in "\\ud83d\\ude00", or leave it out.',
    });
  });

  it('refuses an unknown key and names the nearest', async () => {
    expect(await errorOf('16-unknown-key')).toEqual({
      message: `the first 10 problems: line 1, message 2 has the unknown key "wieght" ${tenLines}`,
      hint: 'Did you mean "weight"?',
    });
  });
});
