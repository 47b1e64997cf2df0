import { createAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { TutorialPresence } from '../baselines/tutorial/presence.ts';
import { serve } from './rpc.ts';
import { Sessions } from './sessions.ts';

// What a process of the tutorial's does for a session, and nothing else.
const redis = new Redis(process.env.REDIS_URL ?? '');
const io = new Server();
io.adapter(createAdapter(redis, redis.duplicate()));
const presence = new TutorialPresence(io, redis, Number(process.env.TTL_SECONDS));

serve(
  new Sessions<string>({
    open: async (userId) => {
      await presence.came(userId);
      return userId;
    },
    beat: (userId) => void presence.beat(userId),
    leave: (userId) => void presence.left(userId),
  }),
);
