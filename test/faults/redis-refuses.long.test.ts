import { expect, test } from 'vitest';
import { OTHERS, refuses, refusingWorld } from './refusals.ts';

test.each(OTHERS)(
  'a Redis that answers $kind counts as away, and nobody who beats is told inactive afterwards',
  async (refusal) => {
    const world = await refusingWorld(`refuses ${refusal.kind}`);
    for (const round of ['', '-2']) await refuses(world, refusal, round);
    expect(world.rollcall.faults).toEqual([]);
  },
  120_000,
);
