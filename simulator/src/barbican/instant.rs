//! Times in requests: what Python's `iso8601` takes, in UTC unless they say otherwise.

use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

/// A date, or a part of one from the left, and a time of the day behind it.
pub(super) fn instant(text: &str) -> Option<OffsetDateTime> {
    let mut rest = Rest(text);
    let year = rest.digits(4, 4)?.parse().ok()?;
    let (month, day) = match rest.0 {
        "" => (1, 1),
        _ => rest.month_and_day()?,
    };
    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
    let (time, offset) = match rest.0 {
        "" => (Time::MIDNIGHT, UtcOffset::UTC),
        _ => rest.time_and_offset()?,
    };
    let local = date.with_time(time).assume_offset(offset);
    local.checked_to_offset(UtcOffset::UTC).filter(|_| rest.0.is_empty())
}

/// What is not read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, mark: char) -> bool {
        let rest = self.0.strip_prefix(mark);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// As many digits as there are, from `least` to `most`.
    fn digits(&mut self, least: usize, most: usize) -> Option<&'a str> {
        let count = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(digits)
    }

    fn number(&mut self, least: usize, most: usize) -> Option<u8> {
        self.digits(least, most)?.parse().ok()
    }

    /// With dashes, or of two digits each; a month without a day needs its dash.
    fn month_and_day(&mut self) -> Option<(u8, u8)> {
        let dashed = self.take('-');
        let month = self.number(if dashed { 1 } else { 2 }, 2)?;
        if self.0.is_empty() {
            return dashed.then_some((month, 1));
        }
        let dashed = self.take('-');
        Some((month, self.number(if dashed { 1 } else { 2 }, 2)?))
    }

    fn time_and_offset(&mut self) -> Option<(Time, UtcOffset)> {
        if !self.take('T') && !self.take(' ') {
            return None;
        }
        let hour = self.number(2, 2)?;
        let (mut minute, mut second, mut nanosecond) = (0, 0, 0);
        if self.take(':') || self.0.starts_with(|letter: char| letter.is_ascii_digit()) {
            minute = self.number(2, 2)?;
            if self.take(':') || self.0.starts_with(|letter: char| letter.is_ascii_digit()) {
                second = self.number(1, 2)?;
                if self.take('.') || self.take(',') {
                    // Python keeps six digits.
                    let fraction: String = self.digits(1, usize::MAX)?.chars().take(6).collect();
                    nanosecond = format!("{fraction:0<9}").parse().ok()?;
                }
            }
        }
        let time = Time::from_hms_nano(hour, minute, second, nanosecond).ok()?;
        Some((time, self.offset()?))
    }

    fn offset(&mut self) -> Option<UtcOffset> {
        if self.0.is_empty() || self.take('Z') {
            return Some(UtcOffset::UTC);
        }
        let sign = if self.take('-') {
            -1
        } else if self.take('+') {
            1
        } else {
            return None;
        };
        let hours = i8::try_from(self.number(2, 2)?).ok()?;
        self.take(':');
        let minutes = if self.0.is_empty() { 0 } else { i8::try_from(self.number(2, 2)?).ok()? };
        UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::instant;

    #[test]
    fn times_are_read_as_upstream_reads_them() {
        let day = Some(datetime!(2026-01-02 00:00 UTC));
        for (text, expected) in [
            ("2026-01-02", day),
            ("20260102", day),
            ("2026-1-2", day),
            ("2026-01", Some(datetime!(2026-01-01 00:00 UTC))),
            ("2026", Some(datetime!(2026-01-01 00:00 UTC))),
            ("2026-01-02T00", day),
            ("2026-01-02T00:00", day),
            ("2026-01-02T000000", day),
            ("2026-01-02 00:00:00", day),
            ("2026-01-02T00:00:00Z", day),
            ("2026-01-02T00:00:00.5", Some(datetime!(2026-01-02 00:00:00.5 UTC))),
            ("2026-01-02T00:00:00,1234567", Some(datetime!(2026-01-02 00:00:00.123456 UTC))),
            ("2026-01-02T02:00:00+02:00", day),
            ("2026-01-01T22:30:00-0130", day),
            ("202601", None),
            ("2026-13-01", None),
            ("2026-02-30", None),
            ("2026-W01", None),
            ("2026-001", None),
            ("2026-01-02T", None),
            ("2026-01-02T24:00:00", None),
            ("2026-01-02T00:00:00 02:00", None),
            ("2026-01-02T00:00:00Zx", None),
            (" 2026-01-02", None),
            ("", None),
            ("foo", None),
        ] {
            assert_eq!(instant(text), expected, "{text}");
        }
    }
}
