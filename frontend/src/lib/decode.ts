/** Decoders from unknown JSON to typed values. Each refuses by naming the path, what was expected and what came. */

export type Decoder<T> = (value: unknown, path: string) => T;

/** What a decoder yields. */
export type Decoded<D> = D extends Decoder<infer T> ? T : never;

/** A response that does not have the shape the API promises. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  constructor(
    readonly path: string,
    readonly expected: string,
    readonly got: string,
  ) {
    super(`${path || "response"}: expected ${expected}, got ${got}`);
  }
}

function describe(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object") return "an object";
  return `${typeof value} ${JSON.stringify(value)}`;
}

const at = (path: string, key: string | number): string =>
  typeof key === "number" ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`;

export const text: Decoder<string> = (value, path) => {
  if (typeof value !== "string") throw new DecodeError(path, "text", describe(value));
  return value;
};

export const flag: Decoder<boolean> = (value, path) => {
  if (typeof value !== "boolean") throw new DecodeError(path, "true or false", describe(value));
  return value;
};

/** A whole number that JavaScript holds exactly. */
export const integer: Decoder<number> = (value, path) => {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw new DecodeError(path, "a whole number", describe(value));
  return value;
};

/** Any finite number: for measured durations and gaps, never for money, energy or prices. */
export const measured: Decoder<number> = (value, path) => {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new DecodeError(path, "a number", describe(value));
  return value;
};

/** An instant as ISO 8601 text with a zone, kept as text. */
export const instant: Decoder<string> = (value, path) => {
  const iso = text(value, path);
  if (!/(Z|[+-]\d\d:\d\d)$/.test(iso) || Number.isNaN(Date.parse(iso))) {
    throw new DecodeError(path, "an ISO 8601 time with its zone", describe(value));
  }
  return iso;
};

/** Bytes as 0x-prefixed hexadecimal text, of `bytes` length where given. */
export const hex =
  (bytes?: number): Decoder<`0x${string}`> =>
  (value, path) => {
    const shape = bytes === undefined ? /^0x([0-9a-fA-F]{2})*$/ : new RegExp(`^0x[0-9a-fA-F]{${2 * bytes}}$`);
    if (typeof value !== "string" || !shape.test(value)) {
      throw new DecodeError(
        path,
        bytes === undefined ? "0x and hexadecimal digits" : `0x and ${2 * bytes} hexadecimal digits`,
        describe(value),
      );
    }
    return value as `0x${string}`;
  };

export const oneOf =
  <const T extends string>(...allowed: readonly T[]): Decoder<T> =>
  (value, path) => {
    const found = allowed.find((name) => name === value);
    if (found === undefined) throw new DecodeError(path, `one of ${allowed.join(", ")}`, describe(value));
    return found;
  };

export const nullable =
  <T>(inner: Decoder<T>): Decoder<T | null> =>
  (value, path) =>
    value === null || value === undefined ? null : inner(value, path);

export const list =
  <T>(inner: Decoder<T>): Decoder<T[]> =>
  (value, path) => {
    if (!Array.isArray(value)) throw new DecodeError(path, "a list", describe(value));
    return value.map((item: unknown, i) => inner(item, at(path, i)));
  };

/** An object whose fields have any names and one kind of value. */
export const record =
  <T>(inner: Decoder<T>): Decoder<Record<string, T>> =>
  (value, path) => {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new DecodeError(path, "an object", describe(value));
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inner(item, at(path, key))]));
  };

/** An object with the fields of `shape`; fields beyond it are dropped. */
export const object =
  <S extends Record<string, Decoder<unknown>>>(shape: S): Decoder<{ [K in keyof S]: Decoded<S[K]> }> =>
  (value, path) => {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new DecodeError(path, "an object", describe(value));
    const fields = value as Record<string, unknown>;
    const entries = Object.entries(shape).map(([key, decode]) => [key, decode(fields[key], at(path, key))] as const);
    return Object.fromEntries(entries) as { [K in keyof S]: Decoded<S[K]> };
  };
