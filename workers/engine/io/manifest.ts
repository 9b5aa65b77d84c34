/** The manifest delivered with the files: where they come from. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { HashedFile } from '../../../src/formats/hashed-file.ts';
import { type Lineage, MANIFEST_FILE } from '../../../src/formats/lineage.ts';
import type { FileReceipt, TokenReceipt } from '../../../src/formats/token-receipt.ts';
import type { Prepared, StepReport } from '../contract.ts';
import { writeFileWhole } from './files.ts';

export interface Origin {
  /** null without the service. */
  job: string | null;
  baseModelName: string;
  /** The hub's commit. */
  baseModelRevision?: string;
  baseModelFiles: HashedFile[];
  /** Default: none. */
  continuedFrom?: Lineage['continued_from'];
  receipt: TokenReceipt;
  prepared: Prepared;
  seed: number;
  /** Ids of the uploaded files. */
  fileIds?: { training: string; validation: string | null };
  /** The step after which the files were written. */
  last: StepReport;
  now: Date;
}

export function lineageOf({
  job,
  baseModelName,
  baseModelRevision,
  baseModelFiles,
  continuedFrom = null,
  receipt,
  prepared,
  seed,
  fileIds,
  last,
  now,
}: Origin): Lineage {
  const { training, validation, template } = receipt;
  return {
    object: 'fine_tuning.job.lineage',
    format: 1,
    created_at: now.toISOString(),
    job,
    base_model: {
      name: baseModelName,
      revision: baseModelRevision ?? null,
      sha256: sha256OfAll(baseModelFiles),
      files: baseModelFiles,
    },
    continued_from: continuedFrom,
    data: {
      training: dataFile(training, fileIds?.training),
      validation: validation && dataFile(validation, fileIds?.validation),
    },
    template,
    seed,
    tuning: prepared.tuning,
    hyperparameters: prepared.hyperparameters,
    step: last.step,
    total_steps: last.totalSteps,
    losses: {
      train_loss: last.metrics['train_loss'] ?? null,
      valid_loss: last.metrics['valid_loss'] ?? null,
      full_valid_loss: last.metrics['full_valid_loss'] ?? null,
    },
    versions: prepared.versions,
  };
}

/** @returns the file's name */
export function writeManifest(dir: string, lineage: Lineage): string {
  writeFileWhole(join(dir, MANIFEST_FILE), `${JSON.stringify(lineage, null, 2)}\n`);
  return MANIFEST_FILE;
}

function dataFile({ sha256, examples, tokens, supervised_tokens }: FileReceipt, id: string | null = null): Lineage['data']['training'] {
  return { id, sha256, examples, tokens, supervised_tokens };
}

/** The hash that `sha256sum FILES | sha256sum` prints, with the files sorted by name. */
function sha256OfAll(files: readonly HashedFile[]): string {
  return createHash('sha256')
    .update(files.map(({ sha256, name }) => `${sha256}  ${name}\n`).join(''))
    .digest('hex');
}
