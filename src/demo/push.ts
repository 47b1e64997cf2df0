/** Has this browser told of alerts while no page of the user is open. The user has to be asked, so call it on a click. */
export async function subscribe(userId: string, token: string): Promise<void> {
  if (!('serviceWorker' in navigator && 'PushManager' in window)) throw new Error('This browser has no Web Push.');
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const asked = await fetch('/push/public-key', { headers });
  if (!asked.ok) throw new Error('Web Push is not set up here.');
  const { publicKey } = await asked.json();
  if ((await Notification.requestPermission()) !== 'granted') throw new Error('This page may not notify you.');

  await navigator.serviceWorker.register('/service-worker.js');
  const { pushManager } = await navigator.serviceWorker.ready;
  // The demo has new keys at every start, and one made with another key stands in the way.
  await (await pushManager.getSubscription())?.unsubscribe();
  const subscription = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: publicKey });
  const kept = await fetch(`/users/${encodeURIComponent(userId)}/push-subscriptions`, {
    method: 'PUT',
    headers,
    body: JSON.stringify(subscription),
  });
  if (!kept.ok) throw new Error((await kept.json()).message ?? 'The subscription was not taken.');
}
