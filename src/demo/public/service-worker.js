/** Shows alerts that come by Web Push, also while the page is closed, and brings the page forward when one is chosen. */
self.addEventListener('push', (event) => {
  const { userId, at, displayName } = event.data.json();
  const shown = self.registration.showNotification(`${displayName ?? userId} is active`, {
    body: `Since ${new Date(at).toLocaleTimeString()}`,
    // A later one about the same person takes its place.
    tag: `friend-active ${userId}`,
  });
  event.waitUntil(shown);
});

self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  const open = async () => {
    const [page] = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
    return page ? page.focus() : self.clients.openWindow('/');
  };
  event.waitUntil(open());
});
