import { createHash } from 'node:crypto';
import type { Example } from './batch.ts';

/** Bytes kept of the SHA-256: any two of a billion examples share them with probability 10⁻²¹. */
const DIGEST_BYTES = 16;

/** Identifies an example by its tokens and their weights in the loss. */
export const exampleDigest = ({ inputIds, lossWeights }: Example): string =>
  createHash('sha256').update(inputIds).update(lossWeights).digest().toString('base64', 0, DIGEST_BYTES);
