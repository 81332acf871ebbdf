//! Which requests are recorded.

/// The random part of a trace id that samplers of all parties look at (W3C Trace Context Level 2,
/// OpenTelemetry's consistent probability sampling): the last 56 bits.
const RANDOM_BITS: u32 = 56;
const ALL: u64 = 1 << RANDOM_BITS;

/// Decides whether a request is recorded: as its caller decided, otherwise a share of all, the same
/// ones on every node. [`Default`] records nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sampling {
    /// Of the 2^56 random parts of a trace id, the upper so many are recorded; none switches it off.
    taken: Option<u64>,
    failures: bool,
}

impl Sampling {
    /// Records this share of the requests, and besides the span of each that fails by our fault.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of 2^56, between nothing and all of it"
    )]
    pub fn new(share: f64, failures: bool) -> Self {
        let taken = (share.clamp(0.0, 1.0) * ALL as f64) as u64;
        Self { taken: Some(taken), failures }
    }

    /// Whether a request is recorded, given its trace and what its caller has decided.
    #[must_use]
    #[inline]
    pub fn decide(&self, trace: u128, caller: Option<bool>) -> bool {
        let Some(taken) = self.taken else { return false };
        #[expect(clippy::cast_possible_truncation, reason = "the upper half is not looked at")]
        let random = trace as u64 & (ALL - 1);
        caller.unwrap_or(random >= ALL - taken)
    }

    /// Whether the span of a failed request is recorded when the request was not.
    #[must_use]
    #[inline]
    pub fn takes_failures(&self) -> bool {
        self.failures && self.taken.is_some()
    }
}

#[cfg(test)]
mod tests {
    use troupe_kernel::clock::SystemClock;
    use troupe_kernel::new_id;

    use super::*;

    #[test]
    fn a_share_of_the_ids_that_we_make_is_taken() {
        for share in [0.0, 0.01, 0.5, 1.0] {
            let sampling = Sampling::new(share, true);
            let ids = (0..20_000).map(|_| new_id(&SystemClock).as_u128());
            let taken = ids.filter(|id| sampling.decide(*id, None)).count();
            let off = (f64::from(u32::try_from(taken).unwrap()) / 20_000.0 - share).abs();
            assert!(off < 0.02, "{taken} of 20000 for {share}");
        }
    }

    #[test]
    fn the_caller_decides_for_its_own_trace() {
        let none = Sampling::new(0.0, true);
        let all = Sampling::new(1.0, true);
        assert!(none.decide(1, Some(true)) && !all.decide(1, Some(false)));
    }

    #[test]
    fn switched_off_nothing_is_recorded() {
        let off = Sampling::default();
        assert!(!off.decide(u128::MAX, Some(true)) && !off.takes_failures());
        assert!(!off.decide(u128::MAX, None));
    }
}
