/** What settings mean, for `attune train --help`: read from their declarations. */
import { RATING, ratingSettings } from '../../model/ratings/settings.ts';
import { recipes } from '../../model/recipes/recipes.ts';
import { type Declarations, describeSettings } from '../../model/recipes/setting.ts';
import { RANKER } from '../../model/recipes/ranker-settings.ts';
import { DEFAULTS, SETTING_GROUPS, type Settings } from '../../model/recipes/settings.ts';

/** Lines of help. */
function lines(declared: Declarations): string {
  const width = Object.keys(declared).reduce((most, { length }) => Math.max(most, length), 0);
  return describeSettings(declared)
    .flatMap(({ name, about }) =>
      about.map((text, i) => `  ${(i === 0 ? name : '').padEnd(width)} ${i > 0 ? '  ' : ''}${text}`),
    )
    .join('\n');
}

const recipeLines = [...recipes.values()].map(
  ({ name, summary, settings }) =>
    `  ${name}: ${summary}\n    ${Object.entries(settings)
      .filter(([key]) => !Object.hasOwn(RANKER, key))
      .filter(([key, value]) => name === 'sasrec' || value !== DEFAULTS[key as keyof Settings])
      .map(([key, value]) => `${key}=${value}`)
      .join(' ')
      .replace(/(.{1,100})(?: |$)/g, '$1\n    ')
      .trim()}`,
);

export const RECIPE_HELP = `Recipes and their settings for --set (where they are not those of sasrec):
${recipeLines.join('\n')}

${SETTING_GROUPS.filter(({ settings }) => settings !== RANKER)
  .map(({ title, settings }) => `${title}:\n${lines(settings)}`)
  .join('\n\n')}

precision=mixed lets the matrix products of training take their operands in f16 and add in f32, through subgroup
matrices where the adapter has them: for GPUs, on adapters with shader-f16 (attune doctor). The model stays f32.`;

export const RATING_HELP = `Ratings (--task rating, or ctr for the probability that a rating is at least --positive) have splits of their own; every
row counts, there is no filter, and every metric is about ratings that the model predicting them was not trained on:
  folds           every rating once, by a model of the other folds; k=5, or --folds K (the default)
  random          a share of all ratings, drawn at random; test=0.1
  last            each user's last rating; users with one rating only train
  cold            all ratings of a share of the items, which are then predicted by their attributes; test=0.2
After the folds one more model is trained on all ratings, which recommend and the library serve. Attributes of --items
(words of titles only where --schema says so), columns of --users and --events (hour, weekday, columns of the log) are
read. Settings of ratings for --set:
${lines(RATING)}
Defaults for 100,000 ratings: ${Object.entries(ratingSettings(100_000))
  .map(([key, value]) => `${key}=${value}`)
  .join(' ')
  .replace(/(.{1,86})(?: |$)/g, '$1\n  ')
  .trim()}
(epochs, parts and budget follow from the size of the log). --max-minutes covers all rounds.`;
