import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { VARIANTS } from '../faults/laboratory/variants.ts';

test.each(VARIANTS)('what the laboratory breaks on purpose is still there: $name', ({ file, find }) => {
  expect(readFileSync(file, 'utf8').split(find).length - 1).toBe(1);
});
