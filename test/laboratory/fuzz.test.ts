import { fuzzTests } from '../doors/fuzz-runs.ts';

fuzzTests(5000);
