import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

/**
 * `npm run console`: builds the operator's console into src/console/built (or into a folder that is named), which is kept with the code: a
 * web serves it as it stands, with production dependencies only. A test fails where it is older than its sources.
 */
const root = fileURLToPath(new URL('../src/console', import.meta.url));

/** What the bundle has of others; each asks for its licence to go with every copy. */
const OTHERS = ['react', 'react-dom', 'scheduler'];

/** A comment with the licences of what is in the bundle, each of them once. */
async function licences(): Promise<string> {
  const path = (name: string) => fileURLToPath(new URL(`../node_modules/${name}/LICENSE`, import.meta.url));
  const texts = await Promise.all(OTHERS.map((name) => readFile(path(name), 'utf8')));
  const parts = [...Map.groupBy(OTHERS, (_, n) => texts[n] ?? '')].map(
    ([text, names]) => `${names.join(', ')}:\n\n${text.trim()}`,
  );
  return `/*!\n${parts.join('\n\n')}\n*/`;
}

/** Into a folder, which is emptied first: a file of each kind, by names that stay. */
async function buildConsole(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await build({
    configFile: false,
    root,
    // Addresses are relative to /admin, whatever path of a proxy that is below.
    base: './',
    mode: 'production',
    logLevel: 'error',
    oxc: { jsx: { runtime: 'automatic', development: false } },
    build: {
      outDir: folder,
      emptyOutDir: false,
      target: 'es2022',
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
      rolldownOptions: {
        output: {
          entryFileNames: 'admin/console.js',
          assetFileNames: 'admin/console[extname]',
          comments: false,
          postBanner: await licences(),
        },
      },
    },
  });
}

// The page is for production, wherever it is built.
process.env.NODE_ENV = 'production';
await buildConsole(process.argv[2] ?? join(root, 'built'));
