import { enableCompileCache, flushCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Beside the packages, of which most of it is made; by version of Node and user below it, as Node does. */
const FOLDER = fileURLToPath(new URL('../../node_modules/.cache/rollcall', import.meta.url));

/**
 * Has Node keep what it compiles from now on, and find it again at the next start on this machine, which then takes two thirds of
 * the processor's time. It is written when the process ends, or with `written` at once. Nothing happens where the folder cannot be
 * written or Node's own settings (NODE_COMPILE_CACHE, NODE_DISABLE_COMPILE_CACHE) say otherwise.
 */
export function keepCompiled(): { written(): void } {
  enableCompileCache(FOLDER);
  return { written: flushCompileCache };
}
