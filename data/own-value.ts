type Values<T> = Readonly<Record<string, T>>;

/**
 * What an object of the user's own names (columns, attributes) holds under one of them. A plain read would find
 * `constructor` and its like on Object.prototype.
 */
export function ownValue<T>(values: Values<T> | null | undefined, name: string): T | undefined {
  return values && Object.hasOwn(values, name) ? values[name] : undefined;
}
