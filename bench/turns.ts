/**
 * `npm run bench:turns -- [--rounds 5] [--write]`: measures the time from a conversation of many messages to its token ids and what is learned of them,
 * with graft-tiny's tokenizer and a template with and without `{% generation %}` marks. The time must grow with the text, not with its square. Prints a
 * table and one JSON line.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseExample } from '../src/formats/examples.ts';
import { tokenizeExample } from '../workers/engine/data/supervision.ts';
import { ChatTemplate } from '../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../workers/engine/data/tokenizer.ts';
import { median } from './measures.ts';
import { table, thisMachine, writeResult } from './results-page.ts';

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '5' }, write: { type: 'boolean', default: false } } });
const GRAFT_TINY = join(import.meta.dirname, '../models/graft-tiny');
const MESSAGES = [200, 400, 800, 1600, 3200];
const UNMARKED =
  "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
const MARKED = UNMARKED.replace(
  "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}",
  "{{ '<|im_start|>' + message.role + '\\n' }}{% if message.role == 'assistant' %}{% generation %}{{ message.content + '<|im_end|>' }}{% endgeneration %}" +
    "{% else %}{{ message.content + '<|im_end|>' }}{% endif %}{{ '\\n' }}",
);

const tokenizer = await Tokenizer.open(GRAFT_TINY);
const templateOptions = { specialTokens: tokenizer.specialTokens, today: new Date(0) };
const templates = { 'without marks': UNMARKED, 'with marks': MARKED };

function conversation(count: number) {
  const messages = Array.from({ length: count }, (_, index) => ({
    role: index % 2 === 0 ? 'user' : 'assistant',
    content: `${index}: The old judge keeps the moon, the fox follows the river.`,
  }));
  return parseExample(JSON.stringify({ messages }), 1, 'training_file');
}

/** @returns seconds for each number of messages, medians of the rounds */
async function measure(source: string): Promise<number[]> {
  const examples = MESSAGES.map(conversation);
  const seconds: number[][] = MESSAGES.map(() => []);
  for (let round = 0; round <= Number(options.rounds); round++)
    for (const [index, example] of examples.entries()) {
      const template = new ChatTemplate(source, templateOptions);
      const startedMs = performance.now();
      await tokenizeExample(example, tokenizer, template);
      if (round > 0) seconds[index]!.push((performance.now() - startedMs) / 1000); // the first round warms the compiler
    }
  return seconds.map(median);
}

const results: Record<string, number[]> = {};
for (const [name, source] of Object.entries(templates)) results[name] = await measure(source);
const cells = (seconds: number[]) => seconds.map((each) => `${(each * 1000).toFixed(0)} ms`);
const printed = table(
  ['template', ...MESSAGES.map((count) => `${count} messages`)],
  Object.entries(results).map(([name, seconds]) => [name, ...cells(seconds)]),
);
console.log(printed);
if (options.write) writeResult('turns', `${printed}\n\nMeasured on ${thisMachine()}; medians of ${options.rounds} rounds.`);
console.log(JSON.stringify({ bench: 'turns', messages: MESSAGES, seconds: results }));
