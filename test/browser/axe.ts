import axe, { type AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';

/** Takes a page as it is shown now and returns what axe has to say against it, a line for each element: no line, no fault. */
export async function complaintsOf(page: Page): Promise<string[]> {
  // Comes through the debugger: the page's policy allows no scripts but its own.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => {
    const { axe } = window as unknown as { axe: { run(options: object): Promise<AxeResults> } };
    return axe.run({ resultTypes: ['violations'] });
  });
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, any }) => `${id}: ${target} ${any[0]?.message ?? ''}`),
  );
}
