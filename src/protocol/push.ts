import { z } from 'zod';
import { request } from './requests.ts';

const LONGEST_ADDRESS = 2048;
const EXAMPLE_ENDPOINT = 'https://push.example.net/wpush/v2/gAAAAABp';

/** Where a browser listens. It is a secret between the browser, this service and the push service. */
const Endpoint = z
  .url({ error: 'An address' })
  .max(LONGEST_ADDRESS, { error: `At most ${LONGEST_ADDRESS} characters` })
  .meta({ examples: [EXAMPLE_ENDPOINT] });

const base64url = (bytes: number) => {
  const characters = Math.ceil((bytes * 4) / 3);
  return z.string().regex(new RegExp(`^[A-Za-z0-9_-]{${characters}}={0,2}$`), {
    error: `${bytes} bytes in base64url`,
  });
};

const Keys = request({ p256dh: base64url(65), auth: base64url(16) });
const expirationTime = z
  .number()
  .optional()
  .meta({ description: 'Not needed: the push service says when a subscription has ended' });

const EXAMPLE = {
  endpoint: EXAMPLE_ENDPOINT,
  keys: {
    p256dh: 'BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM',
    auth: 'tBHItJI5svbpez7KI4CCXg',
  },
  expirationTime: null,
};

/** A `PushSubscription` as its `toJSON()` gives it. */
export const PushSubscriptionBody = request({ endpoint: Endpoint, keys: Keys, expirationTime }).meta({
  examples: [EXAMPLE],
});
export type PushSubscriptionBody = z.infer<typeof PushSubscriptionBody>;

/** The endpoint is enough; the whole subscription is as good, for that is what a browser has at hand. */
export const PushEndpointBody = request({ endpoint: Endpoint, keys: Keys.optional(), expirationTime }).meta({
  examples: [{ endpoint: EXAMPLE_ENDPOINT }, EXAMPLE],
});

export const PushKeyAnswer = z
  .object({
    publicKey: z.string().meta({ description: 'The `applicationServerKey` with which a browser subscribes' }),
  })
  .meta({
    examples: [
      { publicKey: 'BEl62iUYgUivxIkv69yViEuiBIa-Ib9-SkvMeAtA3LFgDzkrxZJjSgSnfckjBJuBkr3qBUYIHBQFLXYp5Nksh8U' },
    ],
  });

/** What a service worker gets, decrypted. */
export const PushMessage = z.object({
  type: z.literal('friend_active'),
  userId: z.string(),
  at: z.iso.datetime({ precision: 3 }),
  displayName: z.string().optional(),
});
export type PushMessage = z.infer<typeof PushMessage>;
