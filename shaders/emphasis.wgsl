// y[i, t] = w[i, t] · before[i] / after[i]
// before[i] = Σ_r shares[i, r] · Σ_t sums[r, t]
// after[i] = Σ_r shares[i, r] · Σ_t w[r, t] · sums[r, t]
//
// What to multiply each token's features by, so that they are weighted and their
// mean stays what it was. sums (R, T) in f32 are the features' sums over channels,
// weights w (R, T) in f32, y (R, T, 1). A mean is taken over some rows, each with
// its share. Adds in f32.
// = z.mean() / (z * w).mean() * w of AUTOMATIC1111's "original" emphasis.
// Grid: one invocation per element of y, in groups of 64.

struct Params {
  rows: u32, // R
  tokens: u32, // T
  total: u32,
}

@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> shares: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<real>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let row = index / p.tokens;
  var before = 0.0;
  var after = 0.0;
  for (var r = 0u; r < p.rows; r++) {
    let share = shares[row * p.rows + r];
    if share == 0.0 { continue; }
    var plain = 0.0;
    var weighted = 0.0;
    for (var t = 0u; t < p.tokens; t++) {
      let at = r * p.tokens + t;
      plain += sums[at];
      weighted += weights[at] * sums[at];
    }
    before += share * plain;
    after += share * weighted;
  }
  // A division need not be exact: without weights, y is 1 in every bit.
  let ratio = select(before / after, 1.0, before == after);
  y[index] = real(weights[index] * ratio);
}
