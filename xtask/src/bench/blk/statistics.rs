// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The middle of several figures, and how far they are apart.

/// Figures of the same thing, one from each run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
}

impl Spread {
    /// Of some figures; `None` of none.
    pub(super) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { least, median, most })
    }
}

/// A number of requests per second in few digits: `812 k`, `3.94 M`, `740`.
pub(super) fn rate(figure: f64) -> String {
    match figure {
        _ if figure >= 999_500.0 => format!("{:.2} M", figure / 1e6),
        _ if figure >= 99_950.0 => format!("{:.0} k", figure / 1e3),
        _ if figure >= 1_000.0 => format!("{:.1} k", figure / 1e3),
        _ => format!("{figure:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_one_or_between_two() {
        let spread = Spread::of([3.0, 1.0, 10.0]).unwrap();
        assert_eq!(spread, Spread { least: 1.0, median: 3.0, most: 10.0 });
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 9.0]).unwrap().median, 3.0);
        assert_eq!(Spread::of([7.0]).unwrap(), Spread { least: 7.0, median: 7.0, most: 7.0 });
    }

    #[test]
    fn no_figures_have_no_median() {
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn rates_are_said_in_few_digits() {
        let figures = [12.4, 1_000.0, 25_040.0, 99_960.0, 812_345.0, 999_600.0, 3_941_000.0];
        let said = ["12", "1.0 k", "25.0 k", "100 k", "812 k", "1.00 M", "3.94 M"];
        assert_eq!(figures.map(rate), said);
    }
}
