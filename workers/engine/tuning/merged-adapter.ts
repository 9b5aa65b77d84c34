import { join } from 'node:path';
import { ADAPTER_WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { doesNotFit } from '../io/adapter.ts';
import { openSafetensors } from '../io/safetensors.ts';
import type { TunedModel } from './tuned-model.ts';

/**
 * Sets what is frozen beside a model's A and B to the matrices of an adapter, which then counts as merged into the base. What is trained stays as it is.
 * @throws Refusal `corrupt_model_file` naming every tensor that does not fit
 */
export function loadMerged(model: Pick<TunedModel, 'read' | 'constants' | 'assign'>, dir: string): void {
  const path = join(dir, ADAPTER_WEIGHTS_FILE);
  const file = openSafetensors(path);
  try {
    const nameInFile = (name: string): string => name.replace('.lora_begin_', '.lora_');
    const constants = model.constants();
    const expected = new Map([...constants].map(([name, { shape }]) => [nameInFile(name), shape]));
    const problems = [
      ...[...expected].flatMap(([name, shape]) => {
        const found = file.header.tensors.get(name)?.shape;
        if (found === undefined) return [`tensor ${name} is missing`];
        return found.join() === shape.join() ? [] : [`tensor ${name} is [${found}] where the model needs [${shape}]`];
      }),
      ...[...file.header.tensors.keys()].filter((name) => !expected.has(name)).map((name) => `tensor ${name} does not belong to the model`),
    ];
    if (problems.length > 0) throw doesNotFit(path, problems);
    const trained = [...model.read()].map(([name, { data }]) => [name, data] as const);
    const merged = [...constants.keys()].map((name) => [name, file.read(nameInFile(name)).data as Float32Array] as const);
    model.assign(new Map([...trained, ...merged]));
  } finally {
    file.close();
  }
}
