/** The models that an inference process holds: opened when they are asked for; those used least recently leave when another one needs their memory. */
import { stat } from 'node:fs/promises';
import { Refusal } from '../../src/formats/refusal.ts';
import type { WeightsDtype } from '../../src/formats/stored-dtype.ts';
import type { GenerationModel, GenerationModelOptions } from '../engine/generation/contract.ts';
import { storedDtypeOf } from '../engine/io/model-directory.ts';
import { weightFiles } from '../engine/io/weight-files.ts';
import { backend } from '../engine/tensorflow/backend.ts';
import type { InferenceLimits, LocalGeneration } from './messages.ts';

/** Adapters that one base model keeps: each is small, and a lookup among more of them would not be. */
const MAX_ADAPTERS = 64;
/** Bytes that are held for each that is stored: a GPU holds f32, a CPU also bf16. */
const growth = (): Record<WeightsDtype, number> => ({ F32: 1, F16: 2, BF16: backend.isUsingGpuDevice ? 2 : 1 });

interface Adapter {
  opening: Promise<void>;
  users: number;
  usedMs: number;
}

interface Held {
  opening: Promise<GenerationModel>;
  model: GenerationModel | null;
  /** What it is thought to take until it is open. */
  estimatedBytes: number;
  adapters: Map<string, Adapter>;
  users: number;
  usedMs: number;
}

export interface Borrowed {
  model: GenerationModel;
  /** Call when the generation has ended. */
  giveBack(): void;
}

interface Options extends InferenceLimits {
  open(options: GenerationModelOptions): Promise<GenerationModel>;
  /** Called when a model has come or gone. */
  onChange(holds: { keys: string[]; bytes: number }): void;
}

export function openModels({ memoryBytes, open, onChange }: Options) {
  const held = new Map<string, Held>();
  const bytesOf = ({ model, estimatedBytes }: Held): number => model?.memoryBytes() ?? estimatedBytes;
  const total = (): number => [...held.values()].reduce((sum, each) => sum + bytesOf(each), 0);
  const changed = () => onChange({ keys: [...held].flatMap(([key, { model }]) => (model === null ? [] : [key])), bytes: total() });

  /** @throws Refusal if models that are in use leave too little */
  function makeRoom(neededBytes: number, name: string): void {
    if (memoryBytes === null) return;
    if (neededBytes > memoryBytes)
      throw new Refusal('model_too_large', `The model takes about ${gib(neededBytes)} of memory; generation may have ${gib(memoryBytes)}`, {
        param: 'model',
        hint: 'Whoever runs the worker sets CHAT_MEMORY.',
      });
    const idle = [...held].filter(([, { users, model }]) => users === 0 && model !== null).sort(([, a], [, b]) => a.usedMs - b.usedMs);
    while (total() + neededBytes > memoryBytes) {
      const [oldest] = idle.splice(0, 1);
      if (oldest === undefined)
        throw new Refusal('generation_busy', `There is no memory left for "${name}" beside the models that are answering now`, {
          hint: 'Ask again in a few seconds.',
        });
      held.delete(oldest[0]);
      oldest[1].model!.dispose();
    }
  }

  /** The caller is one of its users from now on. */
  async function hold({ key, dir }: LocalGeneration['model']): Promise<Held> {
    const estimatedBytes = held.has(key) ? 0 : growth()[storedDtypeOf(dir)] * (await sizeOfWeights(dir));
    const existing = held.get(key); // another request may have opened it in the meantime
    if (existing !== undefined) {
      existing.users++;
      return existing;
    }
    makeRoom(estimatedBytes, key);
    const opening = open({ modelDir: dir });
    const holding: Held = { opening, model: null, estimatedBytes, adapters: new Map(), users: 1, usedMs: 0 };
    held.set(key, holding);
    opening.then(
      (model) => {
        holding.model = model;
        changed();
      },
      () => held.delete(key),
    );
    return holding;
  }

  async function borrowAdapter({ adapters }: Held, model: GenerationModel, { key, dir }: { key: string; dir: string }): Promise<Adapter> {
    let adapter = adapters.get(key);
    if (adapter === undefined) {
      const idle = [...adapters].filter(([, { users }]) => users === 0).sort(([, a], [, b]) => a.usedMs - b.usedMs);
      while (adapters.size >= MAX_ADAPTERS && idle.length > 0) {
        const [[oldest]] = idle.splice(0, 1) as [[string, Adapter]];
        adapters.delete(oldest);
        model.removeAdapter(oldest);
      }
      adapter = { opening: model.addAdapter(key, dir), users: 0, usedMs: 0 };
      adapters.set(key, adapter);
      adapter.opening.then(changed, () => adapters.delete(key));
    }
    adapter.users++;
    try {
      await adapter.opening;
    } catch (error) {
      adapter.users--;
      throw error;
    }
    return adapter;
  }

  return {
    /** @throws Refusal */
    async borrow(wanted: LocalGeneration['model']): Promise<Borrowed> {
      const holding = await hold(wanted);
      try {
        const model = await holding.opening;
        const adapter = wanted.adapter === null ? null : await borrowAdapter(holding, model, wanted.adapter);
        return {
          model,
          giveBack() {
            for (const each of adapter === null ? [holding] : [holding, adapter]) {
              each.users--;
              each.usedMs = Date.now();
            }
          },
        };
      } catch (error) {
        holding.users--;
        throw error;
      }
    },
  };
}

async function sizeOfWeights(dir: string): Promise<number> {
  const sizes = await Promise.all(weightFiles(dir).map(async (path) => (await stat(path)).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
