import { z } from 'zod';

const LONGEST_ADDRESS = 2048;

/** Where a browser listens. It is a secret between the browser, this service and the push service. */
const Endpoint = z
  .url({ error: 'An address' })
  .max(LONGEST_ADDRESS, { error: `At most ${LONGEST_ADDRESS} characters` })
  .meta({ examples: ['https://push.example.net/wpush/v2/gAAAAAB…'] });

const base64url = (bytes: number) => {
  const characters = Math.ceil((bytes * 4) / 3);
  return z.string().regex(new RegExp(`^[A-Za-z0-9_-]{${characters}}={0,2}$`), {
    error: `${bytes} bytes in base64url`,
  });
};

/** A `PushSubscription` as its `toJSON()` gives it. */
export const PushSubscriptionBody = z.object({
  endpoint: Endpoint,
  keys: z.object({ p256dh: base64url(65), auth: base64url(16) }),
  expirationTime: z
    .number()
    .nullish()
    .meta({ description: 'Not needed: the push service says when a subscription has ended' }),
});
export type PushSubscriptionBody = z.infer<typeof PushSubscriptionBody>;

export const PushEndpointBody = z.object({ endpoint: Endpoint });

export const PushKeyAnswer = z.object({
  publicKey: z.string().meta({ description: 'The `applicationServerKey` with which a browser subscribes' }),
});

/** What a service worker gets, decrypted. */
export const PushMessage = z.object({
  type: z.literal('friend_active'),
  userId: z.string(),
  at: z.iso.datetime({ precision: 3 }),
  displayName: z.string().optional(),
});
export type PushMessage = z.infer<typeof PushMessage>;
