/** The decoder-only transformer of the Llama family, as a function of its weights. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { type Tensor1D, type Tensor2D, tf } from '../tensorflow.ts';
import { type AttentionContext, attention, causalMask } from './attention.ts';
import { lookUp } from './embedding.ts';
import { mlp } from './mlp.ts';
import { rmsNorm } from './norm.ts';
import type { Parameters } from './parameters.ts';
import { type RotaryTables, rotaryTables } from './rope.ts';

/** Token ids side by side. */
export interface TokenGrid {
  rows: number;
  length: number;
  /** [rows, length], row-major */
  inputIds: Int32Array;
}

/** Positions the tables hold at first; they double when a longer row comes. */
const FIRST_TABLE_POSITIONS = 256;

export class Decoder {
  readonly #config: ModelConfig;
  #rotary: RotaryTables;

  constructor(config: ModelConfig) {
    this.#config = config;
    this.#rotary = rotaryTables(config, FIRST_TABLE_POSITIONS);
  }

  /**
   * Embedding and all blocks, without the last norm.
   * @returns [rows · length, hidden]
   */
  hiddenStates({ rows, length, inputIds }: TokenGrid, parameters: Parameters): Tensor2D {
    const config = this.#config;
    const context: AttentionContext = { rows, length, rotary: this.#rotaryUpTo(length), causalMask: causalMask(length) };
    const table = parameters.weight('model.embed_tokens.weight') as Tensor2D;
    let x = lookUp(table, tf.tensor1d(inputIds, 'int32'), table instanceof tf.Variable);
    for (let i = 0; i < config.layers; i++) {
      const layer = `model.layers.${i}`;
      const attended = attention(this.#norm(x, `${layer}.input_layernorm`, parameters), `${layer}.self_attn`, { config, parameters, context });
      x = tf.add(x, attended);
      x = tf.add(x, mlp(this.#norm(x, `${layer}.post_attention_layernorm`, parameters), `${layer}.mlp`, parameters));
    }
    return x;
  }

  /** The norm before the head, [tokens, hidden]. */
  finalNorm(x: Tensor2D, parameters: Parameters): Tensor2D {
    return this.#norm(x, 'model.norm', parameters);
  }

  /** The language-model head, [vocab, hidden]. */
  head(parameters: Parameters): Tensor2D {
    return parameters.weight(headName(this.#config)) as Tensor2D;
  }

  dispose(): void {
    tf.dispose([this.#rotary.cos, this.#rotary.sin]);
  }

  #norm(x: Tensor2D, module: string, parameters: Parameters): Tensor2D {
    const weight = parameters.weight(`${module}.weight`) as Tensor1D;
    return rmsNorm(x, weight, { epsilon: this.#config.normEpsilon, trained: weight instanceof tf.Variable });
  }

  /** Tables of exactly `length` positions, for the pass under way. */
  #rotaryUpTo(length: number): RotaryTables {
    let capacity = this.#rotary.cos.shape[1];
    if (length > capacity) {
      while (capacity < length) capacity *= 2;
      this.dispose();
      this.#rotary = tf.tidy(() => {
        const { cos, sin } = rotaryTables(this.#config, capacity);
        return { cos: tf.keep(cos), sin: tf.keep(sin) };
      });
    }
    const { cos, sin } = this.#rotary;
    const size: [number, number, number, number] = [1, length, 1, this.#config.headSize];
    return { cos: tf.slice(cos, 0, size), sin: tf.slice(sin, 0, size) };
  }
}

/** Where the head's matrix is in the checkpoint: a tied head is the embedding. */
export function headName({ tiedHead }: ModelConfig): string {
  return tiedHead ? 'model.embed_tokens.weight' : 'lm_head.weight';
}
