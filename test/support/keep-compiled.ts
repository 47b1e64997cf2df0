import { enableCompileCache } from 'node:module';
import { resolve } from 'node:path';
import { NODE_COMPILE_CACHE } from './compile-cache.ts';

// Every test file is a process of its own, too. Not by the environment: what a test starts has settings of its own.
enableCompileCache(resolve(NODE_COMPILE_CACHE));
