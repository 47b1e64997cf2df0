import { analytics } from './figures/analytics.ts';
import { batches } from './figures/batches.ts';
import { capacity } from './figures/capacity.ts';
import { change } from './figures/change.ts';
import { closeToTold } from './figures/close-to-told.ts';
import { connect } from './figures/connect.ts';
import { growth } from './figures/growth.ts';
import { heartbeats, heartbeats10k } from './figures/heartbeats.ts';
import { hiddenOrNever } from './figures/hidden-or-never.ts';
import { idle } from './figures/idle.ts';
import { memory } from './figures/memory.ts';
import { nobody } from './figures/nobody.ts';
import { oneUser } from './figures/one-user.ts';
import { peers } from './figures/peers.ts';
import { pong } from './figures/pong.ts';
import { postgres } from './figures/postgres.ts';
import { reconnect } from './figures/reconnect.ts';
import { redisMemory } from './figures/redis-memory.ts';
import { rest } from './figures/rest.ts';
import { roomsBig } from './figures/rooms-big.ts';
import { roomsFanout } from './figures/rooms-fanout.ts';
import { roomsJoin } from './figures/rooms-join.ts';
import { start } from './figures/start.ts';
import { statusChange } from './figures/status-change.ts';
import { timeouts } from './figures/timeouts.ts';
import type { Figure } from './measure/figure.ts';

/** In the order in which they are measured. */
export const figures: Record<string, Figure> = {
  heartbeats,
  'heartbeats-10k': heartbeats10k,
  nobody,
  start,
  idle,
  connect,
  memory,
  'redis-memory': redisMemory,
  change,
  'status-change': statusChange,
  'close-to-told': closeToTold,
  timeouts,
  rest,
  batches,
  reconnect,
  pong,
  growth,
  postgres,
  analytics,
  'hidden-or-never': hiddenOrNever,
  'one-user': oneUser,
  'rooms-join': roomsJoin,
  'rooms-fanout': roomsFanout,
  'rooms-big': roomsBig,
  capacity,
  peers,
};
