import type { Type } from 'typebox';

/** What a line of a dataset may be: something to imitate, or two answers of which one is better. A file has lines of one kind. */
export type ExampleFamily = 'supervised' | 'preference';

/** What both the service and the engine know about an objective. */
export interface ObjectiveFormat<Requested extends object = object, Resolved extends object = object> {
  /** What it learns from. */
  examples: ExampleFamily;
  /** Multiplies the base learning rate of the tuning method. */
  learningRateScale: number;
  /** Its hyperparameters besides those that all objectives have; each is optional. */
  properties: Record<string, Type.TSchema>;
  /** Fills in every default. */
  resolve(requested: Requested): Resolved;
  /** @param param path of the hyperparameters in the request. @throws Refusal for values that contradict each other */
  check(requested: Requested, param: string): void;
}
