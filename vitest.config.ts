import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The TensorFlow binding keeps an unlocked static: processes, not worker threads.
    pool: 'forks',
    // Two at once is what a two-core machine carries while training jobs run in some of them.
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
