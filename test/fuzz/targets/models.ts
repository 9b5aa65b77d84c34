/** What comes with a base model and is run, not only read: its tokenizer and its chat template. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChatMessage } from '../../../src/formats/examples.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { ChatTemplate } from '../../../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../../../workers/engine/data/tokenizer.ts';
import { mutateJson, mutateText } from '../mutate.ts';
import type { Target } from '../target.ts';
import { chatTemplates, tokenizers } from './seeds.ts';

/** Between the two files of one input. */
const BOUNDARY = '\n\u0001\n';
const TEXT = "Hello, world! 12345 naïve café 日本語 🙂 \n\n  it's";

const tokenizerFiles: Target = {
  name: 'tokenizer.json',
  open() {
    const seeds = tokenizers();
    const dir = mkdtempSync(join(tmpdir(), 'graft-fuzz-'));
    return {
      make(random) {
        const { tokenizer, config } = random.pick(seeds);
        const files =
          random.below(4) === 0 ? [JSON.stringify(tokenizer), mutateJson(config, random)] : [mutateJson(tokenizer, random), JSON.stringify(config)];
        return files.join(BOUNDARY);
      },
      async read(input) {
        const [tokenizer, config] = String(input).split(BOUNDARY);
        writeFileSync(join(dir, 'tokenizer.json'), tokenizer ?? '');
        writeFileSync(join(dir, 'tokenizer_config.json'), config ?? '');
        const { ids } = await (await Tokenizer.open(dir)).encode(TEXT, { addSpecialTokens: true });
        return ids.length;
      },
      isRefusal: (error) => error instanceof Refusal,
      async close() {
        rmSync(dir, { recursive: true, force: true });
      },
    };
  },
};

const MESSAGES: ChatMessage[] = [
  { role: 'system', content: 'You are brief.', weight: 1, extra: new Map() },
  { role: 'user', content: 'Hello', weight: 1, extra: new Map() },
  { role: 'assistant', content: 'Hi', weight: 1, extra: new Map() },
  { role: 'user', content: 'Bye', weight: 1, extra: new Map() },
  { role: 'assistant', content: 'See you', weight: 1, extra: new Map() },
];

/** A template says itself why it refuses a conversation; these are bugs of the evaluator. */
const isBug = (error: unknown): boolean =>
  error instanceof TypeError ||
  error instanceof ReferenceError ||
  (error instanceof RangeError && /call stack|Invalid (array|string) length/.test(error.message));

const templates: Target = {
  name: 'chat templates',
  limitSeconds: 20,
  open() {
    const seeds = chatTemplates();
    const today = new Date(0);
    return {
      make: (random) => mutateText(random.pick(seeds), random, seeds),
      read(input) {
        const template = new ChatTemplate(String(input), { specialTokens: { bos_token: '<s>', eos_token: '</s>' }, today });
        template.render(MESSAGES, { tools: null, addGenerationPrompt: true });
        return template.turns(MESSAGES, { tools: null }).steps;
      },
      isRefusal: (error) => error instanceof Error && !isBug(error),
    };
  },
};

export const modelTargets: readonly Target[] = [tokenizerFiles, templates];
