/** The model that answers, and its replacement without a pause. */
import { createHash } from 'node:crypto';
import { Recommender } from '../../recommend/node.ts';

/** A model in use: requests that hold it finish on it, whatever replaces it. */
export interface ServedModel {
  /** What tells it from others, in answers, metrics and logs. */
  version: string;
  folder: string;
  recommender: Recommender;
  /** Item ID → row. */
  rows: ReadonlyMap<string, number>;
}

export class Models {
  private active: ServedModel;

  private constructor(active: ServedModel) {
    this.active = active;
  }

  static async open(folder: string, options: { backend: 'auto' | 'webgpu' | 'cpu' }): Promise<Models> {
    const recommender = await Recommender.load(folder, { backend: options.backend });
    await recommender.warmUp();
    const rows = new Map(recommender.items.map(({ id }, row) => [id, row]));
    const version = createHash('sha256').update(JSON.stringify(recommender.loaded.config)).digest('hex').slice(0, 12);
    return new Models({ version, folder, recommender, rows });
  }

  get current(): ServedModel {
    return this.active;
  }

  close(): void {
    this.active.recommender.close();
  }
}
