import type { SocialClient } from '../client/social.ts';

/** Has this browser told of alerts while no page of the user is open. The user has to be asked, so call it on a click. */
export async function subscribe(push: SocialClient['push']): Promise<void> {
  if (!('serviceWorker' in navigator && 'PushManager' in window)) throw new Error('This browser has no Web Push.');
  await navigator.serviceWorker.register('/service-worker.js');
  const registration = await navigator.serviceWorker.ready;
  // Before the user is asked in vain: it rejects where the server has none.
  await push.isSubscribed(registration);
  if ((await Notification.requestPermission()) !== 'granted') throw new Error('This page may not notify you.');
  await push.subscribe(registration);
}
