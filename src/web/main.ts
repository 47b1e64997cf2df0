import { keepCompiled } from '../config/compile-cache.ts';

keepCompiled();
// Only what is loaded from now on is kept.
const { startWeb } = await import('./start.ts');
await startWeb(process.env);
