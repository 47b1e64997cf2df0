import { installDebianPackage, onPath } from './programs.ts';

/** The full paths of programs by their names, or the reason why they cannot be had here. */
export type Programs<Name extends string> = Record<Name, string> | { reason: string };

/** Firefox: this machine's, or Debian's, which is installed where that works without asking. */
export async function provideFirefox(): Promise<Programs<'firefox'>> {
  const found = onPath('firefox-esr') ?? onPath('firefox') ?? (await installed('firefox-esr', 'firefox-esr'));
  return typeof found === 'string' ? { firefox: found } : found;
}

/** WebKitGTK's driver, which brings a small browser, and a screen without a monitor for it. They come like Firefox. */
export async function provideWebKit(): Promise<Programs<'driver' | 'screen'>> {
  const driver = onPath('WebKitWebDriver') ?? (await installed('WebKitWebDriver', 'webkit2gtk-driver'));
  if (typeof driver !== 'string') return driver;
  const screen = onPath('Xvfb') ?? (await installed('Xvfb', 'xvfb'));
  return typeof screen === 'string' ? { driver, screen } : screen;
}

async function installed(name: string, debianPackage: string): Promise<string | { reason: string }> {
  const reason = await installDebianPackage(debianPackage);
  return onPath(name) ?? { reason: reason ?? `the package ${debianPackage} brought no ${name}` };
}
