import type { Type } from 'typebox';

/**
 * What a line of a dataset may be: something to imitate, the same with a teacher's log-probabilities, two answers of which one is better, or one answer that is
 * good or bad. A file has lines of one kind.
 */
export type ExampleFamily = 'supervised' | 'distilled' | 'preference' | 'labelled';

/** What both the service and the engine know about an objective. */
export interface ObjectiveFormat<Requested extends object = object, Resolved extends object = object> {
  /** What it learns from; first the family that it is made for. */
  examples: readonly [ExampleFamily, ...ExampleFamily[]];
  /** Multiplies the base learning rate of the tuning method. */
  learningRateScale: number;
  /** The least that `batch_size: "auto"` chooses; absent: 1. */
  minBatchSize?: number;
  /** Its hyperparameters besides those that all objectives have; each is optional. */
  properties: Record<string, Type.TSchema>;
  /** Fills in every default. */
  resolve(requested: Requested): Resolved;
  /** @param param path of the hyperparameters in the request. @throws Refusal for values that contradict each other */
  check(requested: Requested, param: string): void;
}

/** Whether it compares answers with each other, or with those of another model, instead of imitating them. */
export const comparesAnswers = ({ examples }: ObjectiveFormat): boolean => !examples.includes('supervised') && !examples.includes('distilled');
