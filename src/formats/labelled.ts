/** Labelled answers, TRL's unpaired preferences: `{"prompt", "completion", "label"}`, both as text or both as messages; the label says whether the answer is good. */
import { type At, shown } from './chat-message.ts';
import { parseSupervised } from './examples.ts';
import type { Answered } from './preference.ts';

export interface LabelledExample {
  kind: 'labelled';
  answer: Answered;
  /** Whether the answer is good. */
  label: boolean;
}

type Json = Record<string, unknown>;

const AN_ANSWER = 'A labelled answer is {"prompt": ..., "completion": ..., "label": true or false}.';

export const isLabelled = (value: Json): boolean =>
  Object.hasOwn(value, 'label') && (Object.hasOwn(value, 'completion') || Object.hasOwn(value, 'prompt'));

/** @throws ExampleRefusal */
export function parseLabelled({ label, ...rest }: Json, at: At): LabelledExample {
  const { name, fail } = at;
  if (typeof label !== 'boolean')
    throw fail(`${name} has a "label" that is ${shown(label)}; it must be true or false`, AN_ANSWER, { field: 'label' });
  if ((rest['weight'] ?? null) !== null)
    throw fail(`${name} has a "weight", but labelled answers have none`, 'Use desirable_weight and undesirable_weight of the method.', {
      field: 'weight',
    });
  const answer = parseSupervised(rest, at);
  if (answer.kind !== 'completion' && answer.kind !== 'continuation') throw fail(`${name} has no "completion" to learn from`, AN_ANSWER);
  const says = ({ content, extra }: { content: string | null; extra: ReadonlyMap<string, unknown> }) =>
    (content ?? '') !== '' || extra.has('tool_calls');
  if (answer.kind === 'continuation' && !answer.completion.some(says))
    throw fail(`${name} has an empty "completion"`, 'The completion is what is good or bad.', { field: 'completion' });
  return { kind: 'labelled', answer, label };
}
