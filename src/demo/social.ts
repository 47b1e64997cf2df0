import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useConnectionState } from '../client/react.tsx';
import type { Friend, Settings, SocialClient } from '../client/social.ts';

export interface Social {
  friends: ReadonlyMap<string, Friend>;
  /** Whom the user blocks. Who blocks the user is not told. */
  blocks: ReadonlySet<string>;
  /** Undefined until the server has said. */
  settings: Settings | undefined;
  /** Does something about it and shows what has become of it. Rejects with the server's words. */
  change(wish: Promise<unknown>): Promise<void>;
  look(): void;
}

type Known = Pick<Social, 'friends' | 'blocks' | 'settings'>;

/** Friendships are made and ended by others too, and no event tells of it. */
const LOOK_EVERY_MS = 5000;

/** The user's friends, blocks and settings. */
export function useSocial(client: SocialClient): Social {
  const [known, setKnown] = useState<Known>(() => ({ friends: new Map(), blocks: new Set(), settings: undefined }));
  const { status } = useConnectionState();
  const looks = useRef(0);
  const read = useCallback(async () => {
    looks.current += 1;
    const look = looks.current;
    // The page can do without an answer: it keeps what it has.
    const [friends, blocks, settings] = await Promise.all([
      unlessRefused(client.social.friends()),
      unlessRefused(client.social.blocks()),
      unlessRefused(client.settings.get()),
    ]);
    // An answer that is older than the last question may be older than what the user did meanwhile.
    if (look !== looks.current) return;
    setKnown((before) => ({
      friends: friends ? new Map(friends.map((friend) => [friend.userId, friend])) : before.friends,
      blocks: blocks ? new Set(blocks) : before.blocks,
      settings: settings ?? before.settings,
    }));
  }, [client]);
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
      async change(wish: Promise<unknown>) {
        await wish;
        await read();
      },
    }),
    [known, read, look],
  );
}

const unlessRefused = <T>(asked: Promise<T>): Promise<T | undefined> => asked.catch(() => undefined);
