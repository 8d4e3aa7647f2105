/** Predicted ratings from a trained rating model, for anyone whose ratings are given: nothing is kept of a user. */
import { asWritten } from '../data/ratings/ratings.ts';
import { RatingEncoder, readsAnything } from '../data/ratings/side-features.ts';
import type { Device } from '../engine/index.ts';
import { toArrays } from '../model/encoders/sequence-model.ts';
import { type LoadedRatingModel, loadRatingModel } from '../model/ratings/folder.ts';
import { RatingModel, RatingNetwork, ratingShapeOf } from '../model/ratings/model.ts';
import { meanOf, medianOf, RatingScorer } from '../model/ratings/scorer.ts';
import type { Item } from '../model/storage/config.ts';
import { checkParameters } from '../model/storage/tensors.ts';
import { deviceFor, type LoadOptions } from './load-options.ts';
import { type RatingCatalog, ratingCatalog } from './rating-catalog.ts';
import { encodeRatingQuery, type PredictQuery } from './rating-query.ts';
import { SerialQueue } from './serial-queue.ts';
import { type ModelSource, openModel } from './sources/sources.ts';

export interface PredictedRating {
  id: string;
  title: string;
  /** Mean of the predicted distribution; under `ctr` the probability. */
  prediction: number;
  median: number;
  /** Probabilities of the levels. */
  chances: number[];
  attributes: Record<string, string>;
}

export interface Predictions {
  /** In the order asked for; items that the model does not know are left out. */
  items: PredictedRating[];
  /** Ratings that the probabilities are of. */
  levels: number[];
  /** IDs that the model does not know: of the history, where they were skipped, and of the items asked for. */
  unknown: { history: string[]; items: string[] };
  /** How many values of items, the user or the events the model does not know, by column; they were encoded as unknown. */
  unseen: Record<string, number>;
}

export class RatingPredictor {
  readonly device: Device;
  readonly stored: LoadedRatingModel;
  private readonly ownsDevice: boolean;
  private readonly model: RatingModel;
  private readonly scorer: RatingScorer;
  private readonly encoder: RatingEncoder | null;
  private readonly catalog: RatingCatalog;
  private readonly queue = new SerialQueue();

  private constructor(device: Device, ownsDevice: boolean, stored: LoadedRatingModel) {
    this.device = device;
    this.ownsDevice = ownsDevice;
    this.stored = stored;
    const { loaded, settings, levels, factors, itemCounts } = stored;
    const { schema } = loaded.config;
    this.encoder = readsAnything(schema) ? new RatingEncoder(schema) : null;
    this.catalog = ratingCatalog(loaded.items, { factors, counts: itemCounts }, this.encoder);
    const shape = ratingShapeOf(this.encoder, itemCounts.length, levels.length);
    checkParameters(stored.parameters, new RatingNetwork(settings, shape).parameters.declared, loaded.path);
    this.model = new RatingModel(device, settings, shape, null);
    this.model.parameters.load('params', toArrays(stored.parameters));
    this.scorer = new RatingScorer(this.model);
  }

  /** Opens a model, from where `Recommender.load` does. @throws InputError where it is no trained rating model */
  static async load(source: ModelSource, options: LoadOptions = {}): Promise<RatingPredictor> {
    const stored = await loadRatingModel(await openModel(source));
    return new RatingPredictor(await deviceFor(options), !options.device, stored);
  }

  get items(): readonly Item[] {
    return this.catalog.items;
  }

  /** Calls wait for each other. @throws InputError where a rating is no number of the model's scale, or some events lack a time */
  predict(query: PredictQuery): Promise<Predictions> {
    return this.queue.run(async () => {
      const { stored, encoder } = this;
      const encoded = encodeRatingQuery({ stored, catalog: this.catalog, encoder }, query);
      const { catalog, events, windows, known, targets, unknown, unseen } = encoded;
      const { levels } = stored;
      const items: PredictedRating[] = new Array(targets.length);
      await this.scorer.score(windows, events, (event, probabilities) => {
        const at = event - known;
        const { id, title, attributes } = catalog.items[targets[at]];
        const [prediction, median] = [meanOf(probabilities, levels), asWritten(medianOf(probabilities, levels))];
        items[at] = { id, title, prediction, median, chances: Array.from(probabilities), attributes };
      });
      return { items, levels: Array.from(levels, asWritten), unknown, unseen };
    });
  }

  /** Frees the model, and the device unless it was given. */
  close(): void {
    this.scorer.dispose();
    this.model.dispose();
    if (this.ownsDevice) this.device.close();
  }
}
