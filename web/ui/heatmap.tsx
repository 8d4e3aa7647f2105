/** Attention as a grid of cells; darker is more, negative weights have another color. */
import { useRef, useState } from 'preact/hooks';
import { useCanvas } from './canvas.ts';

/** Most events that are shown, the latest ones. */
const MOST = 40;
/** Maximum width of row names in pixels, and the gap between them and the cells. */
const LABEL = 240;
const GAP = 8;
/** Height of a row that has room for letters. */
const LETTERS = 11;
/** Row and column steps of the arrow keys. */
const MOVES: Record<string, [down: number, right: number]> = {
  ArrowDown: [1, 0],
  ArrowUp: [-1, 0],
  ArrowRight: [0, 1],
  ArrowLeft: [0, -1],
};

export function Heatmap({ rows, titles, tokens }: { rows: Float32Array; titles: string[]; tokens: number }) {
  const [over, setOver] = useState<[number, number] | null>(null);
  const first = Math.max(0, tokens - MOST);
  const n = tokens - first;
  const nameOf = (i: number): string => titles[first + i] ?? '(what comes next)';
  const weight = (r: number, c: number): number => rows[(first + r) * tokens + first + c];
  let peak = 1e-9;
  for (let r = 0; r < n; r++) for (let c = 0; c < n; c++) peak = Math.max(peak, Math.abs(weight(r, c)));
  /** Origin and size of the cells in the last drawing. */
  const cells = useRef({ left: 0, cell: 1 });
  /** Row names are left of the cells, if there is room for text. */
  const layOut = (context: CanvasRenderingContext2D, width: number): void => {
    let widest = 0;
    for (let r = 0; r < n; r++) widest = Math.max(widest, context.measureText(nameOf(r)).width);
    const names = Math.min(LABEL, 0.42 * width, widest + GAP);
    const left = (width - names) / n >= LETTERS ? names : 0;
    cells.current = { left, cell: Math.min(28, (width - left) / n) };
  };
  const canvas = useCanvas(
    (context, width, _height, color) => {
      context.font = '12px system-ui, sans-serif';
      layOut(context, width);
      const { left, cell } = cells.current;
      const tall = `${Math.ceil(n * cell)}px`;
      const { style } = context.canvas;
      if (style.height !== tall) style.height = tall; // which draws it again
      const [more, less, ink, line] = ['--accent', '--danger', '--ink', '--line'].map(color);
      context.textBaseline = 'middle';
      for (let r = 0; r < n; r++) {
        context.fillStyle = ink;
        context.globalAlpha = 1;
        if (left > 0) {
          context.textAlign = 'right';
          context.fillText(shorten(context, nameOf(r), left - GAP), left - GAP, r * cell + cell / 2);
        }
        for (let c = 0; c < n; c++) {
          const w = weight(r, c);
          context.globalAlpha = Math.sqrt(Math.abs(w) / peak); // the root brings out small weights
          context.fillStyle = w < 0 ? less : more;
          context.fillRect(left + c * cell, r * cell, cell - 1, cell - 1);
        }
      }
      context.globalAlpha = 1;
      context.strokeStyle = line;
      context.strokeRect(left + 0.5, 0.5, n * cell - 1, n * cell - 1);
      if (!over) return;
      context.strokeStyle = ink;
      context.lineWidth = 2;
      context.strokeRect(left + over[1] * cell, over[0] * cell, cell - 1, cell - 1);
    },
    [rows, over, n],
  );
  const words = ([r, c]: [number, number]) =>
    `${nameOf(r)} looks at ${nameOf(c)}: ${(100 * weight(r, c)).toFixed(1)} %`;
  const last = Array.from({ length: n }, (_, c): [number, number] => [n - 1, c]).sort(
    (a, b) => weight(b[0], b[1]) - weight(a[0], a[1]),
  );
  const byKey = (event: KeyboardEvent) => {
    const [down, right] = MOVES[event.key] ?? [0, 0];
    if (event.key === 'Escape') setOver(null);
    if (down === 0 && right === 0) return;
    event.preventDefault();
    const [r, c] = over ?? [n - 1, -right];
    setOver([(r + (over ? down : 0) + n) % n, (c + right + n) % n]);
  };
  return (
    <>
      <div
        role="application"
        aria-label="Cells of the map. Arrow keys go from cell to cell."
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the cells are gone through with the arrow keys
        tabIndex={0}
        onKeyDown={byKey}
      >
        <canvas
          ref={canvas}
          class="heatmap"
          role="img"
          aria-label={`Attention over ${n} events. Most of the last row: ${last.slice(0, 3).map(words).join('; ')}`}
          onPointerMove={(event) => {
            const box = event.currentTarget.getBoundingClientRect();
            const { left, cell } = cells.current;
            const [r, c] = [
              Math.floor((event.clientY - box.top) / cell),
              Math.floor((event.clientX - box.left - left) / cell),
            ];
            setOver(r >= 0 && r < n && c >= 0 && c < n ? [r, c] : null);
          }}
          onPointerLeave={() => setOver(null)}
        />
      </div>
      <p class="muted" aria-live="polite">
        {over ? words(over) : `Most: ${(100 * peak).toFixed(1)} %`}
      </p>
    </>
  );
}

function shorten(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  let cut = text.length;
  while (cut > 1 && context.measureText(`${text.slice(0, cut)}…`).width > width) cut--;
  return `${text.slice(0, cut)}…`;
}
