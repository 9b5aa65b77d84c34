/** LoRA (Hu et al. 2021), as PEFT defines it. */

import { join } from 'node:path';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { ADAPTER_WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { headWeight } from '../../../src/formats/module-shapes.ts';
import { beginName, beginOf, deliveredLora, isAdded, magnitudeName, peftName } from '../../../src/formats/tuning/lora.ts';
import { onExperts } from '../../../src/formats/tuning/lora-experts.ts';
import type { ResolvedLora } from '../../../src/formats/tuning/lora-fields.ts';
import type { LoraLayer } from '../../../src/formats/tuning/lora-layers.ts';
import { checkLora } from '../../../src/formats/tuning/lora-refusals.ts';
import { savingWhole, trainedWeights } from '../../../src/formats/tuning/lora-weights.ts';
import { loadLoraAdapter, readAdapterConfig, saveAdapter } from '../io/adapter.ts';
import { lookUp } from '../model/embedding.ts';
import { expertProducts } from '../model/expert-products.ts';
import { readModelConfig } from '../model/weights.ts';
import { adapterProblems, configProblems } from '../proof/adapter-layout.ts';
import { gradientsFlowInto } from '../tensorflow/differentiable.ts';
import { within } from '../tensorflow/scope.ts';
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, tf, type Variable } from '../tensorflow/tensorflow.ts';
import { doraLinear } from './dora.ts';
import { initialMatrices, valuesOfBase } from './lora-initial.ts';
import { byScaling, type Dropout, dropoutOf, expanded, type Factors, reduced } from './low-rank.ts';
import type { JoinOptions, Method } from './method.ts';
import { byName, plainParameters, type Trained, unbiasedProduct, variable, variablesOf } from './trained.ts';

interface LoraPair extends Pick<LoraLayer, 'kind' | 'scaling' | 'experts'> {
  /** [r, in], of all experts one after the other */
  A: Variable;
  /** [out, r], of experts the first column of each, then the second, …; zero at first unless the initialisation says otherwise, so that a new adapter changes nothing */
  B: Variable;
  /** [r₀, in] and [out, r₀], frozen beside A and B: what the update is measured from, or an adapter that counts as merged. */
  begin: { A: Variable; B: Variable; factor: number } | null;
  /** [out], DoRA's */
  magnitude: Variable | null;
}

export const lora: Method<ResolvedLora> = {
  peftType: 'LORA',
  trainsWeight: (name, { config, tuning }) => trainedWeights(config, tuning).has(name),
  rateFactor,
  join: joinPairs,
  save: (model, dir, { tuning, base }) =>
    saveAdapter(model, dir, {
      tuning,
      baseModelName: base.name,
      baseModelRevision: base.revision,
      ggufFile: base.ggufFile,
      quantization: base.quantization,
    }),
  tensorFiles: (dir) => [join(dir, ADAPTER_WEIGHTS_FILE)],
  layoutProblems(dir, { tuning, modelDir }) {
    const written = readAdapterConfig(dir);
    const config = readModelConfig(modelDir);
    return [
      ...configProblems(written, savingWhole(config, deliveredLora(onExperts(config, tuning))), config),
      ...adapterProblems(dir, modelDir, written),
    ];
  },
  adapter: { readTuning: readAdapterConfig, isBaseAtZero: isAdded, isPerRow, load: loadLoraAdapter },
};

function isPerRow(tuning: ResolvedLora, config: ModelConfig): boolean {
  return (
    isAdded(tuning) &&
    onExperts(config, tuning).target_parameters === undefined &&
    [...checkLora(config, tuning).values()].every(({ kind }) => kind === 'linear')
  );
}

/** LoRA+ (Hayou et al. 2024), as PEFT's `create_loraplus_optimizer`: B and all vectors learn faster. */
function rateFactor(name: string, { shape, tuning }: { shape: readonly number[]; tuning: ResolvedLora }): number {
  return name.includes('.lora_B.') || shape.length === 1 ? (tuning.loraplus_lr_ratio ?? 1) : 1;
}

/** Adds a pair to every targeted layer of a base, most or all of which is frozen. */
function joinPairs(weights: ReadonlyMap<string, Tensor>, { config, tuning, seed }: JoinOptions<ResolvedLora>): Trained {
  const layers = checkLora(config, tuning);
  const pairs = new Map<string, LoraPair>(); // of experts by their weight
  const trainable = variablesOf(weights);
  const constant = new Map<string, Variable>();
  for (const [module, layer] of layers) {
    const { kind, scaling, experts } = layer;
    const initial = initialMatrices(module, layer, { tuning, seed });
    const [A, B] = [variable(initial.A), variable(initial.B)];
    trainable.set(peftName(module, 'A', kind), A).set(peftName(module, 'B', kind), B);
    const frozen = beginOf(tuning, layer);
    const begin = frozen && { A: held([frozen.r, layer.in]), B: held([layer.out, frozen.r]), factor: frozen.factor };
    if (begin !== null) constant.set(beginName(module, 'A'), begin.A).set(beginName(module, 'B'), begin.B);
    const magnitude = tuning.use_dora === true ? variable(tf.zeros([layer.out])) : null;
    if (magnitude !== null) trainable.set(magnitudeName(module), magnitude);
    pairs.set(experts?.weight ?? module, { kind, A, B, begin, magnitude, scaling, ...(experts && { experts }) });
  }
  const plain = plainParameters(weights, config);
  const ofKind = (kind: LoraLayer['kind']): LoraPair | undefined => [...pairs.values()].find((pair) => pair.kind === kind);
  const [head, embedding] = [ofKind('head'), ofKind('embedding')];
  return {
    trainable: byName(trainable),
    constant,
    initial: valuesOfBase(layers, { config, tuning, seed }),
    changesHead: head !== undefined,
    parameters(key) {
      const dropout = (module: string): Dropout | undefined => dropoutOf(module, { key, rate: tuning.lora_dropout });
      const linears = (modules: readonly string[], x: Tensor2D): Tensor2D[] => {
        if (tuning.use_dora === true) return modules.map((module) => dora(module, x));
        const frozen = plain.linears(modules, x);
        const targeted = modules.filter((module) => pairs.has(module));
        const tuned = targeted.map((module) => factorsOf(pairs.get(module)!));
        const reductions = within(modules[0]!, () => {
          if (key === undefined || tuning.lora_dropout === 0) return byScaling(tuned, (alike) => reduced(x, alike));
          // Each layer drops different elements.
          return targeted.flatMap((module, index) => reduced(x, [tuned[index]!], dropout(module)));
        });
        return modules.map((module, index) => {
          const at = targeted.indexOf(module);
          return at === -1 ? frozen[index]! : within(module, () => expanded(frozen[index]!, reductions[at]!, tuned[at]!.B));
        });
      };
      const dora = (module: string, x: Tensor2D): Tensor2D => {
        const pair = pairs.get(module);
        if (!pair?.magnitude) return plain.linear(module, x);
        const magnitude = pair.magnitude as unknown as Tensor1D;
        return within(module, () =>
          doraLinear(x, { ...unbiasedProduct(weights, module, config), factors: factorsOf(pair), magnitude, dropout: dropout(module) }),
        );
      };
      const weight = (name: string): Tensor =>
        head !== undefined && name === headWeight(config)
          ? gradientsFlowInto(updated(plain.weight(name) as Tensor2D, factorsOf(head)))
          : plain.weight(name);
      return {
        ...plain,
        weight,
        linear: (module, x) => linears([module], x)[0]!,
        linears,
        experts(weight, x, chosen) {
          const [y, pair] = [plain.experts(weight, x, chosen), pairs.get(weight)];
          return pair === undefined ? y : within(weight, () => tf.add(y, expertUpdate(x, chosen, pair)));
        },
        ...(embedding !== undefined && { embeddingUpdate: (ids) => embeddingUpdate(ids, factorsOf(embedding), config) }),
      };
    },
  };
}

const held = (shape: [number, number]): Variable => {
  const zeros = tf.zeros(shape);
  const made = tf.variable(zeros, false);
  zeros.dispose();
  return made;
};

/** The update is s·(B·A + factor·B₀·A₀), which is one of the rank r + r₀. */
function factorsOf({ A, B, begin, scaling }: LoraPair): Factors {
  const [a, b] = [A, B] as unknown as [Tensor2D, Tensor2D];
  if (begin === null) return { A: a, B: b, scaling };
  return {
    A: tf.concat([a, begin.A as unknown as Tensor2D], 0),
    B: tf.concat([b, tf.mul(begin.B as unknown as Tensor2D, begin.factor)], 1),
    scaling,
  };
}

/**
 * Of each choice, s·Bₑ·Aₑ·x of its expert e.
 * @param x       [rows, in]
 * @param experts [choices] int32
 * @returns       [choices, out]
 */
function expertUpdate(x: Tensor2D, experts: Tensor1D, { A, B, scaling, experts: layer }: LoraPair): Tensor2D {
  const { count } = layer!;
  const [rows, out] = [A.shape[0]!, B.shape[0]!];
  const ofA: Tensor3D = tf.reshape(A, [count, rows / count, -1]); // [experts, r, in]
  const ofB: Tensor3D = tf.transpose(tf.reshape(B, [out, rows / count, count]), [2, 0, 1]); // [experts, out, r]
  const H = expertProducts(x, gradientsFlowInto(ofA), experts); // [choices, r]
  return expertProducts(tf.mul(H, scaling), gradientsFlowInto(ofB), experts);
}

/** W + s·B·A, [out, in] */
const updated = (W: Tensor2D, { A, B, scaling }: Factors): Tensor2D => tf.add(W, tf.mul(tf.matMul(B, A), scaling));

/**
 * What an adapted embedding adds for each token: s·B·A[:, id].
 * @param ids [tokens] int32
 * @returns [tokens, hidden]
 */
function embeddingUpdate(ids: Tensor1D, { A, B, scaling }: Factors, { paddingId }: ModelConfig): Tensor2D {
  const columns = lookUp(tf.transpose(A), ids, { trained: true, paddingId }); // [tokens, r]
  return tf.mul(tf.matMul(columns, B, false, true), scaling);
}
