// How conv2d_windows reads its weight, stored as `real`: an octet a column.

@group(0) @binding(1) var<uniform> w: array<octet, WINDOW>;
@group(0) @binding(2) var<storage, read> scales: array<u32>; // not read

const ROW = 16u; // elements of w from one octet of the sum to the next

// Octet of column c, of the row that starts at `at`.
fn column(at: u32, c: u32, row: u32) -> values {
  return unpack(w[at + c]);
}
