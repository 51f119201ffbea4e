// dx[m, n] = y[m, n] · (dy[m, n] − Σ_k dy[m, k] · y[m, k])
//
// y, the softmax, dy and dx (M, N), any N. Accumulates in f32.
// = the gradient of torch.nn.functional.softmax over the last axis.
// Grid: M invocations in groups of 32, one per row.

struct Params {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<storage, read> y: array<real>;
@group(0) @binding(1) var<storage, read> dy: array<real>;
@group(0) @binding(2) var<storage, read_write> dx: array<real>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group_index(group, groups) * 32u + lane;
  if row >= p.rows { return; }
  let base = row * p.columns;
  var sum = 0.0;
  for (var n = 0u; n < p.columns; n++) {
    sum += f32(y[base + n]) * f32(dy[base + n]);
  }
  for (var n = 0u; n < p.columns; n++) {
    dx[base + n] = real(f32(y[base + n]) * (f32(dy[base + n]) - sum));
  }
}
