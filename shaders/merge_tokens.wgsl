// y[b, m, c] = the mean of x[b, t, c] over the tokens t of row m
//
// x (B, T, C), C a multiple of 4; place u32 (B, 3, T), as token_chain.wgsl writes
// it; y (B, M, C). Accumulates in f32.
// = torch.scatter_reduce(reduce="mean") over the tokens.
// Grid: one invocation per 4 channels of a row, in groups of 64.

struct Params {
  tokens: u32, // T
  rows: u32, // M
  channels4: u32, // C / 4
  first: u32, // index in the batch of the launch's first image
  skip_x: u32, // vec4s of x's binding before it
  skip_y: u32, // vec4s of y's binding before it
  total: u32, // invocations with work
}

@group(0) @binding(0) var<storage, read> x: array<real4>;
@group(0) @binding(1) var<storage, read> place: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<real4>;
@group(0) @binding(3) var<uniform> p: Params;

const NONE = 0xffffffffu;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let c = index % p.channels4;
  let m = (index / p.channels4) % p.rows;
  let b = index / (p.channels4 * p.rows);
  let places = (p.first + b) * 3u * p.tokens;
  let base = p.skip_x + b * p.tokens * p.channels4 + c;

  var sum = vec4<f32>();
  var count = 0.0;
  var t = place[places + 2u * p.tokens + m];
  while t != NONE {
    sum += vec4<f32>(x[base + t * p.channels4]);
    count += 1.0;
    t = place[places + p.tokens + t];
  }
  y[p.skip_y + index] = real4(sum / count);
}
