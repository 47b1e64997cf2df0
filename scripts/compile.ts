import { keepCompiled } from '../src/config/compile-cache.ts';

/** Loads what web and worker are made of, so that their first start finds it compiled: for whoever builds an image. */
const compiled = keepCompiled();
await Promise.all([import('../src/web/start.ts'), import('../workers/start.ts')]);
compiled.written();
process.exit(0);
