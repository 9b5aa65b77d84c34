import type { Type } from 'typebox';
import type { ModelConfig } from '../model-config.ts';

export type AdapterExport = 'alone' | 'merged';

/** What both the service and the engine know about a tuning method. */
export interface TuningFormat<Requested, Resolved extends { type: string }> {
  type: Resolved['type'];
  /** What `tuning` may contain in a job request. */
  schema: Type.TSchema;
  /** Fills in every default. */
  resolve(requested: Requested): Resolved;
  /** Peak learning rate for a multiplier of 1. */
  baseLearningRate: number;
  /** Names and shapes of everything that is trained. @throws Refusal for a tuning that does not fit the model */
  trainedShapes(config: ModelConfig, resolved: Resolved): Map<string, number[]>;
  /** Names and shapes of what it adds without training it; default: nothing. */
  constantShapes?(config: ModelConfig, resolved: Resolved): Map<string, number[]>;
  /**
   * Elements that the backward pass keeps for each token because of what the method adds, in all layers together. Default: the ranks of its pairs of
   * matrices, which is what their first products give.
   */
  keptElements?(config: ModelConfig, resolved: Resolved): number;
  /** Refuses what no model could be trained with. @throws Refusal */
  check?(resolved: Resolved): void;
  /** The tuning with which what was delivered is continued; default: the same. */
  continued?(resolved: Resolved): Resolved;
  /** What a job delivers: what it added to the base, in f32, or the whole model, in the type of its base. */
  delivered: 'adapter' | 'model';
  /** What exports make of its adapter: a file of the adapter alone, or a model with the adapter merged in. Of a delivered model: nothing to choose. */
  exports: readonly AdapterExport[];
  /** How many virtual tokens it puts before each text; default: none. They count in the model's context. */
  virtualTokens?(resolved: Resolved): number;
}
