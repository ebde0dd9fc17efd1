/** Tabs, for mouse and keyboard. */
import { element } from './dom.js';

export interface Tab {
  label: string;
  panel: HTMLElement;
  /** Called each time that the tab is shown. */
  shown?: () => void;
}

export interface Tabs {
  root: HTMLElement;
  show(label: string): void;
}

/** Tabs of which the first is shown; the arrow keys go from one to the next. */
export function tabs(name: string, list: readonly Tab[]): Tabs {
  const heads = list.map(({ label }) =>
    element('button', { type: 'button', role: 'tab', id: `tab-${label}` }, label),
  );
  const panels = list.map(({ label, panel }) =>
    element('div', { role: 'tabpanel', 'aria-labelledby': `tab-${label}` }, panel),
  );
  const showAt = (shownIndex: number) => {
    for (const [index, head] of heads.entries()) {
      const isShown = index === shownIndex;
      head.setAttribute('aria-selected', String(isShown));
      head.tabIndex = isShown ? 0 : -1;
      const panel = panels[index];
      if (panel) panel.hidden = !isShown;
    }
    list[shownIndex]?.shown?.();
  };
  for (const [index, head] of heads.entries()) {
    head.addEventListener('click', () => showAt(index));
    head.addEventListener('keydown', ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (step === undefined) return;
      const next = (index + step + heads.length) % heads.length;
      showAt(next);
      heads[next]?.focus();
    });
  }
  showAt(0);
  const bar = element('div', { role: 'tablist', 'aria-label': name }, ...heads);
  return {
    root: element('div', {}, bar, ...panels),
    show: (label) => showAt(list.findIndex((tab) => tab.label === label)),
  };
}
