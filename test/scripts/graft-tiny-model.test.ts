import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONFIG } from '../../scripts/graft-tiny/architecture.ts';
import { conversations } from '../../scripts/graft-tiny/conversations.ts';
import { CHAT_TEMPLATE } from '../../scripts/graft-tiny/initial-model.ts';
import { perplexity } from '../../scripts/graft-tiny/perplexity.ts';
import { tokenizeExample } from '../../workers/engine/data/supervision.ts';
import { ChatTemplate } from '../../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../../workers/engine/data/tokenizer.ts';
import { GREEDY, openGenerationModel } from '../../workers/engine/index.ts';
import { openSafetensors } from '../../workers/engine/io/safetensors.ts';

const MODEL = fileURLToPath(new URL('../../models/graft-tiny', import.meta.url));
/** The model card's value, which was measured on more conversations, plus a margin for this smaller sample. */
const PERPLEXITY_BOUND = 1.12;
const MAX_BYTES = 10_000_000;

describe('models/graft-tiny', () => {
  it('is a complete model directory of at most 10 MB', () => {
    const files = readdirSync(MODEL).sort();
    expect(files).toEqual([
      'README.md',
      'chat_template.jinja',
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect(files.reduce((sum, name) => sum + statSync(join(MODEL, name)).size, 0)).toBeLessThanOrEqual(MAX_BYTES);
  });

  it('matches its generator: configuration, template, bf16 weights without a separate head', async () => {
    expect(JSON.parse(await readFile(join(MODEL, 'config.json'), 'utf8'))).toEqual(CONFIG);
    expect(await readFile(join(MODEL, 'chat_template.jinja'), 'utf8')).toBe(await readFile(CHAT_TEMPLATE, 'utf8'));
    const weights = openSafetensors(join(MODEL, 'model.safetensors'));
    expect(new Set([...weights.header.tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(['BF16']));
    expect(weights.header.tensors.has('lm_head.weight')).toBe(false);
    weights.close();
  });
});

describe("graft-tiny's tokenizer", () => {
  it('decodes what it encodes, whatever the text', async () => {
    const tokenizer = await Tokenizer.open(MODEL);
    for (const text of ['What colour is a hippo?', 'Çà et là: 12,345 “naïve” 🐙 users\n\ttabs', '{"a": [1, 2]}', '日本語']) {
      const { ids } = await tokenizer.encode(text, { addSpecialTokens: false });
      expect(Math.max(...ids)).toBeLessThan(CONFIG.vocab_size);
      expect(await tokenizer.decode(ids)).toBe(text);
    }
  });
});

describe("graft-tiny's chat template", () => {
  it('marks the assistant messages and their end, and nothing else', async () => {
    const tokenizer = await Tokenizer.open(MODEL);
    const template = await ChatTemplate.open(tokenizer, new Date(0));
    if (template === null) throw new Error('graft-tiny has no chat template');
    const say = (role: 'user' | 'assistant', content: string) => ({ role, content, weight: 1 as const, extra: new Map() });
    const messages = [say('user', 'Hello!'), say('assistant', 'Hi.'), say('user', 'Bye!'), say('assistant', 'Goodbye!')];
    const { text, generated } = template.render(messages, { tools: null, addGenerationPrompt: false });
    expect(text).toBe(
      '<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\nHi.<|im_end|>\n<|im_start|>user\nBye!<|im_end|>\n<|im_start|>assistant\nGoodbye!<|im_end|>\n',
    );
    expect(generated.map(([start, end]) => text.slice(start, end))).toEqual(['Hi.<|im_end|>', 'Goodbye!<|im_end|>']);

    const { inputIds, lossWeights } = await tokenizeExample({ kind: 'chat', messages, tools: null, templateKwargs: new Map() }, tokenizer, template);
    expect(await tokenizer.decode(inputIds.filter((_, i) => lossWeights[i] === 1))).toBe('Hi.Goodbye!');
    const turnEnd = 2;
    expect([...inputIds].filter((id, i) => id === turnEnd && lossWeights[i] === 1)).toHaveLength(2);
  });
});

describe('graft-tiny on held-out text', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'graft-tiny-'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it(`has a perplexity below ${PERPLEXITY_BOUND} on conversations from another seed`, async () => {
    const file = join(dir, 'held-out.jsonl');
    writeFileSync(file, [...conversations({ seed: 99, count: 24, split: 'validation' })].map((line) => `${JSON.stringify(line)}\n`).join(''));
    const heldOut = await perplexity(MODEL, file);
    expect(heldOut.supervisedTokens).toBeGreaterThan(1000);
    expect(heldOut.perplexity).toBeLessThan(PERPLEXITY_BOUND);
  });

  it('answers plain questions with greedy decoding, and stops', async () => {
    const model = await openGenerationModel({ modelDir: MODEL });
    try {
      const ask = async (content: string) => {
        const prompt = await model.conversation([{ role: 'user', content, extra: new Map() }], { adapter: null, tools: null });
        return (await model.generate({ ...GREEDY, prompt, adapter: null, maxTokens: 60 })).text;
      };
      expect(await ask('What colour is a cow?')).toBe('A cow is brown.');
      expect(await ask('What is the capital of France?')).toBe('The capital of France is Paris.');
    } finally {
      model.dispose();
    }
  });
});
