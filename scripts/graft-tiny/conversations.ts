/** The text that graft-tiny is trained on: conversations about a small closed world, generated from a seed. */
import { ANIMAL_QUESTIONS } from './questions/about-animals.ts';
import { THING_QUESTIONS } from './questions/about-things.ts';
import { WORD_QUESTIONS } from './questions/about-words.ts';
import type { Exchange, QuestionKind } from './questions/exchange.ts';
import { REQUESTS } from './questions/requests.ts';
import { hash32, type SeededRandom, seededRandom } from './seeded-random.ts';

export interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

/** One line of a dataset. */
export interface Conversation {
  messages: Message[];
}

/** One key in twelve (a subject asked about in one particular phrasing) never occurs in the training text. */
const HELD_OUT_SHARE = 12;
/** Conversations stop at about this many characters, so that rows of a batch need little padding. */
const FULL_LENGTH_CHARACTERS = 420;

const KINDS: readonly QuestionKind[] = [...ANIMAL_QUESTIONS, ...THING_QUESTIONS, ...WORD_QUESTIONS, ...REQUESTS];
const TOTAL_WEIGHT = KINDS.reduce((sum, { weight }) => sum + weight, 0);
const SYSTEM_PROMPTS = ['You are a helpful assistant.', 'You are Graft Tiny, a small language model.', 'Answer in short sentences.'];

export type Split = 'training' | 'validation';
const splitOf = ({ key }: Exchange): Split => (hash32(key) % HELD_OUT_SHARE === 0 ? 'validation' : 'training');

/** A question of any kind. */
export function askAnything(random: SeededRandom): Exchange {
  let rest = random.next() * TOTAL_WEIGHT;
  for (const { weight, make } of KINDS) {
    rest -= weight;
    if (rest < 0) return make(random);
  }
  return KINDS[0]!.make(random);
}

/** Users type carelessly: some leave out the capital letter or the final punctuation, some are polite. The answer stays the same. */
function asTyped(random: SeededRandom, ask: string): string {
  const chance = random.next();
  if (chance < 0.06) return ask.slice(0, 1).toLowerCase() + ask.slice(1);
  if (chance < 0.1) return ask.replace(/[?.!]$/, '');
  if (chance < 0.14 && ask.endsWith('?')) return `Please tell me: ${ask.slice(0, 1).toLowerCase()}${ask.slice(1)}`;
  if (chance < 0.17) return `I have a question. ${ask}`;
  return ask;
}

/** Draws until an exchange belongs to the split. */
function drawFrom(split: Split, draw: () => Exchange): Exchange {
  for (;;) {
    const exchange = draw();
    if (splitOf(exchange) === split) return exchange;
  }
}

/**
 * Conversations of one to many turns.
 * @param split  no exchange of a `validation` conversation occurs in a training conversation
 */
export function* conversations({ seed, count, split }: { seed: number; count: number; split: Split }): Generator<Conversation> {
  const random = seededRandom(hash32(`${split} ${seed}`));
  for (let made = 0; made < count; made++) {
    const messages: Message[] = random.next() < 0.08 ? [{ role: 'system', content: random.pick(SYSTEM_PROMPTS) }] : [];
    let length = 0;
    let previous: Exchange | null = null;
    while (length < FULL_LENGTH_CHARACTERS) {
      const followUp: Exchange['followUp'] = previous?.followUp;
      const exchange: Exchange = drawFrom(split, () => (followUp !== undefined && random.next() < 0.45 ? followUp(random) : askAnything(random)));
      const content = asTyped(random, exchange.ask);
      messages.push({ role: 'user', content }, { role: 'assistant', content: exchange.answer });
      length += content.length + exchange.answer.length;
      previous = exchange;
    }
    yield { messages };
  }
}
