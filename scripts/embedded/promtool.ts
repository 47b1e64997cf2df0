import { type Provided, provideUnpacked } from './unpacked.ts';

/** Prometheus's own checker of rules. */
export function providePromtool(): Promise<Provided> {
  return provideUnpacked({ file: 'usr/bin/promtool', package: 'prometheus', version: ['--version'] });
}
