/** Explanations and maps of attention for people: a sentence, small bars, a picture. */
import { writeFile } from 'node:fs/promises';
import { BLOCKS } from '../../model/encoders/blocks/index.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import type { ExplainMethod, Explanation } from '../../recommend/explanations/explain.ts';
import { explain as explainFailure } from '../../recommend/sources/files.node.ts';
import { attentionHeatmap, type HeatmapOptions, POINTWISE } from '../../recommend/explanations/heatmap.ts';
import type { Answer, Recommendation } from '../../recommend/types.ts';
import { formatCount, printable } from './ui.ts';

/** Events that get a bar, attribute values that are named. */
const BARS = 4;
const VALUES = 4;
const WIDTH = 20;

const percent = (share: number): string => `${Math.round(100 * share)} %`;

/** `recommendation` is the position in the list, from 1. */
function block({ title, explanation }: Recommendation, position: number): string[] {
  if (!explanation) return [];
  const { events, attributes, sentence, method } = explanation;
  const lines = [`${position}. ${printable(title)}`, `   ${printable(sentence)}`];
  for (const { share, title } of events.slice(0, BARS)) {
    if (share > 0) lines.push(`   ${bar(share)} ${percent(share).padStart(5)}  ${printable(title)}`);
  }
  const against = events.at(-1);
  if (method === 'occlusion' && against && -against.contribution > events[0].contribution / 4) {
    lines.push(`   against it: ${printable(against.title)} (${against.contribution.toFixed(2)})`);
  }
  const shared = attributes
    .slice(0, VALUES)
    .map((a) => `${a.attribute} ${a.value} ${percent(a.share)} (${percent(a.history)} of the events)`);
  if (shared.length > 0) lines.push(`   shared: ${printable(shared.join(', '))}`);
  return lines;
}

function bar(share: number): string {
  const eighths = Math.max(1, Math.round(share * WIDTH * 8));
  return ('█'.repeat(eighths >> 3) + ' ▏▎▍▌▋▊▉'[eighths & 7].trim()).padEnd(WIDTH, '·');
}

export function explanationText(items: readonly Recommendation[]): string {
  return items.map((item, i) => block(item, i + 1).join('\n')).join('\n\n');
}

/** What the numbers mean and do not mean. */
export function explanationNotes(
  method: ExplainMethod,
  settings: Settings,
  explanations: readonly (Explanation | undefined)[],
): string[] {
  const notes = [
    method === 'occlusion'
      ? 'Shares: how far the score falls without the event (occlusion, exact for one event at a time).'
      : 'Shares: where attention looked, the same for every item, and the summands of the transitions (roll-out); occlusion says what the score hangs on.',
  ];
  if (explanations.some((e) => e && e.attributes.length > 0))
    notes.push('Shared attributes are an association: the model reads IDs, and learned nothing from attributes.');
  if (method === 'rollout' && BLOCKS[settings.block].attention === 'pointwise') notes.push(POINTWISE);
  return notes;
}

/** Writes the map of attention. @throws InputError */
export async function writeHeatmap(
  file: string,
  { maps, titles }: NonNullable<Answer['attention']>,
  options: HeatmapOptions,
): Promise<string> {
  const svg = attentionHeatmap(maps, titles, options);
  try {
    await writeFile(file, svg);
  } catch (error) {
    throw explainFailure(error, file, 'write');
  }
  return `${file}: a map of the attention over the last ${formatCount(Math.min(maps.tokens, options.most ?? 40))} events`;
}
