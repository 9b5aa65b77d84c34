/** What the runs of a recorded model fetch. */
import type { RecordedModel } from './recorded-model.ts';
import type { Output } from './recording/graph.ts';

/** The fetches of each kind of run. */
export function runsOf({ evaluation, reference, logits, learning }: RecordedModel): Output[][] {
  const training = learning === null ? [] : [Object.values(learning.pass), [learning.update.norm], [learning.update.step]];
  return [Object.values(evaluation), ...(reference === null ? [] : [[reference.output]]), [logits], ...training];
}

/** Everything that any run fetches. */
export function fetchesOf(recorded: RecordedModel): Output[] {
  const { frozen, constant, trained } = recorded;
  const weights = [...frozen, ...constant, ...trained].flatMap(({ variable }) => [variable.exactValue, variable.assigned]);
  const state = trained.flatMap(({ learning }) => (learning === null ? [] : [learning.m, learning.v, learning.gradients]));
  const stateOutputs = state.flatMap(({ value, assigned, zeroed }) => [value, assigned, zeroed]);
  return [...runsOf(recorded).flat(), ...weights, ...stateOutputs];
}
