/** What users and their models send as text. */
import { Readable } from 'node:stream';
import { parseExample, readExamples } from '../../../src/formats/examples.ts';
import { parseJsonValue } from '../../../src/formats/json-value.ts';
import { parseModelConfig } from '../../../src/formats/parse-model-config.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { parseHeader, parseHeaderLength } from '../../../src/formats/safetensors.ts';
import { parseHubName } from '../../../src/hub/hub-name.ts';
import { hostileValue, mutateJson, mutateText, randomBytes, randomText } from '../mutate.ts';
import type { OpenTarget, Target } from '../target.ts';
import { familyConfigs } from './seeds.ts';

const isRefusal = (error: unknown): boolean => error instanceof Refusal;

const EXAMPLES: readonly unknown[] = [
  {
    messages: [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b', weight: 1 },
    ],
  },
  {
    messages: [
      { role: 'system', content: 'x' },
      { role: 'user', content: [{ type: 'text', text: 'a' }] },
      { role: 'assistant', content: '' },
    ],
  },
  { prompt: 'a', completion: 'b' },
  { prompt: [{ role: 'user', content: 'a' }], completion: [{ role: 'assistant', content: 'b' }], chat_template_kwargs: { x: 1 } },
  {
    messages: [
      { role: 'user', content: 'a' },
      { role: 'assistant', tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"a": 1.0}' } }] },
      { role: 'tool', tool_call_id: 'c', content: '3' },
      { role: 'assistant', content: 'b' },
    ],
    tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } }],
  },
];

const exampleLines: Target = {
  name: 'example lines',
  open: () => ({
    make: (random) => (random.below(8) === 0 ? randomText(random) : mutateJson(random.pick(EXAMPLES), random)),
    read: (input) => parseExample(String(input), 1, 'training_file'),
    isRefusal,
  }),
};

const exampleFiles: Target = {
  name: 'files of examples',
  open: () => ({
    make(random) {
      const lines = Array.from({ length: 1 + random.below(5) }, () => mutateJson(random.pick(EXAMPLES), random));
      return random.below(4) === 0 ? Buffer.concat([Buffer.from(lines.join('\n')), randomBytes(random)]) : Buffer.from(lines.join('\n'));
    },
    async read(input) {
      for await (const _ of readExamples(Readable.from([Buffer.from(input)]), 'training_file'));
    },
    isRefusal,
  }),
};

const jsonValues: Target = {
  name: 'JSON values',
  open: () => ({
    make: (random) => (random.below(4) === 0 ? randomText(random) : mutateJson(hostileValue(random), random)),
    read: (input) => parseJsonValue(String(input)),
    isRefusal: (error) => error instanceof SyntaxError || (error instanceof RangeError && !/call stack/.test(error.message)),
  }),
};

const HEADER = {
  __metadata__: { format: 'pt' },
  a: { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] },
  b: { dtype: 'BF16', shape: [4], data_offsets: [24, 32] },
  c: { dtype: 'I64', shape: [], data_offsets: [32, 40] },
};

const safetensors: Target = {
  name: 'safetensors headers',
  open: () => ({
    make(random) {
      if (random.below(8) === 0) return randomBytes(random);
      const json = Buffer.from(mutateJson(HEADER, random));
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(random.below(10) === 0 ? BigInt(Math.floor(random.next() * 2 ** 53)) : BigInt(json.length));
      return Buffer.concat([length, json, Buffer.alloc(40)]);
    },
    read(input) {
      const bytes = Buffer.from(input);
      const length = parseHeaderLength(bytes.subarray(0, 8), bytes.length, 'a file');
      return parseHeader(bytes.subarray(8, 8 + length), bytes.length, 'a file');
    },
    isRefusal,
  }),
};

const configs: Target = {
  name: 'config.json',
  open(): OpenTarget {
    const seeds = familyConfigs();
    return {
      make: (random) => mutateJson(random.pick(seeds), random),
      read: (input) => parseModelConfig(JSON.parse(String(input)), 'config.json'),
      isRefusal: (error) => isRefusal(error) || error instanceof SyntaxError,
    };
  },
};

const HUB_NAMES = ['org/name', 'HuggingFaceTB/SmolLM2-135M', 'org/name@main', 'org/name@refs/pr/1', 'a/b.c_d-e@v1.0'];

const hubNames: Target = {
  name: 'hub names',
  open: () => ({
    make: (random) => (random.below(4) === 0 ? randomText(random) : mutateText(random.pick(HUB_NAMES), random, HUB_NAMES)),
    read(input) {
      const name = parseHubName(String(input));
      if (name !== null && /\.\.|^\/|\\|\0/.test(name.name)) throw new Error(`${JSON.stringify(name.name)} can leave its directory`);
    },
    isRefusal,
  }),
};

export const formatTargets: readonly Target[] = [exampleLines, exampleFiles, jsonValues, safetensors, configs, hubNames];
