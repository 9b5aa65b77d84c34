/** The messages between a worker and its inference process, over the IPC channel. Every answer repeats its command's id: requests run side by side. */
import type { Answer, Generation } from '../../src/chat/messages.ts';

/** A generation whose models are on this machine. */
export interface LocalGeneration extends Omit<Generation, 'model'> {
  model: {
    /** Names the weights that several adapters may share. */
    key: string;
    dir: string;
    adapter: { key: string; dir: string } | null;
    templateKwargs: string | null;
  };
  maxTokens: number;
}

export type Command = { command: 'generate'; generation: LocalGeneration } | { command: 'cancel'; id: string };

export type Message =
  | { id: string; answer: Answer }
  /** What is in memory, sent when it changes. */
  | { holds: { keys: string[]; bytes: number } };

/** The arguments of the process, as JSON. */
export interface InferenceLimits {
  /** What all models together may take; null: no limit. */
  memoryBytes: number | null;
}
