/** What a job would need, without a worker: from the model's config.json, the request, and the length of the texts in its file. */
import type { Principal } from '../accounts/principal.ts';
import { checkLength } from '../formats/check-hyperparameters.ts';
import { type Hyperparameters, stepsOf as lengthOf, type ResolvedHyperparameters, resolveHyperparameters } from '../formats/hyperparameters.ts';
import { countParameters, estimateMemory, type PassSize } from '../formats/memory-estimate.ts';
import type { ModelConfig } from '../formats/model-config.ts';
import type { ObjectiveFormat } from '../formats/objectives/format.ts';
import { type ObjectiveName, objectiveFormat } from '../formats/objectives/objectives.ts';
import { parseModelConfig } from '../formats/parse-model-config.ts';
import { PASS_TOKENS, paddedLength } from '../formats/pass-size.ts';
import { Refusal } from '../formats/refusal.ts';
import { layOutTensors } from '../formats/safetensors.ts';
import { storedDtype } from '../formats/stored-dtype.ts';
import { mergesFirst, nothingToMerge } from '../formats/tuning/merge-first.ts';
import { deliveredBy, deliveredShapes, type ResolvedTuning, resolveTuning, virtualTokens } from '../formats/tuning/tuning.ts';
import { parseHubName } from '../hub/hub-name.ts';
import { TUNED_PREFIX } from '../ids.ts';
import { commitOfModel } from '../jobs/base-model.ts';
import { checkMethod, objectiveOf, requestedHyperparameters, requireFile } from '../jobs/create.ts';
import type { Job } from '../jobs/job.ts';
import { continuedFrom } from '../jobs/start-from.ts';
import { alsoTuned, fromUploaded } from '../jobs/start-from-file.ts';
import type { Services } from '../services.ts';
import { type RoughData, roughData } from './rough-data.ts';
import type { Estimate, EstimateRequest } from './schema.ts';
import { announcedAs, workersThatFit } from './workers.ts';

type Needs = Pick<Services, 'jobs' | 'jobRecord' | 'reports' | 'models' | 'files' | 'validations' | 'hub' | 'objectStore' | 'log'>;
type NamedModel = Pick<Job, 'model' | 'modelRevision'>;

/** @throws Refusal as for a job that is created */
export async function estimate({ project }: Principal, body: EstimateRequest, services: Needs): Promise<Estimate> {
  checkMethod(body);
  const requested = requestedHyperparameters(body);
  const { tuning, ...named } = await chosen(project, body, services);
  const objective = objectiveOf(body);
  const { examples: families } = objectiveFormat(objective);
  const json = await configJson(named, services);
  const config = parseModelConfig(json, `The config.json of ${body.model}`);
  const data = typeof body.training_file === 'string' ? await readRoughly(project, { id: body.training_file, objective }, services) : null;

  const assumptions: string[] = [];
  const hyperparameters = resolve(requested, { config, tuning, objective, examples: data?.examples ?? 1, assumptions });
  const { isOnePass, ...pass } = passSize(requested, { hyperparameters, virtual: virtualTokens(tuning), data, families, assumptions });
  if (data !== null) checkLength(hyperparameters, data.examples);
  const { precision, quantization, optim, gradient_checkpointing: gradientCheckpointing } = hyperparameters;
  const keepsBest = hyperparameters.load_best_model_at_end === true;
  const memory = estimateMemory({
    config,
    tuning,
    precision,
    storedInBf16: storedDtype(json) === 'BF16',
    quantization,
    optim,
    gradientsPass: hyperparameters.optimizer_in_bwd === true && isOnePass,
    gradientCheckpointing,
    keepsBest,
    pass,
  });
  const parameters = countParameters(config, tuning);
  const deliversModel = deliveredBy(tuning.type) === 'model';
  const dtype = deliversModel ? storedDtype(json) : 'F32';
  if (deliversModel && config.otherTowers !== undefined)
    assumptions.push('delivered_bytes: those of the language model; the rest of the model is delivered too, as large as it is in the base');
  return {
    object: 'fine_tuning.estimate',
    model: body.model,
    tuning,
    trained_parameters: parameters.trained,
    total_parameters: parameters.total,
    delivered_bytes: layOutTensors(deliveredShapes(config, tuning), { dtype }).fileBytes,
    memory,
    data: data && stepsOf(data, hyperparameters),
    workers: await workersThatFit(named, memory.total_bytes, services),
    assumptions,
  };
}

/** The base model and the tuning; those of a tuned model or an uploaded adapter if the job starts from one. */
async function chosen(
  project: string,
  { model, tuning, start_from: fileId }: EstimateRequest,
  services: Needs,
): Promise<NamedModel & { tuning: ResolvedTuning }> {
  if (model.startsWith(TUNED_PREFIX) && fileId != null) throw alsoTuned();
  if (model.startsWith(TUNED_PREFIX)) return continuedFrom(project, { name: model, tuning }, services);
  const modelRevision = await commitOfModel(model, services);
  const wanted = resolveTuning(tuning);
  if (fileId == null && mergesFirst(wanted)) throw nothingToMerge();
  if (fileId == null) return { model, modelRevision, tuning: wanted };
  const { tuning: continued } = await fromUploaded(project, { fileId, model, modelRevision, tuning }, services);
  return { model, modelRevision, tuning: resolveTuning(continued) };
}

/** @throws Refusal if nobody has the file */
async function configJson(named: NamedModel, { models, hub }: Needs): Promise<Record<string, unknown>> {
  const announced = await models.configOf(announcedAs(named));
  if (announced !== null) return JSON.parse(announced) as Record<string, unknown>;
  const onHub = named.modelRevision === null ? null : parseHubName(named.model);
  if (onHub !== null && hub.allows(onHub.name)) return (await hub.describe({ name: onHub.name, revision: named.modelRevision })).config;
  throw new Refusal('model_not_described', `No worker has told what the config.json of "${named.model}" says`, {
    param: 'model',
    hint: 'It may be damaged or very long: create a job with `dry_run: true`, whose error says so.',
  });
}

async function readRoughly(project: string, { id, objective }: { id: string; objective: ObjectiveName }, services: Needs): Promise<RoughData> {
  const data = await roughData(await requireFile(project, { param: 'training_file', id, objective }, services), services);
  const judged = await services.validations.find(project, id);
  if (judged !== null) {
    const { preference, ...others } = judged.examples;
    // A method that learns from labelled answers takes a pair for two of them.
    const ofPair = objectiveFormat(objective).examples.includes('labelled') ? 2 : 1;
    return { ...data, examples: Object.values(others).reduce((sum, count) => sum + count, ofPair * preference) };
  }
  if (data.examples === 0) throw new Refusal('invalid_training_file', `The file "${id}" has no examples`, { param: 'training_file' });
  return data;
}

interface Resolving {
  config: ModelConfig;
  tuning: ResolvedTuning;
  objective: ObjectiveName;
  examples: number;
  assumptions: string[];
}

function resolve(requested: Hyperparameters, { config, tuning, objective, examples, assumptions }: Resolving): ResolvedHyperparameters {
  return resolveHyperparameters(requested, {
    examples,
    modelMaxLength: config.maxPositionTokens,
    tuning,
    objective,
    fastestPrecision() {
      assumptions.push('precision: f32, which needs more memory than bf16; "auto" is decided by the worker');
      return 'f32';
    },
  });
}

interface PassFacts {
  hyperparameters: ResolvedHyperparameters;
  /** Virtual tokens before each example. */
  virtual: number;
  data: RoughData | null;
  families: ObjectiveFormat['examples'];
  assumptions: string[];
}

/** The largest pass: as many examples of a step as fit into PASS_TOKENS, or one that is longer than that; a pair's two answers are always in one. */
function passSize(
  requested: Hyperparameters,
  { hyperparameters, virtual, data, families, assumptions }: PassFacts,
): PassSize & { isOnePass: boolean } {
  const { max_length: maxLength, batch_size: batchSize } = hyperparameters;
  const sequences = families[0] === 'preference' ? 2 : 1;
  let longest = Math.min(maxLength, data?.longestTokens ?? maxLength);
  if (data === null && (requested.max_length ?? 'auto') === 'auto') {
    longest = Math.min(maxLength, PASS_TOKENS);
    assumptions.push(`the longest example has ${longest} tokens: name a training_file, or max_length`);
  }
  if (data !== null) assumptions.push(`the longest example has about ${longest} tokens, by the length of its text`);
  const row = longest + virtual;
  const ofStep = data === null && (requested.batch_size ?? 'auto') === 'auto' ? PASS_TOKENS : batchSize * sequences * row;
  const tokens = Math.max(sequences * paddedLength(row), Math.min(PASS_TOKENS, paddedLength(ofStep)));
  return { tokens, supervisedTokens: tokens, isOnePass: paddedLength(ofStep) <= tokens };
}

function stepsOf({ examples, tokens, longestTokens }: RoughData, hyperparameters: ResolvedHyperparameters): NonNullable<Estimate['data']> {
  const steps = lengthOf(hyperparameters, examples);
  return {
    examples,
    tokens,
    longest_tokens: Math.min(longestTokens, hyperparameters.max_length),
    total_steps: steps.total,
    total_tokens: Math.round((tokens * steps.total) / steps.perEpoch),
  };
}
