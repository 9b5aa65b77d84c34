import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/database-template.ts',
    // The TensorFlow binding keeps an unlocked static: processes, not worker threads.
    pool: 'forks',
    // Two at once is what a two-core machine carries while training jobs run in some of them.
    maxWorkers: 2,
    // For work that never ends: a job that trains alone in 10 s takes two minutes on a machine that others use too.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
