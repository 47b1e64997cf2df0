import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Groups } from '../../src/web/sockets/groups.ts';

test('whoever comes and goes in whatever order, a group has those who came and did not go, and nobody twice', () => {
  const members = Array.from({ length: 4 }, (_, n) => ({ n }));
  const step = fc.record({ add: fc.boolean(), name: fc.constantFrom('a', 'b'), member: fc.constantFrom(...members) });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const groups = new Groups<{ n: number }>();
      const expected = new Map([
        ['a', new Set<object>()],
        ['b', new Set<object>()],
      ]);
      for (const { add, name, member } of steps) {
        if (add) groups.add(name, member);
        else groups.delete(name, member);
        if (add) expected.get(name)?.add(member);
        else expected.get(name)?.delete(member);
        for (const [group, inIt] of expected) {
          const found = [...groups.of(group)];
          expect(found).toHaveLength(inIt.size);
          expect(new Set(found)).toEqual(inIt);
          expect(groups.has(group)).toBe(inIt.size > 0);
        }
        expect([...groups.names()].sort()).toEqual(
          [...expected].flatMap(([name, inIt]) => (inIt.size > 0 ? name : [])),
        );
      }
    }),
  );
});
