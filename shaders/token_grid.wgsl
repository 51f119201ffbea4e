// Which tokens of an image are merged into which: the first of each 2×2 block is a
// destination, all others are sources. Both are numbered in reading order.
// Prepended to the shaders that match tokens.

// The token that is the d-th destination.
fn destination_token(d: u32, width: u32) -> u32 {
  let across = (width + 1u) / 2u;
  return 2u * (d / across) * width + 2u * (d % across);
}

// The token that is the s-th source. Sources are width / 2 tokens of the upper row of
// each pair of rows, and all tokens of the lower row.
fn source_token(s: u32, width: u32) -> u32 {
  let upper = width / 2u;
  let pair = s / (width + upper);
  let i = s % (width + upper);
  if i < upper { return 2u * pair * width + 2u * i + 1u; }
  return (2u * pair + 1u) * width + i - upper;
}
