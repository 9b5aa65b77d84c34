import { createHash, randomBytes } from 'node:crypto';

/** How keys begin, as OpenAI's do: tools tell from it what they were given. */
const PREFIXES = { project: 'sk-proj-', serviceAccount: 'sk-svcacct-', admin: 'sk-admin-' } as const;
export type KeyKind = keyof typeof PREFIXES;

/** Too many to guess, however fast a key is tried. */
const KEY_BYTES = 32;
/** Characters after the prefix, and at the end, by which a key is recognised: 48 of its 256 bits. */
const SHOWN_CHARACTERS = 4;

/** A new key: the value is shown once, the rest is stored. */
export interface NewSecret {
  value: string;
  sha256: string;
  redacted: string;
}

export function newSecret(kind: KeyKind): NewSecret {
  const random = randomBytes(KEY_BYTES).toString('base64url');
  const value = `${PREFIXES[kind]}${random}`;
  return { value, sha256: hashOfKey(value), redacted: `${PREFIXES[kind]}${random.slice(0, SHOWN_CHARACTERS)}***${random.slice(-SHOWN_CHARACTERS)}` };
}

/**
 * A slow, salted hash protects passwords, which can be guessed. These keys are 256 random bits: nobody finds one from its SHA-256, and without a salt the
 * row is found by the hash. What the index compares is the hash, so its timing says nothing about a key.
 */
export const hashOfKey = (key: string): string => createHash('sha256').update(key).digest('hex');

/** Whether a text can be a key at all: others are refused without asking the database. */
export const looksLikeKey = (text: string): boolean => Object.values(PREFIXES).some((prefix) => text.startsWith(prefix));
