/** Names and shapes of the weights of mixtures of experts. */
import type { ModelConfig } from './model-config.ts';

type Described = Pick<ModelConfig, 'experts' | 'hiddenSize' | 'names'>;

/** The names of the blocks that have experts. */
const sparseBlocks = ({ experts, names }: Described): string[] =>
  (experts?.inBlocks ?? []).flatMap((hasExperts, i) => (hasExperts ? [`${names.blocks}.${i}`] : []));

/** The router's matrix and those of all experts, by name. @returns [experts, out, in], or [experts, in, out] if `inputFirst` */
export function expertShapes(config: Described): Map<string, number[]> {
  const { experts, hiddenSize, names } = config;
  const shapes = new Map<string, number[]>();
  if (experts === undefined) return shapes;
  const { count, intermediateSize, inputFirst } = experts;
  const { router, gateAndUp, down } = names.experts!;
  const matrices = (out: number, input: number): number[] => [count, ...(inputFirst ? [input, out] : [out, input])];
  for (const block of sparseBlocks(config)) {
    shapes.set(`${block}.${router}.weight`, [count, hiddenSize]);
    shapes.set(`${block}.${gateAndUp}`, matrices(2 * intermediateSize, hiddenSize));
    shapes.set(`${block}.${down}`, matrices(hiddenSize, intermediateSize));
  }
  return shapes;
}

/** The biases of routers and experts, by name. */
export function expertBiases(config: Described): Map<string, number[]> {
  const { experts, hiddenSize, names } = config;
  const shapes = new Map<string, number[]>();
  if (experts?.bias === undefined) return shapes;
  const { router, gateAndUp, down } = names.experts!;
  for (const block of sparseBlocks(config)) {
    shapes.set(`${block}.${router}.bias`, [experts.count]);
    shapes.set(`${block}.${gateAndUp}_bias`, [experts.count, 2 * experts.intermediateSize]);
    shapes.set(`${block}.${down}_bias`, [experts.count, hiddenSize]);
  }
  return shapes;
}

/** A tensor in a file. */
export interface StoredPart {
  name: string;
  shape: readonly number[];
}

/** The weights that files may have under other names, or in several tensors, in the order of their elements. */
export function storedForms(config: Described): Map<string, readonly StoredPart[]> {
  const { experts, hiddenSize, names } = config;
  const forms = new Map<string, readonly StoredPart[]>();
  if (experts === undefined || names.experts?.stored === undefined) return forms;
  const { count, intermediateSize: size } = experts;
  const { router, gateAndUp, down, stored } = names.experts;
  for (const block of sparseBlocks(config)) {
    const part = (name: string, shape: readonly number[]) => ({ name: `${block}.${name}.weight`, shape });
    forms.set(`${block}.${router}.weight`, [part(stored.router, [count, hiddenSize])]);
    if ('gateAndUp' in stored) {
      forms.set(`${block}.${gateAndUp}`, [part(stored.gateAndUp, [count, 2 * size, hiddenSize])]);
      forms.set(`${block}.${down}`, [part(stored.down, [count, hiddenSize, size])]);
      continue;
    }
    const numbers = Array.from({ length: count }, (_, expert) => expert);
    const gatesAndUps = numbers.flatMap((e) => [stored.gate(e), stored.up(e)].map((name) => part(name, [size, hiddenSize])));
    forms.set(`${block}.${gateAndUp}`, gatesAndUps);
    const downs = numbers.map((e) => part(stored.down(e), [hiddenSize, size]));
    forms.set(`${block}.${down}`, downs);
  }
  return forms;
}
