// y[m, n] = exp(x[m, n] − max_m) / Σ_n exp(x[m, n] − max_m)
//
// x and y (M, N), any N. Accumulates in f32.
// = torch.nn.functional.softmax over the last axis. (Attention computes its own.)
// Grid: M invocations in groups of 32, one per row.

struct Params {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<storage, read> x: array<real>;
@group(0) @binding(1) var<storage, read_write> y: array<real>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group_index(group, groups) * 32u + lane;
  if row >= p.rows { return; }
  let base = row * p.columns;
  var maximum = f32(x[base]);
  for (var n = 1u; n < p.columns; n++) {
    maximum = max(maximum, f32(x[base + n]));
  }
  var sum = 0.0;
  for (var n = 0u; n < p.columns; n++) {
    sum += exp(f32(x[base + n]) - maximum);
  }
  for (var n = 0u; n < p.columns; n++) {
    y[base + n] = real(exp(f32(x[base + n]) - maximum) / sum);
  }
}
