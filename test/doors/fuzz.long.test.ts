import { fuzzTests } from './fuzz-runs.ts';

fuzzTests(500);
