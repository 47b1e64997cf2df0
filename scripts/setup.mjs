// First step of `npm run demo`, `npm test` and their like. It runs on whatever Node the machine has (20 or later)
// and has no dependencies: it installs them where they are missing or out of date, then runs the given script
// with the project's own Node.
//   node scripts/setup.mjs <script> [arguments…]
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const wantedMajor = 24;

const [script, ...scriptArguments] = process.argv.slice(2);
if (!script) stopWith('usage: node scripts/setup.mjs <script> [arguments…]');

if (!isInstalled()) install();
const node =
  projectNode() ??
  repairedNode() ??
  stopWith(`npm brought no Node ${wantedMajor}: remove node_modules and run the command again.`);
runScript(node);

/** Whether node_modules holds what package-lock.json asks for (by version; what is for other machines does not count). */
function isInstalled() {
  const wanted = readPackages(join(root, 'package-lock.json'));
  // npm writes this list last, so half an installation has none.
  const installed = readPackages(join(modules, '.package-lock.json'));
  return Object.entries(wanted).every(
    ([path, entry]) =>
      path === '' || entry.optional || entry.devOptional || entry.link || installed[path]?.version === entry.version,
  );
}

function readPackages(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : {};
}

function install() {
  console.error('Installing dependencies …');
  // The development dependencies are needed here, whatever NODE_ENV says.
  const done = npm(['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'], root);
  if (done.status !== 0) stopWith('npm ci failed.');
}

/** Runs npm with the npm that started this script, where there is one. */
function npm(args, cwd) {
  const cli = process.env.npm_execpath;
  // npm's standard output goes to standard error: what the script itself prints stays clean.
  const options = { cwd, stdio: ['ignore', 2, 2] };
  if (cli?.endsWith('npm-cli.js')) return spawnSync(process.execPath, [cli, ...args], options);
  return spawnSync('npm', args, { ...options, shell: process.platform === 'win32' });
}

/** The path of the project's Node, where it is there and works. */
function projectNode() {
  const file = join(modules, 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  for (const candidate of [file, process.execPath]) {
    const said = spawnSync(candidate, ['--version'], { encoding: 'utf8' });
    if (said.status === 0 && Number(/^v(\d+)\./.exec(said.stdout)?.[1]) === wantedMajor) return candidate;
  }
  return undefined;
}

/** The package `node` fetches its program in an install script, which `ignore-scripts` or a policy may have held back. */
function repairedNode() {
  const folder = join(modules, 'node');
  if (!existsSync(folder)) return undefined;
  spawnSync(process.execPath, ['installArchSpecificPackage.js'], { cwd: folder, stdio: ['ignore', 2, 2] });
  return projectNode();
}

function runScript(node) {
  const child = spawn(node, [join(root, script), ...scriptArguments], {
    cwd: process.cwd(),
    // The extra channel tells the script when this process is gone.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, PATH: [dirname(node), join(modules, '.bin'), process.env.PATH].join(delimiter) },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  stopWhenOrphaned(child);
  child.once('error', (error) => stopWith(error.message));
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (signal === 'SIGINT' ? 2 : signal === 'SIGTERM' ? 15 : 9);
    if (child.connected) child.disconnect();
  });
}

/**
 * An npm that was killed passes no signal on, and the shell it puts between keeps waiting: so look after both. Only
 * under npm, where nobody lets the command live on by itself on purpose.
 */
function stopWhenOrphaned(child) {
  if (!process.env.npm_lifecycle_event) return;
  const ancestors = [process.ppid, parentOf(process.ppid)].join();
  const timer = setInterval(() => {
    if ([process.ppid, parentOf(process.ppid)].join() !== ancestors) child.kill('SIGTERM');
  }, 1_000);
  timer.unref();
}

/** On Linux; elsewhere the own parent has to do. */
function parentOf(pid) {
  try {
    return /^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

function stopWith(message) {
  console.error(message);
  process.exit(1);
}
