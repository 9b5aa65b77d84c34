/** Encrypts secrets at rest that the service has to use itself, so that a hash would not do: what webhooks are signed with, and users' tokens for a hub. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Config } from './config.ts';
import { Refusal } from './formats/refusal.ts';
import { secretInFile } from './secret-file.ts';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
/** As GCM wants them; random, which is safe for far more secrets than a database has (2³²). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export const SECRET_UNREADABLE = 'secret_unreadable';

export interface SecretBox {
  /** @param context what the secret belongs to: it opens only with the same, so that nobody who can write rows passes one on to another row */
  seal(secret: string, context: string): Promise<string>;
  /** @throws Refusal when the key is not the one that it was sealed with */
  open(sealed: string, context: string): Promise<string>;
}

/** The key is WEBHOOK_KEY, or else made at the first use and kept in DATA_DIR/webhook-key. */
export function openSecretBox({ webhookKey, dataDir }: Pick<Config, 'webhookKey' | 'dataDir'>): SecretBox {
  let loading: Promise<Uint8Array> | null = null;
  const key = (): Promise<Uint8Array> => {
    loading ??= loadKey().catch((error: unknown) => {
      loading = null;
      throw error;
    });
    return loading;
  };
  async function loadKey(): Promise<Uint8Array> {
    const secret = webhookKey ?? (await secretInFile(join(dataDir, 'webhook-key'), () => randomBytes(KEY_BYTES).toString('base64url')));
    // The label is part of what is stored: it stays as it was when webhooks alone had secrets.
    return new Uint8Array(hkdfSync('sha256', secret, '', 'graft webhook secrets', KEY_BYTES));
  }
  return {
    async seal(secret, context) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, await key(), nonce).setAAD(Buffer.from(context));
      const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64');
    },

    async open(sealed, context) {
      const bytes = Buffer.from(sealed, 'base64');
      const [nonce, tag] = [bytes.subarray(0, NONCE_BYTES), bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES)];
      const secretKey = await key();
      try {
        const decipher = createDecipheriv(CIPHER, secretKey, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(context)).setAuthTag(tag);
        return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]).toString('utf8');
      } catch {
        throw new Refusal(SECRET_UNREADABLE, 'A stored secret was encrypted with another key', {
          hint: 'Give every process the same WEBHOOK_KEY or the same file DATA_DIR/webhook-key, or give the secret again.',
        });
      }
    },
  };
}
