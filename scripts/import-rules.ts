import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseSync } from 'vite';

/**
 * Which room may use which, and no import circles: type-only imports count too, since they tie rooms together as
 * well. A room is a folder of src/, the foundation is what lies directly in src/.
 */
const stores = ['presence', 'foundation'];
const stocked = ['presence', 'protocol', 'foundation', 'redis', 'postgres', 'queues', 'services'];
const everythingBehindTheDoors = [...stocked, 'usecases'];
const mayUse: Record<string, string[]> = {
  presence: [],
  protocol: ['presence'],
  foundation: [],
  redis: stores,
  postgres: stores,
  queues: ['protocol', 'presence', 'foundation'],
  services: ['presence', 'foundation', 'redis', 'postgres', 'queues'],
  // What the service does, whoever asks for it: it knows no transport.
  usecases: stocked,
  web: everythingBehindTheDoors,
  workers: everythingBehindTheDoors,
  client: ['protocol', 'presence'],
  demo: ['client'],
  migrations: [],
};

/** Packages a room may import; rooms not named here may import any. `node:` modules are named like packages. */
const mayImport: Record<string, string[]> = {
  presence: [],
  protocol: ['zod'],
};

/** The rooms in which a store's package may be spoken to directly. */
const ownedPackages: Record<string, string[]> = {
  knex: ['postgres', 'migrations', 'services'],
  pg: ['postgres', 'migrations'],
};

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

const folders = ['src', 'workers', 'migrations', 'scripts', 'bench'];

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

/** Undefined for what is no room (scripts, bench, tests): these may use everything. */
function roomOf(file: string): string | undefined {
  const [top, second, ...rest] = file.split('/');
  if (top !== 'src') return top === 'workers' || top === 'migrations' ? top : undefined;
  if (rest.length > 0) return second;
  return second === 'services.ts' ? 'services' : 'foundation';
}

function roomProblem(from: string | undefined, to: string | undefined): string | undefined {
  if (from === undefined || from === to) return undefined;
  const allowed = mayUse[from];
  if (!allowed) return `"${from}" is no room of the house`;
  if (to !== undefined && allowed.includes(to)) return undefined;
  return `${from} may use ${allowed.join(', ') || 'no other room'}, never ${to ?? 'what lies outside the rooms'}`;
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
  if (owners && !owners.includes(from)) return `imports ${name}: only ${owners.join(', ')} may`;
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
