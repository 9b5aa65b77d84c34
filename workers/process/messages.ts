/**
 * The messages between a worker and its training process, over the IPC channel. Commands carry an id and every answer
 * repeats it, so that one process can serve several jobs.
 */
import type { ProofFindings } from '../../src/formats/adapter-proof.ts';
import type { Analysis } from '../../src/formats/analysis.ts';
import type { DryRun } from '../../src/formats/dry-run.ts';
import type { Refusal } from '../../src/formats/refusal.ts';
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';
import type { SentSpan } from '../../src/tracing/tracing.ts';
import type { Pace } from '../engine/compiled/together/pace.ts';
import type { AnswerReport, CheckpointReport, PreparationProgress, Prepared, StepReport, TrainOptions, TrainResult } from '../engine/contract.ts';

export type Command =
  /** Before the others: the trace that they are part of, as a W3C `traceparent`. Answers: `spans`, before the one that ends a command. */
  | { id: string; command: 'trace'; traceParent: string; serviceName: string }
  /** Train; paths in, paths out. `together`: the runs that share the process, and which of them this is; null for a run alone. */
  | { id: string; command: 'train'; options: Omit<TrainOptions, 'signal' | 'report'>; together: Together | null }
  /** Prepare the same run, take two steps on its largest batch and measure what it needs. Answer: `measured`. */
  | { id: string; command: 'dry_run'; options: Omit<TrainOptions, 'signal' | 'report'> & { checkpointsDir: string } }
  /** After `done`, with the same id: check that the files in this folder, read back from storage, load as the trained model. Answer: `verified`. */
  | { id: string; command: 'verify'; deliveredDir: string }
  /** After `verified`, with the same id: measure what training changed, from the files in this folder. Answer: `analysed`. */
  | { id: string; command: 'analyse'; deliveredDir: string; retentionFile: string | null }
  /** Stop after the current step and write a checkpoint. Answer: `stopped`. */
  | { id: string; command: 'stop' }
  /** In a process that runs share: end this run, if it has begun at all, and free what it has. Answer: `left`. */
  | { id: string; command: 'leave'; together: Together };

/** Runs that share a process. */
export interface Together {
  runs: number;
  /** From 0. */
  run: number;
}

export type Answer =
  | { id: string; answer: 'preparing'; progress: PreparationProgress }
  | { id: string; answer: 'receipt'; receipt: TokenReceipt }
  | { id: string; answer: 'prepared'; facts: Prepared }
  | { id: string; answer: 'step'; report: StepReport }
  | { id: string; answer: 'answered'; report: AnswerReport }
  | { id: string; answer: 'paced'; pace: Pace }
  | { id: string; answer: 'checkpoint'; checkpoint: CheckpointReport }
  /** A sign of progress: a batch of an evaluation is done, or files begin to be written. */
  | { id: string; answer: 'working'; at: 'evaluating' | 'writing' }
  | { id: string; answer: 'spans'; spans: SentSpan[] }
  | { id: string; answer: 'done'; result: TrainResult }
  | { id: string; answer: 'measured'; dryRun: DryRun }
  | { id: string; answer: 'verified'; findings: ProofFindings }
  | { id: string; answer: 'analysed'; analysis: Analysis }
  | { id: string; answer: 'stopped' }
  /** The runs beside it have begun without it. */
  | { id: string; answer: 'late' }
  | { id: string; answer: 'left' }
  /** The run was to stop after this step. */
  | { id: string; answer: 'paused'; step: number }
  | { id: string; answer: 'failed'; error: TrainingError };

/** A Refusal as it is sent between processes; its code may also be `out_of_memory` or `internal_error`. */
export type TrainingError = Pick<Refusal, 'code' | 'message' | 'param' | 'hint'>;

/** Sent once, without a command, when the process has loaded TensorFlow and is listening. */
export interface Ready {
  answer: 'ready';
  device: string;
  tensorflow: string;
}
