import type { CSSProperties } from 'react';
import type { DeviceKind } from '../client/index.ts';
import { hueOf, initials } from './names.ts';

const SHAPES: Record<DeviceKind, string> = {
  web: 'M3 5h18v14H3zM3 9h18M6 7h.01M8.5 7h.01',
  mobile: 'M8 3h8a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM11 18h2',
  desktop: 'M3 4h18v12H3zM12 16v4M8 20h8',
  agent: 'M5 9h14v10H5zM12 5v4M9.5 13v2M14.5 13v2M2.5 13v3M21.5 13v3',
  bot: 'M4 5h16v11h-9l-4 4v-4H4zM9 10h.01M15 10h.01',
  device: 'M7 7h10v10H7zM10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17 10h4M17 14h4',
  other: 'M5 4h14v16H5zM11 17h2',
};

const NAMES: Record<DeviceKind, string> = {
  web: 'Browser',
  mobile: 'Phone',
  desktop: 'Desktop',
  agent: 'Agent',
  bot: 'Bot',
  device: 'Thing',
  other: 'Other device',
};

export function DeviceIcon({ kind, faint = false }: { kind: DeviceKind; faint?: boolean }) {
  const title = faint ? `${NAMES[kind]}, idle` : NAMES[kind];
  return (
    <svg className={faint ? 'icon faint' : 'icon'} viewBox="0 0 24 24" role="img" aria-label={title}>
      <title>{title}</title>
      <path d={SHAPES[kind]} />
    </svg>
  );
}

const SIGNS = {
  mic: 'M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM6 11a6 6 0 0 0 12 0M12 17v4',
  plus: 'M12 5v14M5 12h14',
  cross: 'M7 7l10 10M17 7 7 17',
  dots: 'M6 12h.01M12 12h.01M18 12h.01',
  friend:
    'M9 5.5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM3.5 19a5.5 5.5 0 0 1 11 0M16 6a2.6 2.6 0 0 1 0 5.2M17.5 14a5 5 0 0 1 3 5',
  bell: 'M12 4a5 5 0 0 1 5 5v4l1.8 3H5.2L7 13V9a5 5 0 0 1 5-5zM10.5 19.5h3',
  block: 'M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16zM6.5 6.5l11 11',
  sun: 'M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5 19 19M19 5l-1.5 1.5M6.5 17.5 5 19',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z',
} as const;

export function Sign({ name }: { name: keyof typeof SIGNS }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={SIGNS[name]} />
    </svg>
  );
}

/** A sign that says something by itself. */
export function Mark({ name, says }: { name: keyof typeof SIGNS; says: string }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" role="img" aria-label={says}>
      <title>{says}</title>
      <path d={SIGNS[name]} />
    </svg>
  );
}

export function Avatar({ userId, look, small = false }: { userId: string; look?: string; small?: boolean }) {
  return (
    <span
      className={`avatar${small ? ' small' : ''}`}
      style={{ '--hue': hueOf(userId) } as CSSProperties}
      aria-hidden="true"
    >
      {initials(userId)}
      {look && <i className={`dot ${look}`} />}
    </span>
  );
}

export function Logo() {
  return (
    <svg className="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="9" />
      <circle cx="16" cy="16" r="5" />
      <path d="M9.2 22.8a9.6 9.6 0 0 1 0-13.6M22.8 9.2a9.6 9.6 0 0 1 0 13.6" />
    </svg>
  );
}
