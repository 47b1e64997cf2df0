import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A temporary folder that a command gets as its TMPDIR: what it leaves behind is seen there, and whom it leaves
 * behind is known by it. Open to all, since PostgreSQL runs as another user where root starts it.
 */
export async function temporaryRoom(name: string) {
  const path = await mkdtemp(join(tmpdir(), `rollcall-test-${name}-`));
  await chmod(path, 0o755);
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
