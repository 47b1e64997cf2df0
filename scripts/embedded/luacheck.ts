import { installDebianPackage, onPath } from './programs.ts';

/** A linter of Lua: this machine's, or Debian's, which is installed where that works without asking. A reason says why there is none. */
export async function provideLuacheck(): Promise<{ command: string } | { reason: string }> {
  const reason = onPath('luacheck') ? undefined : await installDebianPackage('lua-check');
  const command = onPath('luacheck');
  return command ? { command } : { reason: reason ?? 'luacheck is not on the PATH' };
}
