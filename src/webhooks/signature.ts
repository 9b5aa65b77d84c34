/** Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
import { createHmac, randomBytes } from 'node:crypto';
import { unixSeconds } from '../formats/unix-seconds.ts';

const SECRET_PREFIX = 'whsec_';
/** Within the specification's 24 to 64. */
const SECRET_BYTES = 32;
/** Enough to tell two secrets apart, too few to guess one. */
const HINT_CHARACTERS = 4;

export const newSigningSecret = (): string => SECRET_PREFIX + randomBytes(SECRET_BYTES).toString('base64');

/** What may be shown of a secret. */
export const secretHint = (secret: string): string => `${SECRET_PREFIX}…${secret.slice(-HINT_CHARACTERS)}`;

interface Message {
  /** The same for every attempt, so that a receiver can leave out what it has had. */
  id: string;
  /** Of the attempt: receivers refuse old messages. */
  sentAt: Date;
  body: string;
}

/** @param secrets `whsec_…`; during a rotation there are two, and the receiver may know either */
export function signedHeaders({ id, sentAt, body }: Message, secrets: readonly string[]): Record<string, string> {
  const timestamp = unixSeconds(sentAt);
  const signature = (secret: string): string => {
    const key = Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64');
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
  };
  return { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': secrets.map(signature).join(' ') };
}
