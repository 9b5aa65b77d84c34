/** Records a whole model as one graph: weight variables, evaluation, logits and, for training, the pass and the step. Nothing is computed yet. */

import type { Precision } from '../../../src/formats/hyperparameters.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { isBuffer, usedHeadWeight, weightShapes } from '../../../src/formats/module-shapes.ts';
import { momentsIn8Bits, type Optim } from '../../../src/formats/optimizer.ts';
import type { Quantization } from '../../../src/formats/quantization.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning/tuning.ts';
import type { Parameters } from '../model/parameters.ts';
import type { Objective, ObjectiveContext } from '../objectives/objective.ts';
import { type Tensor1D, tf, type Variable } from '../tensorflow/tensorflow.ts';
import { withEmbeddingNoise } from '../tuning/embedding-noise.ts';
import { methodOf } from '../tuning/methods.ts';
import { byName, type Trained, untuned, variable } from '../tuning/trained.ts';
import { declareUpdateFeeds, recordUpdate } from './adamw-update.ts';
import { type BackwardUpdate, recordBackwardUpdate } from './backward-update.ts';
import type { RecordedOptimizer, TrainedSlab } from './learner.ts';
import { declareFeeds } from './pass-feeds.ts';
import { dividedByQuantization, holdQuantized, quantizedSizes, quantizedTensors } from './quantized-weights.ts';
import { type RecordedPass, recordLogits, recordPass, recordReference } from './recorded-pass.ts';
import {
  addTo,
  fixedSizes,
  type HeldIn,
  holdFrozen,
  holdSlabs,
  holdTrained,
  lossWithGradients,
  rateFactorOf,
  type Shapes,
  sizeOf,
  tensorsIn,
  trainedVariables,
} from './recorded-slabs.ts';
import { type RecordedTexts, recordTexts, remembersTexts, TEXT_SIZES } from './recorded-texts.ts';
import type { Output } from './recording/graph.ts';
import { Recorder } from './recording/recorder.ts';
import type { HeldSlab } from './session/held-slabs.ts';

export interface ModelChoices {
  config: ModelConfig;
  /** null for the base model alone. */
  tuning: ResolvedTuning | null;
  objective: Objective;
  /** Seed of the initial values of what a method adds. */
  seed: number;
  /** Tokens of the method's `initialText`. */
  initialTokens?: Int32Array | undefined;
  /** Whether it begins with an adapter's values instead of those, so that the base without it is not the model that training begins with. */
  continuesAdapter?: boolean;
  /** Precision of products. */
  precision: Precision;
  heldIn: HeldIn;
  /** How frozen matrices of linear layers are held instead; default null: they are not quantised. */
  quantization?: Quantization | null;
  /** Whether it is to continue texts; default false. */
  answers?: boolean;
  /** null for inference: the model has no gradients and no moments. */
  learning: LearningChoices | null;
}

export interface LearningChoices {
  weightDecay: number;
  /** Default: AdamW with moments in f32. */
  optim?: Optim;
  /** Whether a step of one pass is taken within its backward pass; default false. */
  optimizerInBackward?: boolean;
  gradientCheckpointing?: boolean;
  noiseAlpha?: number | undefined;
}

export interface Learning extends RecordedOptimizer {
  pass: RecordedPass['sums'];
  /** A pass that takes the step too; null unless steps are taken so. */
  whole: BackwardUpdate | null;
  /** NEFTune's α; undefined: there is no noise. */
  noiseAlpha: number | undefined;
}

export interface RecordedModel {
  recorder: Recorder;
  frozen: readonly HeldSlab[];
  /** Of the base's frozen weights, those that are held quantised. */
  quantized: readonly HeldSlab[];
  trained: readonly TrainedSlab[];
  /** Shapes of what is trained, sorted by name. */
  trainable: ReadonlyMap<string, { readonly shape: readonly number[] }>;
  /** Of what the method adds without training it. */
  constant: readonly HeldSlab[];
  /** Initial values of what the method adds to the base model; everything else is read from the base model. */
  added: ReadonlyMap<string, Float32Array>;
  /** Those of them that depend on the base model's weights. */
  initial: NonNullable<Trained['initial']>;
  trainableParameters: number;
  totalParameters: number;
  context: ObjectiveContext;
  evaluation: RecordedPass['sums'];
  /** The objective's `reference`; null if it has none. */
  reference: { output: Output; ofBase: boolean } | null;
  logits: Output;
  /** null where it is not to continue texts, or has to read them again for each token. */
  texts: RecordedTexts | null;
  learning: Learning | null;
}

export function recordModel(choices: ModelChoices): RecordedModel {
  const {
    config,
    tuning,
    objective,
    seed,
    initialTokens,
    continuesAdapter = false,
    precision,
    heldIn,
    quantization = null,
    answers = false,
    learning,
  } = choices;
  const recorder = new Recorder(precision);
  const { graph } = recorder;
  const { blocks } = config.names;
  const method = tuning === null ? null : methodOf(tuning);
  const shapes: Shapes = [...weightShapes(config)];
  const isTrained = ([name]: readonly [string, unknown]): boolean =>
    method !== null && tuning !== null && method.trainsWeight(name, { config, tuning });
  const [frozenShapes, trainedShapes] = [shapes.filter((weight) => !isTrained(weight)), shapes.filter(isTrained)];
  const hold = (of: Shapes, prefix: string): HeldSlab[] => holdSlabs(graph, of, { prefix, blocks });

  const { quantized: quantizedShapes, others } = dividedByQuantization(frozenShapes, { config, quantization });
  const frozen = holdFrozen(graph, others, { blocks, heldIn });
  const quantized = holdQuantized(
    graph,
    quantizedShapes.map(([name]) => name),
    { config, quantization },
  );
  const in8Bits = momentsIn8Bits(learning?.optim ?? 'adamw_torch', config);
  const trainedBase = holdTrained(graph, trainedShapes, { prefix: 'trained', blocks, factorOf: () => 1, in8Bits });
  const quantizedWeights = quantizedTensors(recorder, quantized, { config, quantization });
  const weights = new Map([...tensorsIn(recorder, [...frozen, ...trainedBase]), ...quantizedWeights]); // names and shapes without values
  recorder.record(() => {
    for (const [name] of trainedShapes) weights.set(name, variable(weights.get(name)!));
  });
  const joined: Trained =
    method === null || tuning === null ? untuned(weights, config) : method.join(weights, { config, tuning, seed, initialTokens });
  const { trainable, constant: constants = new Map<string, Variable>() } = joined;
  const parameters = (key?: Tensor1D): Parameters => joined.parameters(key);
  const additions = [...trainable].filter(([name]) => !weights.has(name));
  const addedShapes: Shapes = additions.map(([name, { shape }]) => [name, shape]);
  const factorOf = (name: string, shape: readonly number[]): number => (tuning === null ? 1 : rateFactorOf(tuning, name, shape));
  const addedSlabs = holdTrained(graph, addedShapes, { prefix: 'added', blocks, factorOf, in8Bits });
  const addedTensors = tensorsIn(recorder, addedSlabs);
  for (const [name, tensor] of addedTensors) recorder.bind(trainable.get(name)!, recorder.outputOf(tensor));
  const constantShapes: Shapes = [...constants].map(([name, { shape }]) => [name, shape]);
  const constant = hold(constantShapes, 'constant');
  const constantTensors = tensorsIn(recorder, constant);
  for (const [name, tensor] of constantTensors) recorder.bind(constants.get(name)!, recorder.outputOf(tensor));
  const trained = [...trainedBase, ...addedSlabs].map(
    (held): TrainedSlab => ({
      ...held,
      learning: learning && trainedVariables(graph, held, { factorOf, in8Bits, byOwnKernel: learning.optim === 'adamw_8bit' }),
    }),
  );

  const context: ObjectiveContext = { config, trainsHead: isTrained([usedHeadWeight(config), undefined]) || joined.changesHead === true };
  const remembers = answers && remembersTexts(config, tuning);
  const feeds = declareFeeds(recorder, {
    ...context,
    objective,
    fixedSizes: [...fixedSizes(config, [...frozen, ...quantized, ...constant, ...trained]), ...quantizedSizes(quantized, config)],
    ...(remembers && { moreSizes: TEXT_SIZES }),
  });
  const evaluation = recordPass(recorder, feeds, { config, objective, parameters: parameters(), trainable: new Map() }).sums;
  const ofBase = trainedShapes.length === 0 && !continuesAdapter;
  const comparedWith = ofBase ? untuned(weights, config).parameters() : parameters();
  const reference = recordReference(recorder, feeds, { config, objective, parameters: comparedWith });
  const logits = recordLogits(recorder, feeds, { config, parameters: parameters() });
  const texts = remembers ? recordTexts(recorder, { config, parameters: parameters(), sizes: feeds.sizes }) : null;
  let training: Learning | null = null;
  if (learning !== null) {
    const { weightDecay, gradientCheckpointing: checkpointing = false, noiseAlpha } = learning;
    const { dropoutKey: key, noiseScales: scales } = feeds;
    const noiseless = parameters(key);
    const inTraining = noiseAlpha === undefined ? noiseless : withEmbeddingNoise(noiseless, { scales, key });
    const options = { config, objective, parameters: inTraining, trainable, checkpointing };
    const pass = recordPass(recorder, feeds, options);
    const { sums, gradients } = pass;
    const additionNodes = trained.map(({ slab, learning }) => addTo(recorder, learning!.gradients, { slab, gradients }));
    const loss = lossWithGradients(graph, sums['loss']!, additionNodes);
    const updateFeeds = declareUpdateFeeds(recorder);
    const states = trained.map(({ learning }) => learning!);
    training = {
      pass: { ...sums, loss },
      update: recordUpdate(recorder, updateFeeds, states, { weightDecay, name: 'update' }),
      whole: learning.optimizerInBackward ? recordBackwardUpdate(recorder, updateFeeds, trained, { pass, weightDecay }) : null,
      weightDecay,
      noiseAlpha,
    };
  }

  const added = new Map([...additions, ...constants].map(([name, variable]) => [name, variable.dataSync<'float32'>()]));
  const tensors = [weights, addedTensors, constantTensors, trainable, constants].flatMap((named) => [...named.values()]);
  recorder.record(() => tf.dispose(tensors));
  recorder.dispose();
  return {
    recorder,
    frozen,
    quantized,
    trained,
    constant,
    trainable: new Map([...byName(trainable)].map(([name, { shape }]) => [name, { shape }])),
    added,
    initial: (name, read) => joined.initial?.(name, read) ?? null,
    trainableParameters: sizeOf(trainedShapes) + sizeOf(addedShapes),
    totalParameters: sizeOf(shapes.filter(([name]) => !isBuffer(name, config))) + sizeOf(addedShapes) + sizeOf(constantShapes),
    context,
    evaluation,
    reference: reference && { output: reference, ofBase },
    logits,
    texts,
    learning: training,
  };
}
