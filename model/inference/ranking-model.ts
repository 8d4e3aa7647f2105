/** A loaded model on a device: the encoder, the item transitions and the ranker, which together rank the catalog. */
import { InputError, option } from '../../data/errors.ts';
import type { Device } from '../../engine/index.ts';
import { SequenceModel } from '../encoders/sequence-model.ts';
import type { ListScorer, SecondStage } from '../ranker/two-stages.ts';
import { checkSettings, type Settings } from '../recipes/settings.ts';
import type { LoadedModel } from '../storage/load-model.ts';
import { DeviceTransitions } from '../transitions/transitions.ts';
import type { ScorerOptions } from './scored.ts';
import { Scorer } from './scorer.ts';

/** Settings that config.json holds. @throws InputError where they make no ranking model */
export function settingsOf({ config }: Pick<LoadedModel, 'config'>): Settings {
  if (config.task) {
    throw new InputError(
      'unsupported',
      `a model of ratings (${option('task', config.task)}) does not rank next items`,
      { hint: 'predict ratings with it (RatingPredictor)' },
    );
  }
  return checkSettings(config.hyperparameters as unknown as Settings);
}

/** Which ranker a model gets: only one that helps, also one of weight 0 (to evaluate it), or none. */
export type RankerUse = 'helpful' | 'any' | 'none';

export class RankingModel {
  readonly encoder: SequenceModel;
  /** null where the transformer scores alone. */
  readonly blend: NonNullable<ScorerOptions['blend']> | null;
  /** null where the first stage ranks alone. */
  readonly second: SecondStage | null;
  /** Scores in two stages, where there are. */
  private readonly twoStages: ((options: ScorerOptions) => ListScorer) | null;

  private constructor(
    fields: Pick<RankingModel, 'encoder' | 'blend' | 'second'>,
    twoStages: RankingModel['twoStages'],
  ) {
    this.encoder = fields.encoder;
    this.blend = fields.blend;
    this.second = fields.second;
    this.twoStages = twoStages;
  }

  static async load(device: Device, loaded: LoadedModel, use: RankerUse = 'helpful'): Promise<RankingModel> {
    const { items, tensors, features, path, blended, ranker } = loaded;
    const settings = settingsOf(loaded);
    const used = ranker && use !== 'none' && (use === 'any' || ranker.stages.weight !== 0);
    // Loaded only with models that have one.
    const stages = used && (await Promise.all([import('../ranker/store.ts'), import('../ranker/two-stages.ts')]));
    const encoder = SequenceModel.load(device, settings, items.length, tensors, features, path);
    const blend = blended && {
      transitions: new DeviceTransitions(device, blended.transitions),
      weights: blended.blend,
    };
    if (!stages) return new RankingModel({ encoder, blend, second: null }, null);
    const [{ rankerOf }, { TwoStages }] = stages;
    const second = { ranker: rankerOf(device, ranker, { settings, items, features }), weight: ranker.stages.weight };
    return new RankingModel({ encoder, blend, second }, (options) => new TwoStages(encoder, second, options));
  }

  /** What scores with all that the model has. */
  scorer(options: Omit<ScorerOptions, 'blend'>): ListScorer {
    const all = { ...options, blend: this.blend };
    return this.twoStages?.(all) ?? new Scorer(this.encoder, all);
  }

  dispose(): void {
    this.second?.ranker.dispose();
    this.blend?.transitions.dispose();
    this.encoder.dispose();
  }
}
