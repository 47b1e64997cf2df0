import { defineConfig } from 'vitest/config';

// `--mode long` selects the long tests, `--mode laboratory` those that take the machine for themselves for long;
// scripts/test.ts sets it.
const FOLDERS: Record<string, string> = { long: 'test/full', laboratory: 'test/laboratory' };

export default defineConfig(({ mode }) => ({
  test: {
    include: [`${FOLDERS[mode] ?? 'test'}/**/*.test.{ts,tsx}`],
    exclude: FOLDERS[mode] ? [] : Object.values(FOLDERS).map((folder) => `${folder}/**`),
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    // Files wait for deadlines more than they compute: three at a time keep two cores busy. The long ones crowd, and
    // want the machine to themselves.
    maxWorkers: FOLDERS[mode] ? 1 : 3,
    testTimeout: FOLDERS[mode] ? 300_000 : 60_000,
    hookTimeout: 90_000,
    teardownTimeout: 30_000,
    sequence: { shuffle: { files: true } },
  },
}));
