/** Names and shapes of the weights of mixtures of experts. */
import type { ModelConfig } from './model-config.ts';

type Described = Pick<ModelConfig, 'experts' | 'hiddenSize' | 'names'>;

/** The router's matrix and those of all experts, by name. @returns [experts, out, in], or [experts, in, out] if `inputFirst` */
export function expertShapes({ experts, hiddenSize, names }: Described): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  if (experts === undefined) return shapes;
  const { count, intermediateSize, inBlocks, inputFirst } = experts;
  const { router, gateAndUp, down } = names.experts!;
  const matrices = (out: number, input: number): number[] => [count, ...(inputFirst ? [input, out] : [out, input])];
  for (const [i, hasExperts] of inBlocks.entries()) {
    if (!hasExperts) continue;
    const block = `${names.blocks}.${i}`;
    shapes.set(`${block}.${router}.weight`, [count, hiddenSize]);
    shapes.set(`${block}.${gateAndUp}`, matrices(2 * intermediateSize, hiddenSize));
    shapes.set(`${block}.${down}`, matrices(hiddenSize, intermediateSize));
  }
  return shapes;
}

/** The biases of routers and experts, by name. */
export function expertBiases({ experts, hiddenSize, names }: Described): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  if (experts?.bias === undefined) return shapes;
  const { router, gateAndUp, down } = names.experts!;
  for (const [i, hasExperts] of experts.inBlocks.entries()) {
    if (!hasExperts) continue;
    const block = `${names.blocks}.${i}`;
    shapes.set(`${block}.${router}.bias`, [experts.count]);
    shapes.set(`${block}.${gateAndUp}_bias`, [experts.count, 2 * experts.intermediateSize]);
    shapes.set(`${block}.${down}_bias`, [experts.count, hiddenSize]);
  }
  return shapes;
}

/** Names and shapes that a weight may have in files instead of its own, in the order of its elements. */
export interface StoredAs {
  parts: readonly { name: string; shape: readonly number[] }[];
}

/** The weights that files may have under other names, or in several tensors. */
export function storedForms({ experts, hiddenSize, names }: Described): Map<string, StoredAs> {
  const forms = new Map<string, StoredAs>();
  if (experts === undefined || names.experts?.stored === undefined) return forms;
  const { count, intermediateSize: size, inBlocks } = experts;
  const { router, gateAndUp, down, stored } = names.experts;
  const numbers = Array.from({ length: count }, (_, expert) => expert);
  for (const [i, hasExperts] of inBlocks.entries()) {
    if (!hasExperts) continue;
    const block = `${names.blocks}.${i}`;
    const part = (name: string, shape: readonly number[]) => ({ name: `${block}.${name}.weight`, shape });
    forms.set(`${block}.${router}.weight`, { parts: [part(stored.router, [count, hiddenSize])] });
    forms.set(`${block}.${gateAndUp}`, {
      parts: numbers.flatMap((e) => [stored.gate(e), stored.up(e)].map((name) => part(name, [size, hiddenSize]))),
    });
    forms.set(`${block}.${down}`, { parts: numbers.map((e) => part(stored.down(e), [hiddenSize, size])) });
  }
  return forms;
}
