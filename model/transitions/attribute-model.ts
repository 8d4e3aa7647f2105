/**
 * The attribute model: who will like an unseen item, from the users who liked items with similar attributes.
 * It is the mean of a Gaussian process over items (Rasmussen & Williams 2006, eq. 2.25), whose values are all users at once:
 *
 *   s(u, c) = Σ_j α[j, c] over the user's history;  α = (K + λI)⁻¹ K_c
 *
 * K [n, n] holds the similarity of known items, K_c [n, C] that of these with the cold ones (data/features/similarity.ts). It is
 * learned in closed form; it is blended with the transformer, both scores at mean 0 and deviation 1 over a user's candidates:
 *
 *   score = (1 − weight) · transformer + weight · s
 *
 * λ, the share of words, and the weight are chosen on the cold items of the validation (train/stages/cold-items.ts).
 */
export interface AttributeModel extends AttributeWeights {
  /** Of the attribute model in the blend, 0 to 1. */
  weight: number;
  /** Number of users that it was fitted on, and the metrics of the transformer alone, the attributes alone, and both. */
  fitted: { users: number } & Record<'transformer' | 'attributes' | 'blend', Record<string, number>>;
  /** Steps of the encoder that it was fitted to; absent in folders of earlier versions. */
  step?: number;
}

export interface AttributeWeights {
  lambda: number;
  /** Weight of texts relative to other columns. */
  text: number;
}
