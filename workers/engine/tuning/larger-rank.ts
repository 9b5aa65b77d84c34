import { join } from 'node:path';
import { ADAPTER_WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { doesNotFit } from '../io/adapter.ts';
import { openSafetensors } from '../io/safetensors.ts';
import type { TensorValues, TunedModel } from './tuned-model.ts';

const IS_A = /\.lora_A\.weight$/;

/**
 * Sets a model's A and B to those of an adapter of a smaller rank, or of another scaling: with s the scaling of each, s·BA stays what it was.
 *
 *     A ← [A₀; A′]   B ← [s₀/s · B₀, B′]
 *
 * A₀ and B₀ are the adapter's. A′ and B′ are what the model has in their place, a new adapter's, whose product is zero.
 * @param options.ratio  s₀ / s
 * @throws Refusal `corrupt_model_file` naming every tensor that does not fit
 */
export function loadLarger(model: Pick<TunedModel, 'trainable' | 'read' | 'assign'>, dir: string, { ratio }: { ratio: number }): void {
  const path = join(dir, ADAPTER_WEIGHTS_FILE);
  const file = openSafetensors(path);
  try {
    const fresh = model.read();
    const names = [...model.trainable.keys()];
    const problems = [
      ...names.flatMap((name) => problemOf(name, file.header.tensors.get(name)?.shape, fresh.get(name)!.shape)),
      ...[...file.header.tensors.keys()].filter((name) => !fresh.has(name)).map((name) => `tensor ${name} does not belong to the model`),
    ];
    if (problems.length > 0) throw doesNotFit(path, problems);
    model.assign(
      new Map(
        names.map((name) => {
          const small = { shape: file.header.tensors.get(name)!.shape, data: file.read(name).data as Float32Array };
          return [name, IS_A.test(name) ? withRows(fresh.get(name)!, small) : withColumns(fresh.get(name)!, small, ratio)];
        }),
      ),
    );
  } finally {
    file.close();
  }
}

function problemOf(name: string, small: readonly number[] | undefined, large: readonly number[]): string[] {
  if (small === undefined) return [`tensor ${name} is missing`];
  const [grows, stays] = IS_A.test(name) ? [0, 1] : [1, 0];
  if (small.length === 2 && small[stays] === large[stays] && small[grows]! <= large[grows]!) return [];
  return [`tensor ${name} is [${small}] where the model needs [${large}], or fewer of its rank`];
}

/** @returns [r, in], of which the first rows are the small one's */
function withRows({ data }: TensorValues, small: TensorValues): Float32Array {
  const values = data.slice();
  values.set(small.data);
  return values;
}

/** @returns [out, r], of which the first columns are the small one's, scaled */
function withColumns({ shape: [out, r], data }: TensorValues, { shape: [, columns], data: small }: TensorValues, ratio: number): Float32Array {
  const values = data.slice();
  for (let row = 0; row < out!; row++)
    for (let column = 0; column < columns!; column++) values[row * r! + column] = ratio * small[row * columns! + column]!;
  return values;
}
