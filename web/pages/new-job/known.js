import { get } from '../../api/client.js';
import { loadModels } from '../models.js';

/** @typedef {import('../../api/types.d.ts').Job} Job */
/** @typedef {import('../../api/types.d.ts').StoredFile} StoredFile */

const DATASETS = 200;

/** What the form of a job offers, and the job that it begins with. @param {AbortSignal} signal @param {string | null} from a job to copy */
export async function loadKnown(signal, from) {
  const [models, files, copied] = await Promise.all([
    loadModels(signal),
    /** @type {Promise<import('../../api/types.d.ts').List<StoredFile>>} */ (get(`/files?purpose=fine-tune&limit=${DATASETS}`, { signal })),
    from === null ? null : /** @type {Promise<Job>} */ (get(`/fine_tuning/jobs/${encodeURIComponent(from)}`, { signal })),
  ]);
  return { models: models.data.filter(({ tuning_types: types }) => types?.length !== 0), files: files.data, copied };
}

/** @typedef {Awaited<ReturnType<typeof loadKnown>>} Known */
