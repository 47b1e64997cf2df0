import { useEffect, useState } from 'react';
import { usePresenceClient } from '../client/react.tsx';

/** The server's time, again and again, so that "3 minutes ago" does not grow old on the page. */
export function useNow(everyMs = 1000): number {
  const client = usePresenceClient();
  const [now, setNow] = useState(client.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(client.now()), everyMs);
    return () => clearInterval(timer);
  }, [client, everyMs]);
  return now;
}
