import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

/**
 * `npm run sbom`: writes down, as CycloneDX, every package that a production installation may hold, with its version,
 * licence and hash. Needs no installed packages and no network: all of it stands in package-lock.json.
 *   node scripts/sbom.ts [file]
 */
const root = fileURLToPath(new URL('..', import.meta.url));
const DEFAULT_FILE = join(root, 'dist', 'sbom.cdx.json');
const LONGEST_BYTES = 64 * 1024 * 1024;

interface Manifest {
  name: string;
  devDependencies?: unknown;
}
interface Lock {
  packages: Record<string, { dev?: boolean; devDependencies?: unknown }>;
}

/** Writes the bill to the file, whose folder is made. Throws where npm cannot make it. */
export async function writeSbom(file = DEFAULT_FILE): Promise<string> {
  const [manifest, lock] = [await read<Manifest>('package.json'), await read<Lock>('package-lock.json')];
  // With --omit=dev npm leaves out what is needed by a development dependency as well: it is shown a project without any.
  delete manifest.devDependencies;
  delete lock.packages['']?.devDependencies;
  for (const [path, { dev }] of Object.entries(lock.packages)) if (dev) delete lock.packages[path];
  const temporary = await mkdtemp(join(tmpdir(), 'rollcall-sbom-'));
  try {
    // The folder gives the name.
    const project = join(temporary, manifest.name);
    await mkdir(project);
    await writeFile(join(project, 'package.json'), JSON.stringify(manifest));
    await writeFile(join(project, 'package-lock.json'), JSON.stringify(lock));
    const bill = await npm(
      ['sbom', '--sbom-format=cyclonedx', '--sbom-type=application', '--package-lock-only'],
      project,
    );
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, bill);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return file;
}

async function read<T>(name: string): Promise<T> {
  return JSON.parse(await readFile(join(root, name), 'utf8'));
}

/** What npm prints; the npm that started this script, where there is one. */
async function npm(args: string[], cwd: string): Promise<string> {
  const cli = process.env.npm_execpath;
  const [program, ...before] = cli?.endsWith('npm-cli.js') ? [process.execPath, cli] : ['npm'];
  const { stdout } = await promisify(execFile)(program, [...before, ...args], {
    cwd,
    maxBuffer: LONGEST_BYTES,
    shell: program === 'npm' && process.platform === 'win32',
  });
  return stdout;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  console.log(await writeSbom(process.argv[2]));
}
