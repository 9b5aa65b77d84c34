/** Names and shapes of the weights of mixtures of experts. */
import type { ModelConfig } from './model-config.ts';

type Described = Pick<ModelConfig, 'experts' | 'hiddenSize' | 'names'>;

/** The router's matrix and those of all experts, by name. */
export function expertShapes({ experts, hiddenSize, names }: Described): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  if (experts === undefined) return shapes;
  const { count, intermediateSize, inBlocks } = experts;
  const { router, gateAndUp, down } = names.experts!;
  for (const [i, hasExperts] of inBlocks.entries()) {
    if (!hasExperts) continue;
    const block = `${names.blocks}.${i}`;
    shapes.set(`${block}.${router}.weight`, [count, hiddenSize]);
    shapes.set(`${block}.${gateAndUp}`, [count, 2 * intermediateSize, hiddenSize]);
    shapes.set(`${block}.${down}`, [count, hiddenSize, intermediateSize]);
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
  if (experts === undefined) return forms;
  const { count, intermediateSize: size, inBlocks } = experts;
  const { router, gateAndUp, down, stored } = names.experts!;
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
