/**
 * Parameters in arenas: values, gradients and both moments of the optimizer are one flat tensor each, so that the
 * optimizer takes a few dispatches whatever the number of layers. Beyond what the adapter binds there are several
 * arenas (shards); a single parameter is never split.
 */
import type { Device } from './device.ts';
import type { AdamwShard } from './ops/adamw.ts';
import { fill } from './ops/fill.ts';
import { ALIGN, alignUp, type NumericArray, type Shape, showShape, sizeOf, type Tensor } from './tensor.ts';

export interface ParameterSpec {
  name: string;
  shape: Shape;
  /** Whether weight decay applies. */
  decay: boolean;
  init: NumericArray;
}

/** The values, or one of the optimizer's moments. */
export type ParameterKind = 'params' | 'm' | 'v';

interface Place {
  spec: ParameterSpec;
  shard: number;
  /** First element within the shard. */
  offset: number;
  tensor: Tensor;
}

export class ParameterArena {
  readonly device: Device;
  readonly shards: readonly AdamwShard[];
  private readonly places = new Map<string, Place>();

  /** Makes the arenas and the parameters, all with zeroed gradients and moments. They live until `dispose()`. */
  constructor(device: Device, specs: readonly ParameterSpec[], options: { maxBindingBytes?: number } = {}) {
    this.device = device;
    const limit = options.maxBindingBytes ?? device.caps?.maxBindingBytes ?? Number.POSITIVE_INFINITY;
    const plan = layOut(specs, limit);
    this.shards = plan.map((shard, i) => {
      const values = new Float32Array(shard.size);
      for (const { spec, offset } of shard.places) values.set(spec.init, offset);
      const make = (what: string, data: Float32Array): Tensor =>
        device.tensor(data, undefined, { label: `${what}${plan.length > 1 ? ` ${i}` : ''}` }).keep();
      const zero = new Float32Array(shard.size);
      return {
        params: make('params', values),
        grads: make('grads', zero),
        m: make('m', zero),
        v: make('v', zero),
        decayEnd: shard.decayEnd,
      };
    });
    plan.forEach((shard, i) => {
      const { params, grads } = this.shards[i];
      for (const { spec, offset } of shard.places) {
        const tensor = device.view(params, offset, spec.shape, 'f32', spec.name);
        device.makeLeaf(tensor, device.view(grads, offset, spec.shape, 'f32', `grad of ${spec.name}`));
        this.places.set(spec.name, { spec, shard: i, offset, tensor });
      }
    });
  }

  get names(): string[] {
    return [...this.places.keys()];
  }

  /** Numbers that are trained, padding not counted. */
  get count(): number {
    return [...this.places.values()].reduce((sum, p) => sum + sizeOf(p.spec.shape), 0);
  }

  get(name: string): Tensor {
    return this.place(name).tensor;
  }

  shapeOf(name: string): Shape {
    return this.place(name).spec.shape;
  }

  /** Sets every gradient to zero. `adamwStep` does so itself; this is for a step that was given up. */
  zeroGradients(): void {
    for (const { grads } of this.shards) fill(grads, 0);
  }

  /** All values, or one of the moments, by name. */
  async read(kind: ParameterKind = 'params'): Promise<Map<string, Float32Array>> {
    const arrays = await Promise.all(this.shards.map((s) => s[kind].data()));
    const cut = ({ spec, shard, offset }: Place): Float32Array =>
      Float32Array.from(arrays[shard].subarray(offset, offset + sizeOf(spec.shape)));
    return new Map([...this.places].map(([name, place]) => [name, cut(place)]));
  }

  /** Overwrites all values, or one of the moments. Every parameter must be there in its size, and nothing else. */
  load(kind: ParameterKind, values: ReadonlyMap<string, NumericArray>): void {
    const unknown = [...values.keys()].find((name) => !this.places.has(name));
    if (unknown !== undefined) throw new Error(`parameters: ${unknown} is not a parameter of this model`);
    for (const [name, { spec }] of this.places) {
      const size = values.get(name)?.length;
      if (size === undefined) throw new Error(`parameters: ${name} is missing`);
      if (size !== sizeOf(spec.shape))
        throw new Error(`parameters: ${name} ${showShape(spec.shape)} was expected, came ${size} values`);
    }
    for (const [name, place] of this.places) {
      const arena = this.shards[place.shard][kind];
      this.device.write(
        this.device.view(arena, place.offset, place.spec.shape, 'f32', name),
        values.get(name) as NumericArray,
      );
    }
  }

  dispose(): void {
    for (const { params, grads, m, v } of this.shards) for (const t of [params, grads, m, v]) t.dispose();
  }

  private place(name: string): Place {
    const place = this.places.get(name);
    if (!place) throw new Error(`parameters: there is no ${name}`);
    return place;
  }
}

interface ShardPlan {
  places: { spec: ParameterSpec; offset: number }[];
  size: number;
  decayEnd: number;
}

/** Parameters that decay first, each at a multiple of 256 bytes; a new shard where the limit would be passed. */
function layOut(specs: readonly ParameterSpec[], maxBindingBytes: number): ShardPlan[] {
  const names = new Set<string>();
  const shards: ShardPlan[] = [];
  for (const spec of [...specs.filter((s) => s.decay), ...specs.filter((s) => !s.decay)]) {
    if (names.has(spec.name)) throw new Error(`parameters: the name ${spec.name} was given twice`);
    names.add(spec.name);
    const size = sizeOf(spec.shape);
    if (spec.init.length !== size)
      throw new Error(`parameters: ${spec.init.length} values do not fill ${spec.name} ${showShape(spec.shape)}`);
    const room = alignUp(size * 4) / 4;
    if (room * 4 > maxBindingBytes) {
      const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
      throw new Error(
        `parameters: ${spec.name} ${showShape(spec.shape)} needs ${mib(size * 4)}, the adapter binds at most ${mib(maxBindingBytes)}`,
      );
    }
    let shard = shards.at(-1);
    if (!shard || (shard.size + room) * 4 > maxBindingBytes) {
      shard = { places: [], size: 0, decayEnd: 0 };
      shards.push(shard);
    }
    shard.places.push({ spec, offset: shard.size });
    shard.size += Math.max(room, ALIGN / 4);
    if (spec.decay) shard.decayEnd = shard.size;
  }
  return shards;
}
