/** What the runs of a recorded model fetch. */
import type { BackwardUpdate } from './backward-update.ts';
import { stateOf, type TrainedSlab } from './learner.ts';
import type { RecordedModel } from './recorded-model.ts';
import type { Output } from './recording/graph.ts';
import type { HeldSlab } from './session/held-slabs.ts';
import type { SessionVariable } from './session/session-variable.ts';

/** The fetches of each kind of run. */
export function runsOf({ evaluation, reference, logits, texts, learning }: RecordedModel): Output[][] {
  const whole = learning?.whole == null ? [] : [wholeStepOf(learning.whole)];
  const training = learning === null ? [] : [Object.values(learning.pass), ...whole, [learning.update.norm], [learning.update.step]];
  return [
    Object.values(evaluation),
    ...(reference === null ? [] : [[reference.output]]),
    [logits],
    ...(texts === null ? [] : [[texts.next]]),
    ...training,
  ];
}

/** What a pass that takes the step fetches: its sums, then the norm. */
export const wholeStepOf = ({ sums, norm }: BackwardUpdate): Output[] => [...Object.values(sums), norm];

/** Everything that any run fetches. */
export const fetchesOf = (recorded: RecordedModel): Output[] => [
  ...runsOf(recorded).flat(),
  ...(recorded.texts === null ? [] : [recorded.texts.release]),
  ...stateFetches([...recorded.frozen, ...recorded.quantized, ...recorded.constant], recorded.trained),
];

/** What reads and sets a session's variables. */
export function stateFetches(untrained: readonly HeldSlab[], trained: readonly TrainedSlab[]): Output[] {
  const weights = [...untrained, ...trained].flatMap(({ variable }) => [variable.exactValue, ...settersOf(variable)]);
  const state = trained.flatMap(({ learning }) => (learning === null ? [] : stateOf(learning)));
  return [...weights, ...state.flatMap((variable) => [variable.value, variable.zeroed, ...settersOf(variable)])];
}

/** What a GPU's session fetches to set a variable. */
export const settersOf = ({ assigned }: SessionVariable): Output[] => (assigned === null ? [] : [assigned]);
