/** (IA)³ (Liu et al. 2022), as PEFT defines it: a vector for each targeted layer, which scales its output, or in the feed-forward layer its input. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { type Ia3Tuning, ia3Format, ia3Name, scaledLayers, withDefaults } from '../../../src/formats/tuning/ia3.ts';
import { loadAdapter } from '../io/adapter.ts';
import { isNames } from '../io/adapter-config.ts';
import { isTargets, readAdapterFields, writeAdapterFiles, writtenTargets } from '../io/adapter-files.ts';
import { openFittingAdapter } from '../proof/adapter-shapes.ts';
import { differentiable } from '../tensorflow/differentiable.ts';
import { within } from '../tensorflow/scope.ts';
import { type Tensor, type Tensor2D, tf, type Variable } from '../tensorflow/tensorflow.ts';
import { leavesBaseFrozen } from './frozen-base.ts';
import type { JoinOptions, Merge, Method } from './method.ts';
import { byName, plainParameters, type Trained, variable } from './trained.ts';

export const ia3: Method<Ia3Tuning> = {
  peftType: 'IA3',
  ...leavesBaseFrozen(readTuning),
  join: joinVectors,
  save(model, dir, { tuning, base }) {
    const { target_modules: targets, feedforward_modules: feedforward } = withDefaults(model.config, tuning);
    const fields = {
      exclude_modules: null,
      fan_in_fan_out: model.config.inputFirst,
      feedforward_modules: feedforward.length === 0 ? [] : writtenTargets(model.config, feedforward),
      init_ia3_weights: true,
      modules_to_save: null,
      target_modules: writtenTargets(model.config, targets),
    };
    return writeAdapterFiles(dir, {
      config: model.config,
      tensors: model.read(),
      peftType: 'IA3',
      fields,
      base,
      card: { name: '(IA)³', tag: 'ia3' },
    });
  },
  // The vectors are ones at first: with zeros the model is not its base.
  adapter: { readTuning, isBaseAtZero: () => false, isPerRow: () => false, load: loadAdapter, openMerge },
};

function readTuning(dir: string): Ia3Tuning {
  return readAdapterFields(dir, (fields) => {
    fields.ignore('fan_in_fan_out', 'init_ia3_weights');
    return {
      type: 'ia3',
      target_modules: fields.take('target_modules', isTargets),
      feedforward_modules: fields.take('feedforward_modules', isNames),
    };
  });
}

function joinVectors(weights: ReadonlyMap<string, Tensor>, { config, tuning }: JoinOptions<Ia3Tuning>): Trained {
  const shapes = ia3Format.trainedShapes(config, tuning);
  const sides = scaledLayers(config, tuning);
  const vectors = new Map([...sides.keys()].map((module) => [module, variable(tf.ones(shapes.get(ia3Name(module))!))]));
  const plain = plainParameters(weights, config);
  const linear = (module: string, x: Tensor2D): Tensor2D => {
    const side = sides.get(module);
    if (side === undefined) return plain.linear(module, x);
    const l = vectors.get(module)!;
    if (side === 'input')
      return plain.linear(
        module,
        within(module, () => scaled(x, l)),
      );
    const y = plain.linear(module, x);
    return within(module, () => scaled(y, l));
  };
  return {
    trainable: byName(new Map([...vectors].map(([module, vector]) => [ia3Name(module), vector]))),
    parameters: () => ({ ...plain, linear, linears: (modules, x) => modules.map((module) => linear(module, x)) }),
  };
}

/** As PEFT's `merge_and_unload`: rows of W, and b, or columns of W are multiplied. */
function openMerge(dir: string, { modelDir, config }: { modelDir: string; config: ModelConfig }): Merge {
  const tuning = readTuning(dir);
  const sides = scaledLayers(config, tuning);
  const file = openFittingAdapter(dir, { modelDir, tuning });
  return {
    merged(name, values) {
      const [module, part] = [name.slice(0, name.lastIndexOf('.')), name.slice(name.lastIndexOf('.') + 1)];
      const side = sides.get(module);
      if (side === undefined || (part === 'bias' && side === 'input')) return values;
      const l = file.read(ia3Name(module)).data as Float32Array;
      const others = values.length / l.length;
      // W is [out, in], or [in, out] if `inputFirst`.
      const alongRows = part === 'bias' || (side === 'output') !== config.inputFirst;
      return values.map((value, index) => value * l[alongRows ? Math.floor(index / others) : index % l.length]!);
    },
    close: () => file.close(),
  };
}

/**
 * x ⊙ l. dx = dy ⊙ l, dl = Σ dy ⊙ x over the tokens.
 * @param x [tokens, n]
 * @param l [1, n] or [n, 1]
 */
function scaled(x: Tensor2D, l: Variable): Tensor2D {
  return differentiable<Tensor2D>([x, l], () => {
    const row = tf.reshape(l, [1, -1]);
    return {
      value: tf.mul(x, row),
      saved: [x, row],
      gradient: (dy, [x, row]) => [tf.mul(dy, row!), tf.reshape(tf.sum(tf.mul(dy, x!), 0), l.shape)],
    };
  });
}
