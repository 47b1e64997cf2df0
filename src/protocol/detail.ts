import { z } from 'zod';
import { isValidSource, SOURCE_LENGTH } from '../presence/detail.ts';
import { request } from './requests.ts';
import { Availability, DETAIL_SHAPE, ExpirySeconds, Time, UserId } from './vocabulary.ts';

export { DEFAULT_DETAIL_ORDER, isValidSource } from '../presence/detail.ts';

const SOURCE_REFUSED = `The name of a source has 1 to ${SOURCE_LENGTH} characters out of A-Z a-z 0-9 . _ - @ | + : ~`;

/** Who says something of a user: `manual` (the user), `call`, `calendar`, whatever services call themselves. */
export const Source = z
  .string({ error: SOURCE_REFUSED })
  .refine(isValidSource, { error: SOURCE_REFUSED })
  .meta({
    description: `\`manual\` is the user's own; ${SOURCE_REFUSED[0]?.toLowerCase()}${SOURCE_REFUSED.slice(1)}`,
    examples: ['calendar'],
  });

export const SourceParams = z.object({ id: UserId, source: Source });

const YEARS = 10;
/** A time without a zone is UTC. */
const ZONE = /(Z|[+-]\d{2}:?\d{2})$/i;

/** Milliseconds since 1970 of what `Moment` lets through. */
export function momentMs(text: string): number {
  return Math.floor(Date.parse(ZONE.test(text) ? text : `${text}Z`));
}

function isSoon(text: string): boolean {
  const last = new Date();
  last.setUTCFullYear(last.getUTCFullYear() + YEARS);
  const ms = momentMs(text);
  return ms > Date.now() && ms <= last.getTime();
}

/** A moment to come, in ISO 8601 as calendars write it: milliseconds and offset may be left out. */
const Moment = z.iso
  .datetime({ offset: true, local: true, error: 'A time in ISO 8601, such as 2026-01-31T12:00:00Z' })
  .refine(isSoon, { error: `In the future, and within ${YEARS} years` });

const UNTIL =
  'When it ends by itself: milliseconds and offset may be left out, then it is UTC. Not together with `expiresInSeconds`';

/** The body of `PUT /users/:id/detail/:source`: all that this source says, in the place of what it said before. */
export const PutDetailBody = request({
  ...DETAIL_SHAPE,
  until: Moment.optional().meta({ description: UNTIL, examples: ['2027-01-31T12:00:00Z'] }),
  expiresInSeconds: ExpirySeconds.optional(),
})
  .refine((said) => Boolean(said.availability || said.text || said.emoji), {
    error: 'At least one of availability, text and emoji',
  })
  .refine((said) => said.until === undefined || said.expiresInSeconds === undefined, {
    error: 'until or expiresInSeconds, not both',
  })
  .meta({ examples: [{ availability: 'busy', text: 'In a meeting', expiresInSeconds: 1800 }] });
export type PutDetailBody = z.infer<typeof PutDetailBody>;

/** What one source says, with null for what it does not say. */
export const DetailSource = z
  .object({
    source: z.string(),
    availability: Availability.nullable(),
    text: z.string().nullable(),
    emoji: z.string().nullable(),
    until: Time.nullable().meta({ description: 'null: until further notice' }),
    shown: z.boolean().meta({ description: 'The strongest: what others see, unless the user appears inactive' }),
  })
  .meta({
    examples: [
      {
        source: 'calendar',
        availability: 'busy',
        text: 'In a meeting',
        emoji: null,
        until: '2026-01-31T12:00:00.000Z',
        shown: true,
      },
    ],
  });
export type DetailSource = z.infer<typeof DetailSource>;

export const DetailSourcesAnswer = z.object({ sources: z.array(DetailSource) }).meta({
  examples: [
    {
      sources: [
        { source: 'call', availability: 'dnd', text: 'On a call', emoji: null, until: null, shown: true },
        {
          source: 'manual',
          availability: null,
          text: 'Back at five',
          emoji: '🌴',
          until: '2026-01-31T17:00:00.000Z',
          shown: false,
        },
      ],
    },
  ],
});
export type DetailSourcesAnswer = z.infer<typeof DetailSourcesAnswer>;
