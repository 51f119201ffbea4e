// y[m] = the first n for which x[m, n] is largest; N if any x[m, n] is not finite
//
// x (M, N), y (M) as u32. = torch.argmax over the last axis of finite x.
// Grid: one invocation per row, in groups of 64.

struct Params {
  columns: u32, // N
  total: u32,
}

@group(0) @binding(0) var<storage, read> x: array<real>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> p: Params;

// Tests bits, as a compiler may assume that there are no NaNs and infinities.
fn is_finite(v: real) -> bool {
  return (bitcast<u32>(f32(v)) & 0x7f800000u) != 0x7f800000u;
}

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
  var finite = is_finite(largest);
  for (var n = 1u; n < p.columns; n++) {
    let v = x[base + n];
    finite = finite && is_finite(v);
    if v > largest {
      largest = v;
      best = n;
    }
  }
  y[index] = select(p.columns, best, finite);
}
