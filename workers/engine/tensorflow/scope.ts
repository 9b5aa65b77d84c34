/** The part of a model that is being computed, which profiles show for each operation. */

let current = '';

export const currentScope = (): string => current;

/** @param scope a name from the checkpoint, e.g. `model.layers.0.mlp.down_proj` */
export function within<T>(scope: string, code: () => T): T {
  const outer = current;
  current = scope;
  try {
    return code();
  } finally {
    current = outer;
  }
}
