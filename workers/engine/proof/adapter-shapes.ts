/** Checks that an adapter's file holds the tensors that its adapter_config.json says, on its base model. */
import { join } from 'node:path';
import { ADAPTER_WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { constantShapes, type ResolvedTuning, trainedShapes } from '../../../src/formats/tuning/tuning.ts';
import { openSafetensors, type SafetensorsFile } from '../io/safetensors.ts';
import { readModelConfig } from '../model/weights.ts';

interface DeliveredAdapter {
  modelDir: string;
  /** What the adapter's adapter_config.json says. */
  written: ResolvedTuning;
  /** What was trained. */
  tuning: ResolvedTuning;
}

/** @returns what is wrong; empty when PEFT finds every tensor that it needs and no others */
export function shapeProblems(adapterDir: string, { modelDir, written, tuning }: DeliveredAdapter): string[] {
  const config = readModelConfig(modelDir);
  const [declared, trained] = [trainedShapes(config, written), trainedShapes(config, tuning)];
  const expected = new Map<string, readonly number[]>([...declared, ...constantShapes(config, written)]);
  const file = openSafetensors(join(adapterDir, ADAPTER_WEIGHTS_FILE));
  file.close();
  const found = file.header.tensors;
  const differing = (name: string): boolean => declared.get(name)?.join() !== trained.get(name)?.join();
  return [
    ...[...new Set([...declared.keys(), ...trained.keys()])]
      .filter(differing)
      .map((name) => `adapter_config.json does not say that ${name} was trained`),
    ...[...expected].flatMap(([name, shape]) => {
      const entry = found.get(name);
      if (entry === undefined) return [`tensor ${name} is missing`];
      return entry.shape.join() === shape.join() ? [] : [`tensor ${name} is [${entry.shape}] where PEFT needs [${shape}]`];
    }),
    ...[...found.keys()].filter((name) => !expected.has(name)).map((name) => `${name} is not a name that PEFT knows`),
  ];
}

/** @throws Refusal `corrupt_model_file` when the adapter does not fit its base */
export function openFittingAdapter(adapterDir: string, { modelDir, tuning }: { modelDir: string; tuning: ResolvedTuning }): SafetensorsFile {
  return openUnless(shapeProblems(adapterDir, { modelDir, written: tuning, tuning }), adapterDir);
}

/** Opens an adapter's tensors. @throws Refusal `corrupt_model_file` if there are problems */
export function openUnless(problems: readonly string[], adapterDir: string): SafetensorsFile {
  if (problems.length > 0)
    throw new Refusal('corrupt_model_file', `the adapter does not fit its base model: ${problems.join('; ')}`, {
      param: 'model',
      hint: 'Was the base model replaced since the adapter was trained?',
    });
  return openSafetensors(join(adapterDir, ADAPTER_WEIGHTS_FILE));
}
