import { createHash } from 'node:crypto';
import type { Example } from './batch.ts';

/** Of sha256, enough that two of a billion examples share them with probability 10⁻²¹. */
const DIGEST_BYTES = 16;

/** What makes an example the same as another: its tokens and what is learned of them. */
export const exampleDigest = ({ inputIds, lossWeights }: Example): string =>
  createHash('sha256').update(inputIds).update(lossWeights).digest().toString('base64', 0, DIGEST_BYTES);
