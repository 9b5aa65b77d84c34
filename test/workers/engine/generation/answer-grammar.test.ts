import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import { splitMix32 } from '../../../../workers/engine/data/shuffle.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';
import { AnswerGrammars } from '../../../../workers/engine/generation/answer-grammar.ts';

const TOKENIZERS = {
  'a byte-level tokenizer': { dir: referencePath('cases', 'llama-gqa-tied', 'model'), size: 384 },
  'a tokenizer with byte fallback': { dir: referencePath('tokenizers', 'gemma'), size: 534 },
};
const SCHEMAS = {
  'any object': { type: 'object', additionalProperties: true },
  'all kinds of values': {
    type: 'object',
    properties: {
      name: { type: 'string' },
      age: { type: ['integer', 'null'] },
      'größe in cm': { type: 'number' },
      is_old: { type: 'boolean' },
      colour: { enum: ['red', 'gr"ü\\n\n', 3, null, ['a']] },
      version: { const: '"v1" \\' },
      tags: { type: 'array', items: { anyOf: [{ type: 'string' }, { type: 'integer' }] } },
    },
    required: ['name', 'age', 'größe in cm', 'is_old', 'colour', 'version', 'tags'],
    additionalProperties: false,
  },
  'a list that refers to itself, with what may be left out': {
    type: 'object',
    properties: { head: { $ref: '#/$defs/node' } },
    required: ['head'],
    additionalProperties: false,
    $defs: {
      node: {
        type: 'object',
        properties: { value: { type: 'integer' }, note: { type: 'string' }, next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } },
        required: ['value', 'next'],
        additionalProperties: false,
      },
    },
  },
};
/** More than any of the answers needs whose ends are made likely. */
const MAX_TOKENS = 3_000;

describe.each(Object.entries(TOKENIZERS))('an answer in JSON › of %s', (_, { dir, size }) => {
  it.each(Object.entries(SCHEMAS))('conforms to the schema, whatever the model wants to write › %s', async (_name, schema) => {
    const tokenizer = await Tokenizer.open(dir);
    const grammars = new AnswerGrammars(tokenizer, size);
    const conforms = new Ajv2020({ strict: false }).compile(schema);
    const texts = new Set<string>();
    for (let seed = 0; seed < 8; seed++) {
      const text = await written(grammars, { tokenizer, schema, size, random: splitMix32(seed) });
      expect(conforms(JSON.parse(text)), `${text}: ${JSON.stringify(conforms.errors)}`).toBe(true);
      texts.add(text);
    }
    expect(texts.size).toBeGreaterThan(4);
  });
});

interface Writing {
  tokenizer: Tokenizer;
  schema: object;
  size: number;
  random: () => number;
}

/** As a model would write that wants anything, but tends to come to an end. */
async function written(grammars: AnswerGrammars, { tokenizer, schema, size, random }: Writing): Promise<string> {
  const grammar = await grammars.begin(JSON.stringify(schema));
  const bytes: number[] = [];
  const closing = await closingTokens(tokenizer, size);
  try {
    for (let count = 0; !grammar.isComplete; count++) {
      expect(count).toBeLessThan(MAX_TOKENS);
      const wanted = Float32Array.from({ length: size }, (_, id) => random() + (closing.has(id) && random() < 0.3 ? 1 : 0));
      const allowed = await grammar.allowed(wanted);
      const id = allowed.indexOf(allowed.reduce((best, logit) => Math.max(best, logit), Number.NEGATIVE_INFINITY));
      expect(allowed[id]).toBe(wanted[id]);
      grammar.accept(id);
      bytes.push(...(await tokenizer.bytes(id)));
    }
  } finally {
    grammar.dispose();
  }
  // Bytes that are no character, which a model that writes anything writes too, become U+FFFD, as in every answer.
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

async function closingTokens(tokenizer: Tokenizer, size: number): Promise<Set<number>> {
  const ids = Array.from({ length: size }, (_, id) => id);
  const texts = await Promise.all(ids.map(async (id) => Buffer.from(await tokenizer.bytes(id)).toString()));
  return new Set(ids.filter((id) => ['"', '}', ']'].includes(texts[id]!)));
}
