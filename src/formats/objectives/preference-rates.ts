/**
 * Preference objectives move a model that answers already, so they learn at a twentieth of the rate: 1e-5 with LoRA and 1e-6 in full, which are TRL's
 * recommendation and default.
 */
export const PREFERENCE_RATE_SCALE = 0.05;
