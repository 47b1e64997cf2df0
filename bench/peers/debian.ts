import { run } from '../../scripts/embedded/programs.ts';

/** The version of a Debian package that is installed. Throws with what to do where it is not. */
export async function debianVersion(name: string): Promise<string> {
  const { output } = await run('dpkg-query', ['-W', '-f', ['$', '{Version}'].join(''), name]);
  if (!/^\d/.test(output)) throw new Error(`${name} is not here: apt-get install ${name}`);
  return output;
}
