import { useEffect, useRef, useState } from 'react';
import { usePresenceClient } from '../client/react.tsx';
import { Avatar, Sign } from './icons.tsx';
import { displayName } from './names.ts';

interface Alert {
  key: string;
  userId: string;
  at: string;
}

const SHOWN_FOR_MS = 12_000;
const MOST_SHOWN = 3;
const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** Friends the user wanted to be told of, for a while. `onAlert` is called for each: it may have used up a "once". */
export function Alerts({ onAlert }: { onAlert: () => void }) {
  const client = usePresenceClient();
  const [alerts, setAlerts] = useState<readonly Alert[]>([]);
  const told = useRef(onAlert);
  told.current = onAlert;
  const dismiss = (key: string) => setAlerts((shown) => shown.filter((one) => one.key !== key));
  useEffect(
    () =>
      client.onFriendActive(({ userId, at }) => {
        const key = `${userId} ${at}`;
        // The server tells at least once: the same again takes the place of the first.
        setAlerts((shown) => [...shown.filter((one) => one.key !== key), { key, userId, at }].slice(-MOST_SHOWN));
        told.current();
      }),
    [client],
  );
  return (
    <section className="alerts" aria-label="Alerts" aria-live="polite">
      {alerts.map((alert) => (
        <AlertCard key={alert.key} alert={alert} onDismiss={dismiss} />
      ))}
    </section>
  );
}

function AlertCard({ alert, onDismiss }: { alert: Alert; onDismiss: (key: string) => void }) {
  const { key, userId, at } = alert;
  const dismiss = useRef(onDismiss);
  dismiss.current = onDismiss;
  useEffect(() => {
    const timer = setTimeout(() => dismiss.current(key), SHOWN_FOR_MS);
    return () => clearTimeout(timer);
  }, [key]);
  return (
    <div className="alert">
      <Avatar userId={userId} look="active" />
      <p>
        <strong>{displayName(userId)} is here</strong>
        <span>At {TIME.format(Date.parse(at))}. You asked to be told.</span>
      </p>
      <button type="button" className="round bare" aria-label="Dismiss" onClick={() => onDismiss(key)}>
        <Sign name="cross" />
      </button>
    </div>
  );
}
