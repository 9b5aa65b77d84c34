/** The same job for here, as `graft jobs create -f` takes it. */
import { join, relative } from 'node:path';
import { stringify } from 'yaml';
import { isRecord } from '../../src/formats/record.ts';
import { type ImportedFile, type ImportedJob, writeWhole } from './folder.ts';

export const preparedPath = (folder: string, jobId: string): string => join(folder, 'jobs', `${jobId}.yaml`);

type Named = Pick<ImportedJob, 'source'> & { base: string };

/** @returns the request; null where the training file is gone. Paths are relative to the folder `jobs` */
export function preparedRequest({ source, base }: Named, files: Readonly<Record<string, ImportedFile>>): Record<string, unknown> | null {
  const pathOf = (id: string | null) => {
    const path = id === null ? null : (files[id]?.path ?? null);
    return path === null ? null : relative('jobs', path);
  };
  const training = pathOf(source.training_file);
  if (training === null) return null;
  const validation = pathOf(source.validation_file);
  const type = source.method?.type ?? 'supervised';
  const ofMethod: unknown = source.method?.[type];
  const hyperparameters = (isRecord(ofMethod) && isRecord(ofMethod['hyperparameters']) && ofMethod['hyperparameters']) || {
    ...source.hyperparameters,
  };
  const suffix = source.user_provided_suffix ?? suffixOf(source.fine_tuned_model);
  return {
    model: base,
    training_file: training,
    ...(validation !== null && { validation_file: validation }),
    ...(suffix !== null && { suffix }),
    seed: source.seed,
    method: { type, [type]: { hyperparameters: known(hyperparameters) } },
    metadata: { imported_from: source.id },
  };
}

export async function writePrepared(folder: string, job: Named, request: Record<string, unknown>): Promise<void> {
  const about = `# ${job.source.id}, which tuned ${job.source.model} at OpenAI. Change what you like: graft import start uses it as it is.\n`;
  await writeWhole(preparedPath(folder, job.source.id), about + stringify(request));
}

/** `ft:gpt-4o-mini-2024-07-18:org:suffix:id`, where the suffix may be empty. */
const suffixOf = (model: string | null): string | null => model?.split(':')[3] || null;

/** What OpenAI's jobs have. The multiplier is one of the service's own default rate, there as here. */
const SAME_HERE = ['n_epochs', 'batch_size', 'learning_rate_multiplier', 'beta'];

const known = (hyperparameters: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(hyperparameters).filter(([name, value]) => SAME_HERE.includes(name) && value !== null && value !== undefined));
