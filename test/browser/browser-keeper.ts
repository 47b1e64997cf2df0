import { Chromium } from './chromium.ts';

// Starts a browser for a test that kills this process. Prints the browser's process id.
const chromium = await Chromium.start();
console.log(chromium.pid);
