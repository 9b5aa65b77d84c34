import type { Type } from 'typebox';

/** What the service and the engine both know of a tuning method. */
export interface TuningFormat<Asked, Resolved extends { type: string }> {
  type: Resolved['type'];
  /** What a job may say in `tuning`. */
  schema: Type.TSchema;
  /** Fills in every default. */
  resolve(asked: Asked): Resolved;
  /** The peak learning rate that a multiplier of 1 stands for. */
  baseLearningRate: number;
}
