import { OTHERS } from './others.ts';

// Starts the browser of the given name, with a page, for a test that kills this process. Prints a line when it is there.
const [, start] = OTHERS.find(([name]) => name === process.argv[2]) ?? [];
const browser = await start?.();
await browser?.open('about:blank');
console.log('started');
