import { installDebianPackage, onPath } from './programs.ts';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The browser for the browser tests: one that this machine has. */
export function findChromium(): string | undefined {
  for (const name of names) {
    const file = onPath(name);
    if (file) return file;
  }
  return undefined;
}

/** Finds the browser, or installs Debian's where that works without asking. */
export async function ensureChromium(): Promise<string> {
  const found = findChromium();
  if (found) return found;
  const reason = await installDebianPackage('chromium');
  const installed = reason ? undefined : findChromium();
  if (installed) return installed;
  throw new Error(
    `The browser tests need Chromium, and none is on the PATH (${reason ?? 'the package chromium brought none'}). ` +
      'Install it (Debian: apt-get install chromium) or Chrome, and run the command again.',
  );
}
