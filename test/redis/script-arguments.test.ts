import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { argumentFaults } from '../../scripts/lua-arguments.ts';

const FOLDER = join('src', 'redis', 'lua');
const files = readdirSync(FOLDER);
const textOf = (file: string) => readFileSync(join(FOLDER, file), 'utf8');

const GOOD = `-- needs: time
-- What it is for.
-- KEYS  1 firstKey  2 secondKey: something
--         that takes two lines
--       3.. in twos: oneKey, otherKey (of each)
-- ARGV  5 userId  6 age (ms)  7.. viewer
-- Returns { 1 }
local firstKey, secondKey = KEYS[1], KEYS[2]
local userId, age = ARGV[5],
  tonumber(ARGV[6])
local result = { 0 } -- KEYS[9] is only spoken of
for n = 3, #KEYS, 2 do
  local oneKey, otherKey = unpack(KEYS, n, n + 1)
  redis.call('DEL', oneKey, otherKey, firstKey, secondKey)
end
for n = 7, #ARGV do
  local viewer = ARGV[n]
  result[#result + 1] = viewer .. userId .. age
end
return result
`;

test('every script takes its keys and arguments by the names in its list, before anything else', () => {
  expect(files.length).toBeGreaterThan(40);
  expect(files.flatMap((file) => argumentFaults(textOf(file)).map((fault) => `${file}: ${fault}`))).toEqual([]);
});

test('a script as the list at its head says is without fault', () => {
  expect(argumentFaults(GOOD)).toEqual([]);
});

test.each([
  ['a key is taken deep in the script', "'DEL', oneKey", "'DEL', KEYS[1]"],
  ['an argument is taken once more where it is used', '.. userId', '.. ARGV[5]'],
  ['an argument is taken behind other things', 'local result', 'local done = 1\nlocal again = ARGV[5]\nlocal result'],
  ['a name is another than in the list', 'local firstKey,', 'local wrongKey,'],
  ['two names have changed places', 'local userId, age', 'local age, userId'],
  ['the list has one more', '2 secondKey', '2 secondKey  8 thirdKey'],
  ['the list has one less', '5 userId  6', '6'],
  ['those that come again and again have other names', 'in twos: oneKey', 'in twos: firstKey'],
  [
    'those that come again and again are used without a name',
    'local viewer = ARGV[n]\n',
    'local viewer = 1 + ARGV[n]\n',
  ],
  ['keys are handed on as they are', 'return result', 'return { unpack(KEYS, 1, 2), pairs(KEYS) }'],
  ['a list is missing', /-- ARGV[^\n]*\n/, ''],
])('a check finds that %s', (_, from, to) => {
  const spoilt = GOOD.replace(from, to);
  expect(spoilt).not.toBe(GOOD);
  expect(argumentFaults(spoilt)).not.toEqual([]);
});

test('in each script the check finds an argument or key whose number is wrong by one', () => {
  const found = files.map((file) => {
    const text = textOf(file);
    const spoilt = text.replace(/(KEYS|ARGV)\[(\d+)\]/, (_, kind, n) => `${kind}[${Number(n) + 1}]`);
    return { file, isSpoilt: spoilt !== text, faults: argumentFaults(spoilt).length };
  });
  expect(found.filter(({ isSpoilt }) => isSpoilt).length).toBeGreaterThan(25);
  expect(found.filter(({ isSpoilt, faults }) => isSpoilt === (faults === 0))).toEqual([]);
});
