import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build, type Plugin } from 'vite';
import { writeSbom } from './sbom.ts';

/**
 * `npm run build`: makes dist/client, a package folder ready for `npm publish`: ES modules (`rollcall`, which is also
 * `rollcall/client`, `rollcall/client/social`, `rollcall/client/rooms`, `rollcall/react`, `rollcall/react/rooms`, `rollcall/server` and `rollcall/testing`) with their types, the command `rollcall`, and
 * nothing of the service; and beside it dist/sbom.cdx.json, which is of the service.
 */
const root = fileURLToPath(new URL('..', import.meta.url));
/** What each entry may have at most, gzipped, in KiB. */
export const MOST_KIB = {
  client: 6.5,
  social: 2,
  rooms: 2.5,
  react: 1,
  'react-rooms': 0.5,
  server: 8,
  testing: 8,
  cli: 12,
};
type Entry = keyof typeof MOST_KIB;

export interface BuiltClient {
  folder: string;
  /**
   * Of each entry, gzipped: `client` without socket.io-client, `social` and `rooms` without that, `react` and `react-rooms` without React and these, `server`, which needs nothing else, `testing`
   * without the two that stand beside it, and `cli`, the command.
   */
  bytes: Record<Entry, number>;
}

const CLIENT = join(root, 'src/client/index.ts');
const ROOMS = join(root, 'src/client/rooms.ts');
const REACT = join(root, 'src/client/react.tsx');
const SERVER = join(root, 'src/backend/index.ts');

/** Builds the package into a folder, which is emptied first. */
export async function buildClient(folder = join(root, 'dist', 'client')): Promise<BuiltClient> {
  await rm(folder, { recursive: true, force: true });
  await bundle(folder, { client: CLIENT, react: REACT, server: SERVER });
  // Errors are known by their class: the application's and those of the fake are to be of one.
  await bundle(folder, { rooms: ROOMS }, { [CLIENT]: 'client' });
  await bundle(
    folder,
    { 'react-rooms': join(root, 'src/client/react-rooms.tsx') },
    { [REACT]: 'react', [ROOMS]: 'rooms' },
  );
  await bundle(folder, { social: join(root, 'src/client/social.ts') }, { [CLIENT]: 'client' });
  await bundle(folder, { testing: join(root, 'src/testing/index.ts') }, { [CLIENT]: 'client', [SERVER]: 'server' });
  await bundle(folder, { cli: join(root, 'src/cli/main.ts') }, { [CLIENT]: 'client' });
  await emitTypes(folder);
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(await manifest(), null, 2)}\n`);
  await copyFile(join(root, 'docs/client.md'), join(folder, 'README.md'));
  await copyFile(join(root, 'CHANGELOG.md'), join(folder, 'CHANGELOG.md'));
  await copyFile(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  const sizes = Object.keys(MOST_KIB).map(async (entry) => [entry, await gzippedSize(folder, entry)]);
  return { folder, bytes: Object.fromEntries(await Promise.all(sizes)) };
}

/** Bundles entries into a folder; modules that are `beside` it there already are imported from there. */
async function bundle(folder: string, entry: Record<string, string>, beside: Record<string, string> = {}) {
  await build({
    configFile: false,
    root,
    logLevel: 'error',
    // For production, whatever NODE_ENV says.
    oxc: { jsx: { runtime: 'automatic', development: false } },
    plugins: [besideIt(beside)],
    build: {
      outDir: folder,
      emptyOutDir: false,
      target: 'es2022',
      minify: true,
      lib: { entry, formats: ['es'] },
      rolldownOptions: {
        external: ['socket.io-client', 'react', 'react/jsx-runtime', /^node:/],
        output: { minify: true, comments: false, chunkFileNames: '[name].js' },
      },
    },
  });
}

function besideIt(names: Record<string, string>): Plugin {
  return {
    name: 'beside-it',
    enforce: 'pre',
    resolveId(source, importer) {
      const name = importer === undefined ? undefined : names[resolve(dirname(importer), source)];
      return name === undefined ? undefined : { id: `./${name}.js`, external: true };
    },
  };
}

/** Declarations of what the entries show; what they need of the protocol stays inside. */
async function emitTypes(folder: string): Promise<void> {
  const types = join(folder, 'types');
  const options = {
    noEmit: 'false',
    declaration: 'true',
    emitDeclarationOnly: 'true',
    stripInternal: 'true',
    allowImportingTsExtensions: 'true',
    rootDir: 'src',
    outDir: types,
    target: 'esnext',
    lib: 'esnext,dom,dom.iterable',
    module: 'nodenext',
    jsx: 'react-jsx',
    strict: 'true',
    exactOptionalPropertyTypes: 'true',
    skipLibCheck: 'true',
    verbatimModuleSyntax: 'true',
    // Of what starts processes; a test compiles what comes out without it.
    types: 'node',
  };
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const entries = [
    'client/index.ts',
    'client/social.ts',
    'client/rooms.ts',
    'client/react.tsx',
    'client/react-rooms.tsx',
    'backend/index.ts',
    'testing/index.ts',
  ].map((name) => join('src', name));
  execFileSync(process.execPath, [tsc, '--ignoreConfig', ...flags, ...entries], { cwd: root, stdio: 'inherit' });
  const reachable = await declarations(join(types, 'client'), [
    'index.d.ts',
    'social.d.ts',
    'rooms.d.ts',
    'react.d.ts',
    'react-rooms.d.ts',
  ]);
  const ofServer = await declarations(join(types, 'backend'), ['index.d.ts']);
  const ofTesting = await declarations(join(types, 'testing'), ['index.d.ts'], BESIDE);
  await rm(types, { recursive: true });
  // In the package the client's index stands beside other entries, and is named after what it is.
  const named = new Map(
    [...reachable].map(([name, text]) => [name, text.replaceAll(/(['"])\.\/index\.js(?=['"])/g, '$1./client.js')]),
  );
  named.set('client.d.ts', named.get('index.d.ts') ?? '');
  named.delete('index.d.ts');
  for (const [name, room] of Object.entries({ '.': named, server: ofServer, testing: ofTesting })) {
    await mkdir(join(folder, name), { recursive: true });
    for (const [file, text] of room) await writeFile(join(folder, name, file), text);
  }
  await requireWhole(folder);
}

/** Whoever skips the check of libraries would take what is imported from nowhere for `any`. */
async function requireWhole(folder: string): Promise<void> {
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.d.ts'));
  for (const name of files) {
    const text = await readFile(join(folder, name), 'utf8');
    for (const [, specifier = ''] of text.matchAll(/['"](\.{1,2}\/[^'"]+)\.js['"]/g)) {
      const wanted = join(dirname(name), `${specifier}.d.ts`);
      if (!files.includes(wanted)) throw new Error(`${name} would need ${wanted}, which is not in the package.`);
    }
  }
}

/** Where the package has the entries of other rooms, as seen from a room of its own. */
const BESIDE: Record<string, string> = {
  '../client/index.ts': '../client.js',
  '../backend/index.ts': '../server/index.js',
};

/** The declarations that the entries lead to, as a package has them. A way out of their room leads to an entry, or is an error. */
async function declarations(folder: string, entries: string[], beside: Record<string, string> = {}) {
  const found = new Map<string, string>();
  const open = [...entries];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (found.has(name)) continue;
    const text = await readFile(join(folder, name), 'utf8');
    const placed = text.replaceAll(/(?<=['"])\.\.\/[^'"]+(?=['"])/g, (specifier) => beside[specifier] ?? specifier);
    found.set(name, placed.replaceAll(/(['"]\.\/[^'"]+?)\.tsx?(['"])/g, '$1.js$2'));
    for (const [, specifier = ''] of text.matchAll(/['"](\.[^'"]+)['"]/g)) {
      if (specifier in beside) continue;
      if (!specifier.startsWith('./')) throw new Error(`${name} would need ${specifier}, which is not published.`);
      open.push(`${specifier.slice(2).replace(/\.tsx?$/, '')}.d.ts`);
    }
  }
  return found;
}

async function manifest(): Promise<object> {
  const own = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  return {
    name: own.name,
    version: own.version,
    description: 'Live presence for browsers, React Native and backends: the client of a Rollcall server.',
    keywords: ['presence', 'online', 'last seen', 'typing indicator', 'socket.io', 'react'],
    license: own.license,
    ...repository(own),
    type: 'module',
    sideEffects: false,
    engines: { node: '>=20' },
    files: ['*.js', '*.d.ts', 'server', 'testing', 'CHANGELOG.md'],
    bin: { rollcall: './cli.js' },
    publishConfig: { access: 'public', provenance: true },
    exports: {
      '.': { types: './client.d.ts', default: './client.js' },
      './client': { types: './client.d.ts', default: './client.js' },
      './client/social': { types: './social.d.ts', default: './social.js' },
      './client/rooms': { types: './rooms.d.ts', default: './rooms.js' },
      './react': { types: './react.d.ts', default: './react.js' },
      './react/rooms': { types: './react-rooms.d.ts', default: './react-rooms.js' },
      './server': { types: './server/index.d.ts', default: './server.js' },
      './testing': { types: './testing/index.d.ts', default: './testing.js' },
      './package.json': './package.json',
    },
    peerDependencies: { react: '>=18', 'socket.io-client': own.devDependencies['socket.io-client'] },
    // A backend needs neither.
    peerDependenciesMeta: { react: { optional: true }, 'socket.io-client': { optional: true } },
  };
}

/** Where the source is: as the project says it, else where a workflow of GitHub's builds it. Provenance is checked by it. */
function repository(own: { repository?: object }): object {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env;
  if (own.repository) return { repository: own.repository };
  return server && name ? { repository: { type: 'git', url: `git+${server}/${name}.git` } } : {};
}

/** What an entry is made of beside the other entries: what it loads later is named after it. */
const LATER: Record<string, string[]> = { testing: ['service-process.js'] };

/** Of an entry alone: a module that two need would be a file of its own, which neither's size would show. */
async function gzippedSize(folder: string, entry: string): Promise<number> {
  const modules = (await readdir(folder)).filter((name) => name.endsWith('.js'));
  const known = [...Object.keys(MOST_KIB).map((name) => `${name}.js`), ...Object.values(LATER).flat()];
  const shared = modules.filter((name) => !known.includes(name));
  if (shared.length > 0) throw new Error(`The entries share code: ${shared.join(', ')}.`);
  const parts = [`${entry}.js`, ...(LATER[entry] ?? [])].map((name) => readFile(join(folder, name)));
  return (await Promise.all(parts)).reduce((sum, part) => sum + gzipSync(part).length, 0);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { folder, bytes } = await buildClient();
  console.log(`${folder}, gzipped:`);
  for (const [entry, most] of Object.entries(MOST_KIB)) {
    const size = bytes[entry as Entry];
    console.log(`  ${entry}: ${size} bytes, of at most ${most * 1024}`);
    if (size >= most * 1024) process.exitCode = 1;
  }
  console.log(`${await writeSbom()}: the packages of the server.`);
}
