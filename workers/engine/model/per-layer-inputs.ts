/** What a token adds to each block beside its embedding (Gemma 3n and 4). */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { gatedBy } from './activation.ts';
import { lookUp } from './embedding.ts';
import { norm } from './norm.ts';
import type { Parameters } from './parameters.ts';

interface Context {
  config: ModelConfig;
  parameters: Parameters;
}

/**
 * (row of the second table · √size + norm(projection of the embedding / √hidden)) / √2.
 * @param ids        [tokens] int32
 * @param embeddings [tokens, hidden], scaled
 * @returns          [tokens, size] for each block
 */
export function perLayerInputs(ids: Tensor1D, embeddings: Tensor2D, { config, parameters }: Context): Tensor2D[] {
  const { size } = config.perLayerInputs!;
  const names = config.names.perLayerInputs!;
  const table = parameters.weight(`${names.embedding}.weight`) as Tensor2D;
  const found = lookUp(table, ids, { trained: table instanceof tf.Variable, paddingId: config.paddingId });
  const projected: Tensor2D = tf.mul(parameters.linear(names.projection, embeddings), config.hiddenSize ** -0.5);
  const perBlock: Tensor2D = tf.reshape(projected, [-1, size]); // [tokens · blocks, size]
  const normed: Tensor2D = tf.reshape(norm(perBlock, names.projectionNorm, { config: config.norm, parameters }), found.shape);
  const both: Tensor2D = tf.mul(tf.add(normed, tf.mul(found, Math.fround(Math.sqrt(size)))), Math.SQRT1_2);
  return tf.split(both, config.layers, 1) as Tensor2D[];
}

/**
 * What a block adds from its input: norm(out(activation(gate(x)) · input)).
 * @param x     [tokens, hidden]
 * @param input [tokens, size]
 * @returns     [tokens, hidden]
 */
export function fromPerLayerInput(x: Tensor2D, input: Tensor2D, block: string, { config, parameters }: Context): Tensor2D {
  const names = config.names.perLayerInputs!;
  const gate = parameters.linear(`${block}.${names.gate}`, x);
  const output = parameters.linear(`${block}.${names.output}`, gatedBy(input, gate, config.mlp.activation));
  return norm(output, `${block}.${names.norm}`, { config: config.norm, parameters });
}
