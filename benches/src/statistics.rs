//! Medians, and bootstrap intervals of ratios over paired rounds.

/// Resamples for an interval.
const RESAMPLES: usize = 2000;

/// A ratio with its 95 % interval.
#[derive(Debug, Clone, Copy)]
pub struct Ratio {
    /// The median of the rounds' ratios.
    pub median: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// The median; zero for no values.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

/// How many times as much `base` costs as `ours`, round by round.
#[must_use]
pub fn ratio(base: &[f64], ours: &[f64]) -> Ratio {
    let ratios: Vec<f64> = base.iter().zip(ours).map(|(base, ours)| base / ours).collect();
    let mut draws = Draws(0x2545_f491_4f6c_dd1d);
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let sample: Vec<f64> =
                ratios.iter().map(|_| ratios[draws.below(ratios.len())]).collect();
            median(&sample)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    Ratio {
        median: median(&ratios),
        low: medians[RESAMPLES * 25 / 1000],
        high: medians[RESAMPLES * 975 / 1000],
    }
}

/// A small generator (xorshift64*), seeded, so that a run can be repeated.
pub struct Draws(pub u64);

impl Draws {
    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap_or(0) % bound.max(1)
    }

    /// Puts the items into another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_lies_in_its_interval() {
        let base = [10.0, 11.0, 9.0, 10.5, 9.5];
        let ours = [5.0, 5.5, 4.0, 5.0, 5.0];
        let ratio = ratio(&base, &ours);
        assert!(ratio.low <= ratio.median && ratio.median <= ratio.high);
        assert!((1.9..=2.3).contains(&ratio.median));
    }

    #[test]
    fn the_median_of_an_even_number_is_the_middle() {
        assert!((median(&[1.0, 4.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }
}
