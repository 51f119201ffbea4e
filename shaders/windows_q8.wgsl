// How conv2d_windows reads its weight, stored as q8: two columns an element,
// eight signed bytes each; a scale for four octets of a column.

@group(0) @binding(1) var<uniform> w: array<vec4<u32>, WINDOW>;
@group(0) @binding(2) var<uniform> scales: array<vec4<u32>, WINDOW>; // 16 columns of f16 a block of 32

const ROW = 8u; // elements of w from one octet of the sum to the next

fn scale(c: u32, row: u32) -> f32 {
  let word = scales[p.skip_scales + row / 4u * 2u + c / 8u][c / 2u % 4u];
  return unpack2x16float(word)[c % 2u];
}

// Octet of column c, of the row that starts at `at`, which is number `row` of
// those bound.
fn column(at: u32, c: u32, row: u32) -> values {
  let pair = w[at + c / 2u];
  let first = select(pair.x, pair.z, c % 2u == 1u);
  let second = select(pair.y, pair.w, c % 2u == 1u);
  return scale(c, row) *
    values(vec4<f32>(unpack4xI8(first)), vec4<f32>(unpack4xI8(second)));
}
