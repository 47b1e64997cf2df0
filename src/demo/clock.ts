import { useEffect, useState } from 'react';
import { usePresenceClient } from '../client/react.tsx';

/** "52 s", "4 min 08 s" */
export function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
}

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
