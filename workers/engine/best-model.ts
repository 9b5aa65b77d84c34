/** Watches a metric over a run: which state is the best so far, and whether the run has stopped getting better. */

import type { WatchedMetric } from '../../src/formats/best-model.ts';
import type { ResolvedHyperparameters } from '../../src/formats/hyperparameters.ts';
import { measuredOn } from '../../src/formats/metrics.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { RunNotice, StepReport } from './contract.ts';
import { NO_SUMS, type Objective } from './objectives/objective.ts';
import type { TunedModel } from './tuning/tuned-model.ts';

/** What a checkpoint has of it. */
export interface BestState {
  /** The step with the best value so far. */
  best: { value: number; report: StepReport } | null;
  /** How many evaluations in a row have not improved the metric. */
  withoutImprovement: number;
}

type Watching = Pick<ResolvedHyperparameters, 'early_stopping_patience' | 'early_stopping_threshold' | 'load_best_model_at_end'>;

interface Options {
  watched: WatchedMetric;
  asked: Watching;
  model: Pick<TunedModel, 'read' | 'assign'>;
}

export class BestModel {
  readonly watched: WatchedMetric;
  /** Whether the run delivers the best state. */
  readonly loads: boolean;
  readonly #patience: number;
  readonly #threshold: number;
  readonly #model: Options['model'];
  #state: BestState;
  #values: ReadonlyMap<string, Float32Array> | null;

  /** @param resumed the state of an earlier run, and the trained values of its best step */
  constructor({ watched, asked, model }: Options, resumed: { state: BestState; values: ReadonlyMap<string, Float32Array> | null } | null) {
    this.watched = watched;
    this.loads = asked.load_best_model_at_end === true;
    this.#patience = asked.early_stopping_patience ?? Number.POSITIVE_INFINITY;
    this.#threshold = asked.early_stopping_threshold ?? 0;
    this.#model = model;
    this.#state = resumed?.state ?? { best: null, withoutImprovement: 0 };
    this.#values = resumed?.values ?? null;
  }

  get state(): BestState {
    return this.#state;
  }

  /** The trained values of the best step, if the run delivers it. */
  get values(): ReadonlyMap<string, Float32Array> | null {
    return this.#values;
  }

  /** Whether the run ends here. */
  get hasStopped(): boolean {
    return this.#state.withoutImprovement >= this.#patience;
  }

  /**
   * Counts as transformers' EarlyStoppingCallback does: any better value is the best, but only one that is better by more than the threshold is an
   * improvement.
   * @returns whether the state after this step is the best so far
   */
  observe(report: StepReport): boolean {
    const value = report.metrics[this.watched.name];
    if (value === undefined) return false;
    const { best, withoutImprovement } = this.#state;
    const gain = best === null ? Number.POSITIVE_INFINITY : this.watched.greaterIsBetter ? value - best.value : best.value - value;
    const isBest = Number.isFinite(value) && gain > 0;
    const improves = isBest && gain > this.#threshold;
    if (isBest && this.loads) this.#values = new Map([...this.#model.read()].map(([name, { data }]) => [name, Float32Array.from(data)]));
    this.#state = { best: isBest ? { value, report } : best, withoutImprovement: improves ? 0 : withoutImprovement + 1 };
    return isBest;
  }

  /** What a user should know of a run that ends here before its last step. */
  stopNotice({ step, totalSteps }: StepReport): RunNotice {
    const { name } = this.watched;
    const { best, withoutImprovement } = this.#state;
    const by = this.#threshold > 0 ? ` by more than ${this.#threshold}` : '';
    const reached = best === null ? 'it was never a number' : `the best was ${best.value} at step ${best.report.step}`;
    const message = `Stopped early after step ${step} of ${totalSteps}: ${name} has not improved${by} in ${withoutImprovement} evaluations in a row; ${reached}`;
    return { level: 'info', message, data: { step, metric: name, best_step: best?.report.step ?? null, best_value: best?.value ?? null } };
  }

  /** Sets the model to the best state, if the run delivers it. @returns the step that is delivered */
  load(last: StepReport): StepReport {
    const { best } = this.#state;
    if (!this.loads || best === null || this.#values === null || best.report.step === last.step) return last;
    this.#model.assign(this.#values);
    return best.report;
  }
}

/** @throws Refusal for a metric that the objective does not have */
export function checkMetric(name: string, objective: Objective): void {
  const known = Object.keys(measuredOn('full_valid', objective.metrics(NO_SUMS)));
  if (known.includes(name)) return;
  throw new Refusal('invalid_value', `${name} is not measured on the validation file`, {
    param: 'hyperparameters.metric_for_best_model',
    hint: `Use ${known.map((each) => each.replace('full_valid_', '')).join(' or ')}, or eval_ and the name of an evaluation.`,
  });
}
