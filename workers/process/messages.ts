/**
 * What passes between a worker and its training process, over the IPC channel. Commands carry an id and every answer
 * repeats it, so that one process may later serve several jobs and generate.
 */
import type { ProofFindings } from '../../src/formats/adapter-proof.ts';
import type { Refusal } from '../../src/formats/refusal.ts';
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';
import type { CheckpointReport, Prepared, StepReport, TrainOptions, TrainResult } from '../engine/contract.ts';

export type Command =
  /** Train; paths in, paths out. */
  | { id: string; command: 'train'; options: Omit<TrainOptions, 'signal' | 'report'> }
  /** After `done`, with its id: do the files in this folder, read back from storage, load as the model that was trained? Answers `verified`. */
  | { id: string; command: 'verify'; deliveredDir: string }
  /** Stop after the step under way, write a checkpoint, answer `stopped`. */
  | { id: string; command: 'stop' };

export type Answer =
  | { id: string; answer: 'receipt'; receipt: TokenReceipt }
  | { id: string; answer: 'prepared'; facts: Prepared }
  | { id: string; answer: 'step'; report: StepReport }
  | { id: string; answer: 'checkpoint'; checkpoint: CheckpointReport }
  | { id: string; answer: 'done'; result: TrainResult }
  | { id: string; answer: 'verified'; findings: ProofFindings }
  | { id: string; answer: 'stopped' }
  | { id: string; answer: 'failed'; error: TrainingError };

/** A Refusal, as it passes between processes; also of `out_of_memory` and `internal_error`. */
export type TrainingError = Pick<Refusal, 'code' | 'message' | 'param' | 'hint'>;

/** Sent once, unasked, when the process has loaded TensorFlow and can take a command. */
export interface Ready {
  answer: 'ready';
  device: string;
  tensorflow: string;
}
