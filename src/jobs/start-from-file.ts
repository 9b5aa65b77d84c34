/** A job that continues an uploaded adapter. */
import { setTimeout as delay } from 'node:timers/promises';
import { parseModelConfig } from '../formats/parse-model-config.ts';
import { MAX_PROBLEMS } from '../formats/problems.ts';
import { Refusal } from '../formats/refusal.ts';
import { continuation } from '../formats/tuning/continuation.ts';
import { mergesFirst, mergingFirst } from '../formats/tuning/merge-first.ts';
import { deliveredShapes, type ResolvedTuning, resolveTuning, type Tuning } from '../formats/tuning/tuning.ts';
import { tuningOfAdapter, type UploadedAdapter } from '../formats/uploaded-adapter.ts';
import { announcedName } from '../hub/hub-name.ts';
import type { Services } from '../services.ts';
import type { NewJob } from './job.ts';
import { otherTuning } from './start-from.ts';

type Needs = Pick<Services, 'files' | 'validations' | 'models'>;

const PARAM = 'start_from';
/** A job is often created at once after its file, which is then read within a moment. */
const READ_PATIENCE_MS = 10_000;
const LOOK_EVERY_MS = 100;

/** A request names a tuned model and an uploaded adapter. */
export const alsoTuned = (): Refusal =>
  new Refusal('invalid_value', 'start_from and a tuned model are both given', {
    param: PARAM,
    hint: 'Name the base model of the uploaded adapter as the model, or leave start_from out.',
  });

interface Asked {
  fileId: string;
  model: string;
  modelRevision: string | null;
  /** As requested; undefined: that of the adapter. */
  tuning: Tuning | undefined;
}

/** @throws Refusal for a file that is not an adapter, or not one of this model */
export async function fromUploaded(
  owner: string,
  { fileId, tuning, ...named }: Asked,
  services: Needs,
): Promise<Pick<NewJob, 'startFrom' | 'tuning'>> {
  const { adapter, storageKey } = await findAdapter(owner, fileId, services);
  const its = resolveTuning(tuningOfAdapter(adapter, PARAM));
  const wanted = tuning === undefined ? its : resolveTuning(tuning);
  // A directory names the layers, where a request may say `all-linear`: that they are the same shows in the names of the tensors.
  const comparable = 'target_modules' in its && 'target_modules' in wanted ? { ...its, target_modules: wanted.target_modules } : its;
  const joined = mergesFirst(wanted) ? mergingFirst(wanted, comparable as ResolvedTuning) : wanted;
  if (joined === wanted && continuation(comparable as ResolvedTuning, wanted) === null) throw otherTuning(fileId, its);
  await requireBase(adapter, { named, tuning: its }, services);
  const stored = { name: fileId, folder: '', files: adapter.files, tar: storageKey };
  return { tuning: joined, startFrom: { name: fileId, jobId: null, base: null, adapter: stored } };
}

async function findAdapter(owner: string, id: string, { files, validations }: Needs): Promise<{ adapter: UploadedAdapter; storageKey: string }> {
  for (const startedMs = performance.now(); ; await delay(LOOK_EVERY_MS)) {
    const file = await files.find(owner, id);
    const invalid = (message: string, hint: string) => new Refusal('invalid_start_from', message, { param: PARAM, hint });
    if (file === null) throw invalid(`There is no file "${id}"`, 'Upload a tar of the adapter to POST /v1/files first.');
    if (file.status === 'uploaded' && performance.now() - startedMs < READ_PATIENCE_MS) continue;
    if (file.status === 'uploaded') throw invalid(`The file "${id}" is still being read`, 'Create the job once its status is "processed".');
    const adapter = (await validations.find(owner, id))?.adapter;
    if (file.status === 'error') throw invalid(`The file "${id}" cannot be used: ${file.statusDetails}`, 'Upload the adapter again.');
    if (adapter === undefined) throw invalid(`The file "${id}" is not an adapter`, 'Upload a tar of the directory with purpose "fine-tune".');
    return { adapter, storageKey: file.storageKey };
  }
}

/** @throws Refusal if the adapter names another base model that a worker has, or its tensors do not fit the model */
async function requireBase(
  { config, tensors }: UploadedAdapter,
  { named, tuning }: { named: Pick<Asked, 'model' | 'modelRevision'>; tuning: ResolvedTuning },
  { models }: Needs,
): Promise<void> {
  const mismatch = (message: string, hint: string) => new Refusal('adapter_mismatch', message, { param: PARAM, hint });
  const announced = { id: announcedName(named), revision: named.modelRevision };
  const its = config['base_model_name_or_path'];
  if (typeof its === 'string' && its !== announced.id && (await models.find(its)) !== null)
    throw mismatch(`The adapter is one of "${its}", and the job's model is "${named.model}"`, `Name "${its}" as the model.`);
  const text = await models.configOf(announced);
  if (text === null) return; // the worker compares them
  const shapes = deliveredShapes(parseModelConfig(JSON.parse(text), `The config.json of ${named.model}`), tuning);
  const problems: string[] = [];
  for (const [name, shape] of shapes) {
    const found = tensors[name];
    if (found === undefined) problems.push(`${name} is missing`);
    else if (found.join() !== shape.join()) problems.push(`${name} is [${found}] where the model needs [${shape}]`);
    if (problems.length >= MAX_PROBLEMS) break;
  }
  if (problems.length > 0)
    throw mismatch(`The adapter does not fit "${named.model}": ${problems.join('; ')}`, 'Was it trained on another base model?');
}
