import { expect, test } from 'vitest';
import type { Change } from '../../src/presence/change.ts';
import type { Access } from '../../src/presence/visibility.ts';
import type { Accesses } from '../../src/web/sockets/accesses.ts';
import { BlurredVersions } from '../../src/web/sockets/blurred-versions.ts';
import type { Viewer } from '../../src/web/sockets/types.ts';
import { wordingOf, wordingOfTruth } from '../../src/web/sockets/wording.ts';

const NOW = 1_900_000_000_000;
const viewer = { userId: 'bob' } as Viewer;
const sees = (access: Access) => ({ of: () => access, before: () => access }) as unknown as Accesses;
const left: Change = {
  userId: 'ada',
  status: 'inactive',
  lastSeen: NOW - 5000,
  version: NOW - 5000,
  at: NOW - 5000,
  cause: 'disconnect',
  restricted: true,
};
const truth = { userId: 'ada', status: 'active' as const, lastSeen: new Date(NOW).toISOString(), version: NOW - 100 };

function tellings() {
  const blurred = new BlurredVersions();
  const at = { blurred, now: NOW };
  const versions: number[] = [];
  const note = (version: number | undefined) => void versions.push(version ?? Number.NaN);
  return {
    versions,
    change: (access: Access) => note(wordingOf(left, sees(access), at)?.(viewer)?.version),
    anew: (access: Access) => note(wordingOfTruth(truth, truth, sees(access), { ...at, readAt: NOW })(viewer)?.version),
  };
}

test('who may know the last seen coarsely, and was told of no moment, reads none either where all is told anew', () => {
  const { versions, change, anew } = tellings();
  change('coarse');
  anew('coarse');
  change('coarse');
  expect(versions).toEqual([1, 2, 3]);
});

test('who was told of moments before is told something newer than these, whatever they may know now', () => {
  const { versions, change, anew } = tellings();
  change('coarse');
  change('all');
  anew('coarse');
  change('coarse');
  expect(versions.slice(1)).toEqual([NOW - 5000, NOW - 100, NOW - 99]);
});
