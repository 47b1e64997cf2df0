/** Rollcall for the tests of what uses it: `rollcall/testing`. A fake client for components, and the real service. */
export { createFakePresence, type FakePresence, type FakePresenceOptions } from './fake-presence.ts';
export type { FakeUser } from './fake-user.ts';
export { type StartRollcallOptions, startRollcall, type TestRollcall } from './start-rollcall.ts';
