import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: ['test/support/leaking/leaking.ts'], globalSetup: ['test/support/log-check.ts'], pool: 'forks' },
});
