/** A loaded model on a device: the encoder, the item transitions and the ranker, which together rank the catalog. */
import { InputError, option } from '../../data/errors.ts';
import type { Device } from '../../engine/index.ts';
import { SequenceModel } from '../encoders/sequence-model.ts';
import { rankerOf } from '../ranker/store.ts';
import { listScorer, type ListScorer, type SecondStage } from '../ranker/two-stages.ts';
import { checkSettings, type Settings } from '../recipes/settings.ts';
import type { LoadedModel } from '../storage/load-model.ts';
import { DeviceTransitions } from '../transitions/transitions.ts';
import type { ScorerOptions } from './scored.ts';

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

  constructor(device: Device, loaded: LoadedModel, use: RankerUse = 'helpful') {
    const { items, tensors, features, path, blended, ranker } = loaded;
    const settings = settingsOf(loaded);
    this.encoder = SequenceModel.load(device, settings, items.length, tensors, features, path);
    this.blend = blended && {
      transitions: new DeviceTransitions(device, blended.transitions),
      weights: blended.blend,
    };
    const used = ranker && use !== 'none' && (use === 'any' || ranker.stages.weight !== 0);
    this.second = used
      ? { ranker: rankerOf(device, ranker, { settings, items, features }), weight: ranker.stages.weight }
      : null;
  }

  /** What scores with all that the model has. */
  scorer(options: Omit<ScorerOptions, 'blend'>): ListScorer {
    return listScorer(this.encoder, this.second, { ...options, blend: this.blend });
  }

  dispose(): void {
    this.second?.ranker.dispose();
    this.blend?.transitions.dispose();
    this.encoder.dispose();
  }
}
