/** A line chart over steps or times (uPlot), in the page's colors, with a summary for screen readers. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { figure } from '../format.ts';
import { tokenColor } from './canvas.ts';

export interface Series {
  label: string;
  /** Name of a color token. */
  color: string;
  /** Step, or time in seconds since 1970, and value; null: a gap. */
  points: readonly (readonly [number, number | null])[];
}

const HEIGHT = 240;

/** All series share their steps; the line bridges a missing point. */
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

/** Over time the value axis starts at 0, lines break at gaps, and a point between two gaps is a dot. */
const TIME: { scales: uPlot.Scales; series: uPlot.Series; axis: uPlot.Axis } = {
  scales: { x: { time: true }, y: { range: (_plot, _least, most) => [0, most > 0 ? most * 1.1 : 1] } },
  series: {
    spanGaps: false,
    points: {
      show: true,
      size: 5,
      filter: ({ data }, at) => {
        const values = data[at];
        return Array.from(values.keys()).filter(
          (i) => values[i] !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null,
        );
      },
    },
  },
  axis: {
    space: 64,
    incrs: [5, 15, 30, 60, 120, 300],
    values: (_plot, times) => times.map((time) => clock(time * 1000)),
  },
};

const clock = (time: number): string => new Date(time).toLocaleTimeString('en-GB');

export function Chart({
  label,
  series,
  x = 'step',
  unit,
}: {
  label: string;
  series: readonly Series[];
  x?: 'step' | 'time';
  /** Of the values; without it they are bare figures. */
  unit?: string;
}) {
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
          scales: x === 'time' ? TIME.scales : { x: { time: false } },
          cursor: { points: { size: 6 }, drag: { x: false, y: false } },
          axes: [
            { ...axis, size: 32, ...(x === 'time' && TIME.axis) },
            { ...axis, size: 56 },
          ],
          series: [
            {},
            ...latest.current.map(({ label: name, color }) => ({
              label: name,
              stroke: token(color),
              width: 2,
              ...(x === 'time'
                ? TIME.series
                : { spanGaps: true, points: { show: latest.current[0].points.length < 40, size: 5 } }),
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
    const last = points.findLast(([, value]) => value !== null);
    if (!last) return `${name}: nothing yet`;
    const value = unit === undefined ? figure(last[1]) : `${Number((last[1] as number).toPrecision(3))} ${unit}`;
    return `${name}: ${value} at ${x === 'time' ? clock(last[0] * 1000) : `step ${last[0]}`}`;
  });
  return <div class="chart" ref={frame} role="img" aria-label={`${label}. ${words.join('; ')}`} />;
}
