import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { writeSbom } from './sbom.ts';

/**
 * `npm run build`: makes dist/client, a package folder ready for `npm publish`: three ES modules (`rollcall`, which is also
 * `rollcall/client`, `rollcall/react` and `rollcall/server`), their types, and nothing of the service; and beside it
 * dist/sbom.cdx.json, which is of the service.
 */
const root = fileURLToPath(new URL('..', import.meta.url));
const MOST_GZIPPED_BYTES = 6.5 * 1024;
const MOST_GZIPPED_BYTES_OF_SERVER = 8 * 1024;

export interface BuiltClient {
  folder: string;
  /** Of `rollcall/client`, without socket.io-client. */
  gzippedBytes: number;
  /** Of `rollcall/react`, which stands beside it and shares no code with it; without React. */
  hooksGzippedBytes: number;
  /** Of `rollcall/server`, which needs nothing else. */
  serverGzippedBytes: number;
}

export async function buildClient(folder = join(root, 'dist', 'client')): Promise<BuiltClient> {
  await rm(folder, { recursive: true, force: true });
  await build({
    configFile: false,
    root,
    logLevel: 'error',
    // For production, whatever NODE_ENV says.
    oxc: { jsx: { runtime: 'automatic', development: false } },
    build: {
      outDir: folder,
      emptyOutDir: true,
      target: 'es2022',
      minify: true,
      lib: {
        entry: {
          client: join(root, 'src/client/index.ts'),
          react: join(root, 'src/client/react.tsx'),
          server: join(root, 'src/backend/index.ts'),
        },
        formats: ['es'],
      },
      rolldownOptions: {
        external: ['socket.io-client', 'react', 'react/jsx-runtime'],
        output: { minify: true, comments: false, chunkFileNames: '[name].js' },
      },
    },
  });
  await emitTypes(folder);
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(await manifest(), null, 2)}\n`);
  await copyFile(join(root, 'docs/client.md'), join(folder, 'README.md'));
  await copyFile(join(root, 'CHANGELOG.md'), join(folder, 'CHANGELOG.md'));
  await copyFile(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  const [gzippedBytes, hooksGzippedBytes, serverGzippedBytes] = await Promise.all([
    gzippedSize(folder, 'client'),
    gzippedSize(folder, 'react'),
    gzippedSize(folder, 'server'),
  ]);
  return { folder, gzippedBytes, hooksGzippedBytes, serverGzippedBytes };
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
    types: '',
  };
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const entries = ['src/client/index.ts', 'src/client/react.tsx', 'src/backend/index.ts'];
  execFileSync(process.execPath, [tsc, '--ignoreConfig', ...flags, ...entries], { cwd: root, stdio: 'inherit' });
  const reachable = await declarations(join(types, 'client'), ['index.d.ts', 'react.d.ts']);
  const ofServer = await declarations(join(types, 'backend'), ['index.d.ts']);
  await rm(types, { recursive: true });
  for (const [name, text] of reachable)
    await writeFile(join(folder, name === 'index.d.ts' ? 'client.d.ts' : name), text);
  await mkdir(join(folder, 'server'));
  for (const [name, text] of ofServer) await writeFile(join(folder, 'server', name), text);
}

/** The declarations that the entries lead to, as a package has them. A way out of their room is an error. */
async function declarations(folder: string, entries: string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const open = [...entries];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (found.has(name)) continue;
    const text = await readFile(join(folder, name), 'utf8');
    found.set(name, text.replaceAll(/(['"]\.\/[^'"]+?)\.tsx?(['"])/g, '$1.js$2'));
    for (const [, specifier = ''] of text.matchAll(/['"](\.[^'"]+)['"]/g)) {
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
    files: ['*.js', '*.d.ts', 'server', 'CHANGELOG.md'],
    publishConfig: { access: 'public', provenance: true },
    exports: {
      '.': { types: './client.d.ts', default: './client.js' },
      './client': { types: './client.d.ts', default: './client.js' },
      './react': { types: './react.d.ts', default: './react.js' },
      './server': { types: './server/index.d.ts', default: './server.js' },
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

/** Of an entry alone: a module that both need would be a file of its own, which neither's size would show. */
async function gzippedSize(folder: string, entry: 'client' | 'react' | 'server'): Promise<number> {
  const modules = (await readdir(folder)).filter((name) => name.endsWith('.js'));
  if (modules.length > 3) throw new Error(`The entries share code: ${modules.join(', ')}.`);
  return gzipSync(await readFile(join(folder, `${entry}.js`))).length;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { folder, gzippedBytes, hooksGzippedBytes, serverGzippedBytes } = await buildClient();
  console.log(
    `${folder}: ${gzippedBytes} bytes gzipped, of at most ${MOST_GZIPPED_BYTES}; the hooks ${hooksGzippedBytes}; ` +
      `for backends ${serverGzippedBytes}, of at most ${MOST_GZIPPED_BYTES_OF_SERVER}.`,
  );
  console.log(`${await writeSbom()}: the packages of the server.`);
  process.exitCode = gzippedBytes < MOST_GZIPPED_BYTES && serverGzippedBytes < MOST_GZIPPED_BYTES_OF_SERVER ? 0 : 1;
}
