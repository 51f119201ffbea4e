/** A shape padded in front with ones, to `rank` axes. */
export function padShape(shape: readonly number[], rank: number): number[] {
  return [...Array(rank - shape.length).fill(1), ...shape];
}
