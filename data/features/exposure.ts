/** How much of a list's attention a rank gets. */

/** 1 / log2(1 + rank), the discount of NDCG (Järvelin & Kekäläinen 2002). @param rank from 1 on */
export const exposureOf = (rank: number): number => 1 / Math.log2(1 + rank);
