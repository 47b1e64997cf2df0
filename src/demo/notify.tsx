import { useEffect, useState } from 'react';
import type { SocialClient } from '../client/social.ts';
import { subscribe } from './push.ts';

const KEY = 'rollcall.notified';
const SUBSCRIBE_LIMIT_MS = 10_000;
const hasPush = 'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window;

type Push = SocialClient['push'];

interface NotifyProps {
  me: string;
  push: Push;
  onProblem: (problem: string) => void;
}

/** Alerts for friends by Web Push, also while the page is closed. Nothing where the browser knows no such thing. */
export function Notify({ me, push, onProblem }: NotifyProps) {
  const [notified, setNotified] = useState(false);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    void isSubscribed(me, push).then(setNotified);
  }, [me, push]);
  if (!hasPush) return null;

  async function toggle(): Promise<void> {
    setBusy(true);
    onProblem('');
    try {
      if (notified) await unsubscribe(push);
      else await subscribeInTime(me, push);
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

async function subscribeInTime(me: string, push: Push): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DOMException('', 'TimeoutError')), SUBSCRIBE_LIMIT_MS);
  });
  try {
    await Promise.race([subscribe(push), tooLong]);
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

/** Whether what this browser has is this user's and made with the key the server has now: the demo's is new at each start. */
async function isSubscribed(me: string, push: Push): Promise<boolean> {
  if (!hasPush || localStorage.getItem(KEY) !== me) return false;
  const registration = await navigator.serviceWorker.getRegistration();
  return registration ? push.isSubscribed(registration).catch(() => false) : false;
}

async function unsubscribe(push: Push): Promise<void> {
  localStorage.removeItem(KEY);
  const registration = await navigator.serviceWorker.getRegistration();
  if (registration) await push.unsubscribe(registration);
}
