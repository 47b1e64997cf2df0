import { expectTypeOf, test } from 'vitest';
import type { Told } from '../../src/client/presence-state.ts';
import type { Activity, Detail, DeviceKind, Indicator, IndicatorKind } from '../../src/client/types.ts';
import type { Request } from '../../src/client/wire.ts';
import type { DETAIL_FIELDS, Detail as StoredDetail } from '../../src/presence/change.ts';
import type { ClientAnswer, ClientEvent, ClientRequest } from '../../src/protocol/client-events.ts';
import type { Device } from '../../src/protocol/http.ts';
import type { IndicatorChange, StatusChange, WatchedUser } from '../../src/protocol/socket.ts';
import type { Detail as WireDetail } from '../../src/protocol/vocabulary.ts';

type WireDevice = typeof Device._output;

/** The client writes its types out, so that its package needs nothing of the server. They are still the protocol's. */
test('what the client shows is what the protocol says', () => {
  expectTypeOf<StatusChange>().toExtend<Told>();
  expectTypeOf<Told>().toExtend<StatusChange>();
  expectTypeOf<Detail>().toEqualTypeOf<WireDetail>();
  expectTypeOf<StoredDetail>().toEqualTypeOf<WireDetail>();
  expectTypeOf<(typeof DETAIL_FIELDS)[number]>().toEqualTypeOf<keyof WireDetail>();
  expectTypeOf<DeviceKind>().toEqualTypeOf<WireDevice['kind']>();
  expectTypeOf<Activity>().toEqualTypeOf<WireDevice['state']>();
  expectTypeOf<IndicatorKind>().toEqualTypeOf<IndicatorChange['kind']>();
  expectTypeOf<Pick<IndicatorChange, 'userId' | 'kind'>>().toExtend<Indicator>();
});

test('the client knows what an event takes, and what it is answered', () => {
  const ask: Request = async (_event, _payload) => ({}) as never;
  const watch = ask('watch', { userIds: ['ada'] });
  expectTypeOf(watch).resolves.toHaveProperty('users').toEqualTypeOf<WatchedUser[]>();
  expectTypeOf(ask('unwatch', { userIds: ['ada'] })).resolves.not.toHaveProperty('users');
  // @ts-expect-error: no such event
  void ask('watched', { userIds: ['ada'] });
  // @ts-expect-error: of another event
  void ask('watch', { conversationId: 'team' });
  // @ts-expect-error: no such kind
  void ask('start_indicator', { conversationId: 'team', kind: 'thinking' });
  expectTypeOf<Extract<ClientAnswer<ClientEvent>, { ok: false }>['error']['code']>().toBeString();
  expectTypeOf<ClientRequest<'logout'>>().toExtend<object | null | undefined>();
});
