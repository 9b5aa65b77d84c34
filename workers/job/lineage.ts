import { join } from 'node:path';
import type { HashedFile } from '../../src/formats/hashed-file.ts';
import type { Lineage } from '../../src/formats/lineage.ts';
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';
import type { Job } from '../../src/jobs/job.ts';
import type { CheckpointReport, Prepared, StepReport } from '../engine/contract.ts';
import { lineageOf, writeManifest } from '../engine/io/manifest.ts';
import { baseModelOf } from './base-model.ts';

/** Where a checkpoint's directory keeps it, as contract.ts says. */
const DELIVERABLE = 'adapter';

/** Gathers where a job's files come from while it runs, and writes it beside them. */
export interface JobLineage {
  receipt(receipt: TokenReceipt): void;
  prepared(prepared: Prepared): void;
  /** Into what a checkpoint delivers. */
  writeToCheckpoint(checkpoint: CheckpointReport): Promise<void>;
  /** Into what the job delivers. @returns the manifest */
  write(dir: string, last: StepReport): Promise<Lineage>;
}

/** @param baseModelFiles under way: a large model is hashed while it trains */
export function openLineage(job: Job, baseModelFiles: Promise<HashedFile[]>): JobLineage {
  baseModelFiles.catch(() => {}); // told to whoever waits for it
  let receipt: TokenReceipt | undefined;
  let prepared: Prepared | undefined;

  async function write(dir: string, last: StepReport): Promise<Lineage> {
    if (receipt === undefined || prepared === undefined)
      throw new Error('a training process tells the receipt and what it prepared before its files');
    const fileIds = { training: job.trainingFileId, validation: job.validationFileId };
    const origin = { job: job.id, ...baseModelOf(job), receipt, prepared, seed: job.seed, fileIds, last, now: new Date() };
    const lineage = lineageOf({ ...origin, baseModelFiles: await baseModelFiles });
    writeManifest(dir, lineage);
    return lineage;
  }

  return {
    receipt: (told) => {
      receipt = told;
    },
    prepared: (told) => {
      prepared = told;
    },
    writeToCheckpoint: async ({ dir, last }) => {
      await write(join(dir, DELIVERABLE), last);
    },
    write,
  };
}
