// y[b, m, n] = Σ_k a[b, m, k] · b[b, k, n]
//
// Batched product of two activations, either of which may be transposed: strides
// give the distance between rows and between columns. Accumulates in f32.
// = torch.matmul of 3-D tensors. (For a product with a weight, see linear.wgsl.)
// Each invocation computes a 4 × 4 tile of y.
// Grid: B · ⌈M/4⌉ · ⌈N/4⌉ invocations in groups of 32, rows fastest.

struct Params {
  m: u32,
  n: u32,
  k: u32,
  a_batch: u32, // elements from one matrix of a to the next
  a_row: u32, // from a[m, k] to a[m + 1, k]
  a_column: u32, // from a[m, k] to a[m, k + 1]
  b_batch: u32,
  b_row: u32,
  b_column: u32,
  tiles_m: u32,
  tiles_n: u32,
  total: u32,
}

@group(0) @binding(0) var<storage, read> a: array<real>;
@group(0) @binding(1) var<storage, read> b: array<real>;
@group(0) @binding(2) var<storage, read_write> y: array<real>;
@group(0) @binding(3) var<uniform> p: Params;

fn store(base: u32, row: u32, column: u32, values: vec4<f32>) {
  if row >= p.m { return; }
  for (var j = 0u; j < 4u; j++) {
    if column + j < p.n {
      y[base + row * p.n + column + j] = real(values[j]);
    }
  }
}

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 32u + lane;
  if index >= p.total { return; }
  let row = (index % p.tiles_m) * 4u;
  let column = ((index / p.tiles_m) % p.tiles_n) * 4u;
  let batch = index / (p.tiles_m * p.tiles_n);

  let a0 = batch * p.a_batch + row * p.a_row;
  let a1 = batch * p.a_batch + min(row + 1u, p.m - 1u) * p.a_row;
  let a2 = batch * p.a_batch + min(row + 2u, p.m - 1u) * p.a_row;
  let a3 = batch * p.a_batch + min(row + 3u, p.m - 1u) * p.a_row;
  let b0 = batch * p.b_batch + column * p.b_column;
  let b1 = batch * p.b_batch + min(column + 1u, p.n - 1u) * p.b_column;
  let b2 = batch * p.b_batch + min(column + 2u, p.n - 1u) * p.b_column;
  let b3 = batch * p.b_batch + min(column + 3u, p.n - 1u) * p.b_column;
  var acc0 = vec4<f32>();
  var acc1 = vec4<f32>();
  var acc2 = vec4<f32>();
  var acc3 = vec4<f32>();
  for (var k = 0u; k < p.k; k++) {
    let ka = k * p.a_column;
    let kb = k * p.b_row;
    let right = vec4<f32>(
      f32(b[b0 + kb]),
      f32(b[b1 + kb]),
      f32(b[b2 + kb]),
      f32(b[b3 + kb]),
    );
    acc0 += f32(a[a0 + ka]) * right;
    acc1 += f32(a[a1 + ka]) * right;
    acc2 += f32(a[a2 + ka]) * right;
    acc3 += f32(a[a3 + ka]) * right;
  }
  let base = batch * p.m * p.n;
  store(base, row, column, acc0);
  store(base, row + 1u, column, acc1);
  store(base, row + 2u, column, acc2);
  store(base, row + 3u, column, acc3);
}
