/** The decoder-only transformer of all families, as a function of its configuration and weights. */
import { softmaxLayers } from '../../../src/formats/mixers.ts';
import type { ModelConfig, SoftmaxAttention } from '../../../src/formats/model-config.ts';
import { usedHeadWeight } from '../../../src/formats/module-shapes.ts';
import { isRecurrent, recurrentModule } from '../../../src/formats/recurrent-shapes.ts';
import type { Rotary } from '../../../src/formats/rotary.ts';
import { differentiable } from '../tensorflow/differentiable.ts';
import { checkpoint } from '../tensorflow/native.ts';
import { within } from '../tensorflow/scope.ts';
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor4D, tf } from '../tensorflow/tensorflow.ts';
import type { AttentionPass } from './attend.ts';
import { attention, attentionMask, type KeysAndValues, type TokenPlaces } from './attention.ts';
import { deltaNet } from './delta-net.ts';
import { lookUp } from './embedding.ts';
import { mamba } from './mamba.ts';
import { mixture, type Routing } from './mixture.ts';
import { mlp } from './mlp.ts';
import { norm } from './norm.ts';
import type { Parameters } from './parameters.ts';
import { fromPerLayerInput, perLayerInputs } from './per-layer-inputs.ts';
import { rotaryTables } from './rope.ts';
import { shortConvolution } from './short-convolution.ts';
import { virtualNumbers, withoutRotation, withVirtualRows } from './virtual-rows.ts';

/** Rows of token ids, and the place of each. */
export interface TokenGrid extends TokenPlaces {
  /** [rows · length] int32 */
  inputIds: Tensor1D;
  /** Frequencies of each rotary embedding that the layers use, [dimensions / 2], or [rows, dimensions / 2] if they depend on the length. */
  frequencies: ReadonlyMap<Rotary, Tensor>;
  /** [rows] int32, where each row is one token of a text whose earlier tokens are in the session's cache: a number for that text. */
  slots?: Tensor1D;
}

/** Marks hidden states between blocks, from which the backward pass recomputes. */
const kept = (x: Tensor2D): Tensor2D => differentiable<Tensor2D>([x], () => ({ value: checkpoint(x), saved: [], gradient: (dy) => [tf.clone(dy)] }));

export class Decoder {
  readonly #config: ModelConfig;

  constructor(config: ModelConfig) {
    this.#config = config;
  }

  /**
   * Embedding and all blocks, without the final norm.
   * @param routings takes what each router says of the tokens
   * @returns [rows · length, hidden]
   */
  hiddenStates(grid: TokenGrid, parameters: Parameters, routings?: Routing[]): Tensor2D {
    const config = this.#config;
    const { norms, blocks } = config.names;
    const passOf = this.#passes(grid, parameters);
    const normed = (x: Tensor2D, block: string, name: string | null): Tensor2D =>
      name === null ? x : norm(x, `${block}.${name}`, { config: config.norm, parameters });
    const { residualScale } = config;
    const added = (x: Tensor2D, y: Tensor2D): Tensor2D => tf.add(x, residualScale === 1 ? y : tf.mul(y, residualScale));
    const embedded = this.#embed(grid, parameters);
    const context = { config, parameters };
    const inputs = config.perLayerInputs === undefined ? null : perLayerInputs(grid.inputIds, embedded, context);
    const shared: KeysAndValues = new Map();
    let x = embedded;
    for (const [i, mixer] of config.mixers.entries()) {
      const block = `${blocks}.${i}`;
      x = kept(x);
      const input = () => normed(x, block, norms.beforeAttention);
      const module = isRecurrent(mixer) ? recurrentModule(mixer, config.names) : config.names.attention.module;
      const mixed = within(`${block}.${module}`, () => {
        if (mixer.kind === 'attention') return attention(input(), block, { config, mixer, shared, parameters, pass: passOf(mixer), layer: i });
        const place = { config, parameters, grid, layer: i };
        if (mixer.kind === 'delta_net') return deltaNet(input(), block, { ...place, mixer });
        if (mixer.kind === 'mamba') return mamba(input(), block, { ...place, mixer });
        return shortConvolution(input(), block, { ...place, mixer });
      });
      const afterAttention = added(x, normed(mixed, block, norms.afterAttention));
      const mlpInput = config.parallelResidual ? x : afterAttention;
      const feedForward = config.experts?.inBlocks[i] === true ? mixture : mlp;
      const mlpOutput = within(`${block}.mlp`, () => feedForward(normed(mlpInput, block, norms.beforeMlp), block, { config, parameters, routings }));
      x = added(afterAttention, normed(mlpOutput, block, norms.afterMlp));
      if (inputs !== null)
        x = tf.add(
          x,
          within(`${block}.per_layer_input`, () => fromPerLayerInput(x, inputs[i]!, block, context)),
        );
      if (config.names.blockScale !== undefined) x = tf.mul(x, parameters.weight(`${block}.${config.names.blockScale}`));
    }
    return kept(x);
  }

  /**
   * The head's input at some positions.
   * @param positions [n] int32 into [rows · length]
   * @param routings  takes what each router says of all tokens
   * @returns [n, hidden], normed
   */
  statesAt(grid: TokenGrid, positions: Tensor1D, parameters: Parameters, routings?: Routing[]): Tensor2D {
    return this.#finalNorm(lookUp(this.hiddenStates(grid, parameters, routings), positions, { trained: true }), parameters);
  }

  /** The head's input at all positions. @returns [rows · length, hidden], normed */
  states(grid: TokenGrid, parameters: Parameters): Tensor2D {
    return this.#finalNorm(this.hiddenStates(grid, parameters), parameters);
  }

  /** The language-model head, [vocab, hidden]. A tied head is the embedding. */
  head(parameters: Parameters): Tensor2D {
    return parameters.weight(usedHeadWeight(this.#config)) as Tensor2D;
  }

  #finalNorm(x: Tensor2D, parameters: Parameters): Tensor2D {
    const { names, norm: config, logitScale } = this.#config;
    const normed = norm(x, names.finalNorm, { config, parameters });
    return logitScale === 1 ? normed : tf.mul(normed, logitScale); // the head is linear
  }

  #embed({ inputIds, positions: places }: TokenGrid, parameters: Parameters): Tensor2D {
    const { names, embeddingScale, paddingId, vocabSize } = this.#config;
    const table = parameters.weight(`${names.embedding}.weight`) as Tensor2D;
    const { virtualEmbeddings: virtual, virtualKeysAndValues } = parameters;
    const hasVirtual = virtual !== undefined || virtualKeysAndValues !== undefined;
    const ids = hasVirtual ? tf.minimum(inputIds, tf.scalar(vocabSize - 1, 'int32')) : inputIds; // any row serves a virtual token
    const found = lookUp(table, ids as Tensor1D, { trained: table instanceof tf.Variable, paddingId });
    const updated: Tensor2D = parameters.embeddingUpdate === undefined ? found : tf.add(found, parameters.embeddingUpdate(inputIds));
    const scaled: Tensor2D = embeddingScale === 1 ? updated : tf.mul(updated, embeddingScale);
    // As in transformers, whose embedding module scales what it looks up; NEFTune adds its noise to the module's output.
    const noisy: Tensor2D = parameters.embeddingNoise === undefined ? scaled : tf.add(scaled, parameters.embeddingNoise(scaled));
    const x = virtual === undefined ? noisy : withVirtualRows(noisy, virtual, virtualNumbers(inputIds, vocabSize));
    if (names.positions === null) return x;
    const positions = parameters.weight(`${names.positions}.weight`) as Tensor2D;
    return tf.add(x, lookUp(positions, tf.reshape(places, inputIds.shape), { trained: positions instanceof tf.Variable }));
  }

  /** The mask and the rotary tables of each kind of layer, made once per pass. */
  #passes(grid: TokenGrid, { virtualKeysAndValues }: Parameters): (layer: SoftmaxAttention) => AttentionPass {
    const [rows, length] = grid.positions.shape;
    const masks = new Map<number | null, Tensor4D>();
    // What stands in for their keys is rotated already.
    const virtual = virtualKeysAndValues === undefined ? null : virtualNumbers(grid.inputIds, this.#config.vocabSize);
    const tables = new Map(
      [...grid.frequencies].map(([rotary, frequencies]) => {
        const made = rotaryTables(rotary, { ...grid, frequencies });
        return [rotary, virtual === null ? made : withoutRotation(made, virtual)] as const;
      }),
    );
    const passes = new Map<string, AttentionPass>();
    const rotaries = [...new Set(softmaxLayers(this.#config).map(({ rotary }) => rotary))];
    return ({ windowTokens, rotary }) => {
      const kind = `${windowTokens} ${rotaries.indexOf(rotary)}`;
      const made = passes.get(kind);
      if (made !== undefined) return made;
      const mask = masks.get(windowTokens) ?? attentionMask(grid, windowTokens);
      masks.set(windowTokens, mask);
      const { positions, segments, slots = null } = grid;
      const pass = { rows, length, mask, positions, segments, slots, windowTokens, virtual, rotary: rotary === null ? null : tables.get(rotary)! };
      passes.set(kind, pass);
      return pass;
    };
  }
}
