/** A canvas that follows the page's size, pixel ratio and colors. */
import { useEffect, useRef } from 'preact/hooks';

/** Draws when `deps`, the canvas size or the theme change. Sizes are CSS pixels. */
export function useCanvas(
  draw: (context: CanvasRenderingContext2D, width: number, height: number, color: (token: string) => string) => void,
  deps: readonly unknown[],
) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const latest = useRef(draw);
  latest.current = draw;
  const paint = useRef(() => {});
  useEffect(() => {
    const element = canvas.current as HTMLCanvasElement;
    paint.current = () => {
      const { clientWidth: width, clientHeight: height } = element;
      const ratio = devicePixelRatio || 1;
      element.width = Math.max(1, Math.round(width * ratio));
      element.height = Math.max(1, Math.round(height * ratio));
      const context = element.getContext('2d') as CanvasRenderingContext2D;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      latest.current(context, width, height, (token) => tokenColor(element, token));
    };
    const again = () => paint.current();
    const resized = new ResizeObserver(again);
    resized.observe(element);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', again);
    addEventListener('attune theme', again);
    return () => {
      resized.disconnect();
      dark.removeEventListener('change', again);
      removeEventListener('attune theme', again);
    };
  }, []);
  useEffect(() => paint.current(), deps);
  return canvas;
}

/** A token's current color: only the browser resolves `light-dark()`. */
export function tokenColor(within: HTMLElement, token: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${token})`;
  (within.parentElement ?? document.body).append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
