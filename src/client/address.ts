/**
 * Splits the address of a Rollcall server: Socket.IO takes the path in it for the name of a namespace, and is told apart
 * under which path its requests go.
 */
export function readAddress(url: string) {
  const [, host = '', folder, query = ''] =
    /^((?:\w*:?\/\/)?[^/?#]*)\/*([^?#]*?)\/*(\?[^#]*)?(?:#.*)?$/.exec(url) ?? [];
  const path = `${folder && `/${folder}`}/socket.io`;
  return {
    server: `${host}/${query}`,
    /** What a WebSocket asks for, by HTTP. */
    http: `${host.replace(/^ws/, 'http')}${path}/${query || '?'}&EIO=4&transport=websocket`,
    /**
     * After failures a path of its own for each attempt, which the server takes like the usual one: Firefox holds back, for
     * up to a minute and for all its tabs, what goes where an attempt has failed. Now and then the usual one, for proxies
     * that know no other.
     */
    path: (failures: number) =>
      failures % 8 && /Firefox/.test(globalThis.navigator?.userAgent) ? `${path}/${Math.random()}` : path,
  };
}
