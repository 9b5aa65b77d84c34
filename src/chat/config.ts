/** How a worker answers requests for text. */
export interface ChatConfig {
  /** Requests that it has at once, answering or waiting; 0: it answers none. */
  requests: number;
  /** Most tokens of one answer. */
  maxTokens: number;
  /** Most time for one request. */
  maxSeconds: number;
  /** A process that has not been asked for this long ends. */
  idleSeconds: number;
  /** What models in memory may take together, bytes; null: half of what training may have. */
  memoryBytes: number | null;
  /** What tuned models on the worker's disk may take together. */
  diskBytes: number;
  /** How far it gives way to training: 0 (not) to 19, as `nice` takes it. */
  nice: number;
}
