import { join } from 'node:path';
import type { HashedFile } from '../../src/formats/hashed-file.ts';
import type { Lineage } from '../../src/formats/lineage.ts';
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';
import type { Job } from '../../src/jobs/job.ts';
import type { CheckpointReport, Prepared, StepReport } from '../engine/contract.ts';
import { lineageOf, writeManifest } from '../engine/io/manifest.ts';
import { trainedOn } from './base-model.ts';

/** The part of a checkpoint's directory that is delivered (see contract.ts). */
export const DELIVERABLE = 'adapter';

/** Gathers the origin of a job's files while it runs, and writes it as a manifest beside them. */
export interface JobLineage {
  receipt(receipt: TokenReceipt): void;
  prepared(prepared: Prepared): void;
  /** Writes the manifest into the checkpoint's deliverable. */
  writeToCheckpoint(checkpoint: CheckpointReport): Promise<void>;
  /** Writes the manifest into the job's output directory. @returns the manifest */
  write(dir: string, last: StepReport): Promise<Lineage>;
}

/** @param baseModelFiles a promise, because a large model is hashed while it trains */
export function openLineage(job: Job, baseModelFiles: Promise<HashedFile[]>): JobLineage {
  baseModelFiles.catch(() => {}); // write() throws the error
  let receipt: TokenReceipt | undefined;
  let prepared: Prepared | undefined;

  async function write(dir: string, last: StepReport): Promise<Lineage> {
    if (receipt === undefined || prepared === undefined)
      throw new Error('the training process wrote files before it reported the receipt and the preparation');
    const fileIds = { training: job.trainingFileId, validation: job.validationFileId };
    const origin = {
      job: job.id,
      ...trainedOn(job),
      continuedFrom: continued(job),
      receipt,
      prepared,
      seed: job.seed,
      fileIds,
      last,
      now: new Date(),
    };
    const lineage = lineageOf({ ...origin, baseModelFiles: await baseModelFiles });
    writeManifest(dir, lineage);
    return lineage;
  }

  return {
    receipt: (reported) => {
      receipt = reported;
    },
    prepared: (reported) => {
      prepared = reported;
    },
    writeToCheckpoint: async ({ dir, last }) => {
      await write(join(dir, DELIVERABLE), last);
    },
    write,
  };
}

function continued({ startFrom }: Job): Lineage['continued_from'] {
  if (startFrom === null) return null;
  const { name, jobId, base, adapter } = startFrom;
  return { model: name, job: jobId, files: (adapter ?? base)!.files };
}
