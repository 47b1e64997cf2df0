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
    'close-session',
    'drop-cached',
    'drop-traces',
    'erase',
    'expire-users',
    'hand-over',
    'inspect',
    'log-out',
    'open-session',
    'set-detail',
    'set-privacy',
    'set-status',
    'snapshot',
    'touch-sessions',
  ]);
});
