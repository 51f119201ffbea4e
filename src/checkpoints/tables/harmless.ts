/**
 * Tensors that training programs and other tools leave in a checkpoint beside
 * any network: they are known, and not needed here.
 *
 * @module
 */
import type { Dropped } from "./table.ts";

/** The noise schedule's buffers in the original latent diffusion code. */
export const SCHEDULE: Dropped = {
  names:
    /^(betas|alphas_cumprod|alphas_cumprod_prev|sqrt_\w+|log_one_minus_alphas_cumprod|posterior_\w+|lvlb_weights|logvar|scale_factor|sigmas|log_sigmas|denoiser\.(log_)?sigmas)$/,
  reason: "the noise schedule, which the config states",
};

/** A LoRA's tensors, in the names of all programs that train them. */
export const LORA: RegExp = /(^|[._])(lora|locon|hada|lokr)([._]|$)/;

/** What may be left out of every network's checkpoint. */
export const HARMLESS: readonly Dropped[] = [
  SCHEDULE,
  { names: /^model_ema\./, reason: "leftovers of the running mean" },
  {
    names: /(^|\.)position_ids$/,
    reason: "the numbers 0, 1, 2, … in order",
  },
  {
    names:
      /(^|\.)(global_step|epoch|iteration|iter|current_step|step|steps|num_updates|decay|num_batches_tracked)$/,
    reason: "counters of the training program",
  },
  {
    names:
      /^(optimizer|optimizer_states?|lr_schedulers?|callbacks|loops|loss)\./,
    reason: "what only training uses",
  },
  {
    names: /^embedding_manager\./,
    reason: "left by training on a new word",
  },
  {
    names: /^(v_pred|ztsnr)$/,
    reason: "the mark of a model that predicts velocity",
    warning: "it is marked as a model that predicts velocity (v_pred), not " +
      "noise; here it is assumed to predict noise, so its images may be wrong",
  },
  {
    names: LORA,
    reason: "a LoRA beside the network, which is not merged into it",
    warning: "the file also has a LoRA, which is not merged into the network",
  },
];
