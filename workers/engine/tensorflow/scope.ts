/** Which part of a model is being computed: profiles tell it of each operation. */

let current = '';

export const currentScope = (): string => current;

/** @param scope a name of the checkpoint's, e.g. `model.layers.0.mlp.down_proj` */
export function within<T>(scope: string, code: () => T): T {
  const outer = current;
  current = scope;
  try {
    return code();
  } finally {
    current = outer;
  }
}
