/** The examples that a line of a file makes: usually one; a long text several, and with multi_turn "split" each turn of a conversation. */
import type { AnyExample } from '../../../src/formats/example-families.ts';
import type { ChatExample, TextExample } from '../../../src/formats/examples.ts';
import type { TokenizedExample } from './completion.ts';
import { answersOfPair, tokenizeLabelled } from './labelled.ts';
import { tokenizePair } from './preference.ts';
import { joinSequences } from './sequences.ts';
import { type SupervisionOptions, tokenizeExample } from './supervision.ts';
import type { ChatTemplate } from './template/chat-template.ts';
import type { Tokenizer } from './tokenizer.ts';
import { learnedMessages } from './turns.ts';

export interface LineOptions extends SupervisionOptions {
  maxLengthTokens: number;
  /** Whether a longer text is cut into pieces. */
  cutsTexts: boolean;
  /** Whether each turn of a conversation is an example. */
  splitsTurns: boolean;
  /** Whether what a teacher thinks of tokens is learned too; otherwise such a conversation is learned like any other. */
  learnsFromTeacher: boolean;
  /** Whether the answers of a preference pair are examples of their own. */
  splitsPairs: boolean;
}

/** What became of a line. */
export interface LineExamples {
  examples: TokenizedExample[];
  /** Why there are several; null if there is one. */
  made: 'pieces' | 'turns' | null;
}

/** @throws what `tokenizeExample` throws */
export async function examplesOfLine(
  example: AnyExample,
  tokenizer: Tokenizer,
  template: ChatTemplate | null,
  options: LineOptions,
): Promise<LineExamples> {
  if (example.kind === 'labelled') return { examples: [await tokenizeLabelled(example, tokenizer, template, options)], made: null };
  if (example.kind === 'preference') {
    if (!options.splitsPairs) return { examples: [await tokenizePair(example, tokenizer, template, options)], made: null };
    const answers = answersOfPair(example).map((answer) => tokenizeLabelled(answer, tokenizer, template, options));
    return { examples: await Promise.all(answers), made: null };
  }
  if (example.kind === 'text' && options.cutsTexts) return cutText(example, tokenizer, options);
  const isDistilled = example.kind === 'distilled';
  const whole = isDistilled ? example.conversation : example;
  const turns = whole.kind === 'chat' && options.splitsTurns ? turnsOf(whole) : [whole];
  const supervision = { ...options, ...(isDistilled && options.learnsFromTeacher && { teacher: example.teacher }) };
  const examples: TokenizedExample[] = [];
  for (const turn of turns) examples.push(await tokenizeExample(turn, tokenizer, template, supervision));
  return { examples, made: turns.length > 1 ? 'turns' : null };
}

/** The conversation up to each turn to learn, of which that turn alone is learned. */
function turnsOf(example: ChatExample): ChatExample[] {
  const learned = learnedMessages(example.messages);
  if (learned.length < 2) return [example];
  return learned.map((turn) => ({
    ...example,
    messages: example.messages.slice(0, turn + 1).map((message, index) => (index === turn ? message : { ...message, weight: 0 })),
  }));
}

/** Each piece begins with the last token of the one before, so that every token of the text but its first is learned once. */
async function cutText(example: TextExample, tokenizer: Tokenizer, { maxLengthTokens }: LineOptions): Promise<LineExamples> {
  const whole = await tokenizeExample(example, tokenizer, null);
  const { inputIds, lossWeights, notices } = whole;
  if (inputIds.length <= maxLengthTokens) return { examples: [whole], made: null };
  const examples: TokenizedExample[] = [];
  for (let start = 0; start < inputIds.length - 1; start += maxLengthTokens - 1) {
    const end = start + maxLengthTokens;
    const piece = { inputIds: inputIds.slice(start, end), lossWeights: lossWeights.slice(start, end) };
    examples.push({ ...joinSequences([piece]), notices: start === 0 ? notices : [] });
  }
  return { examples, made: 'pieces' };
}
