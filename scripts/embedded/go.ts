import { installDebianPackage, onPath, run } from './programs.ts';

/** The compiler, and the libraries that Helm's templates are made with. */
const PACKAGES = ['golang-go', 'golang-github-masterminds-sprig-dev', 'golang-k8s-sigs-yaml-dev'];
/** Where Debian has libraries of Go. */
const GOPATH = '/usr/share/gocode';

/**
 * Builds a program in Go out of one file, with Debian's libraries, which are installed where that works without asking.
 * Returns undefined when it is there, else the reason why not.
 */
export async function buildGoProgram(source: string, program: string, cache: string): Promise<string | undefined> {
  const env = { ...process.env, GO111MODULE: 'off', GOPATH, GOCACHE: cache, GOFLAGS: '' };
  const build = () => run(onPath('go') ?? '/usr/bin/go', ['build', '-o', program, source], { env });
  if ((await build()).ok) return undefined;
  for (const name of PACKAGES) {
    const reason = await installDebianPackage(name);
    if (reason !== undefined) return reason;
  }
  const { ok, output } = await build();
  return ok ? undefined : output;
}
