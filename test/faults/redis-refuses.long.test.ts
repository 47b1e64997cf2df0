import { expect, test } from 'vitest';
import { FULL, OTHERS, refuses, refusingWorld, WRONG_PASSWORD } from './refusals.ts';

test('a Redis that is full counts as away: 503 with the reason, a calm log, closes and beats told later, and nobody who beats is told inactive', async () => {
  const world = await refusingWorld('full');
  // More than once: from the second time on Redis remembers the holds of before.
  for (const round of ['', '-2', '-3']) await refuses(world, FULL, round);
  expect(world.rollcall.faults).toEqual([]);
}, 120_000);

test('so does one that refuses the password, which no line of any log says', async () => {
  const world = await refusingWorld('wrong password');
  await refuses(world, WRONG_PASSWORD);
  await world.rollcall.worker(0).said(/"kind":"WRONGPASS"/);
  expect(world.rollcall.faults).toEqual([]);
}, 90_000);

test.each(OTHERS)(
  'a Redis that answers $kind counts as away, and nobody who beats is told inactive afterwards',
  async (refusal) => {
    const world = await refusingWorld(`refuses ${refusal.kind}`);
    for (const round of ['', '-2']) await refuses(world, refusal, round);
    expect(world.rollcall.faults).toEqual([]);
  },
  120_000,
);
