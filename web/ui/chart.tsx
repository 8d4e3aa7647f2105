/** A line chart over steps (uPlot), in the page's colors, with a summary for screen readers. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { tokenColor } from './canvas.ts';

export interface Series {
  label: string;
  /** Name of a color token. */
  color: string;
  points: readonly (readonly [number, number])[];
}

const HEIGHT = 240;

/** All series share their steps; a missing point is a gap that the line bridges. */
function align(series: readonly Series[]): uPlot.AlignedData {
  const steps = [...new Set(series.flatMap(({ points }) => points.map(([step]) => step)))].sort((a, b) => a - b);
  const at = new Map(steps.map((step, i) => [step, i]));
  const columns = series.map(({ points }) => {
    const column: (number | null)[] = new Array(steps.length).fill(null);
    for (const [step, value] of points) column[at.get(step) as number] = value;
    return column;
  });
  return [steps, ...columns];
}

export function Chart({ label, series }: { label: string; series: readonly Series[] }) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(series);
  latest.current = series;

  useEffect(() => {
    const div = frame.current as HTMLDivElement;
    const draw = () => {
      plot.current?.destroy();
      const style = getComputedStyle(div);
      const token = (name: string) => tokenColor(div, name);
      const axis = {
        stroke: token('--muted'),
        grid: { stroke: token('--line'), width: 1 },
        ticks: { stroke: token('--line'), width: 1 },
        font: `12px ${style.fontFamily}`,
      };
      plot.current = new uPlot(
        {
          width: div.clientWidth || 300,
          height: HEIGHT,
          scales: { x: { time: false } },
          cursor: { points: { size: 6 }, drag: { x: false, y: false } },
          axes: [
            { ...axis, size: 32 },
            { ...axis, size: 56 },
          ],
          series: [
            {},
            ...latest.current.map(({ label: name, color }) => ({
              label: name,
              stroke: token(color),
              width: 2,
              spanGaps: true,
              points: { show: latest.current[0].points.length < 40, size: 5 },
            })),
          ],
        },
        align(latest.current),
        div,
      );
    };
    draw();
    const resized = new ResizeObserver(() => {
      plot.current?.setSize({ width: div.clientWidth, height: HEIGHT });
    });
    resized.observe(div);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', draw);
    addEventListener('attune theme', draw);
    return () => {
      resized.disconnect();
      dark.removeEventListener('change', draw);
      removeEventListener('attune theme', draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);

  useEffect(() => {
    plot.current?.setData(align(series));
  }, [series]);

  const words = series.map(({ label: name, points }) => {
    const last = points.at(-1);
    return last ? `${name}: ${last[1].toFixed(4)} at step ${last[0]}` : `${name}: nothing yet`;
  });
  return <div class="chart" ref={frame} role="img" aria-label={`${label}. ${words.join('; ')}`} />;
}
