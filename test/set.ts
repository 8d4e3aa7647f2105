/** Settings as a line, as `--set` takes them: `d=16 ff=32`. */
export const set = (line: string): Record<string, string> =>
  Object.fromEntries(line.split(' ').map((pair) => pair.split('=') as [string, string]));
