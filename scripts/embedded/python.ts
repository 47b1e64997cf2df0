import { installDebianPackage, onPath, run } from './programs.ts';

/** Socket.IO for Python, by both of its transports. */
const PACKAGES = ['python3-socketio', 'python3-aiohttp'];

/** A Python that has Socket.IO's client: the one on the PATH, or Debian's, which is installed with it where that works without asking. */
export async function ensurePythonClient(): Promise<string> {
  const found = await findPython();
  if (found) return found;
  for (const name of PACKAGES) {
    const reason = await installDebianPackage(name);
    if (reason === undefined) continue;
    throw new Error(
      `The tests of other clients need Python with socketio and aiohttp (${reason}). Install them (Debian: apt-get install ` +
        `${PACKAGES.join(' ')}; elsewhere: pip install python-socketio aiohttp), and run the command again.`,
    );
  }
  const installed = await findPython();
  if (installed) return installed;
  throw new Error(`The packages ${PACKAGES.join(' and ')} brought no Python that has socketio and aiohttp.`);
}

/** Where another Python is first on the PATH, Debian's packages are for the system's own all the same. */
async function findPython(): Promise<string | undefined> {
  for (const python of [onPath('python3'), '/usr/bin/python3']) {
    if (python && (await run(python, ['-c', 'import socketio, aiohttp'])).ok) return python;
  }
  return undefined;
}
