/** Points on a canvas, labeled under the pointer; the arrow keys move from one to the next. */
import { useRef, useState } from 'preact/hooks';
import { useCanvas } from './canvas.ts';

const MARGIN = 16;
/** Pixels around a point that select it. */
const REACH = 14;

export interface ScatterProps {
  /** [n, 2] within −1 to 1. */
  positions: Float32Array;
  /** [n] group of each point, which determines its color. */
  groups: Uint8Array;
  /** [n] 1 for those to be shown above the others; null for none. */
  found: Uint8Array | null;
  label: string;
  titleOf: (at: number) => string;
  onPick: (at: number) => void;
}

export function Scatter({ positions, groups, found, label, titleOf, onPick }: ScatterProps) {
  const [over, setOver] = useState<number | null>(null);
  const size = useRef({ width: 1, height: 1 });
  const n = groups.length;
  const x = (i: number) => size.current.width / 2 + positions[2 * i] * (size.current.width / 2 - MARGIN);
  const y = (i: number) => size.current.height / 2 - positions[2 * i + 1] * (size.current.height / 2 - MARGIN);
  const canvas = useCanvas(
    (context, width, height, color) => {
      size.current = { width, height };
      const colors = Array.from({ length: 9 }, (_, group) => color(`--group-${group}`));
      context.strokeStyle = color('--line');
      context.beginPath();
      context.moveTo(width / 2, 0);
      context.lineTo(width / 2, height);
      context.moveTo(0, height / 2);
      context.lineTo(width, height / 2);
      context.stroke();
      const radius = n > 5000 ? 1.5 : n > 800 ? 2.5 : 4;
      for (let i = 0; i < n; i++) {
        context.globalAlpha = found && !found[i] ? 0.12 : 0.85;
        context.fillStyle = colors[groups[i]];
        context.beginPath();
        context.arc(x(i), y(i), radius, 0, 2 * Math.PI);
        context.fill();
      }
      context.globalAlpha = 1;
      if (over === null) return;
      context.strokeStyle = color('--ink');
      context.lineWidth = 2;
      context.beginPath();
      context.arc(x(over), y(over), radius + 4, 0, 2 * Math.PI);
      context.stroke();
      context.font = '600 13px system-ui, sans-serif';
      const title = titleOf(over);
      const wide = context.measureText(title).width;
      const left = Math.min(Math.max(4, x(over) + 10), width - wide - 16);
      const top = Math.max(4, y(over) - 34);
      context.fillStyle = color('--ink');
      context.beginPath();
      context.roundRect(left, top, wide + 12, 24, 6);
      context.fill();
      context.fillStyle = color('--paper');
      context.fillText(title, left + 6, top + 16);
    },
    [positions, groups, found, over],
  );
  const nearest = (event: PointerEvent | MouseEvent): number | null => {
    const box = (canvas.current as HTMLCanvasElement).getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    let best: number | null = null;
    let least = REACH ** 2;
    for (let i = 0; i < n; i++) {
      const distance = (x(i) - px) ** 2 + (y(i) - py) ** 2;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  };
  const byKey = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setOver(((over ?? (step > 0 ? -1 : 0)) + step + n) % n);
    } else if (event.key === 'Enter' && over !== null) onPick(over);
    else if (event.key === 'Escape') setOver(null);
  };
  return (
    <>
      <div
        class="canvas-frame"
        role="application"
        aria-label={`${label}. Arrow keys go from item to item, Enter adds it.`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the points are gone through with the arrow keys
        tabIndex={0}
        onKeyDown={byKey}
      >
        <canvas
          ref={canvas}
          onPointerMove={(event) => setOver(nearest(event))}
          onPointerLeave={() => setOver(null)}
          onClick={(event) => {
            const at = nearest(event);
            if (at !== null) onPick(at);
          }}
        />
      </div>
      <p class="visually-hidden" aria-live="polite">
        {over === null ? '' : titleOf(over)}
      </p>
    </>
  );
}
