/** Which variant of a kernel runs: what is forced, measured, kept from a checkpoint, or the first that suits. */
import { type Capabilities, choiceOf, classOf, type Kernel, type Params, type Variant } from '../kernel.ts';

/** Kernel name → class of shapes (see `classOf`) → choice (see `choiceOf`). */
export type Choices = Record<string, Record<string, string>>;

export class VariantChoice {
  private readonly caps: Capabilities;
  /** The adapter's name, for messages. */
  private readonly adapter: string;
  /** Kernel name → file or choice that must be used (tests and the tuner). */
  readonly forced = new Map<string, string>();
  /** Kernel name → choices that ran, by the shapes. */
  readonly used = new Map<string, Set<string>>();
  /** As `used`, but for what was measured: the part of a checkpoint's choices that followed from the shapes alone. */
  private readonly untuned = new Map<string, Set<string>>();
  /** Kernel name → choices that come first where adapter and shapes allow (a resumed run keeps its variants). */
  private readonly preferred = new Map<string, readonly string[]>();
  /** Kernel name → class of shapes → measured choice. Fixed when the device opens. */
  private tuned: Choices = {};

  constructor(caps: Capabilities, adapter: string) {
    this.caps = caps;
    this.adapter = adapter;
  }

  /**
   * The variant that runs: the forced one; else the measured one, one that the resumed run used, the first that suits,
   * each where this adapter and these shapes allow it.
   */
  select(kernel: Kernel, params: Params): Variant {
    const fits = this.candidates(kernel, params);
    const forced = this.forced.get(kernel.name);
    let found: Variant | undefined;
    if (forced !== undefined) found = fits.find((v) => v.file === forced || choiceOf(v) === forced);
    else {
      const preferred = this.preferred.get(kernel.name);
      found =
        this.tunedVariant(kernel, params, fits) ??
        (preferred && fits.find((v) => preferred.includes(choiceOf(v)) && (v.suits?.(this.caps, params) ?? true))) ??
        fits.find((v) => v.suits?.(this.caps, params) ?? true) ??
        fits.at(-1);
    }
    if (found) return found;
    const why = forced ? ` (${forced} was asked for)` : '';
    throw new Error(`${kernel.name}: no variant runs on ${this.adapter}${why}`);
  }

  /** All variants that this adapter and these shapes allow. */
  candidates(kernel: Kernel, params: Params): Variant[] {
    return kernel.variants.filter((v) => (v.requires?.(this.caps) ?? true) && (v.accepts?.(params) ?? true));
  }

  private tunedVariant(kernel: Kernel, params: Params, fits: readonly Variant[]): Variant | undefined {
    const byClass = this.tuned[kernel.name];
    const choice = byClass?.[classOf(kernel, params) ?? ''];
    return choice === undefined ? undefined : fits.find((v) => choiceOf(v) === choice);
  }

  /** Sets the measured choices; before anything runs, since they decide the bits of a result. */
  setTuned(choices: Choices): void {
    this.tuned = choices;
  }

  /** What a checkpoint keeps: kernel name → the choices that ran, and the measured ones as `choice @ class`. */
  save(): Record<string, string[]> {
    const all = new Map([...this.untuned].map(([name, ran]) => [name, [...ran].sort()]));
    for (const [name, byClass] of Object.entries(this.tuned)) {
      const lines = Object.entries(byClass).map(([shape, choice]) => `${choice} @ ${shape}`);
      all.set(name, [...(all.get(name) ?? []), ...lines.sort()]);
    }
    return Object.fromEntries([...all].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Continues with the choices of a checkpoint, in place of those measured on this machine since. */
  resume(saved: Record<string, readonly string[]>): void {
    this.tuned = {};
    this.preferred.clear();
    for (const [name, lines] of Object.entries(saved)) {
      const plain: string[] = [];
      for (const line of lines) {
        const [choice, shape] = line.split(' @ ');
        if (shape === undefined) plain.push(choice);
        else {
          this.tuned[name] ??= {};
          this.tuned[name][shape] = choice;
        }
      }
      this.preferred.set(name, plain);
    }
  }

  /** Notes that a choice ran. */
  note(kernel: Kernel, params: Params, choice: string): void {
    note(this.used, kernel.name, choice);
    if (this.tuned[kernel.name]?.[classOf(kernel, params) ?? ''] !== choice) note(this.untuned, kernel.name, choice);
  }
}

function note(all: Map<string, Set<string>>, name: string, choice: string): void {
  const known = all.get(name);
  if (known) known.add(choice);
  else all.set(name, new Set([choice]));
}
