/** Learning rates over a run: transformers' `get_{linear,cosine,constant}_schedule_with_warmup`. */
export interface Schedule {
  type: 'linear' | 'cosine' | 'constant';
  /** The largest learning rate, reached at the end of the warm-up. */
  peak: number;
  warmupSteps: number;
  totalSteps: number;
}

/**
 * @param step optimizer steps taken so far: 0 for the first step, as PyTorch's LambdaLR counts
 */
export function learningRate(step: number, { type, peak, warmupSteps, totalSteps }: Schedule): number {
  if (step < warmupSteps) return peak * (step / Math.max(1, warmupSteps));
  const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
  switch (type) {
    case 'constant':
      return peak;
    case 'linear':
      return peak * Math.max(0, 1 - progress);
    case 'cosine':
      return peak * Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
  }
}
