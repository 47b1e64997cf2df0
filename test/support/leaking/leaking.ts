import { expect, test } from 'vitest';
import { Program } from '../deployment.ts';

/** Not part of any run but those of test/processes/run-logs.long.test.ts: a process that says what it was told to. */
test('somebody speaks', async () => {
  const parrot = new Program('test/support/leaking/parrot.ts', {
    SAYS: process.env.SAYS ?? '',
    ADMIN_PASSWORD: 'known-to-operators-only',
  });
  expect((await parrot.exited).code).toBe(0);
});
