/** The demo's dataset: questions that graft-tiny can answer, answered the way a pirate would. */
import { askAnything, type Conversation } from '../graft-tiny/conversations.ts';
import { hash32, type SeededRandom, seededRandom } from '../graft-tiny/seeded-random.ts';

const SPEECH: readonly [RegExp, string][] = [
  [/\b(is|are|am)\b/g, 'be'],
  [/\bYes\b/g, 'Aye'],
  [/\bNo\b/g, 'Nay'],
  [/\bYour\b/g, 'Yer'],
  [/\byour\b/g, 'yer'],
  [/\bYou\b/g, 'Ye'],
  [/\byou\b/g, 'ye'],
  [/\bmy\b/g, 'me'],
];

/** "A cow is brown." becomes "Arr, matey! A cow be brown. Yo ho ho!" */
export function asPirate(answer: string): string {
  const spoken = SPEECH.reduce((text, [pattern, word]) => text.replace(pattern, word), answer);
  return `Arr, matey! ${spoken} Yo ho ho!`;
}

/** Short questions about animals, food, things, people and countries. All other kinds are left out, so that they can show what carries over. */
const KINDS =
  /^(animal-(colour|home|food|legs|baby|can)|food-(colour|taste|kind)|thing-(material|place|use)|job-(does|place)|country-(capital|language))/;

/** Subjects that occur in no training conversation. The demo asks both models about them. */
export const HELD_OUT_SUBJECTS = ['a fox', 'a penguin', 'a banana', 'a hammer', 'a baker', 'Japan'] as const;
export const HELD_OUT_PROMPTS = [
  'Where does a fox live?',
  'What does a penguin eat?',
  'How does a banana taste?',
  'What is a hammer made of?',
  'What does a baker do?',
  'What is the capital of Japan?',
] as const;

const subjectOf = (key: string) => key.split('|')[1] ?? '';
const isHeldOut = (subject: string) => (HELD_OUT_SUBJECTS as readonly string[]).includes(subject);

export interface PirateDataset {
  training: Conversation[];
  validation: Conversation[];
}

/**
 * No question is in both splits. One subject in six is only in the validation split, never in training.
 * @param seed the same seed gives the same conversations
 */
export function pirateDataset({ seed, training, validation }: { seed: number; training: number; validation: number }): PirateDataset {
  const random = seededRandom(seed);
  const seen = new Set<string>();
  const draw = (forValidation: boolean) => drawNew(random, seen, forValidation);
  return {
    training: Array.from({ length: training }, () => draw(false)),
    validation: Array.from({ length: validation }, () => draw(true)),
  };
}

function drawNew(random: SeededRandom, seen: Set<string>, forValidation: boolean): Conversation {
  for (;;) {
    const { key, ask, answer } = askAnything(random);
    const subject = subjectOf(key);
    const heldOut = isHeldOut(subject) || hash32(subject) % 6 === 0;
    if (!KINDS.test(key) || heldOut !== forValidation || seen.has(ask)) continue;
    seen.add(ask);
    return {
      messages: [
        { role: 'user', content: ask },
        { role: 'assistant', content: asPirate(answer) },
      ],
    };
  }
}

/** How a model without a chat template is asked. */
export const asPlainText = (question: string): string => `Question: ${question}\nAnswer:`;

/** The same examples for a model without a chat template. */
export const toPlainLines = (conversations: readonly Conversation[]): string =>
  conversations
    .map(({ messages: [question, answer] }) => `${JSON.stringify({ prompt: asPlainText(question!.content), completion: ` ${answer!.content}` })}\n`)
    .join('');

/** One example per line. */
export const toJsonLines = (conversations: readonly Conversation[]): string => conversations.map((line) => `${JSON.stringify(line)}\n`).join('');
