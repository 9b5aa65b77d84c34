/** The service as the commands see it: OpenAI's client, which also sends what is Graft's own. */
import OpenAI, { APIError } from 'openai';
import { type Connection, noKey } from './settings.ts';

export interface Service {
  url: string;
  client: OpenAI;
  /** For requests that the client has no method for: HEAD, and parts of a file. @throws APIError */
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

/** @throws Failure where there is no key */
export function openService({ url, key }: Connection): Service {
  if (key === null) throw noKey(url);
  // Named one by one: the client would otherwise read OPENAI_ORG_ID, OPENAI_PROJECT_ID and more, which are meant for OpenAI.
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, adminAPIKey: null, organization: null, project: null, webhookSecret: null });
  return {
    url,
    client,
    async fetch(path, init = {}) {
      const response = await fetch(`${url}/v1${path}`, { ...init, headers: { ...init.headers, authorization: `Bearer ${key}` } });
      if (response.ok) return response;
      const body = (await response.json().catch(() => ({}))) as { error?: object };
      throw APIError.generate(response.status, body, undefined, response.headers);
    },
  };
}
