import { startWeb } from './start.ts';

await startWeb(process.env);
