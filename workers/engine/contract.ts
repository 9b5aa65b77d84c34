/** What goes into a training run and what comes out: the engine's public types. */
import type { Hyperparameters, ResolvedHyperparameters } from '../../src/formats/hyperparameters.ts';
import type { Lineage } from '../../src/formats/lineage.ts';
import type { Metrics } from '../../src/formats/metrics.ts';
import type { ObjectiveName } from '../../src/formats/objective.ts';
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';
import type { ResolvedTuning, Tuning } from '../../src/formats/tuning/tuning.ts';

export interface TrainOptions {
  /** A Hugging Face model directory. */
  modelDir: string;
  /** JSONL, one example a line. */
  trainingFile: string;
  validationFile?: string;
  /** Made if missing: the PEFT adapter directory, or for full fine-tuning the Hugging Face model directory. */
  outputDir: string;
  /** Checkpoints land in `{checkpointsDir}/{step}`; none are written when it is missing. */
  checkpointsDir?: string;
  /** A checkpoint directory written by an earlier run of the same options; training goes on after it, to the bit. */
  resumeFrom?: string;
  tuning: Tuning;
  /** What is minimised; default: supervised. */
  objective?: ObjectiveName;
  hyperparameters: Hyperparameters;
  /** The same seed, data and model give the same bytes. */
  seed: number;
  /** Written into the adapter's configuration as PEFT's `base_model_name_or_path`; default: modelDir. */
  baseModelName?: string;
  /** Its commit on the hub, written as PEFT's `revision`. */
  baseModelRevision?: string;
  /** Where what was measured of this machine is kept from run to run; without it, it is measured when it is needed. */
  machineFile?: string;
  /** Aborting stops after the step under way, writes a checkpoint (if checkpointsDir is set) and rejects with the signal's reason. */
  signal?: AbortSignal;
  report?: TrainReport;
}

/** Callbacks the loop awaits, in the order things happen. */
export interface TrainReport {
  /** The files have been read and tokenised, also when they cannot be trained on because examples are too long or teach nothing. */
  receipt?(receipt: TokenReceipt): void | Promise<void>;
  /** The data has been read and tokenised, the model opened; the first step comes next. */
  prepared?(facts: Prepared): void | Promise<void>;
  step?(report: StepReport): void | Promise<void>;
  /** The checkpoint's directory is complete and synced. */
  checkpoint?(checkpoint: CheckpointReport): void | Promise<void>;
}

export interface DatasetFacts {
  examples: number;
  tokens: number;
  supervisedTokens: number;
  longestTokens: number;
  /** Examples cut or dropped, as `truncation` asked. */
  truncated: number;
  dropped: number;
  /** Worth telling the user: few examples, duplicates, … Whole sentences. */
  warnings: string[];
}

export interface Prepared {
  training: DatasetFacts;
  validation: DatasetFacts | null;
  hyperparameters: ResolvedHyperparameters;
  tuning: ResolvedTuning;
  totalSteps: number;
  /** The step a resumed run goes on after; 0 for a fresh one. */
  startStep: number;
  trainableParameters: number;
  totalParameters: number;
  /** Of the base model, worth telling the user. Whole sentences. */
  warnings: string[];
  versions: Lineage['versions'];
  /** What led to the first step, in seconds by part. */
  seconds: Record<PreparationPart, number>;
}

/** Reading and tokenising the data, measuring the machine, recording the graph, filling it with weights, predicting with the base for the proof. */
export const PREPARATION_PARTS = ['data', 'precision', 'graph', 'weights', 'predictions'] as const;
export type PreparationPart = (typeof PREPARATION_PARTS)[number];

/** An optimizer step that is done. */
export interface StepReport {
  /** From 1. */
  step: number;
  totalSteps: number;
  /**
   * `train_…`: the objective on the step's examples. `valid_…`, on evaluation steps: on one batch of the validation file. `full_valid_…`, at each checkpoint
   * when there is a validation file: on all of it. `epoch`: epochs finished, e.g. 1.5. `learning_rate`. `grad_norm`: global norm before clipping. `tokens`,
   * `supervised_tokens`: of the step's examples. `seconds`.
   */
  metrics: Metrics;
}

export interface CheckpointReport {
  step: number;
  /** Holds `adapter/` (what is delivered) and `trainer_state.*` (moments, cursor, step). */
  dir: string;
  /** The step after which it was written. */
  last: StepReport;
  /** The last checkpoint: what it holds is what the job delivers. */
  final: boolean;
}

export interface TrainResult {
  outputDir: string;
  /** File names in outputDir. */
  files: string[];
  steps: number;
  /** Unpadded tokens times the epochs they were seen. */
  trainedTokens: number;
  last: StepReport;
  /** Seconds in the loop, this run. */
  seconds: number;
}
