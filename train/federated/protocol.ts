/**
 * What a coordinator and its clients exchange, as safetensors whose metadata says what they are. Everything is dense: each
 * parameter is whole, with every row of the item table, and nothing but its values tells which rows a client has touched.
 *
 *   weights   the shared weights of a round                 {"federation", "round"}
 *   update    local − shared weights, clipped, noise added  {"federation", "round", "ticket"}
 */
import { InputError } from '../../data/errors.ts';
import { join } from '../../model/storage/files.ts';
import { checkInteger, checkText, flag, object } from '../../model/storage/json-check.ts';
import { CodedTensor } from '../../model/storage/coded-tensor.ts';
import { PackedTensor } from '../../model/storage/packed-tensor.ts';
import { decodeModel, encodePieces, type StoredTensor } from '../../model/storage/safetensors.ts';
import { checkParameters, metadataOf, readMetadata, tensorOf } from '../../model/storage/tensors.ts';
import type { ParameterShapes } from './aggregate.ts';
import type { WeightValues } from './clip.ts';
import { type FederationTerms, termsCheck } from './terms.ts';

/** Which federation and round a message belongs to. */
export interface RoundStamp {
  /** Drawn when the federation started. */
  federation: string;
  /** From 1. */
  round: number;
}

/** An update comes with the ticket that its client was given for the round. */
export interface UpdateStamp extends RoundStamp {
  ticket: string;
}

/** How a federation stands, as its clients see it. */
export interface RoundInfo extends RoundStamp {
  /** Whether all rounds are over; `round` is one beyond the last then. */
  done: boolean;
  /** Updates that the round has so far. */
  received: number;
  terms: FederationTerms;
}

const MOST = Number.MAX_SAFE_INTEGER;

export const roundInfoCheck = object<RoundInfo>({
  federation: checkText,
  round: checkInteger(1, MOST),
  done: flag,
  received: checkInteger(0, MOST),
  terms: termsCheck,
});

const stampChecks = {
  weights: object<RoundStamp>({ federation: checkText, round: checkInteger(1, MOST) }),
  update: object<UpdateStamp>({ federation: checkText, round: checkInteger(1, MOST), ticket: checkText }),
};

/** Bytes of a header beside the values. */
const HEADER = 65_536;

/** Bytes of an update, at most. */
export function updateBytes(shapes: ParameterShapes): number {
  let numbers = 0;
  for (const shape of shapes.values()) numbers += shape.reduce((product, n) => product * n, 1);
  return 4 * numbers + HEADER;
}

export const encodeWeights = (
  values: WeightValues,
  shapes: ParameterShapes,
  stamp: RoundStamp,
): Uint8Array<ArrayBuffer> => encodeMessage('weights', values, shapes, stamp);

export const encodeUpdate = (
  values: WeightValues,
  shapes: ParameterShapes,
  stamp: UpdateStamp,
): Uint8Array<ArrayBuffer> => encodeMessage('update', values, shapes, stamp);

/** @throws InputError, one line, where it is none, or has other parameters, shapes, or a value that is not finite */
export const decodeWeights = (
  bytes: Uint8Array,
  shapes: ParameterShapes,
): { values: WeightValues; stamp: RoundStamp } => decodeMessage<RoundStamp>('weights', bytes, shapes);

/** @throws InputError, likewise */
export const decodeUpdate = (
  bytes: Uint8Array,
  shapes: ParameterShapes,
): { values: WeightValues; stamp: UpdateStamp } => decodeMessage<UpdateStamp>('update', bytes, shapes);

type Kind = keyof typeof stampChecks;

function encodeMessage(
  kind: Kind,
  values: WeightValues,
  shapes: ParameterShapes,
  stamp: RoundStamp,
): Uint8Array<ArrayBuffer> {
  const tensors = Array.from(values, ([name, data]): [string, StoredTensor] => [
    name,
    { shape: shapes.get(name) ?? [], data },
  ]);
  return join(encodePieces(new Map(tensors), metadataOf(kind, JSON.stringify(stamp)))) as Uint8Array<ArrayBuffer>;
}

function decodeMessage<S extends RoundStamp>(
  kind: Kind,
  bytes: Uint8Array,
  shapes: ParameterShapes,
): { values: WeightValues; stamp: S } {
  const { tensors, metadata } = decodeModel(bytes, kind);
  const stamp = readMetadata<S>(metadata, kind);
  const problem = stamp === null ? `expected metadata called ${kind}, got none` : stampChecks[kind](stamp, '');
  if (problem !== null) throw new InputError('damaged-model', `${kind}: ${problem}`);
  checkParameters(
    tensors,
    Array.from(shapes, ([name, shape]) => ({ name, shape })),
    kind,
  );
  // What is widened may be larger than what was checked.
  for (const [name, tensor] of tensors)
    if (tensor instanceof PackedTensor || tensor instanceof CodedTensor)
      throw new InputError('damaged-model', `${kind}: tensor ${name}: expected F32, got a compressed one`);
  const file = { tensors, path: kind };
  const values = Array.from(shapes, ([name, shape]): [string, Float32Array] => [
    name,
    tensorOf(file, name, 'F32', shape).slice(),
  ]);
  return { values: new Map(values), stamp: stamp as S };
}
