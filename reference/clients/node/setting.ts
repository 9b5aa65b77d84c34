/** What the rows of the Node clients work with. */
import type OpenAI7 from 'openai7';

/** What the program that starts everything tells each client. */
export interface Instructions {
  /** The folder of the client's package. */
  package: string;
  /** `http://127.0.0.1:PORT/v1` of the service */
  baseURL: string;
  /** `http://127.0.0.1:PORT` of the proxy that damages answers: `/FAULT/NAME/v1` */
  faultyURL: string;
  /** The root key, which is an administrator's too. */
  key: string;
  /** Training examples, one a line. */
  dataset: string;
}

/** 7.x has all that 6.x has; which methods a client really has is asked of the client. */
export type Client = OpenAI7;
export type Package = typeof import('openai7');
export type Job = OpenAI7.FineTuning.FineTuningJob;

export interface Setting extends Instructions {
  openai: Package;
  client: Client;
  /** A client whose answers are damaged as the fault's name says, the first one or all; each name has its own first one. */
  through(fault: 'cut' | 'busy' | 'late', name: string, options?: { maxRetries?: number; timeout?: number }): Client;
  /** @returns the id of a new file with this content, or with the dataset, once it has been read */
  datasetFile(content?: string): Promise<string>;
  /** A new job that nobody has waited for. */
  newJob(more?: Partial<OpenAI7.FineTuning.JobCreateParams>): Promise<Job>;
  /** @returns the job, once it has succeeded. @throws if it fails or takes too long */
  succeeded(id: string): Promise<Job>;
  /** The one job that most rows look at: it trains to its end, and is posted once. */
  trained(): Promise<Job>;
}

/** What is called, in which circumstance, and the call with its checks. */
export type Row = [method: string, circumstance: string, call: (setting: Setting) => Promise<void>];
