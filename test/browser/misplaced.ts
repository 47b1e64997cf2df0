/**
 * Runs in a page: what of its headers and controls lies over another, sticks out of its header, or shows a part of its words
 * only. A line for each.
 */
export function misplaced(): string[] {
  const found: string[] = [];
  const shown = [...document.querySelectorAll('header *, h1, h2, button, a, input, select, summary')].filter(
    (element) => element.checkVisibility() && !element.matches('.hidden, svg *'),
  );
  const boxes = new Map(shown.map((element) => [element, element.getBoundingClientRect()]));
  const named = (element: Element) => `${element.localName} "${(element.textContent ?? '').slice(0, 20)}"`;
  for (const [element, box] of boxes) {
    const around = element.closest('header')?.getBoundingClientRect();
    if (around && (box.left < around.left - 0.5 || box.right > around.right + 0.5)) {
      found.push(`${named(element)} sticks out`);
    }
    // Where it ends in an ellipsis that is meant.
    const isCut = element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0;
    if (isCut && getComputedStyle(element).textOverflow !== 'ellipsis') found.push(`${named(element)} is cut off`);
    for (const [other, its] of boxes) {
      const wide = Math.min(box.right, its.right) - Math.max(box.left, its.left);
      const high = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
      const isAfter = element.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING;
      if (isAfter && !element.contains(other) && wide > 0.5 && high > 0.5) {
        found.push(`${named(element)} lies over ${named(other)}`);
      }
    }
  }
  return found;
}
