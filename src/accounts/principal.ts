import type { Scope } from './scopes.ts';

/** For whom a request is: all that services know about the caller. */
export interface Principal {
  /** Appears in the names of tuned models. */
  organization: string;
  /** Owns the files, jobs and models that its requests create, and sees no others. */
  project: string;
}

/** The authenticated caller of a request, as routes and hooks know it. */
export interface Caller extends Principal {
  key: CallersKey;
  /** How many requests a minute are allowed; null: without limit. */
  requestsPerMinute: { ofKey: number | null; ofProject: number | null };
}

export interface CallersKey {
  id: string;
  /** The service account that the key belongs to; null for a key that a person made for themselves. */
  serviceAccount: string | null;
  scopes: readonly Scope[];
}
