/** VeRA (Kopiczko et al. 2024), as PEFT defines it: two vectors for each targeted layer, between random matrices that all layers share and nobody trains. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { PROJECTIONS, type ResolvedVera, veraFormat, veraLayers, veraName, veraTargets } from '../../../src/formats/tuning/vera.ts';
import { loadAdapter } from '../io/adapter.ts';
import { isDropout, isNatural } from '../io/adapter-config.ts';
import { isTargets, readAdapterFields, writeAdapterFiles, writtenTargets } from '../io/adapter-files.ts';
import { openFittingAdapter } from '../proof/adapter-shapes.ts';
import { differentiable } from '../tensorflow/differentiable.ts';
import { within } from '../tensorflow/scope.ts';
import { type Tensor, type Tensor2D, tf, type Variable } from '../tensorflow/tensorflow.ts';
import { tidyValues } from '../tensorflow/tidy-values.ts';
import { leavesBaseFrozen } from './frozen-base.ts';
import { type Dropout, dropoutOf, keptScaled } from './low-rank.ts';
import type { JoinOptions, Merge, Method } from './method.ts';
import { uniform } from './random.ts';
import { byName, plainParameters, type Trained, variable } from './trained.ts';

interface VeraVectors {
  /** [out], initially zero, so that a new adapter changes nothing */
  b: Variable;
  /** [r] */
  d: Variable;
}

export const vera: Method<ResolvedVera> = {
  peftType: 'VERA',
  ...leavesBaseFrozen(readTuning),
  join: joinVectors,
  save(model, dir, { tuning, base }) {
    const fields = {
      bias: 'none',
      d_initial: tuning.d_initial,
      fan_in_fan_out: model.config.inputFirst,
      init_weights: true,
      layers_pattern: null,
      layers_to_transform: null,
      modules_to_save: null,
      projection_prng_key: tuning.projection_prng_key,
      r: tuning.r,
      save_projection: true,
      target_modules: writtenTargets(model.config, veraTargets(model.config, tuning)),
      vera_dropout: tuning.vera_dropout,
    };
    const tensors = new Map([...model.read(), ...model.constants()]);
    return writeAdapterFiles(dir, { config: model.config, tensors, peftType: 'VERA', fields, base, card: { name: 'VeRA', tag: 'vera' } });
  },
  adapter: {
    readTuning,
    isBaseAtZero: () => true,
    isPerRow: () => false,
    openMerge,
    load: (model, dir) =>
      loadAdapter({ trainable: new Map([...model.trainable, ...model.constants()]), assign: (values) => model.assign(values) }, dir),
  },
};

function readTuning(dir: string): ResolvedVera {
  return readAdapterFields(dir, (fields) => {
    fields.ignore('fan_in_fan_out', 'init_weights', 'd_initial', 'projection_prng_key', 'layers_pattern');
    fields.take('bias', (value): value is string => value === undefined || value === 'none');
    return veraFormat.resolve({
      type: 'vera',
      r: fields.take('r', isNatural),
      target_modules: fields.take('target_modules', isTargets),
      save_projection: fields.take('save_projection', (value): value is true => value === true),
      vera_dropout: fields.take('vera_dropout', isDropout),
    });
  });
}

function joinVectors(weights: ReadonlyMap<string, Tensor>, { config, tuning }: JoinOptions<ResolvedVera>): Trained {
  const layers = veraLayers(config, tuning);
  const vectors = new Map(
    [...layers].map(([module, { out }]) => [module, { b: variable(tf.zeros([out])), d: variable(tf.fill([tuning.r], tuning.d_initial)) }]),
  );
  const [A, B] = projections(config, tuning) as [Variable, Variable];
  const plain = plainParameters(weights, config);
  const named = [...vectors].flatMap(([module, { b, d }]): [string, Variable][] => [
    [veraName(module, 'b'), b],
    [veraName(module, 'd'), d],
  ]);
  return {
    trainable: byName(new Map(named)),
    constant: new Map([
      [PROJECTIONS.A, A],
      [PROJECTIONS.B, B],
    ]),
    parameters(key) {
      const linear = (module: string, x: Tensor2D): Tensor2D => {
        const frozen = plain.linear(module, x);
        const own = vectors.get(module);
        if (own === undefined) return frozen;
        const { in: input, out } = layers.get(module)!;
        return within(module, () => {
          const matrices = {
            A: tf.slice(A as unknown as Tensor2D, [0, 0], [tuning.r, input]),
            B: tf.slice(B as unknown as Tensor2D, [0, 0], [out, tuning.r]),
          };
          return tf.add(frozen, update(x, own, matrices, dropoutOf(module, { key, rate: tuning.vera_dropout })));
        });
      };
      return { ...plain, linear, linears: (modules, x) => modules.map((module) => linear(module, x)) };
    },
  };
}

/** Kaiming-uniform, as PEFT: within ±√(6 / in). */
function projections(config: ModelConfig, tuning: ResolvedVera): Variable[] {
  return [...veraFormat.constantShapes!(config, tuning)].map(([name, shape]) => {
    const [rows, columns] = shape as [number, number];
    const values = uniform(rows * columns, { bound: Math.sqrt(6 / columns), seed: tuning.projection_prng_key, name });
    return variable(tf.tensor2d(values, [rows, columns]));
  });
}

/** W + (b ⊙ B)(d ⊙ A), as PEFT's `merge_and_unload`. */
function openMerge(dir: string, { modelDir, config }: { modelDir: string; config: ModelConfig }): Merge {
  const tuning = readTuning(dir);
  const layers = veraLayers(config, tuning);
  const file = openFittingAdapter(dir, { modelDir, tuning });
  const read = (name: string): Tensor => {
    const { shape, data } = file.read(name);
    return tf.tensor(data as Float32Array, [...shape], 'float32');
  };
  return {
    merged(name, values) {
      const module = name.slice(0, -'.weight'.length);
      const layer = name.endsWith('.weight') ? layers.get(module) : undefined;
      if (layer === undefined) return values;
      return tidyValues(() => {
        const [b, d] = [read(veraName(module, 'b')), read(veraName(module, 'd'))];
        const A = tf.mul(tf.slice(read(PROJECTIONS.A) as Tensor2D, [0, 0], [tuning.r, layer.in]), tf.reshape(d, [-1, 1])) as Tensor2D;
        const B = tf.mul(tf.slice(read(PROJECTIONS.B) as Tensor2D, [0, 0], [layer.out, tuning.r]), tf.reshape(b, [-1, 1])) as Tensor2D;
        const change = config.inputFirst ? tf.matMul(A, B, true, true) : tf.matMul(B, A);
        return tf.add(tf.tensor2d(values, change.shape as [number, number]), change).dataSync<'float32'>();
      });
    },
    close: () => file.close(),
  };
}

/**
 * b ⊙ (d ⊙ (D·x)Aᵀ)Bᵀ, where D zeroes elements with probability p and multiplies the others by 1 / (1 − p).
 * With H = (D·x)Aᵀ and G = (b ⊙ dy)·B: dx = D·((d ⊙ G)·A), dd = Σ G ⊙ H over the tokens, db = the sums of the rows of dyᵀ(d ⊙ H) ⊙ B.
 * @param x [tokens, in]
 * @returns [tokens, out]
 */
function update(x: Tensor2D, { b, d }: VeraVectors, { A, B }: { A: Tensor2D; B: Tensor2D }, dropout?: Dropout): Tensor2D {
  return differentiable<Tensor2D>([x, b, d], () => {
    const D = dropout === undefined ? undefined : keptScaled(x, dropout);
    const H = tf.matMul(D === undefined ? x : tf.mul(x, D), A, false, true) as Tensor2D; // [tokens, r]
    return {
      value: tf.mul(tf.matMul(tf.mul(H, d) as Tensor2D, B, false, true), b),
      saved: [H, b, d, A, B, ...(D === undefined ? [] : [D])],
      gradient(dy, [H, b, d, A, B, D]) {
        const G = tf.matMul(tf.mul(dy, b!) as Tensor2D, B as Tensor2D);
        const dx = tf.matMul(tf.mul(G, d!) as Tensor2D, A as Tensor2D);
        const db = tf.sum(tf.mul(tf.matMul(dy, tf.mul(H!, d!) as Tensor2D, true, false), B!), 1);
        return [D === undefined ? dx : tf.mul(dx, D), db, tf.sum(tf.mul(G, H!), 0)];
      },
    };
  });
}
