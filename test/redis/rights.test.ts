import { expect, test } from 'vitest';
import { ASKED, commandsOfScripts, rightsOfTheGuide } from '../support/redis-rights.ts';

test('the rights that the operations guide names are those that the service can make use of, and no others', async () => {
  const { commands, scripts } = await commandsOfScripts();
  expect(scripts).toBeGreaterThan(60);
  const rules = await rightsOfTheGuide();
  const named = rules.filter((rule) => rule.startsWith('+')).map((rule) => rule.slice(1));
  expect(named.filter((name, n) => named.indexOf(name) !== n)).toEqual([]);
  expect(named.sort()).toEqual([...new Set([...commands, ...ASKED])].sort());
  expect(rules.filter((rule) => !rule.startsWith('+'))).toEqual(['on', '>secret', '~*', 'resetchannels', '-@all']);
});
