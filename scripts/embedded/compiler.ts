import { installDebianPackage, onPath } from './programs.ts';

/** A C compiler: this machine's, or Debian's, which is installed where that works without asking. */
export async function provideCompiler(): Promise<string> {
  const found = onPath('cc');
  if (found) return found;
  for (const name of ['gcc', 'libc6-dev']) {
    const reason = await installDebianPackage(name);
    if (reason) {
      throw new Error(`A C compiler is needed (${reason}). Install one (Debian: apt-get install gcc libc6-dev).`);
    }
  }
  return onPath('gcc') ?? 'cc';
}
