import { provideFirefox, provideWebKit } from '../../scripts/embedded/browsers.ts';
import type { Desk } from './desk.ts';
import { Firefox } from './firefox.ts';
import { WebKit } from './webkit.ts';

const firefox = await provideFirefox();
const webkit = await provideWebKit();
for (const programs of [firefox, webkit]) {
  if (!('reason' in programs)) continue;
  // Whoever counts on this run for every change must not lose a browser without noticing.
  if (process.env.CI) throw new Error(programs.reason);
  console.warn(`A browser is left out: ${programs.reason}`);
}

/** The browsers beside Chromium that can be had here, by name, each with how it is started. */
export const OTHERS: [name: string, start: () => Promise<Desk>][] = [];
if ('firefox' in firefox) OTHERS.push(['Firefox', () => Firefox.start(firefox.firefox)]);
// Where the machine has this locale, pages are told that their reader's language is "C".
if ('driver' in webkit) OTHERS.push(['WebKit', () => WebKit.start(webkit, 'C.UTF-8')]);
