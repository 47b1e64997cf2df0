import { keepCompiled } from '../src/config/compile-cache.ts';

keepCompiled();
// Only what is loaded from now on is kept.
const [{ runProcess }, { planWorker }] = await Promise.all([import('../src/lifecycle.ts'), import('./start.ts')]);
await runProcess(() => planWorker(process.env));
