import type { Settings, Visibility } from '../client/social.ts';
import { Choice } from './choice.tsx';

const VIEWERS: Record<Visibility, string> = { everyone: 'Everyone', friends: 'Friends', nobody: 'Nobody' };

/** The settings of who may see what of the user. Folded away until somebody wants to know. */
export function Privacy({
  settings,
  onChange,
}: {
  settings: Settings | undefined;
  onChange: (change: Partial<Settings>) => void;
}) {
  return (
    <details className="privacy">
      <summary>
        Privacy <span className="note">{settings ? inWords(settings) : ''}</span>
      </summary>
      <Choice
        label="Who sees my status"
        options={VIEWERS}
        chosen={settings?.visibility}
        onChoose={(visibility) => onChange({ visibility })}
      />
      <Choice
        label="Who of them sees my last seen"
        options={VIEWERS}
        chosen={settings?.lastSeenVisibility}
        onChoose={(lastSeenVisibility) => onChange({ lastSeenVisibility })}
      />
      <label className="switch">
        <input
          type="checkbox"
          checked={settings?.alertFriends ?? true}
          disabled={!settings}
          onChange={(event) => onChange({ alertFriends: event.target.checked })}
        />
        Friends may be told when I come
      </label>
    </details>
  );
}

function inWords({ visibility, lastSeenVisibility }: Settings): string {
  if (visibility === 'nobody') return 'shown to nobody';
  const whom = visibility === 'friends' ? 'shown to friends' : 'shown to everyone';
  if (lastSeenVisibility === visibility || lastSeenVisibility === 'everyone') return whom;
  return `${whom}, last seen to ${lastSeenVisibility}`;
}
