/** Names and shapes of a model's weights, from its configuration alone. */
import { expertBiases, expertShapes } from './expert-shapes.ts';
import { headsOf } from './mixers.ts';
import type { ModelConfig, SoftmaxAttention } from './model-config.ts';
import type { MlpNames } from './module-names.ts';
import { isRecurrent, type LinearLayer, recurrentLayers, recurrentWeights } from './recurrent-shapes.ts';

/** The linear layers of the blocks by name: what `all-linear` means to PEFT, which leaves the head out, and experts with their routers. */
export function linearLayers(config: ModelConfig): Map<string, LinearLayer> {
  const { hiddenSize: hidden, attention, mlp, names } = config;
  const layers = new Map<string, LinearLayer>();
  if (config.perLayerInputs !== undefined) {
    const out = config.layers * config.perLayerInputs.size;
    layers.set(names.perLayerInputs!.projection, { out, in: hidden, bias: false });
  }
  for (const [i, mixer] of config.mixers.entries()) {
    const add = (name: string, layer: LinearLayer) => layers.set(`${names.blocks}.${i}.${name}`, layer);
    const { inputBias, outputBias } = attention;
    const intermediate = config.intermediateSize * (i >= (mlp.doubledFrom ?? Number.POSITIVE_INFINITY) ? 2 : 1);
    if (isRecurrent(mixer)) {
      for (const [name, layer] of Object.entries(recurrentLayers(mixer, config))) add(name, layer);
    } else {
      const { heads, kvHeads, headSize } = headsOf(config, mixer);
      const [queries, keys] = [heads * headSize, kvHeads * headSize];
      if ('fused' in names.attention) {
        add(names.attention.fused, { out: queries + 2 * keys, in: hidden, bias: inputBias });
      } else {
        add(names.attention.query, { out: attention.outputGate ? 2 * queries : queries, in: hidden, bias: inputBias });
        if (mixer.sharesWith === undefined) add(names.attention.key, { out: keys, in: hidden, bias: inputBias });
        if (hasValues(mixer)) add(names.attention.value, { out: keys, in: hidden, bias: inputBias });
      }
      add(names.attention.output, { out: hidden, in: queries, bias: outputBias });
    }
    if (config.experts?.inBlocks[i] === true) {
      const [shared, sharedNames] = [config.experts.shared, names.experts?.shared];
      if (shared !== undefined && sharedNames !== undefined) {
        for (const [name, layer] of mlpLayers(sharedNames, { hidden, intermediate: shared.intermediateSize, bias: false })) add(name, layer);
        if (sharedNames.outputGate !== undefined) add(sharedNames.outputGate, { out: 1, in: hidden, bias: false });
      }
    } else for (const [name, layer] of mlpLayers(names.mlp, { hidden, intermediate, bias: mlp.bias })) add(name, layer);
    if (config.perLayerInputs !== undefined) {
      const { size } = config.perLayerInputs;
      add(names.perLayerInputs!.gate, { out: size, in: hidden, bias: false });
      add(names.perLayerInputs!.output, { out: hidden, in: size, bias: false });
    }
  }
  return layers;
}

/** Whether a layer has a matrix for its values. */
export const hasValues = ({ sharesWith, valuesAreKeys }: SoftmaxAttention): boolean => sharesWith === undefined && valuesAreKeys === undefined;

function mlpLayers(
  names: MlpNames,
  { hidden, intermediate, bias }: { hidden: number; intermediate: number; bias: boolean },
): [name: string, layer: LinearLayer][] {
  const into = (out: number): LinearLayer => ({ out, in: hidden, bias });
  const layers: [string, LinearLayer][] = [];
  if ('gateAndUp' in names) layers.push([names.gateAndUp, into(2 * intermediate)]);
  if ('gate' in names) layers.push([names.gate, into(intermediate)]);
  if ('up' in names) layers.push([names.up, into(intermediate)]);
  return [...layers, [names.down, { out: hidden, in: intermediate, bias }]];
}

/** Whether a weight is a buffer to PyTorch: no method trains it, and it is no parameter. */
export const isBuffer = (name: string, { names }: ModelConfig): boolean => names.blockScale !== undefined && name.endsWith(`.${names.blockScale}`);

/** Whether a tensor of a checkpoint has no use: layers that predict several tokens at once, keys and values of layers that share those of others. */
export function isUnused(name: string, { mixers, names }: ModelConfig): boolean {
  if (name.startsWith('mtp.')) return true;
  const [, layer, rest] = name.startsWith(`${names.blocks}.`) ? (/^(\d+)\.(.*)$/.exec(name.slice(names.blocks.length + 1)) ?? []) : [];
  const mixer = mixers[Number(layer)];
  return mixer?.kind === 'attention' && mixer.sharesWith !== undefined && /\.[kv]_(proj|norm)\.(weight|bias)$/.test(`.${rest}`);
}

/** Every weight's name and shape in the checkpoint. */
export function weightShapes(config: ModelConfig): Map<string, number[]> {
  const { hiddenSize, vocabSize, maxPositionTokens, names, attention, inputFirst } = config;
  const shapes = new Map<string, number[]>([[`${names.embedding}.weight`, [vocabSize, hiddenSize]]]);
  const addNorm = (module: string | null, size: number) => {
    if (module === null) return;
    shapes.set(`${module}.weight`, [size]);
    if (config.norm.kind === 'layer') shapes.set(`${module}.bias`, [size]);
  };
  if (names.positions !== null) shapes.set(`${names.positions}.weight`, [maxPositionTokens, hiddenSize]);
  addNorm(names.finalNorm, hiddenSize);
  if (config.perLayerInputs !== undefined) {
    const { size, vocabSize: rows } = config.perLayerInputs;
    shapes.set(`${names.perLayerInputs!.embedding}.weight`, [rows, config.layers * size]);
    addNorm(names.perLayerInputs!.projectionNorm, size);
  }
  if (!config.tiedHead) shapes.set(`${names.head}.weight`, [vocabSize, hiddenSize]);
  for (const [i, mixer] of config.mixers.entries()) {
    const block = `${names.blocks}.${i}`;
    for (const name of Object.values(names.norms)) if (name !== null) addNorm(`${block}.${name}`, hiddenSize);
    if (config.perLayerInputs !== undefined) addNorm(`${block}.${names.perLayerInputs!.norm}`, hiddenSize);
    if (names.blockScale !== undefined) shapes.set(`${block}.${names.blockScale}`, [1]);
    if (isRecurrent(mixer)) {
      for (const [name, shape] of Object.entries(recurrentWeights(mixer, config))) shapes.set(`${block}.${name}`, shape);
      continue;
    }
    const { heads, kvHeads, headSize } = headsOf(config, mixer);
    if (names.attention.sinks !== undefined) shapes.set(`${block}.${names.attention.sinks}`, [heads]);
    if (attention.queryKeyNorm === null || attention.queryKeyNorm === 'rotated') continue; // the latter has no weights
    const sizes = attention.queryKeyNorm === 'all-heads' ? [heads * headSize, kvHeads * headSize] : [headSize, headSize];
    addNorm(`${block}.${names.attention.norms!.query}`, sizes[0]!);
    if (mixer.sharesWith === undefined) addNorm(`${block}.${names.attention.norms!.key}`, sizes[1]!);
  }
  for (const [module, { out, in: into, bias }] of linearLayers(config)) {
    shapes.set(`${module}.weight`, inputFirst ? [into, out] : [out, into]);
    if (bias) shapes.set(`${module}.bias`, [out]);
  }
  for (const [name, shape] of [...expertShapes(config), ...expertBiases(config)]) shapes.set(name, shape);
  return shapes;
}

/**
 * The names in `weightShapes` of a checkpoint's tensors. Checkpoints saved without their head omit the prefix of all names; GPT-NeoX's head has had
 * two names; multimodal models once were a language model with a head beside their towers; of a tied pair, either one is enough. Unknown names stay as
 * they are.
 * @returns the stored name of each
 */
export function canonicalNames(stored: Iterable<string>, config: ModelConfig): Map<string, string> {
  const known = weightShapes(config);
  const names = new Map([...stored].map((name) => [canonicalName(name, config, known), name]));
  const [embedding, head] = [`${config.names.embedding}.weight`, headWeight(config)];
  const ofHead = names.get(head);
  if (config.tiedHead && ofHead !== undefined && !names.has(embedding)) {
    names.set(embedding, ofHead);
    names.delete(head);
  }
  return names;
}

/** The head's own weight, whether or not it is tied. */
export const headWeight = ({ names }: ModelConfig): string => `${names.head}.weight`;

/** The weight that the head computes with; of a tied pair, the embedding's. */
export const usedHeadWeight = (config: ModelConfig): string => (config.tiedHead ? `${config.names.embedding}.weight` : headWeight(config));

/** Whether a tensor belongs to another tower of a multimodal model. @param stored its name in the file */
export const isOfOtherTower = (stored: string, { otherTowers = [] }: ModelConfig): boolean => otherTowers.some((tower) => stored.startsWith(tower));

function canonicalName(stored: string, config: ModelConfig, known: ReadonlyMap<string, unknown>): string {
  const { names } = config;
  if (known.has(stored)) return stored;
  if (stored === 'lm_head.weight') return headWeight(config);
  if (config.otherTowers !== undefined && stored.startsWith('language_model.')) {
    const renamed = stored.replace(/^language_model\.(model\.)?/, (_, model) => (model === undefined ? '' : 'model.language_model.'));
    if (known.has(renamed) || renamed === headWeight(config)) return renamed;
  }
  const prefixed = `${names.prefix}${stored}`;
  return known.has(prefixed) ? prefixed : stored;
}
