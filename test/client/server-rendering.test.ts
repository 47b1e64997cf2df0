import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { expect, test } from 'vitest';
import { createPresenceClient } from '../../src/client/index.ts';
import {
  PresenceProvider,
  useConnectionState,
  useDevices,
  useEveryone,
  useIndicators,
  useMyPresence,
  usePresence,
  usePresences,
  usePrivacy,
} from '../../src/client/react.tsx';
import { usePresenceRoom, useRoomCount } from '../../src/client/react-rooms.tsx';

function Everything() {
  const words = [
    usePresence('ada').status,
    ...usePresences(['bob', 'cem']).map(({ userId, status }) => `${userId} ${status}`),
    useMyPresence().status,
    useConnectionState().status,
    useIndicators('a-conversation').length,
    useEveryone().length,
    usePresenceRoom('a-room').users.length,
    `${useRoomCount('a-room')}`,
    `${useDevices('ada')}`,
    `${useMyPresence().sources}`,
  ];
  return createElement('p', null, words.join(', '));
}

test('on a server every hook renders, nobody is known and nothing is connected', () => {
  let asked = 0;
  const getToken = () => {
    asked += 1;
    return 'a token';
  };
  const client = createPresenceClient({ url: 'http://127.0.0.1:9', getToken });
  const html = renderToString(createElement(PresenceProvider, { client }, createElement(Everything)));
  expect(html).toBe(
    '<p>unknown, bob unknown, cem unknown, unknown, connecting, 0, 0, 0, undefined, undefined, undefined</p>',
  );
  expect(client.connection.get()).toEqual({ status: 'closed', reason: 'not_started' });
  expect(asked).toBe(0);
});

test('a hook outside of a provider says what is missing', () => {
  expect(() => renderToString(createElement(Everything))).toThrow('There is no <PresenceProvider>');
});

test('without withSocial() what it adds stays unknown, and to change it is refused with what is missing', () => {
  const client = createPresenceClient({ url: 'http://127.0.0.1:9', getToken: () => 'a token' });
  const Private = () => createElement('p', null, `${usePrivacy().settings}`);
  expect(() => renderToString(createElement(PresenceProvider, { client }, createElement(Private)))).toThrow(
    'needs a client made with withSocial()',
  );
});
