/** What goes into a training run and what comes out: the engine's public types. */
import type { EvaluationScore, SamplePrompt } from '../../src/formats/evaluations.ts';
import type { ExampleFile } from '../../src/formats/example-refusal.ts';
import type { Grader } from '../../src/formats/graders/grader.ts';
import type { Hyperparameters, ResolvedHyperparameters } from '../../src/formats/hyperparameters.ts';
import type { JsonObject } from '../../src/formats/json-value.ts';
import type { Lineage } from '../../src/formats/lineage.ts';
import type { Metrics } from '../../src/formats/metrics.ts';
import type { ObjectiveName } from '../../src/formats/objectives/objectives.ts';
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';
import type { ResolvedTuning, Tuning } from '../../src/formats/tuning/tuning.ts';
import type { Pace } from './compiled/together/pace.ts';

/** What the model is asked between steps. */
export interface AnswerOptions {
  samplePrompts: readonly SamplePrompt[];
  /** Graders of answers to examples. */
  evaluations: readonly Grader[];
  /** JSONL, one example a line: those that are answered and graded. Required by evaluations. */
  evaluationFile?: string;
  /** How many of them, from the file's beginning. */
  maxExamples: number;
  /** Of one answer. */
  maxTokens: number;
}

export interface TrainOptions {
  /** A Hugging Face model directory. */
  modelDir: string;
  /** JSONL, one example a line. */
  trainingFile: string;
  validationFile?: string;
  /** The PEFT adapter directory, or for full fine-tuning the Hugging Face model directory; created if missing. */
  outputDir: string;
  /** Checkpoints are written to `{checkpointsDir}/{step}`; without it, none are written. */
  checkpointsDir?: string;
  /** Also write a checkpoint once this much time has passed since the last; default: ten minutes. */
  checkpointEveryMs?: number;
  /** A checkpoint directory of an earlier run with the same options; training resumes from it, bit for bit. */
  resumeFrom?: string;
  /** An adapter directory whose values the run starts with, instead of an adapter that changes nothing. A run that resumes does not read it. */
  startFrom?: string;
  /**
   * A folder of this run alone that keeps its tokenised files, about as large as the data, so that neither resuming nor starting again tokenises again;
   * created if missing. A run that starts again also keeps its date. Without a folder, the tokens are in the system's temporary one until the run is over.
   */
  tokensDir?: string;
  /** Asked before the first step, at each evaluation and after the last step; default: nothing. */
  answers?: AnswerOptions;
  tuning: Tuning;
  /** What is minimised; default: supervised. */
  objective?: ObjectiveName;
  hyperparameters: Hyperparameters;
  /** A Jinja chat template that replaces the model's own. */
  chatTemplate?: string;
  /** Variables for the chat template, by name; a line's own `chat_template_kwargs` take precedence. */
  chatTemplateKwargs?: JsonObject;
  /** The same seed, data and model give the same bytes. */
  seed: number;
  /** Written into the adapter's configuration as PEFT's `base_model_name_or_path`; default: modelDir. */
  baseModelName?: string;
  /** The base model's commit on the hub, written as PEFT's `revision`. */
  baseModelRevision?: string;
  /** File that caches measurements of this machine between runs; without it, every run measures what it needs. */
  machineFile?: string;
  /**
   * Stops after this step, unless it is the last one, as an abort does, and rejects with PausedAtStep. The step is measured on the whole validation file. A run
   * that resumes from it trains on.
   */
  pauseAtStep?: number;
  /** Aborting stops after the current step, writes a checkpoint (if checkpointsDir is set) and rejects with the signal's reason. */
  signal?: AbortSignal;
  report?: TrainReport;
}

/** A run has stopped after the step that it was to stop after. */
export class PausedAtStep extends Error {
  override readonly name = 'PausedAtStep';
  constructor(readonly step: number) {
    super(`paused after step ${step}`);
  }
}

/** Callbacks the loop awaits, in the order things happen. */
export interface TrainReport {
  /** A part of a file has been read and tokenised; the more there is, the more often. */
  preparing?(progress: PreparationProgress): void | Promise<void>;
  /** The files have been read and tokenised; also called when training is then refused because examples are too long or have no supervised tokens. */
  receipt?(receipt: TokenReceipt): void | Promise<void>;
  /** The data is tokenised and the model open; the first step comes next. */
  prepared?(facts: Prepared): void | Promise<void>;
  step?(report: StepReport): void | Promise<void>;
  /** It has been measured whether it pays to share passes with the runs on the same base. */
  paced?(pace: Pace): void | Promise<void>;
  /** A batch of an evaluation is done. */
  evaluating?(): void | Promise<void>;
  /** The model has been asked; called before the step is reported, and for the model that training starts with before the first step. */
  answered?(report: AnswerReport): void | Promise<void>;
  /** A checkpoint or the result is written next, which takes long for a large model on a slow disk. */
  writing?(): void | Promise<void>;
  /** The checkpoint's directory is complete and synced. */
  checkpoint?(checkpoint: CheckpointReport): void | Promise<void>;
}

/** How far a file has been read. */
export interface PreparationProgress {
  param: ExampleFile;
  bytesRead: number;
  bytesTotal: number;
  /** Lines read so far. */
  lines: number;
}

export interface DatasetFacts {
  examples: number;
  tokens: number;
  supervisedTokens: number;
  longestTokens: number;
  /** Examples cut to the maximum length. */
  truncated: number;
  /** Examples left out: too long, or without supervised tokens. */
  dropped: number;
  /** For the user, in whole sentences: few examples, duplicates, … */
  warnings: string[];
}

export interface Prepared {
  training: DatasetFacts;
  validation: DatasetFacts | null;
  hyperparameters: ResolvedHyperparameters;
  tuning: ResolvedTuning;
  totalSteps: number;
  /** The step after which the run resumes; 0 for a fresh run. */
  startStep: number;
  /** null for a fresh run. */
  resumed: ResumedState | null;
  trainableParameters: number;
  totalParameters: number;
  /** About the base model, for the user, in whole sentences. */
  warnings: string[];
  versions: Lineage['versions'];
  /** Preparation time in seconds, by part. */
  seconds: Record<PreparationPart, number>;
}

/** The state that a run resumes from, once the model has been set to it. */
export interface ResumedState {
  /** Steps done. */
  step: number;
  /** Loss on a few training examples, when the state was written and now, in nats per supervised token; null for a state of an older version. */
  loss: { recorded: number; reloaded: number; difference: number; tolerance: number } | null;
}

/** Reading and tokenising the data, measuring the machine, recording the graph, loading the weights, the base model's predictions for the proof. */
export const PREPARATION_PARTS = ['data', 'precision', 'graph', 'weights', 'predictions'] as const;
export type PreparationPart = (typeof PREPARATION_PARTS)[number];

/** What a model wrote, without a random choice: the most probable token each time. */
export interface Sample {
  /** Index of the prompt. */
  prompt: number;
  text: string;
  tokens: number;
  /** `stop`: the model ended the text; `length`: the limit of tokens or the model's context did. */
  finishReason: 'stop' | 'length';
}

export interface AnswerReport {
  /** Steps done; 0: the model as training found it. */
  step: number;
  samples: Sample[];
  scores: EvaluationScore[];
  /** How many examples were answered for the scores, and how many were left out because their prompt fills the model's context. */
  examples: number;
  leftOut: number;
  seconds: number;
}

/** A finished optimizer step. */
export interface StepReport {
  /** From 1. */
  step: number;
  totalSteps: number;
  /**
   * `train_…`: the objective's metrics on the step's examples. `valid_…`: on one batch of the validation file, on evaluation steps.
   * `full_valid_…`: on the whole validation file, at each checkpoint. `epoch`: epochs finished, e.g. 1.5. `grad_norm`: global norm before clipping.
   * `tokens`, `supervised_tokens`: counts over the step's examples. Also `learning_rate` and `seconds`. `skipped`: 1 for a step that was left out, which
   * lacks what is not finite.
   * `memory_bytes`, `peak_memory_bytes`: main memory of the process after the step, and the most since it started. Where the model was asked, `eval_{name}` is the
   * score of an evaluation, and `answer_seconds` the time that the answers took.
   */
  metrics: Metrics;
  /** What the user should know of this step; absent if there is nothing to say. */
  notices?: RunNotice[];
}

/** Something that the user should know, in whole sentences. */
export interface RunNotice {
  level: 'info' | 'warn';
  message: string;
  /** The same for programs. */
  data: Readonly<Record<string, string | number | null | number[]>>;
}

export interface CheckpointReport {
  step: number;
  /** Holds `adapter/` (what is delivered) and `trainer_state.*` (moments, cursor, step). */
  dir: string;
  /** The step after which the checkpoint was written. */
  last: StepReport;
  /** Whether this is the last checkpoint, after which the run ends. */
  final: boolean;
}

export interface TrainResult {
  outputDir: string;
  /** File names in outputDir. */
  files: string[];
  /** Steps done: fewer than planned if the run stopped early. */
  steps: number;
  /** Unpadded tokens trained on, counted again in every epoch. */
  trainedTokens: number;
  last: StepReport;
  /** The step whose state was delivered: the last, or the best. */
  delivered: StepReport;
  /** Time in this run's training loop. */
  seconds: number;
}
