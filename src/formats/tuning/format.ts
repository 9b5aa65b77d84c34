import type { Type } from 'typebox';

/** What both the service and the engine know about a tuning method. */
export interface TuningFormat<Requested, Resolved extends { type: string }> {
  type: Resolved['type'];
  /** What `tuning` may contain in a job request. */
  schema: Type.TSchema;
  /** Fills in every default. */
  resolve(requested: Requested): Resolved;
  /** Peak learning rate for a multiplier of 1. */
  baseLearningRate: number;
}
