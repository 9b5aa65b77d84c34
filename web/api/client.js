import { apiKey, signOut } from '../lib/preferences.js';
import { createStore } from '../lib/store.js';

/** An answer that says no: what is wrong, where, and what to do. */
export class ApiError extends Error {
  /** @param {number} status @param {{ message?: string, param?: string | null }} error */
  constructor(status, error) {
    super(error.message ?? `The service answered with status ${status}`);
    this.status = status;
    this.param = error.param ?? null;
  }
}

/** The service cannot be reached at the moment. */
export class Unreachable extends Error {
  constructor() {
    super('The service cannot be reached. The page tries again by itself.');
  }
}

/** Whether the service answers, and how often it has come back: what was being watched is then read again. */
export const connection = createStore({ isOnline: true, recoveries: 0 });
/** Why the key was not accepted, for the page that asks for another. */
export const refusedKey = createStore('');

const RETRY_MS = 1_500;
/** A proxy answers so while the service behind it is away. */
const AWAY = [502, 503, 504];

let isWaiting = false;

/** Marks the service as away, and asks until it answers again. */
export function lostConnection() {
  if (isWaiting) return;
  isWaiting = true;
  connection.set({ ...connection.get(), isOnline: false });
  const ask = async () => {
    const answer = await fetch('healthz', { cache: 'no-store' }).catch(() => null);
    if (answer === null || AWAY.includes(answer.status)) return setTimeout(ask, RETRY_MS);
    isWaiting = false;
    connection.set({ isOnline: true, recoveries: connection.get().recoveries + 1 });
  };
  setTimeout(ask, RETRY_MS);
}
addEventListener('offline', lostConnection);

/**
 * @param {string} path below /v1
 * @param {RequestInit & { key?: string | null }} [init]
 * @returns {Promise<Response>}
 */
export async function send(path, { key = apiKey.get(), ...init } = {}) {
  const headers = new Headers(init.headers);
  headers.set('authorization', `Bearer ${key ?? ''}`);
  const response = await fetch(`v1${path}`, { ...init, headers }).catch((error) => {
    if (init.signal?.aborted) throw error;
    lostConnection();
    throw new Unreachable();
  });
  if (response.ok) return response;
  if (AWAY.includes(response.status) && !response.headers.get('content-type')?.includes('json')) {
    lostConnection();
    throw new Unreachable();
  }
  const body = await response.json().catch(() => ({}));
  const error = new ApiError(response.status, body.error ?? {});
  if (error.status === 401 && key !== null && key === apiKey.get()) {
    refusedKey.set(error.message);
    signOut();
  }
  throw error;
}

/** @template T @param {string} path @param {RequestInit & { key?: string | null }} [init] @returns {Promise<T>} */
export const get = async (path, init) => (await send(path, init)).json();

/** @template T @param {string} path @param {unknown} [body] @param {RequestInit} [init] @returns {Promise<T>} */
export async function post(path, body, init = {}) {
  const json = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  return (await send(path, { method: 'POST', ...json, ...init })).json();
}

/** @param {string} path */
export const remove = async (path) => (await send(path, { method: 'DELETE' })).json();

/** Uploads a dataset. fetch tells nothing of how far it is. @param {File} file @param {(share: number) => void} onProgress @returns {Promise<import('./types.d.ts').StoredFile>} */
export function upload(file, onProgress) {
  const form = new FormData();
  form.set('purpose', 'fine-tune');
  form.set('file', file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', 'v1/files');
    request.setRequestHeader('authorization', `Bearer ${apiKey.get()}`);
    request.responseType = 'json';
    request.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    request.onload = () => {
      if (request.status === 200) resolve(request.response);
      else reject(new ApiError(request.status, request.response?.error ?? {}));
    };
    request.onerror = () => {
      lostConnection();
      reject(new Unreachable());
    };
    request.send(form);
  });
}
