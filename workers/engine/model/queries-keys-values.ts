/** A layer's first products: queries, keys and values of each token. */
import { headsOf } from '../../../src/formats/mixers.ts';
import type { ModelConfig, SoftmaxAttention } from '../../../src/formats/model-config.ts';
import { hasValues } from '../../../src/formats/module-shapes.ts';
import { type Tensor, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import type { Parameters } from './parameters.ts';

interface Layer {
  config: ModelConfig;
  mixer: SoftmaxAttention;
  parameters: Parameters;
}

/**
 * @returns [tokens, heads · headSize], twice [tokens, kvHeads · headSize], null where the layer has none of its own, and the output's gates
 * [tokens, heads · headSize] if it has any
 */
export function queriesKeysValues(
  x: Tensor2D,
  block: string,
  { config, mixer, parameters }: Layer,
): [Tensor2D, Tensor2D | null, Tensor2D | null, Tensor2D?] {
  const { heads, kvHeads, headSize } = headsOf(config, mixer);
  const names = config.names.attention;
  if (!('fused' in names)) {
    const own = [names.query, ...(mixer.sharesWith === undefined ? [names.key] : []), ...(hasValues(mixer) ? [names.value] : [])];
    const modules = own.map((name) => `${block}.${name}`);
    const [q, k = null, v = null] = parameters.linears(modules, x) as [Tensor2D, Tensor2D?, Tensor2D?];
    if (!config.attention.outputGate) return [q, k, v];
    const [queries, gates] = tf.split(tf.reshape(q, [-1, 2 * headSize]) as Tensor2D, 2, 1); // [tokens · heads, headSize] each
    const ofTokens = (part: Tensor): Tensor2D => tf.reshape(part, [-1, heads * headSize]);
    return [ofTokens(queries!), k, v, ofTokens(gates!)];
  }
  const all = parameters.linear(`${block}.${names.fused}`, x);
  if (names.order === 'parts') {
    return tf.split(all, [heads * headSize, kvHeads * headSize, kvHeads * headSize], 1) as [Tensor2D, Tensor2D, Tensor2D];
  }
  const tokens = all.shape[0];
  const ofEachHead = tf.split(tf.reshape(all, [tokens, heads, 3, headSize]), 3, 2);
  return ofEachHead.map((part) => tf.reshape(part, [tokens, heads * headSize])) as [Tensor2D, Tensor2D, Tensor2D];
}
