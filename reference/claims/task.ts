/** The base, in f32, and the files of the task that it learns. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pirateDataset, toJsonLines } from '../../scripts/demo/pirate-dataset.ts';
import { conversations } from '../../scripts/graft-tiny/conversations.ts';
import { seededRandom } from '../../scripts/graft-tiny/seeded-random.ts';
import { hashFile } from '../../src/formats/hashing.ts';
import { CONFIG_FILE, WEIGHTS_FILE } from '../../src/formats/model-files.ts';
import { exportHuggingFace } from '../../workers/engine/export/hugging-face.ts';
import type { Extent } from './rows.ts';

const GRAFT_TINY = join(import.meta.dirname, '../../models/graft-tiny');
const SEED = 5;

export interface Task {
  modelDir: string;
  training: string;
  /** On which learning rates are chosen. */
  choosing: string;
  /** On which the page's numbers are measured. */
  measured: string;
  /** What the base knew; null for other models than graft-tiny, of which nobody knows what they were trained on. */
  general: string | null;
  /** A few words for the page. */
  about: string;
  /** Changes when anything of it does. */
  hash: string;
}

interface Given {
  /** Left out: graft-tiny, and the pirate's answers of the demo. */
  model?: string | undefined;
  data?: string | undefined;
}

/** @throws Refusal for what is wrong with the model; Error for a file with too few lines */
export async function makeTask(folder: string, { model, data }: Given, { examples }: Extent): Promise<Task> {
  const modelDir = join(folder, 'base');
  // A fully tuned model is stored as its base is: in 16 bits, rounding would hide what has changed.
  if (!existsSync(join(modelDir, CONFIG_FILE)))
    await exportHuggingFace({ modelDir: model ?? GRAFT_TINY, adapterDir: null }, modelDir, { dtype: 'F32', progress: async () => {} });
  const write = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const parts = data === undefined ? pirate(examples) : split(readFileSync(data, 'utf8'), examples);
  const general = [...conversations({ seed: SEED, count: examples.general, split: 'validation' })];
  const task = {
    modelDir,
    training: write('training.jsonl', parts.training),
    choosing: write('choosing.jsonl', parts.choosing),
    measured: write('measured.jsonl', parts.measured),
    general: model === undefined ? write('general.jsonl', toJsonLines(general)) : null,
    about: `${model ?? 'graft-tiny'} ${data === undefined ? 'learns to answer like a pirate' : `learns from ${data}`}`,
  };
  const files = [join(modelDir, WEIGHTS_FILE), task.training, task.choosing, task.measured, ...(task.general === null ? [] : [task.general])];
  const hashes = await Promise.all(files.map((file) => hashFile(file)));
  return { ...task, hash: hashes.map((hash) => hash.slice(0, 8)).join('-') };
}

type Parts = Record<'training' | 'choosing' | 'measured', string>;

/** What is asked to choose and to measure is about subjects that no training conversation is about. */
function pirate({ training, choosing, measured }: Extent['examples']): Parts {
  const all = pirateDataset({ seed: SEED, training, validation: choosing + measured });
  return {
    training: toJsonLines(all.training),
    choosing: toJsonLines(all.validation.slice(0, choosing)),
    measured: toJsonLines(all.validation.slice(choosing)),
  };
}

/** As many of the file's lines as the report takes, in the same random order each time. */
function split(text: string, examples: Extent['examples']): Parts {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const random = seededRandom(SEED);
  const shuffled = lines.map((line) => ({ line, at: random.next() })).sort((a, b) => a.at - b.at);
  const wanted = examples.training + examples.choosing + examples.measured;
  const scale = Math.min(1, lines.length / wanted);
  const [training, choosing, measured] = [examples.training, examples.choosing, examples.measured].map((count) => Math.floor(scale * count));
  if (!choosing || !measured || !training) throw new Error(`the file has ${lines.length} lines; the report needs more to train, choose and measure`);
  const take = (from: number, count: number): string =>
    shuffled
      .slice(from, from + count)
      .map(({ line }) => `${line}\n`)
      .join('');
  return { training: take(0, training), choosing: take(training, choosing), measured: take(training + choosing, measured) };
}
