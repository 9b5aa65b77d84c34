/** Parses the environment into one frozen Config. Nothing else in src/ or workers/ uses process.env, but tensorflow.ts, for what TensorFlow reads itself. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ChatConfig } from './chat/config.ts';
import { keepSecret, redacted } from './formats/secrets.ts';
import { type IntegrationsConfig, readIntegrations } from './integrations/config.ts';
import type { MonitoringConfig } from './monitoring/config.ts';
import { allowedRepositories, isUrl, listed, memoryLimit, origins } from './setting-values.ts';
import { readTracing, type TracingConfig } from './tracing/config.ts';
import { readVllm, type VllmConfig } from './vllm/config.ts';

/** A shorter key can be guessed: 24 random characters are 140 bits, and 16 of any kind are hard enough. */
export const MIN_KEY_LENGTH = 16;

/** Where base models may be downloaded from. */
export interface HubConfig {
  /** Without a trailing slash. */
  endpoint: string;
  /** Sent only to the hub. */
  token: string | null;
  /** Models that may be downloaded: `org/name`, `org/*`, or `*` for all; empty: none. */
  allowed: readonly string[];
  /** Repositories that exports may be pushed to with `token`, written likewise. */
  pushAllowed: readonly string[];
  /** Hosts (`name` or `name:port`) that may have private addresses when others name them: the hub by a redirect, a user by a webhook. */
  privateHosts: readonly string[];
  /** How much the downloaded models together may take of this machine's disk, bytes; null: no limit of ours. */
  diskBytes: number | null;
}

export type LogFormat = 'json' | 'pretty';

export interface Config {
  host: string;
  port: number;
  dataDir: string;
  /** Directories whose sub-directories are base models, in order of precedence. */
  modelsDirs: readonly string[];
  hub: HubConfig;
  /** How much the directories that are made of GGUF files together may take of this machine's disk, bytes; null: no limit of ours. */
  ggufDiskBytes: number | null;
  /** null: the embedded Postgres. */
  databaseUrl: string | null;
  /** null: the embedded Redis-compatible server. */
  redisUrl: string | null;
  /** `file:///…` or `s3://bucket/prefix?endpoint=…`; default: DATA_DIR/objects. */
  storageUrl: string;
  /** null: one is generated on first start and kept in DATA_DIR/api-key. */
  rootApiKey: string | null;
  /** Encrypts the signing secrets of webhooks; null: a key is generated when it is first needed and kept in DATA_DIR/webhook-key. */
  webhookKey: string | null;
  /** How much memory a training process may allocate, bytes; null: no limit of ours. */
  trainingMemoryBytes: number | null;
  /** The operator's command that runs training processes, such as one that limits them. */
  trainingWrapper: readonly string[];
  /** Whether training processes get namespaces of their own where the system allows it. */
  confineTraining: boolean;
  /** How many jobs may train beside each other on one copy of their base; 1: each alone. */
  jobsTogether: number;
  chat: ChatConfig;
  monitoring: MonitoringConfig;
  integrations: IntegrationsConfig;
  /** null: none is set up. */
  vllm: VllmConfig | null;
  /** null: nothing is traced. */
  tracing: TracingConfig | null;
  /** Worker processes that `npm start` runs itself; 0 runs only the API. */
  workers: number;
  /** How long things are kept that users would miss. */
  retention: Retention;
  /** How long exports are kept: they are large, and can be made again. */
  keepExportsDays: number;
  /** Origins of web pages that may call the API, such as `https://app.example.com`; `*`: all. */
  corsOrigins: readonly string[];
  logLevel: string;
  logFormat: LogFormat;
}

/** In days; null: for ever. */
export interface Retention {
  /** Uploaded files, after their upload. */
  filesDays: number | null;
  /** Checkpoints, after their job has ended. */
  checkpointsDays: number | null;
  /** Jobs with all that they made, after they have ended. */
  jobsDays: number | null;
}

/** Less than the service leaves a connection open on which nothing is sent (app.ts). */
const MAX_ANSWER_SECONDS = 280;

/** A hundred years: a longer time is a mistake. */
const MAX_DAYS = 36_500;

const packageRoot = fileURLToPath(new URL('..', import.meta.url));

/**
 * What is secret in it is hidden in every message from now on.
 * @throws Error naming every invalid variable at once
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  keepSecretsOf(env);
  const problems: string[] = [];
  const integer = (name: string, fallback: number, [low, high]: [number, number]): number => {
    const text = env[name];
    if (text === undefined || text === '') return fallback;
    const value = Number(text);
    if (!Number.isInteger(value) || value < low || value > high)
      problems.push(`${name} is "${text}"; it must be a whole number from ${low} to ${high}`);
    return value;
  };
  const days = (name: string): number | null => (env[name] ? integer(name, 0, [1, MAX_DAYS]) : null);
  const dataDir = resolve(env['DATA_DIR'] || './data');
  const shipped = resolve(packageRoot, 'models');
  const modelsDirs = env['MODELS_DIR'] ? [resolve(env['MODELS_DIR']), shipped] : [shipped];
  if (env['MODELS_DIR'] && !existsSync(env['MODELS_DIR'])) problems.push(`MODELS_DIR is "${env['MODELS_DIR']}", which does not exist`);
  const logLevel = env['LOG_LEVEL'] || 'info';
  if (!['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].includes(logLevel))
    problems.push(`LOG_LEVEL is "${logLevel}"; it must be fatal, error, warn, info, debug, trace or silent`);
  // A reader at a terminal, or a program that collects logs.
  const logFormat = env['LOG_FORMAT'] || (process.stdout.isTTY ? 'pretty' : 'json');
  if (logFormat !== 'json' && logFormat !== 'pretty') problems.push(`LOG_FORMAT is "${logFormat}"; it must be json or pretty`);
  const storageUrl = env['STORAGE_URL'] || `file://${resolve(dataDir, 'objects')}`;
  if (!isUrl(storageUrl, ['file:', 's3:'])) problems.push('STORAGE_URL is not a URL that starts with file:// or s3://');
  const endpoint = (env['HF_ENDPOINT'] || 'https://huggingface.co').replace(/\/+$/, '');
  if (!isUrl(endpoint, ['https:', 'http:'])) problems.push('HF_ENDPOINT is not a URL that starts with https:// or http://');
  else if (/[@?#]/.test(endpoint)) problems.push('HF_ENDPOINT must not have a user, a password or parameters; give a token as HF_TOKEN');
  const databaseUrl = env['DATABASE_URL'] || null;
  if (databaseUrl !== null && !isUrl(databaseUrl, ['postgresql:', 'postgres:']))
    problems.push('DATABASE_URL is not a URL of the form postgresql://user:password@host:5432/database (special characters of the password as %40)');
  const redisUrl = env['REDIS_URL'] || null;
  if (redisUrl !== null && !redisUrl.startsWith('/') && !isUrl(redisUrl, ['redis:', 'rediss:']))
    problems.push('REDIS_URL is neither a URL of the form redis://user:password@host:6379/0 nor the path of a socket');
  const key = (name: string): string | null => {
    const text = env[name] || null;
    if (text !== null && text.length < MIN_KEY_LENGTH)
      problems.push(`${name} has ${text.length} characters; it needs ${MIN_KEY_LENGTH} or more: \`openssl rand -hex 24\` makes one`);
    return text;
  };
  const diskBytes = (name: string): number | null => 1e9 * integer(name, 0, [0, 1_000_000]) || null;
  const host = env['HOST'] || '127.0.0.1';
  const port = integer('PORT', 3000, [0, 65535]);
  const config: Config = {
    host,
    port,
    dataDir,
    modelsDirs: [...new Set(modelsDirs)],
    hub: Object.freeze({
      endpoint,
      token: env['HF_TOKEN'] || null,
      allowed: allowedRepositories('ALLOW_MODEL_DOWNLOAD', env, problems),
      pushAllowed: allowedRepositories('ALLOW_HUB_PUSH', env, problems),
      privateHosts: listed(env['ALLOW_PRIVATE_HOSTS']),
      diskBytes: diskBytes('HUB_DISK_GB'),
    }),
    ggufDiskBytes: diskBytes('GGUF_DISK_GB'),
    databaseUrl,
    redisUrl,
    storageUrl,
    rootApiKey: key('ROOT_API_KEY'),
    webhookKey: key('WEBHOOK_KEY'),
    confineTraining: !['false', '0'].includes(env['CONFINE_TRAINING'] ?? ''),
    trainingWrapper: (env['TRAINING_WRAPPER'] ?? '').split(/\s+/).filter((word) => word !== ''),
    trainingMemoryBytes: memoryLimit('TRAINING_MEMORY_LIMIT', env, problems),
    jobsTogether: integer('TRAIN_TOGETHER', 4, [1, 16]),
    chat: Object.freeze({
      requests: integer('CHAT_REQUESTS', 32, [0, 10_000]),
      maxTokens: integer('CHAT_MAX_TOKENS', 4_096, [1, 1_000_000]),
      maxSeconds: integer('CHAT_MAX_SECONDS', 240, [1, MAX_ANSWER_SECONDS]),
      idleSeconds: integer('CHAT_IDLE_SECONDS', 600, [1, 1_000_000]),
      memoryBytes: memoryLimit('CHAT_MEMORY', env, problems),
      diskBytes: 1e9 * integer('CHAT_DISK_GB', 10, [1, 1_000_000]),
      nice: integer('CHAT_NICE', 10, [0, 19]),
    }),
    monitoring: Object.freeze({ metricsKey: key('METRICS_KEY'), workerPort: integer('WORKER_METRICS_PORT', 0, [0, 65535]) || null }),
    vllm: readVllm(env, problems),
    tracing: readTracing(env, problems),
    integrations: readIntegrations(env, { host, port, problems }),
    workers: integer('WORKERS', 1, [0, 64]),
    retention: Object.freeze({
      filesDays: days('KEEP_FILES_DAYS'),
      checkpointsDays: days('KEEP_CHECKPOINTS_DAYS'),
      jobsDays: days('KEEP_JOBS_DAYS'),
    }),
    keepExportsDays: integer('KEEP_EXPORTS_DAYS', 7, [1, MAX_DAYS]),
    corsOrigins: origins(env['CORS_ORIGINS'], problems),
    logLevel,
    logFormat: logFormat as LogFormat,
  };
  if (problems.length > 0) throw new Error(`The environment has ${problems.length} invalid setting(s):\n- ${redacted(problems.join('\n- '))}`);
  return Object.freeze(config);
}

/** Secrets by themselves, and those in URLs. */
function keepSecretsOf(env: NodeJS.ProcessEnv): void {
  for (const name of [
    'ROOT_API_KEY',
    'WEBHOOK_KEY',
    'METRICS_KEY',
    'HF_TOKEN',
    'VLLM_API_KEY',
    'OTEL_EXPORTER_OTLP_HEADERS',
    'OTEL_EXPORTER_OTLP_TRACES_HEADERS',
    'MLFLOW_TRACKING_TOKEN',
    'MLFLOW_TRACKING_PASSWORD',
    'WANDB_API_KEY',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_SESSION_TOKEN',
    'PGPASSWORD',
  ])
    keepSecret(env[name]);
  for (const name of ['DATABASE_URL', 'REDIS_URL', 'STORAGE_URL', 'HF_ENDPOINT']) {
    // Also of a value that is no URL: between the first colon after // and the last @.
    const password = /:\/\/[^:]*:(.*)@/s.exec(env[name] ?? '')?.[1];
    keepSecret(password);
    keepSecret(password && decoded(password));
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Sets a variable that a library reads by itself, unless the user has set it. */
export function setByDefault(name: string, value: string): void {
  process.env[name] ??= value;
}

/** This process's environment with some settings replaced, for a child process. */
export function environmentWith(settings: Record<string, string>): NodeJS.ProcessEnv {
  return { ...process.env, ...settings };
}

/** Variables by which a process finds its programs, libraries, devices and temporary files. */
const TRAINING_VARIABLES = /^(PATH|HOME|LANG|LC_.*|TZ|TMPDIR|LD_LIBRARY_PATH|XDG_CACHE_HOME|NODE_OPTIONS|CUDA_.*|NVIDIA_.*|TF_.*|OMP_.*)$/;

/** The part of the environment that a training process gets: no addresses, keys or credentials. */
export function trainingEnvironment(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const entries = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && TRAINING_VARIABLES.test(entry[0]));
  return Object.fromEntries(entries);
}
