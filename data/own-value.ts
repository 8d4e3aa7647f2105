type Values<T> = Readonly<Record<string, T>>;

/**
 * The value under a name of the user's own (column, attribute) in an object. A plain read would also find `constructor`
 * and the like on Object.prototype.
 */
export function ownValue<T>(values: Values<T> | null | undefined, name: string): T | undefined {
  return values && Object.hasOwn(values, name) ? values[name] : undefined;
}
