/** Natural logarithms of the probabilities that a model gives, before bias, temperature and filters. */

export interface LogProbability {
  tokenId: number;
  logprob: number;
}

/**
 * @param logits [vocab]
 * @param count of the most probable tokens to report
 * @returns that of the chosen token, and the most probable ones, most probable first; of equal ones, the lower id comes first
 */
export function logProbabilities(logits: Float32Array, chosen: number, count: number): LogProbability & { top: LogProbability[] } {
  let largest = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) if (logits[id]! > largest) largest = logits[id]!;
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += Math.exp(logits[id]! - largest);
  const normaliser = largest + Math.log(sum);
  const of = (tokenId: number): LogProbability => ({ tokenId, logprob: logits[tokenId]! - normaliser });
  return { ...of(chosen), top: mostProbable(logits, Math.min(count, logits.length)).map(of) };
}

/** `count` is small: each token is compared with the least of those found, and inserted among them if it is larger. */
function mostProbable(logits: Float32Array, count: number): number[] {
  const found: number[] = [];
  if (count === 0) return found;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (found.length === count && !(logit > logits[found[count - 1]!]!)) continue;
    if (found.length === count) found.pop();
    let place = found.length;
    while (place > 0 && logits[found[place - 1]!]! < logit) place--;
    found.splice(place, 0, id);
  }
  return found;
}
