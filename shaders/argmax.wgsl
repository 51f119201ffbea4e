// y[m] = the first n where x[m, n] is largest
//
// x (M, N), y (M) as u32. = torch.argmax over the last axis.
// Grid: one invocation a row, in groups of 64.

struct Params {
  columns: u32, // N
  total: u32,
}

@group(0) @binding(0) var<storage, read> x: array<real>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let base = index * p.columns;
  var best = 0u;
  var largest = x[base];
  for (var n = 1u; n < p.columns; n++) {
    let v = x[base + n];
    if v > largest {
      largest = v;
      best = n;
    }
  }
  y[index] = best;
}
