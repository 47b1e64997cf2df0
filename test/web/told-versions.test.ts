import { expect, test } from 'vitest';
import { ToldVersions } from '../../src/web/sockets/told-versions.ts';

const NOW = 1_700_000_000_000;

test('what is read older than what was told is told with a version that every receiver takes', () => {
  const told = new ToldVersions();
  told.note('ada', NOW, NOW);
  expect(told.notBefore('ada', NOW - 5000)).toBe(NOW + 1);
});

test('what is read as it was told, or newer, keeps its version', () => {
  const told = new ToldVersions();
  told.note('ada', NOW, NOW);
  expect(told.notBefore('ada', NOW)).toBe(NOW);
  expect(told.notBefore('ada', NOW + 7)).toBe(NOW + 7);
  expect(told.notBefore('bob', NOW - 5000)).toBe(NOW - 5000);
});

test('an older picture that comes later takes nothing back', () => {
  const told = new ToldVersions();
  told.note('ada', NOW, NOW);
  told.note('ada', NOW - 1000, NOW);
  expect(told.notBefore('ada', NOW - 1)).toBe(NOW + 1);
});

test('it is remembered for a minute at least, and forgotten after two, so memory stays level', () => {
  const told = new ToldVersions();
  told.note('ada', NOW, NOW);
  for (let second = 1; second <= 59; second++) told.note(`user-${second}`, NOW + second * 1000, NOW + second * 1000);
  expect(told.of('ada')).toBe(NOW);
  for (const later of [60_000, 120_000]) told.note(`user-${later}`, NOW + later, NOW + later);
  expect(told.of('ada')).toBe(undefined);
});

test('who changes by the hundred thousand in a minute makes it forget earlier, never grow', () => {
  const told = new ToldVersions();
  for (let n = 0; n < 200_001; n++) told.note(`user-${n}`, NOW, NOW);
  expect(told.of('user-0')).toBe(undefined);
  expect(told.of('user-200000')).toBe(NOW);
});
