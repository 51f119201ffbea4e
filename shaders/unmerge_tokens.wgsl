// y[b, t, c] = x[b, place[b, 0, t], c] + residual[b, t, c]
//
// Copies each merged row to all its tokens. x (B, M, C), C a multiple of 4; place u32
// (B, 3, T), as token_rank.wgsl writes it; residual and y (B, T, C). Adds in f32.
// = torch.gather over the tokens, and a sum.
// Grid: one invocation per 4 channels of a token, in groups of 64.

struct Params {
  tokens: u32, // T
  rows: u32, // M
  channels4: u32, // C / 4
  first: u32, // index in the batch of the launch's first image
  skip_x: u32, // vec4s of x's binding before it
  skip_y: u32, // vec4s of residual's and y's bindings before it
  total: u32, // invocations with work
}

@group(0) @binding(0) var<storage, read> x: array<real4>;
@group(0) @binding(1) var<storage, read> place: array<u32>;
@group(0) @binding(2) var<storage, read> residual: array<real4>;
@group(0) @binding(3) var<storage, read_write> y: array<real4>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let c = index % p.channels4;
  let t = (index / p.channels4) % p.tokens;
  let b = index / (p.channels4 * p.tokens);
  let row = place[(p.first + b) * 3u * p.tokens + t];
  let row_at = p.skip_x + (b * p.rows + row) * p.channels4 + c;
  let at = p.skip_y + index;
  y[at] = real4(vec4<f32>(x[row_at]) + vec4<f32>(residual[at]));
}
