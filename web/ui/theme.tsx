/** Light, dark, or the system's theme; stored in this browser. */
import { useEffect, useState } from 'preact/hooks';

const KEY = 'attune theme';
const THEMES = ['auto', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];

const stored = (): Theme => {
  try {
    const theme = localStorage.getItem(KEY) as Theme;
    return THEMES.includes(theme) ? theme : 'auto';
  } catch {
    return 'auto';
  }
};

const after = (theme: Theme): Theme => THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];

const NAMES: Record<Theme, string> = { auto: 'as the system', light: 'light', dark: 'dark' };

export function ThemeButton() {
  const [theme, setTheme] = useState<Theme>(stored);
  useEffect(() => {
    const root = document.documentElement;
    if (theme === 'auto') delete root.dataset.theme;
    else root.dataset.theme = theme;
    dispatchEvent(new Event('attune theme'));
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // Applies to this visit only.
    }
  }, [theme]);
  const next = after(theme);
  return (
    <button
      type="button"
      class="icon-button"
      aria-label={`Colors: ${NAMES[theme]}. Change to ${NAMES[next]}`}
      title={`Colors: ${NAMES[theme]}`}
      onClick={() => setTheme(after)}
    >
      <svg viewBox="0 0 24 24" aria-hidden="true">
        {theme === 'light' && (
          <path d="M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM12 1v3M12 20v3M1 12h3M20 12h3M4 4l2 2M18 18l2 2M4 20l2-2M18 6l2-2" />
        )}
        {theme === 'dark' && <path d="M20 14A8.5 8.5 0 0 1 10 4a8.5 8.5 0 1 0 10 10z" />}
        {theme === 'auto' && <path d="M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18" />}
      </svg>
    </button>
  );
}
