import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SCRIPT_NAMES, sourceOf } from '../src/redis/scripts.ts';
import { provideLuacheck } from './embedded/luacheck.ts';
import { run } from './embedded/programs.ts';
import { argumentFaults } from './lua-arguments.ts';

const SOURCES = join('src', 'redis', 'lua');
const FOLDER = join('node_modules', '.cache', 'lua');
/** What Redis gives a script beside Lua 5.1. */
const GLOBALS = ['--read-globals', 'redis', 'cjson', 'struct', 'KEYS', 'ARGV'];
/** Elsewhere it is left out with a reason; whoever counts on it for every change must not lose it without noticing. */
const isOptional = !process.env.CI;

for (const file of await readdir(SOURCES)) {
  const faults = argumentFaults(await readFile(join(SOURCES, file), 'utf8'));
  for (const fault of faults) console.log(`${join(SOURCES, file)}: ${fault}`);
  if (faults.length > 0) process.exitCode = 1;
}

/**
 * Every script behind the parts that it needs, as Redis is given it: a name that is nowhere defined would be found only when
 * a script comes to that line. A part has more than each script uses, so what is not used is no fault.
 */
const luacheck = await provideLuacheck();
if ('reason' in luacheck) {
  console.log(`Lua is not checked: ${luacheck.reason}`);
  if (!isOptional) process.exitCode = 1;
} else {
  await mkdir(FOLDER, { recursive: true });
  const files = SCRIPT_NAMES.map((name) => join(FOLDER, `${name}.lua`));
  await Promise.all(SCRIPT_NAMES.map((name, n) => writeFile(files[n] ?? '', sourceOf(name))));
  const flags = ['--std', 'lua51', '--no-color', '--codes', '--no-max-line-length', '--no-unused', ...GLOBALS];
  const { ok, output } = await run(luacheck.command, [...files, '-q', ...flags]);
  if (!ok) console.log(output.trim());
  if (!ok) process.exitCode = 1;
}
