/** Attention as a grid of cells; darker is more, negative weights have another colour. */
import { useState } from 'preact/hooks';
import { useCanvas } from './canvas.ts';

/** Latest events that are shown. */
const MOST = 40;
const LABEL = 168;

export function Heatmap({ rows, titles, tokens }: { rows: Float32Array; titles: string[]; tokens: number }) {
  const [over, setOver] = useState<[number, number] | null>(null);
  const first = Math.max(0, tokens - MOST);
  const n = tokens - first;
  const nameOf = (i: number): string => titles[first + i] ?? '(what comes next)';
  const weight = (r: number, c: number): number => rows[(first + r) * tokens + first + c];
  let peak = 1e-9;
  for (let r = 0; r < n; r++) for (let c = 0; c < n; c++) peak = Math.max(peak, Math.abs(weight(r, c)));
  const cellOf = (width: number) => Math.min(28, (width - LABEL) / n);
  const canvas = useCanvas(
    (context, width, _height, colour) => {
      const cell = cellOf(width);
      const [more, less, ink, line] = ['--accent', '--danger', '--ink', '--line'].map(colour);
      context.font = '12px system-ui, sans-serif';
      context.textBaseline = 'middle';
      for (let r = 0; r < n; r++) {
        context.fillStyle = ink;
        context.globalAlpha = 1;
        if (cell >= 11) {
          context.textAlign = 'right';
          context.fillText(shorten(context, nameOf(r), LABEL - 12), LABEL - 8, r * cell + cell / 2);
        }
        for (let c = 0; c < n; c++) {
          const w = weight(r, c);
          context.globalAlpha = Math.sqrt(Math.abs(w) / peak); // the root brings out small weights
          context.fillStyle = w < 0 ? less : more;
          context.fillRect(LABEL + c * cell, r * cell, cell - 1, cell - 1);
        }
      }
      context.globalAlpha = 1;
      context.strokeStyle = line;
      context.strokeRect(LABEL - 0.5, 0.5, n * cell, n * cell - 1);
      if (!over) return;
      context.strokeStyle = ink;
      context.lineWidth = 2;
      context.strokeRect(LABEL + over[1] * cell, over[0] * cell, cell - 1, cell - 1);
    },
    [rows, over, n],
  );
  const words = ([r, c]: [number, number]) =>
    `${nameOf(r)} looks at ${nameOf(c)}: ${(100 * weight(r, c)).toFixed(1)} %`;
  const last = Array.from({ length: n }, (_, c): [number, number] => [n - 1, c]).sort(
    (a, b) => weight(b[0], b[1]) - weight(a[0], a[1]),
  );
  return (
    <>
      <canvas
        ref={canvas}
        class={`heatmap rows-${Math.min(MOST, n)}`}
        style={{ height: `${Math.max(60, n * 28)}px` }}
        role="img"
        aria-label={`Attention over ${n} events. Most of the last row: ${last.slice(0, 3).map(words).join('; ')}`}
        onPointerMove={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          const cell = cellOf(box.width);
          const [r, c] = [
            Math.floor((event.clientY - box.top) / cell),
            Math.floor((event.clientX - box.left - LABEL) / cell),
          ];
          setOver(r >= 0 && r < n && c >= 0 && c < n ? [r, c] : null);
        }}
        onPointerLeave={() => setOver(null)}
      />
      <p class="muted" aria-live="polite">
        {over ? words(over) : `Darkest: ${(100 * peak).toFixed(1)} %`}
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
