import { tf } from './tensorflow.ts';

/**
 * As tf.tidy, for code that returns values and no tensors. tf.tidy looks for tensors in all that it returns, which takes far longer for the elements of a large
 * array than computing them.
 */
export function tidyValues<T>(code: () => T): T {
  let values: T | undefined;
  tf.tidy(() => {
    values = code();
  });
  return values as T;
}
