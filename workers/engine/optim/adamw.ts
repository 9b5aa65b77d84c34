/** AdamW's constants (Loshchilov & Hutter 2019), which are PyTorch's defaults. */

/** Decay rates of the first and the second moment. */
export const BETAS = [0.9, 0.999] as const;
/** Added to √v̂. */
export const EPSILON = 1e-8;
