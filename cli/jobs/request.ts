/** The request that a file and options make together. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse, YAMLParseError } from 'yaml';
import { isRecord } from '../../src/formats/record.ts';
import { unreadable, usageFailure } from '../exit-code.ts';

/** The options that say what a job is: a file with the request, and fields that take precedence over it. */
export interface JobFlags {
  file?: string;
  model?: string;
  trainingFile?: string;
  validationFile?: string;
  suffix?: string;
  seed?: number;
  epochs?: number;
  batchSize?: number;
  learningRate?: number;
  rank?: number;
  alpha?: number;
  full?: boolean;
  metadata: Record<string, string>;
  set: string[];
  dryRun?: boolean;
}

export type Request = Record<string, unknown>;

/** The fields of a job that name files. */
export const FILE_FIELDS = ['training_file', 'validation_file', 'evaluation_file', 'retention_file', 'start_from'] as const;

/** @throws Failure */
export const requestOf = async (flags: JobFlags): Promise<Request> => withFlags(flags.file === undefined ? {} : await readRequest(flags.file), flags);

/** @returns the file's content, with paths that are found from here. @throws Failure */
export async function readRequest(path: string): Promise<Request> {
  const request = await readYaml(path);
  if (!isRecord(request)) throw usageFailure(`${path} has no fields`, 'Write them as in `model: graft-tiny`, one a line.');
  for (const field of FILE_FIELDS) {
    const value = request[field];
    if (typeof value === 'string' && !isFileId(value)) request[field] = resolve(dirname(path), value);
  }
  return request;
}

/** The service decides what a field may be: what is written here is sent as it is. @throws Failure */
function withFlags(request: Request, flags: JobFlags): Request {
  const { model, trainingFile, validationFile, suffix, seed, epochs, batchSize, learningRate, rank, alpha, full, metadata, set, dryRun } = flags;
  const made = structuredClone(request);
  const hyperparameters = hyperparametersPath(made);
  const fields: [string, unknown][] = [
    ['model', model],
    ['training_file', trainingFile],
    ['validation_file', validationFile],
    ['suffix', suffix],
    ['seed', seed],
    ['dry_run', dryRun],
    [`${hyperparameters}.n_epochs`, epochs],
    [`${hyperparameters}.batch_size`, batchSize],
    [`${hyperparameters}.learning_rate`, learningRate],
    ['tuning.type', full ? 'full' : undefined],
    ['tuning.r', rank],
    ['tuning.lora_alpha', alpha],
    ...Object.entries(metadata).map(([key, value]): [string, unknown] => [`metadata.${key}`, value]),
    ...set.map(assignment),
  ];
  for (const [path, value] of fields) if (value !== undefined) assign(made, path, value);
  addTypes(made);
  for (const field of ['model', 'training_file'])
    if (made[field] === undefined) throw usageFailure(`The job has no ${field}`, `Give it with --${field.replace('_', '-')}, or in a file with -f.`);
  return made;
}

/** Where the request has its hyperparameters: in OpenAI's older place if it uses that one, because it may have them in one place alone. */
function hyperparametersPath(request: Request): string {
  if ('hyperparameters' in request) return 'hyperparameters';
  const type = isRecord(request['method']) ? request['method']['type'] : undefined;
  return `method.${typeof type === 'string' ? type : 'supervised'}.hyperparameters`;
}

/** What is set inside of `method` or `tuning` needs a type beside it; it is the service's own default. */
function addTypes({ method, tuning }: Request): void {
  if (isRecord(method)) method['type'] ??= 'supervised';
  if (isRecord(tuning)) tuning['type'] ??= 'lora';
}

/** Whether a text is the id of a file; a path that looks like one can be written ./file-…. */
export const isFileId = (text: string): boolean => /^file-[A-Za-z0-9]+$/.test(text);

function assignment(text: string): [string, unknown] {
  const at = text.indexOf('=');
  if (at < 1) throw usageFailure(`--set ${text} is not PATH=VALUE`, 'As in --set tuning.use_rslora=true.');
  return [text.slice(0, at), parseYaml(text.slice(at + 1), `--set ${text.slice(0, at)}`)];
}

/** Sets `a.b.c`. @throws Failure if a part of the way is a value */
function assign(request: Request, path: string, value: unknown): void {
  const keys = path.split('.');
  const last = keys.pop()!;
  let inside = request;
  for (const key of keys) {
    if (!Object.hasOwn(inside, key) || inside[key] === null) inside[key] = {};
    const next = inside[key];
    if (!isRecord(next)) throw usageFailure(`${path} cannot be set: ${key} is a value, not an object`);
    inside = next;
  }
  Object.defineProperty(inside, last, { value, enumerable: true, configurable: true, writable: true });
}

/** @throws Failure */
export async function readYaml(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw unreadable(path, error);
  });
  return parseYaml(text, path);
}

/** YAML 1.2, of which JSON is a part; numbers such as 2e-4 are numbers. @throws Failure */
export function parseYaml(text: string, name: string): unknown {
  try {
    return parse(text, { maxAliasCount: 100 });
  } catch (error) {
    if (error instanceof YAMLParseError) throw usageFailure(`${name} cannot be read: ${error.message.split('\n')[0]!.replace(/[:.]$/, '')}`);
    throw error;
  }
}
