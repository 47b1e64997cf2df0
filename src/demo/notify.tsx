import { useEffect, useState } from 'react';
import { tokenFor } from './devices.ts';
import { subscribe } from './push.ts';

const KEY = 'rollcall.notified';
const SUBSCRIBE_LIMIT_MS = 10_000;
const hasPush = 'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window;

/** Alerts for friends by Web Push, also while the page is closed. Nothing where the browser knows no such thing. */
export function Notify({ me, onProblem }: { me: string; onProblem: (problem: string) => void }) {
  const [notified, setNotified] = useState(false);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    void isSubscribed(me).then(setNotified);
  }, [me]);
  if (!hasPush) return null;

  async function toggle(): Promise<void> {
    setBusy(true);
    onProblem('');
    try {
      if (notified) await unsubscribe(me);
      else await subscribeInTime(me);
      setNotified(!notified);
    } catch (error) {
      onProblem(inWords(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <button
      type="button"
      aria-pressed={notified}
      disabled={busy}
      title="By this browser, also while the page is closed"
      onClick={() => void toggle()}
    >
      {notified ? 'Notified here' : 'Notify me'}
    </button>
  );
}

async function subscribeInTime(me: string): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DOMException('', 'TimeoutError')), SUBSCRIBE_LIMIT_MS);
  });
  try {
    await Promise.race([tokenFor(me).then((token) => subscribe(me, token)), tooLong]);
    localStorage.setItem(KEY, me);
  } finally {
    clearTimeout(timer);
  }
}

/** The browser speaks of its push service in words that are not meant for people. */
function inWords(error: unknown): string {
  if (error instanceof DOMException) {
    return error.name === 'NotAllowedError'
      ? 'This browser does not let the page notify you.'
      : 'This browser’s own push service can’t be reached, so nothing could tell you while the page is closed.';
  }
  return error instanceof Error ? error.message : 'This browser could not be subscribed.';
}

async function ownSubscription(): Promise<PushSubscription | null> {
  const registration = await navigator.serviceWorker.getRegistration();
  return (await registration?.pushManager.getSubscription()) ?? null;
}

/** Whether what this browser has is this user's and made with the key the server has now: the demo's is new at each start. */
async function isSubscribed(me: string): Promise<boolean> {
  if (!hasPush || localStorage.getItem(KEY) !== me) return false;
  const key = (await ownSubscription())?.options.applicationServerKey;
  if (!key) return false;
  const answer = await fetch('/push/public-key', { headers: { authorization: `Bearer ${await tokenFor(me)}` } });
  return answer.ok && (await answer.json()).publicKey === base64url(key);
}

function base64url(bytes: ArrayBuffer): string {
  const text = btoa(String.fromCharCode(...new Uint8Array(bytes)));
  return text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

async function unsubscribe(me: string): Promise<void> {
  localStorage.removeItem(KEY);
  const subscription = await ownSubscription();
  if (!subscription) return;
  await fetch(`/users/${encodeURIComponent(me)}/push-subscriptions`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${await tokenFor(me)}`, 'content-type': 'application/json' },
    body: JSON.stringify({ endpoint: subscription.endpoint }),
  });
  await subscription.unsubscribe();
}
