/** Where the service is, and the key for it: from the environment, from `graft login`, or from a service that runs in this directory. */
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { isRecord } from '../src/formats/record.ts';
import { EXIT, Failure, usageFailure } from './exit-code.ts';

/** Where `npm start` listens. */
const DEFAULT_URL = 'http://127.0.0.1:3000';
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]'];

export interface Connection {
  /** Without a trailing slash and without `/v1`. */
  url: string;
  key: string | null;
  /** Where the key was found, for people. */
  keyFrom: string | null;
}

/** What `graft login` keeps. A key belongs to one address and is sent nowhere else. */
interface Saved {
  url: string | null;
  keys: Record<string, string>;
}

type Environment = Readonly<Record<string, string | undefined>>;

export const settingsPath = (env: Environment = process.env): string =>
  join(env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'graft', 'config.json');

/** @param givenUrl the value of `--url`. @throws Failure if the address is not an http or https URL */
export async function findConnection(givenUrl: string | undefined, env: Environment = process.env): Promise<Connection> {
  const saved = await readSettings(env);
  const url = normalUrl(givenUrl || env['GRAFT_URL'] || saved.url || DEFAULT_URL);
  if (env['GRAFT_API_KEY']) return { url, key: env['GRAFT_API_KEY'].trim(), keyFrom: 'GRAFT_API_KEY' };
  if (Object.hasOwn(saved.keys, url)) return { url, key: saved.keys[url]!, keyFrom: settingsPath(env) };
  const file = join(env['DATA_DIR'] || 'data', 'api-key');
  const key = LOOPBACK.includes(new URL(url).hostname) ? await textOf(file) : null;
  return { url, key: key?.trim() ?? null, keyFrom: key === null ? null : file };
}

/** @throws Failure */
export function normalUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw usageFailure(`"${text}" is not an address`, `Write it like ${DEFAULT_URL}.`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw usageFailure(`"${text}" is neither http nor https`);
  if (url.username || url.password) throw usageFailure('The address has a user name or a password in it', 'Leave them out: the key is given apart.');
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '').replace(/\/v1$/, '');
}

export const noKey = (url: string): Failure =>
  new Failure(`There is no key for ${url}`, {
    exitCode: EXIT.denied,
    hint: 'Sign in with `graft login`, set GRAFT_API_KEY, or run this in the directory in which the service was started (its key is in data/api-key).',
  });

/** Makes this service the one that commands use. */
export async function saveConnection(url: string, key: string, env: Environment = process.env): Promise<void> {
  const { keys } = await readSettings(env);
  await writeSettings({ url, keys: { ...keys, [url]: key } }, env);
}

/** @returns whether there was a key to forget */
export async function forgetKey(url: string, env: Environment = process.env): Promise<boolean> {
  const saved = await readSettings(env);
  const { [url]: key, ...keys } = saved.keys;
  await writeSettings({ url: saved.url === url ? null : saved.url, keys }, env);
  return key !== undefined;
}

async function readSettings(env: Environment): Promise<Saved> {
  const path = settingsPath(env);
  const text = await textOf(path);
  if (text === null) return { url: null, keys: {} };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw usageFailure(`${path} is not JSON`, 'Remove it and sign in again.');
  }
  const { url, keys } = isRecord(value) ? value : {};
  const texts = Object.entries(isRecord(keys) ? keys : {}).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return { url: typeof url === 'string' ? url : null, keys: Object.fromEntries(texts) };
}

/** For its user alone, and never half written. */
async function writeSettings(saved: Saved, env: Environment): Promise<void> {
  const path = settingsPath(env);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}.new`;
  try {
    await writeFile(fresh, `${JSON.stringify(saved, null, 2)}\n`, { mode: 0o600 });
    await chmod(fresh, 0o600); // the mode of a file that was there already is not changed by writing
    await rename(fresh, path);
  } finally {
    await rm(fresh, { force: true });
  }
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
