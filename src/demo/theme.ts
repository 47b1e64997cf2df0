import { useLayoutEffect, useState, useSyncExternalStore } from 'react';

type Name = 'light' | 'dark';
const prefersDark = matchMedia('(prefers-color-scheme: dark)');

function subscribe(changed: () => void): () => void {
  prefersDark.addEventListener('change', changed);
  return () => prefersDark.removeEventListener('change', changed);
}

/** As the system has it, until the person chooses. */
export function useTheme(): { name: Name; toggle: () => void } {
  const system = useSyncExternalStore(subscribe, () => (prefersDark.matches ? 'dark' : 'light'));
  const [chosen, setChosen] = useState<Name | undefined>(
    () => (localStorage.getItem('rollcall.theme') as Name | null) ?? undefined,
  );
  const name = chosen ?? system;
  // Before the chart reads its colours.
  useLayoutEffect(() => {
    document.documentElement.dataset.theme = name;
  }, [name]);
  return {
    name,
    toggle() {
      const other = name === 'dark' ? 'light' : 'dark';
      localStorage.setItem('rollcall.theme', other);
      setChosen(other);
    },
  };
}
