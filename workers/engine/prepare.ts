/** Everything a run needs before its first step: data tokenised, options resolved, model opened, an earlier run's state restored. */
import { checkBestModel, isOnValidation, watchedMetric } from '../../src/formats/best-model.ts';
import { checkHyperparameters, checkLength } from '../../src/formats/check-hyperparameters.ts';
import { hyperparameterWarnings } from '../../src/formats/hyperparameter-warnings.ts';
import { type ResolvedHyperparameters, resolveHyperparameters, stepsOf } from '../../src/formats/hyperparameters.ts';
import type { ModelConfig } from '../../src/formats/model-config.ts';
import { objectiveFormat } from '../../src/formats/objectives/objectives.ts';
import { type ResolvedTuning, trainedShapes, virtualTokens } from '../../src/formats/tuning/tuning.ts';
import { type Answers, openAnswers, prepareQuestions } from './answers/answers.ts';
import { BadSteps } from './bad-steps.ts';
import { BestModel, checkMetric } from './best-model.ts';
import { openForTraining, type TrainingChoices } from './compiled/open-model.ts';
import { PREPARATION_PARTS, type PreparationPart, type Prepared, type ResumedState, type TrainOptions } from './contract.ts';
import type { Dataset } from './data/dataset.ts';
import { mismatchFiles } from './data/mismatched.ts';
import { overlapWarning } from './data/receipt.ts';
import { jobTemplateSha256 } from './data/template/job-template.ts';
import { saveChatTemplate } from './io/chat-template-file.ts';
import { holdsReferences, readTrainerState, type TrainerState } from './io/checkpoint.ts';
import { readGgufSource } from './io/gguf-source.ts';
import { fastestPrecision, precisionWarnings } from './machine/precision.ts';
import { modelWarnings } from './model/warnings.ts';
import { readModelConfig } from './model/weights.ts';
import { objectiveOf } from './objectives/objectives.ts';
import { prepareData, type RunData } from './prepare-data.ts';
import { basePredictions, type Predictions } from './proof/base-predictions.ts';
import { checkSameRun, earlierBest, restore } from './resume.ts';
import { startFromAdapter, tuningOf } from './start-from.ts';
import { Stopwatch } from './stopwatch.ts';
import { versions } from './tensorflow/tensorflow.ts';
import type { TunedBase } from './tuning/method.ts';
import { methodOf } from './tuning/methods.ts';
import type { LearningModel } from './tuning/tuned-model.ts';
import { GRAFT_VERSION } from './version.ts';

export interface Run {
  model: LearningModel;
  training: Dataset;
  validation: Dataset | null;
  hyperparameters: ResolvedHyperparameters;
  tuning: ResolvedTuning;
  stepsPerEpoch: number;
  totalSteps: number;
  /** The state to resume from; null for a fresh run. */
  resumed: TrainerState | null;
  /** The date that chat templates see; a resumed run keeps that of the first. */
  today: Date;
  /** Hash of the job's own chat template and its variables; null if it has neither. */
  chatTemplate: string | null;
  facts: Prepared;
  /** What the model is asked between steps; null if nothing is. */
  answers: Answers | null;
  /** What watches for the best state; null if nothing depends on it. */
  bestModel: BestModel | null;
  badSteps: BadSteps;
  /** The base model's predictions, for the proof. */
  base: Predictions;
  /** Writes what the job delivers. @returns the file names */
  deliver(dir: string): string[];
  /** Frees the model, but not the data. Further calls do nothing. */
  disposeModel(): void;
  /** Frees the model and the data. Further calls do nothing. */
  dispose(): void;
}

/** Opens the model of a run. */
export type OpenModel = (choices: TrainingChoices) => LearningModel | Promise<LearningModel>;

/**
 * Data first, weights last: a mistake in a file is reported before gigabytes are read.
 * @param open for runs that share a base; default: a model of the run's own
 * @throws Refusal for invalid options, data or model files
 */
export async function prepare(options: TrainOptions, open: OpenModel = openForTraining): Promise<Run> {
  const watch = new Stopwatch(PREPARATION_PARTS);
  const tuning = tuningOf(options);
  const { objective = 'supervised' } = options;
  const { examples: families } = objectiveFormat(objective);
  checkHyperparameters(options.hyperparameters, { param: 'hyperparameters', tuning, objective });
  const evaluations = evaluationsOf(options);
  checkBestModel(options.hyperparameters, { param: 'hyperparameters', evaluations, hasValidation: options.validationFile !== undefined });
  const resumed = options.resumeFrom === undefined ? null : readTrainerState(options.resumeFrom);

  const config = readModelConfig(options.modelDir);
  trainedShapes(config, tuning); // refuses what does not fit the model before the data is read
  const precision = () => {
    watch.lap('data');
    const fastest = resumed?.hyperparameters.precision ?? fastestPrecision(options.machineFile);
    watch.lap('precision');
    return fastest;
  };
  const resolve = (examples: number) =>
    resolveHyperparameters(options.hyperparameters, {
      examples,
      modelMaxLength: config.maxPositionTokens,
      tuning,
      objective,
      fastestPrecision: precision,
    });
  const { max_length: maxLengthTokens, truncation, incomplete_turns: incompleteTurns, multi_turn: multiTurn } = resolve(1); // these do not depend on the data
  const startedOn = resumed && new Date(resumed.today);
  const data = await prepareData(
    options,
    { vocabSize: config.vocabSize, maxLengthTokens, truncation, incompleteTurns, multiTurn, families },
    startedOn,
  );
  try {
    const hyperparameters = resolve(data.training.examples.length);
    checkLength(hyperparameters, data.training.examples.length);
    return await prepareModel(options, { data, hyperparameters, tuning, resumed, config, watch, open });
  } catch (error) {
    data.close();
    throw error;
  }
}

const evaluationsOf = ({ answers }: TrainOptions): string[] => answers?.evaluations.map(({ name }) => name) ?? [];

interface Parts {
  data: RunData;
  hyperparameters: ResolvedHyperparameters;
  tuning: ResolvedTuning;
  resumed: TrainerState | null;
  config: ModelConfig;
  watch: Stopwatch<PreparationPart>;
  open: OpenModel;
}

async function prepareModel(options: TrainOptions, { data, hyperparameters, tuning, resumed, config, watch, open }: Parts): Promise<Run> {
  const { modelDir, seed } = options;
  const { training, validation, receipt, today } = data;
  const { perEpoch: stepsPerEpoch, total: totalSteps } = stepsOf(hyperparameters, training.examples.length);
  const objective = objectiveOf(options.objective ?? 'supervised', hyperparameters);
  if (objective.prior !== undefined) mismatchFiles(data, { ...hyperparameters, seed });
  const watched = watchedMetric(hyperparameters, evaluationsOf(options));
  if (watched !== null && isOnValidation(watched)) checkMetric(watched.name, objective);
  // Before the weights are read, because a mistake in a prompt should not wait for them.
  const asked =
    options.answers === undefined
      ? null
      : await prepareQuestions(options.answers, { ...data, contextTokens: config.maxPositionTokens - virtualTokens(tuning) });
  const chatTemplate = jobTemplateSha256({ source: options.chatTemplate, kwargs: options.chatTemplateKwargs });
  if (resumed !== null) checkSameRun(resumed, { seed, tuning, hyperparameters, trainingSha256: training.sha256, chatTemplate });

  const initialText = methodOf(tuning).initialText?.(tuning) ?? null;
  // As PEFT, with the special tokens that the tokenizer adds.
  const initialTokens = initialText === null ? undefined : (await data.tokenizer.encode(initialText, { addSpecialTokens: true })).ids;

  options.signal?.throwIfAborted();
  watch.lap('data');
  const model = await open({
    modelDir,
    tuning,
    objective,
    seed,
    initialTokens,
    continuesAdapter: options.startFrom !== undefined || (options.resumeFrom !== undefined && holdsReferences(options.resumeFrom)),
    weightDecay: hyperparameters.weight_decay,
    optim: hyperparameters.optim,
    optimizerInBackward: hyperparameters.optimizer_in_bwd,
    precision: hyperparameters.precision,
    quantization: hyperparameters.quantization,
    gradientCheckpointing: hyperparameters.gradient_checkpointing,
    noiseAlpha: hyperparameters.neftune_noise_alpha,
    answers: options.answers !== undefined,
    recorded: () => watch.lap('graph'),
    // In the middle of a pass: whoever cannot be told now will not be told of the step either.
    paced: (pace) => void Promise.resolve(options.report?.paced?.(pace)).catch(() => {}),
  });
  watch.lap('weights');
  let base: Predictions;
  let bestModel: BestModel | null = null;
  let restored: ResumedState | null = null;
  try {
    base = basePredictions(model, (validation ?? training).examples);
    watch.lap('predictions');
    if (resumed === null && options.startFrom !== undefined) startFromAdapter(model, { dir: options.startFrom, tuning });
    if (resumed !== null && options.resumeFrom !== undefined)
      restored = await restore(options.resumeFrom, { model, state: resumed, training, validation });
    if (watched !== null) bestModel = new BestModel({ watched, asked: hyperparameters, model }, earlierBest(options.resumeFrom, { resumed, model }));
    // Garbage from recording and loading would stay until the first steps, where memory peaks. Training processes run with --expose-gc.
    globalThis.gc?.();
    watch.lap('weights');
  } catch (error) {
    model.dispose();
    throw error;
  }
  const facts: Prepared = {
    training: training.facts,
    validation: validation && { ...validation.facts, warnings: [...validation.facts.warnings, ...overlapWarning(receipt)] },
    hyperparameters,
    tuning,
    totalSteps,
    startStep: resumed?.step ?? 0,
    resumed: restored,
    trainableParameters: model.trainableParameters,
    totalParameters: model.totalParameters,
    warnings: [
      ...data.warnings,
      ...modelWarnings(config, model.config),
      ...precisionWarnings(hyperparameters.precision),
      ...hyperparameterWarnings(options.hyperparameters, hyperparameters),
      ...(objective.warnings?.(training.examples) ?? []),
    ],
    versions: { graft: GRAFT_VERSION, node: process.version, ...versions() },
    seconds: watch.seconds,
  };
  const tunedBase: TunedBase = {
    modelDir,
    name: options.baseModelName ?? modelDir,
    revision: options.baseModelRevision ?? null,
    ggufFile: readGgufSource(modelDir)?.name ?? null,
    quantization: hyperparameters.quantization,
  };
  const deliver = (dir: string): string[] => {
    const files = methodOf(tuning).save(model, dir, { tuning, base: tunedBase });
    return options.chatTemplate === undefined ? files : saveChatTemplate(dir, { files, source: options.chatTemplate });
  };
  let disposed = false;
  const disposeModel = (): void => {
    if (disposed) return;
    disposed = true;
    model.dispose();
  };
  const dispose = (): void => {
    disposeModel();
    data.close();
  };
  return {
    model,
    training,
    validation,
    hyperparameters,
    tuning,
    stepsPerEpoch,
    totalSteps,
    resumed,
    today,
    chatTemplate,
    facts,
    answers: asked && openAnswers(asked, { model, evalSteps: hyperparameters.eval_steps, totalSteps }),
    bestModel,
    badSteps: new BadSteps(hyperparameters, resumed?.badSteps ?? null),
    base,
    deliver,
    disposeModel,
    dispose,
  };
}
