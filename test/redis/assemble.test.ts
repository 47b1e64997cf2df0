import { globSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { assemble, SCRIPT_NAMES, sourceOf } from '../../src/redis/scripts.ts';

const files: Record<string, string> = {
  'lib-time.lua': 'local now = 1',
  'lib-record.lua': '-- needs: time\nlocal u = now',
  'lib-status.lua': '-- needs: time\nlocal status = now',
  'open.lua': '-- needs: record status\nreturn u',
  'alone.lua': '-- Does one thing.\nreturn 1',
  'lost.lua': '-- needs: nowhere\nreturn 1',
};
const read = (file: string) => {
  const text = files[file];
  if (text === undefined) throw new Error(`no ${file}`);
  return text;
};

test('a script stands behind the parts that it needs, and those behind what they need, each once', () => {
  const { 'lib-time.lua': time, 'lib-record.lua': record, 'lib-status.lua': status, 'open.lua': open } = files;
  expect(assemble('open', read)).toBe([time, record, status, open].join('\n'));
});

test('a script that needs nothing is what its file says', () => {
  expect(assemble('alone', read)).toBe(files['alone.lua']);
});

test('a part that is not there is found when scripts are loaded, not when one is run', () => {
  expect(() => assemble('lost', read)).toThrow('lib-nowhere.lua');
});

test('no script that leaves a record alone is given what reads and writes one', () => {
  const withRecord = SCRIPT_NAMES.filter((name) => sourceOf(name).includes('local function load(id)'));
  expect(withRecord.sort()).toEqual([
    'adopt',
    'change-room',
    'close-session',
    'drop-cached',
    'drop-traces',
    'erase',
    'expire-users',
    'hand-over',
    'inspect',
    'log-out',
    'open-session',
    'reach',
    'renew-leases',
    'set-detail',
    'set-privacy',
    'set-status',
    'snapshot',
    'touch-sessions',
    'user-rooms',
  ]);
});

test('every file is a script that something runs, or a part that one of them needs', () => {
  const lua = readdirSync('src/redis/lua').map((file) => file.replace('.lua', ''));
  const code = globSync('src/**/*.ts', { exclude: ['src/redis/scripts.ts'] }).map((file) => readFileSync(file, 'utf8'));
  const isRun = (name: string) => code.some((text) => text.includes(`'${name}'`));
  const isNeeded = (part: string) => {
    const needs = new RegExp(`^-- needs:.* ${part.replace('lib-', '')}\\b`);
    return lua.some((file) => needs.test(readFileSync(`src/redis/lua/${file}.lua`, 'utf8')));
  };
  expect(lua.filter((file) => !file.startsWith('lib-')).sort()).toEqual([...SCRIPT_NAMES].sort());
  expect(SCRIPT_NAMES.filter((name) => !isRun(name))).toEqual([]);
  expect(lua.filter((file) => file.startsWith('lib-') && !isNeeded(file))).toEqual([]);
});
