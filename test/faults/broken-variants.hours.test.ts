import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Finding } from './laboratory/checks.ts';
import { Laboratory } from './laboratory/laboratory.ts';
import { copyOfTheCode, VARIANTS, type Variant } from './laboratory/variants.ts';
import { World } from './laboratory/world.ts';

const SIZE = { people: 1, webs: 2, workers: 2 };
const CIRCLE = { circle: { subjects: 1, passing: 0, viewers: 1 } };
/** What the machine takes is not counted against the code, so a busy one may hide once what a variant does. */
const TELLINGS = 5;

async function tell({ scene, circle }: Variant, prefix: string, world: World): Promise<Finding[]> {
  const laboratory = await Laboratory.open({ ...SIZE, ...(circle ? CIRCLE : {}), prefix, world });
  await scene(laboratory);
  await laboratory.quiet();
  return laboratory.judge();
}

const inWords = (findings: Finding[]) => findings.map(({ kind, text }) => `${kind}: ${text}`);

describe('with the code as it is nothing is found in the story of', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start(SIZE);
  }, 300_000);
  afterAll(() => world?.stop());

  test.each(VARIANTS)('$name', async (variant) => {
    expect(inWords(await tell(variant, `whole-${VARIANTS.indexOf(variant)}-`, world))).toEqual([]);
  });
});

describe('the laboratory catches', () => {
  test.each(VARIANTS)('$name', async (variant) => {
    const copy = await copyOfTheCode(variant);
    const world = await World.start({ ...SIZE, root: copy.root });
    try {
      const found: Finding[] = [];
      for (let n = 0; n < TELLINGS && !found.some(({ kind }) => kind === variant.caughtAs); n++) {
        found.push(...(await tell(variant, `broken-${n}-`, world)));
      }
      expect(
        found.map(({ kind }) => kind),
        inWords(found).join('\n'),
      ).toContain(variant.caughtAs);
    } finally {
      await world.stop();
      await copy.remove();
    }
  });
});
