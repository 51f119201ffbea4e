/**
 * The square that portraits show of facesjs's drawing.
 *
 * @module
 */

/** Where it lies, in the drawing's units. */
export const VIEW = { left: -30, top: 75, side: 460 } as const;

/** A place in the drawing: x to the right, y down. */
export type Point = readonly [x: number, y: number];
