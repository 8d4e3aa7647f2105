/** What each example says, by its name. */
export const SAYS: Record<string, RegExp[]> = {
  advertising: [
    /AUC 0\.[789]/,
    /at the desk\n +garden ad 5 +[3-9]\d %/,
    /new garden ad +[3-9]\d %/,
    /new cars ad +\d %/,
  ],
  attack: [/18 profiles push SKU-\d+/, /the guard left out 1[5-8] profiles and \d shoppers/],
  'character-model': [/compare thee to a summer's day\?\nThou art more/],
  'custom-op': [/snake: forward and backward are right/, /step 300: mean squared error [1-9]\.\de-[345]/],
  deepfm: [/AUC of new visits 0\.(8[5-9]|9)/],
  'cross-attention': [/right about (9\d|100) % of new users/],
  fairness: [/calibrated by genre +0\.\d\d +0\.[01]\d/, /small presses at least 20 % +0\.\d\d +\d\.\d\d +2\d %/],
  generation: [/greedy +algebra 5, algebra 6, algebra 7, algebra 8/, /beam 1 .*algebra 5, algebra 6/],
  music: [/HR@1 0\.[5-9]/, /after calm-5 +→ calm-/, /after dance-8 +→ .*dance-/],
  news: [/after 8-science-Cleo/, /(science|sport) by Cleo, day 11/],
  'next-item': [/validation: NDCG@10 0\.[2-9]/, /Next:\n +-?\d/],
  private: [
    /epsilon 8 at delta 0\.000001: noise \d\.\d\d/,
    /after Harbor 1, Harbor 2: Harbor 3/,
    /after Tundra 2, Tundra 3: Tundra 4/,
  ],
  ratings: [/out of fold: RMSE 0\.[2-5]/, /drama 9 +4\.\d|drama 9 +5\.0/],
  'self-attention': [/milk frother +looks at espresso/, /differs from the long way by \de-[678]/],
  transfer: [
    /items start from what their attributes suggest: \d+ %/,
    /NDCG@10 0\.\d+ from nothing, 0\.\d+ from the old shop/,
  ],
  shop: [/under 30, at most two of a category/, /Mainly because|Because|because of/],
};
