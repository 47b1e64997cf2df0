import axe, { type AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';

/** Takes a page once its colours have come to rest, and returns what axe has to say against it, a line for each element: no line, no fault. */
export async function complaintsOf(page: Page): Promise<string[]> {
  // Comes through the debugger: the page's policy allows no scripts but its own.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(async () => {
    // On their way from one theme to the other colours are those of neither.
    const underWay = () => document.getAnimations().filter((animation) => animation instanceof CSSTransition);
    while (underWay().length > 0) await Promise.allSettled(underWay().map((animation) => animation.finished));
    const { axe } = window as unknown as { axe: { run(options: object): Promise<AxeResults> } };
    return axe.run({ resultTypes: ['violations'] });
  });
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, any }) => `${id}: ${target} ${any[0]?.message ?? ''}`),
  );
}
