/** One run's adapter on a base that it shares with other runs: to the run it is a model of its own. */
import type { ModelConfig } from '../../../../src/formats/model-config.ts';
import type { ResolvedLora } from '../../../../src/formats/tuning/lora-fields.ts';
import type { Batch } from '../../data/batch.ts';
import { type LogitsAt, nextTokenLogits, nextTokens } from '../../model/text-logits.ts';
import type { Objective, Sums } from '../../objectives/objective.ts';
import type { LearningModel, LogitsOptions, MomentValues, NamedValues, TensorValues, Update } from '../../tuning/tuned-model.ts';
import type { Learner } from '../learner.ts';
import type { SharedBase } from './shared-base.ts';

export class Member implements LearningModel {
  readonly config: ModelConfig;
  readonly tuning: ResolvedLora;
  readonly objective: Objective;
  readonly trainable: LearningModel['trainable'];
  readonly trainableParameters: number;
  readonly totalParameters: number;
  /** It compares with nothing: `sumsOf` tells the sums of supervised objectives apart. */
  readonly outgrowsReference = false;
  readonly #base: SharedBase;
  readonly #number: number;
  readonly #learner: Learner;
  /** The passes since the last update. Their gradients came about beside those of other members. */
  #passes: Batch[] = [];
  readonly #logitsAt: LogitsAt = (content, positions) => {
    this.#base.away(this.#number);
    return this.#base.logitsAt(this.#number, content, positions);
  };

  /** @param number of the member of the base */
  constructor(base: SharedBase, number: number, tuning: ResolvedLora) {
    const { trainable, trainableParameters } = base.recorded.members[number]!;
    this.config = base.config;
    this.tuning = tuning;
    this.objective = base.objective;
    this.trainable = trainable;
    this.trainableParameters = trainableParameters;
    this.totalParameters = base.recorded.baseParameters + trainableParameters;
    this.#base = base;
    this.#number = number;
    this.#learner = base.learners[number]!;
  }

  get steps(): number {
    return this.#learner.steps;
  }

  referenceOf(): null {
    return null;
  }

  evaluate(batch: Batch): Sums {
    this.#base.away(this.#number);
    return this.#base.runAlone(this.#number, batch, 'evaluation');
  }

  /** Another member's infinite number must not become this one's: what is not finite is computed again alone. */
  async accumulate(batch: Batch): Promise<Sums> {
    this.#passes.push(batch);
    const sums = await this.#base.accumulate(this.#number, batch);
    return Number.isFinite(sums.loss) ? sums : this.#base.runAlone(this.#number, batch, 'evaluation');
  }

  update(update: Update): number {
    this.#base.active();
    if (!Number.isFinite(this.#learner.norm(update.weight))) this.#accumulateAlone();
    this.#passes = [];
    return this.#learner.update(update);
  }

  discard(): void {
    this.#passes = [];
    this.#learner.discard();
  }

  nextTokenLogits(text: Int32Array, options: LogitsOptions = {}): Float32Array {
    return nextTokenLogits(this, this.#logitsAt, text, options);
  }

  nextTokens(texts: readonly Int32Array[]): Int32Array {
    return nextTokens(this, this.#logitsAt, texts);
  }

  read(): Map<string, TensorValues> {
    return this.#learner.read();
  }

  constants(): Map<string, TensorValues> {
    return new Map();
  }

  assign(values: NamedValues): void {
    this.#base.assign(this.#number, values);
  }

  moments(): Map<string, MomentValues> {
    return this.#learner.moments();
  }

  restore(steps: number, parameters: ReadonlyMap<string, Float32Array>, moments: ReadonlyMap<string, MomentValues>): void {
    this.#learner.restore(steps, parameters, moments);
  }

  dispose(): void {
    this.#base.leave(this.#number);
  }

  #accumulateAlone(): void {
    this.#learner.discard();
    for (const batch of this.#passes) this.#base.runAlone(this.#number, batch, 'training');
  }
}
