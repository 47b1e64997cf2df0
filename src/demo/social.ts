import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useConnectionState } from '../client/react.tsx';
import type { Friend, Rest, Settings } from './rest.ts';

export interface Social {
  friends: ReadonlyMap<string, Friend>;
  /** Whom the user blocks. Who blocks the user is not told. */
  blocks: ReadonlySet<string>;
  /** Undefined until the server has said. */
  settings: Settings | undefined;
  /** Does something about it and shows what has become of it. Rejects with the server's words. */
  change(wish: Promise<void>): Promise<void>;
  look(): void;
}

type Known = Pick<Social, 'friends' | 'blocks' | 'settings'>;

/** Friendships are made and ended by others too, and no event tells of it. */
const LOOK_EVERY_MS = 5000;

/** The user's friends, blocks and settings. */
export function useSocial(rest: Rest): Social {
  const [known, setKnown] = useState<Known>(() => ({ friends: new Map(), blocks: new Set(), settings: undefined }));
  const { status } = useConnectionState();
  const looks = useRef(0);
  const read = useCallback(async () => {
    looks.current += 1;
    const look = looks.current;
    const [friends, blocks, settings] = await Promise.all([rest.friends(), rest.blocks(), rest.settings()]);
    // An answer that is older than the last question may be older than what the user did meanwhile.
    if (look !== looks.current) return;
    setKnown((before) => ({
      friends: friends ? new Map(friends.friends.map((friend) => [friend.userId, friend])) : before.friends,
      blocks: blocks ? new Set(blocks.blocks.map(({ userId }) => userId)) : before.blocks,
      settings: settings ?? before.settings,
    }));
  }, [rest]);
  useEffect(() => {
    if (status !== 'connected') return;
    const lookIfSeen = () => document.visibilityState === 'visible' && void read();
    void read();
    document.addEventListener('visibilitychange', lookIfSeen);
    const timer = setInterval(lookIfSeen, LOOK_EVERY_MS);
    return () => {
      document.removeEventListener('visibilitychange', lookIfSeen);
      clearInterval(timer);
    };
  }, [status, read]);
  const look = useCallback(() => void read(), [read]);
  return useMemo(
    () => ({
      ...known,
      look,
      async change(wish: Promise<void>) {
        await wish;
        await read();
      },
    }),
    [known, read, look],
  );
}
