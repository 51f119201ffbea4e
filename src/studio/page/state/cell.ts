/**
 * Values that components follow: signals, without the name of the package that
 * makes them.
 *
 * @module
 */

/** A value; whatever showed it is drawn anew when it changes. */
export interface Cell<T> {
  /** The value. */
  value: T;
}

/** A value that only its owner changes. */
export interface ReadonlyCell<T> {
  /** The value. */
  readonly value: T;
}
