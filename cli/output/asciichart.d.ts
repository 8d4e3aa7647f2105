/** asciichart 1.5 comes without types: what is used of it. */
declare module 'asciichart' {
  interface PlotConfig {
    min?: number;
    max?: number;
    /** Rows of the plot, less one. */
    height?: number;
    /** Column of the axis. */
    offset?: number;
    format?: (value: number) => string;
  }
  const asciichart: { plot(series: number[] | number[][], config?: PlotConfig): string };
  export default asciichart;
}
