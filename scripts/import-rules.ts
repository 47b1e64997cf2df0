import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseSync } from 'vite';

/**
 * Which room may use which, why no other, and no import circles: type-only imports count too, since they tie rooms together
 * as well. A room is a folder of src/ (in web/ each folder is one), or what lies directly in src/: the foundation, and stores.ts.
 */
interface Wall {
  uses: string[];
  because: string;
}

const foundation = ['foundation', 'config', 'telemetry'];
const belowTheFloor = ['presence', 'protocol', ...foundation, 'redis', 'postgres', 'queues', 'stores'];
const web = ['web', 'web/sessions', 'web/limits', 'web/auth', 'web/operations', 'web/docs'];
const server = [...belowTheFloor, 'usecases'];
const everyRoom = [
  ...server,
  ...web,
  'web/routes',
  'web/sockets',
  'workers',
  'migrations',
  'client',
  'backend',
  'testing',
  'cli',
  'demo',
  'console',
];

const oneProcess = 'a web and a worker are processes of their own and meet in the stores';
const behindTheDoors: Wall = { uses: [...server, ...web], because: oneProcess };

const walls: Record<string, Wall> = {
  presence: { uses: [], because: 'the rules can be read, and tried, without knowing what a store is' },
  protocol: { uses: ['presence'], because: 'what crosses the network is the same for server, client and documents' },
  foundation: { uses: [...foundation, 'protocol'], because: 'whatever everything stands on stands on nothing else' },
  config: { uses: [...foundation, 'protocol'], because: 'settings are read and checked before anything is opened' },
  telemetry: { uses: [...foundation, 'protocol'], because: 'what is measured is handed in by who measures it' },
  redis: { uses: ['presence', ...foundation], because: 'what is now knows nothing of what was, nor of who asks' },
  postgres: { uses: ['presence', ...foundation], because: 'what was knows nothing of what is now, nor of who asks' },
  queues: { uses: ['protocol', 'presence', ...foundation], because: 'a job is handed over, whoever does it' },
  stores: {
    uses: ['presence', ...foundation, 'redis', 'postgres', 'queues'],
    because: 'the file that opens stores holds no behaviour',
  },
  usecases: { uses: belowTheFloor, because: 'a use case knows no transport' },
  // Who puts a web together knows all of it.
  web: { uses: [...server, ...web, 'web/routes', 'web/sockets'], because: oneProcess },
  'web/sessions': behindTheDoors,
  'web/limits': behindTheDoors,
  'web/auth': behindTheDoors,
  'web/operations': behindTheDoors,
  'web/docs': behindTheDoors,
  'web/routes': { uses: [...server, ...web], because: 'doors do not know each other' },
  'web/sockets': { uses: [...server, ...web], because: 'doors do not know each other' },
  workers: { uses: server, because: oneProcess },
  client: { uses: ['protocol', 'presence'], because: 'it runs in browsers' },
  backend: { uses: [], because: 'it runs in backends of others, and its package holds nothing of the server' },
  testing: {
    uses: ['client', 'backend', 'presence'],
    because: 'it stands in for the client, and starts the service as a program of its own',
  },
  cli: { uses: ['backend', 'client', 'testing'], because: 'it asks the service as a backend would' },
  demo: { uses: ['client'], because: 'it uses the client as a stranger would' },
  console: {
    uses: ['protocol', 'demo'],
    because: 'it runs in browsers, knows what its routes say and looks like the demo',
  },
  migrations: { uses: [], because: 'what has run once must do the same for ever, whatever the code says by then' },
  bench: { uses: [...everyRoom, 'scripts'], because: 'figures must not hang on how tests are written' },
  // The laboratory, which tests run too.
  scripts: { uses: [...everyRoom, 'bench', 'test'], because: 'a script starts what is there' },
  findings: { uses: [], because: 'they show what others do, without our code' },
};

/** Packages a room may import; rooms not named here may import any. `node:` modules are named like packages. */
const mayImport: Record<string, string[]> = {
  presence: [],
  protocol: ['zod'],
  backend: [],
};

/** Rooms that packages are for; a use case that speaks to a transport is none. */
const ownedPackages: Record<string, string[]> = {
  knex: ['postgres', 'migrations', 'stores'],
  pg: ['postgres', 'migrations'],
};
/** These measure and mend stores from outside. */
const TOOLS = ['scripts', 'bench', 'findings'];
const notInUseCases = ['fastify', 'socket.io', 'bullmq'];

/** Every violation under `root`, one line each; empty where the rules hold. */
export async function importViolations(root: string): Promise<string[]> {
  const imports = new Map<string, string[]>();
  const violations: string[] = [];
  for (const file of await sourceFiles(root)) {
    const name = relative(root, file).split(sep).join('/');
    const local: string[] = [];
    for (const specifier of specifiers(file, await readFile(file, 'utf8'))) {
      if (!specifier.startsWith('.')) {
        const problem = packageProblem(roomOf(name), specifier);
        if (problem) violations.push(`${name}: ${problem}`);
        continue;
      }
      const path = resolve(dirname(file), specifier);
      if (!existsSync(path)) violations.push(`${name}: imports ${specifier}, which does not exist`);
      const target = relative(root, path).split(sep).join('/');
      local.push(target);
      const problem = roomProblem(roomOf(name), roomOf(target));
      if (problem) violations.push(`${name}: imports ${target}: ${problem}`);
    }
    imports.set(name, local);
  }
  return [...violations, ...circles(imports)];
}

const folders = ['src', 'workers', 'migrations', 'scripts', 'bench', 'findings'];

async function sourceFiles(root: string): Promise<string[]> {
  const files: string[] = [];
  for (const folder of folders.filter((name) => existsSync(join(root, name)))) {
    for (const entry of await readdir(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (entry.isFile() && /\.tsx?$/.test(entry.name)) files.push(join(entry.parentPath, entry.name));
    }
  }
  return files.sort();
}

function specifiers(file: string, source: string): string[] {
  const { module, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const named = [
    ...module.staticImports.map((found) => found.moduleRequest.value),
    ...module.staticExports.flatMap((found) => found.entries.flatMap((entry) => entry.moduleRequest?.value ?? [])),
  ];
  // Dynamic imports, and types written as import('…').
  for (const [, specifier] of source.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)) if (specifier) named.push(specifier);
  return [...new Set(named)];
}

/** Undefined for what lies outside the rooms. Tests and the settings of tools may use everything. */
function roomOf(file: string): string | undefined {
  const [top, second, ...rest] = file.split('/');
  if (top !== 'src') return top === 'test' || folders.includes(top ?? '') ? top : undefined;
  if (second === 'web' && rest.length > 1) return `web/${rest[0]}`;
  if (rest.length > 0) return second;
  return second === 'stores.ts' ? 'stores' : 'foundation';
}

function roomProblem(from: string | undefined, to: string | undefined): string | undefined {
  if (from === undefined || from === to) return undefined;
  const wall = walls[from];
  if (!wall) return `"${from}" is no room of the house`;
  if (to !== undefined && wall.uses.includes(to)) return undefined;
  const uses = wall.uses.join(', ') || 'no other room';
  return `${from} may use ${uses}, never ${to ?? 'what lies outside the rooms'}: ${wall.because}`;
}

function packageProblem(from: string | undefined, specifier: string): string | undefined {
  if (from === undefined) return undefined;
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const allowed = mayImport[from];
  if (allowed && !allowed.includes(name))
    return `imports ${name}: ${from} may import ${allowed.join(', ') || 'no package'}`;
  const owners = ownedPackages[name];
  if (owners && from in walls && !TOOLS.includes(from) && !owners.includes(from)) {
    return `imports ${name}: only ${owners.join(', ')} may`;
  }
  if (from === 'usecases' && notInUseCases.includes(name)) return `imports ${name}: ${walls.usecases?.because}`;
  return undefined;
}

function circles(imports: Map<string, string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) found.push(`import circle: ${[...path.slice(start), file].join(' → ')}`);
    if (start >= 0 || done.has(file)) return;
    for (const next of imports.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return found;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const violations = await importViolations(process.cwd());
  for (const violation of violations) console.error(violation);
  process.exitCode = violations.length > 0 ? 1 : 0;
}
