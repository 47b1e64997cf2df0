const FIRST = [
  ...['ada', 'amara', 'bela', 'camille', 'chidi', 'dalia', 'elif', 'emil', 'farah', 'freya', 'goran', 'hana', 'hugo'],
  ...['ines', 'ivan', 'jonas', 'juno', 'kaito', 'kira', 'lena', 'luca', 'malik', 'mira', 'nadia', 'nils', 'noor'],
  ...['olga', 'omar', 'paula', 'priya', 'quinn', 'rafael', 'rosa', 'samir', 'sofia', 'tariq', 'theo', 'uma', 'vera'],
  ...['viktor', 'wanda', 'xavier', 'yara', 'yusuf', 'zoe'],
];
const LAST = [
  ...['andersen', 'bauer', 'castillo', 'diallo', 'eriksen', 'fischer', 'garcia', 'haddad', 'ito', 'jansen', 'kaya'],
  ...['lindqvist', 'moreau', 'novak', 'okafor', 'petrov', 'quist', 'rossi', 'silva', 'tanaka', 'usman', 'varga'],
  ...['weber', 'xu', 'yilmaz', 'zhang', 'costa'],
];

/** Ids of so many different people, the same at every start: "mira.okafor". */
export function peopleIds(count: number): string[] {
  const ids = new Set<string>();
  for (let number = 0; ids.size < count; number += 1) {
    const first = FIRST[(number * 19) % FIRST.length];
    const last = LAST[(number * 7 + Math.floor(number / FIRST.length)) % LAST.length];
    const id = `${first}.${last}`;
    ids.add(ids.has(id) ? `${id}.${number}` : id);
  }
  return [...ids];
}
