/** The one place that keeps passwords, keys and tokens out of messages: errors, events and logs pass through `redacted`. */

const HIDDEN = '***';
/** A shorter secret would hide parts of ordinary words; it is still hidden in a URL. */
const MIN_LENGTH = 6;
/** `scheme://user:password@`; the lengths are bounded so that the search takes linear time. */
const URL_CREDENTIALS = /\b([a-z][a-z0-9+.-]{0,19}:\/\/)[^\s/@]{1,500}@/gi;
/** The signing secrets of webhooks: there may be thousands, so they are known by their form. */
const SIGNING_SECRET = /\bwhsec_[A-Za-z0-9+/]{8,200}={0,2}/g;

/** Keys of projects and organizations, of which the process knows the hashes alone. The beginnings are those of src/accounts/secret-key.ts. */
const API_KEYS = /\bsk-(?:proj|svcacct|admin)-[\w-]{20,100}/g;

/** Tokens of the Hugging Face hub that users give; the operator's is known. */
const HUB_TOKENS = /\bhf_[A-Za-z0-9]{20,200}/g;

/** Of this process, in every form in which a message may have them. */
const known = new Set<string>();

/** Hides this text from now on. */
export function keepSecret(secret: string | null | undefined): void {
  if (!secret || secret.length < MIN_LENGTH) return;
  known.add(secret);
  known.add(encodeURIComponent(secret));
}

/** @returns the text without the secrets that this process knows, without API keys and tokens of the hub, and without the user and password of any URL */
export function redacted(text: string): string {
  let clean = text.includes('@') ? text.replace(URL_CREDENTIALS, `$1${HIDDEN}@`) : text;
  if (clean.includes('sk-')) clean = clean.replace(API_KEYS, HIDDEN);
  if (clean.includes('whsec_')) clean = clean.replace(SIGNING_SECRET, HIDDEN);
  if (clean.includes('hf_')) clean = clean.replace(HUB_TOKENS, HIDDEN);
  for (const secret of known) if (clean.includes(secret)) clean = clean.replaceAll(secret, HIDDEN);
  return clean;
}
