import type { Principal } from '../accounts/principal.ts';
import type { Config } from '../config.ts';
import { checkExport, DTYPES_OF, type ExportDtype } from '../formats/export-format.ts';
import { Refusal } from '../formats/refusal.ts';
import type { ResolvedTuning } from '../formats/tuning/tuning.ts';
import { DEFAULT_BRANCH } from '../hub/hub-push.ts';
import { newExportId, TUNED_PREFIX } from '../ids.ts';
import { continuedFrom } from '../jobs/start-from.ts';
import { ownerOfModel } from '../permissions/shared.ts';
import type { Services } from '../services.ts';
import type { Export } from './export.ts';
import type { CreateExport } from './schema.ts';

/** Of one project. Two requests at the same moment may pass it by one, which does no harm. */
const MAX_UNFINISHED = 20;

type Needs = Pick<Services, 'exports' | 'jobs' | 'jobRecord' | 'reports' | 'permissions' | 'objectStore' | 'hub' | 'secrets' | 'config' | 'log'>;

/** @throws Refusal model_not_found, and others about the format */
export async function createExport(principal: Principal, { model, format, dtype, hub, vllm }: CreateExport, services: Needs): Promise<Export> {
  const { exports } = services;
  if (!model.startsWith(TUNED_PREFIX))
    throw new Refusal('model_not_found', `There is no tuned model or checkpoint "${model}"`, {
      param: 'model',
      hint: 'Only tuned models and checkpoints can be exported; GET /v1/models lists the tuned ones.',
    });
  const owner = await ownerOfModel(principal, model, services);
  const { startFrom, model: baseModel, modelRevision, tuning } = await continuedFrom(owner, { name: model, tuning: undefined }, services);
  checkExport(model, { type: tuning.type, format });
  if ((await exports.unfinished(principal.project)) >= MAX_UNFINISHED)
    throw new Refusal('too_many_exports', `The project has ${MAX_UNFINISHED} exports that have not ended, which is the limit`, {
      hint: 'Wait until one has ended, or cancel one.',
    });
  const source = { model: baseModel, modelRevision, base: startFrom.base, adapter: startFrom.adapter };
  const types = DTYPES_OF[format];
  const wanted = dtype ?? types[0]!;
  if (!types.includes(wanted)) throw wrongType(wanted, format, types);
  const id = newExportId();
  if (vllm != null) requireVllm({ format, tuning }, services.config);
  const vllmName = vllm == null ? null : (vllm.name ?? model.replaceAll('/', '-'));
  const pushed = hub == null ? { hub: null, hubToken: null } : await hubTarget(id, hub, services);
  return exports.create(principal.project, { id, jobId: startFrom.jobId, model, source, format, dtype: wanted, ...pushed, vllmName });
}

/** @throws Refusal if the service has no vLLM, or vLLM cannot serve such an export */
function requireVllm({ format, tuning }: { format: string; tuning: ResolvedTuning }, { vllm }: Pick<Config, 'vllm'>): void {
  const param = 'vllm';
  if (vllm === null)
    throw new Refusal('unsupported_export', 'This service has no vLLM', {
      param,
      hint: 'Whoever runs the service sets one up with VLLM_ADAPTERS_DIR.',
    });
  if (format !== 'peft_adapter')
    throw new Refusal('unsupported_export', `vLLM loads adapters in the format "peft_adapter", not "${format}"`, {
      param,
      hint: 'Ask for "peft_adapter". A merged model is served by a vLLM of its own: vllm serve DIRECTORY.',
    });
  if (tuning.type !== 'lora')
    throw new Refusal('unsupported_export', `vLLM serves LoRA adapters, and this is "${tuning.type}"`, {
      param,
      hint: 'Export it as "hugging_face".',
    });
}

/** @throws Refusal hub_push_not_allowed */
async function hubTarget(
  exportId: string,
  { repo_id: repoId, private: isPrivate = true, revision: branch = DEFAULT_BRANCH, token }: NonNullable<CreateExport['hub']>,
  { hub, secrets }: Pick<Needs, 'hub' | 'secrets'>,
): Promise<Pick<Export, 'hub' | 'hubToken'>> {
  if (repoId.includes('..')) throw new Refusal('invalid_value', 'The name of a repository cannot contain ".."', { param: 'hub.repo_id' });
  if (token === undefined && !hub.allowsPush(repoId))
    throw new Refusal('hub_push_not_allowed', `This service does not push to "${repoId}" with a token of its own`, {
      param: 'hub.repo_id',
      hint: 'Give a token that may write there as hub.token. Whoever runs the service can allow repositories with HF_TOKEN and ALLOW_HUB_PUSH.',
    });
  const hubToken = token === undefined ? null : await secrets.seal(token, exportId);
  return { hub: { repoId, isPrivate, branch, commit: null, url: null }, hubToken };
}

const wrongType = (dtype: ExportDtype, format: string, types: readonly ExportDtype[]): Refusal =>
  new Refusal('invalid_value', `The format "${format}" has no type "${dtype}"`, { param: 'dtype', hint: `It has ${types.join(', ')}.` });

/** @throws Refusal export_not_found */
export async function findExport({ project }: Principal, id: string, { exports }: Pick<Needs, 'exports'>): Promise<Export> {
  const found = await exports.find(project, id);
  if (found !== null) return found;
  throw new Refusal('export_not_found', `There is no export "${id}"`, { param: 'export_id', hint: 'GET /v1/exports lists them.' });
}

/** One that has ended stays as it is. @throws Refusal export_not_found */
export async function cancelExport(principal: Principal, id: string, services: Pick<Needs, 'exports'>): Promise<Export> {
  return (await services.exports.cancel(principal.project, id)) ?? findExport(principal, id, services);
}

/** With its files, whether or not it has ended. @throws Refusal export_not_found */
export async function deleteExport(principal: Principal, id: string, services: Needs): Promise<void> {
  const { exports, objectStore, log } = services;
  await findExport(principal, id, services);
  const deleted = await exports.delete(principal.project, id);
  if (!deleted?.folder) return;
  const { folder } = deleted;
  await objectStore.deletePrefix(folder).catch((error: unknown) => log.warn({ err: error, folder }, 'a deleted export could not be removed yet'));
}

/** The files of an export as the object store has them. @throws Refusal export_not_ready */
export function exportObjects({ id, status, folder, files }: Export): { name: string; key: string; sizeBytes: number; sha256: string }[] {
  if (folder === null || files === null)
    throw new Refusal('export_not_ready', `The export "${id}" is ${status} and has no files`, {
      hint: 'GET /v1/exports/{export_id} shows when it has succeeded.',
    });
  return files.map(({ name, bytes, sha256 }) => ({ name, key: folder + name, sizeBytes: bytes, sha256 }));
}
