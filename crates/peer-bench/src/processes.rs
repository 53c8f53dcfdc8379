//! What a process and its children have used, as Linux counts it.

use std::collections::BTreeMap;
use std::fs;

/// Clock ticks a second, which Linux shows to programs as 100 on every architecture.
const TICKS: f64 = 100.0;

/// Seconds of CPU that the process, its children and those of them that have ended have used.
pub(crate) fn cpu_seconds(root: u32) -> f64 {
    let ticks: u64 = tree(root).iter().filter_map(|pid| Stat::of(*pid)).map(|s| s.ticks).sum();
    #[expect(clippy::cast_precision_loss, reason = "ticks of hours are far below 2^53")]
    let ticks = ticks as f64;
    ticks / TICKS
}

/// The most memory, in MiB, that the process and its living children have ever held; the peaks
/// of several processes are added.
pub(crate) fn peak_mib(root: u32) -> f64 {
    tree(root).iter().filter_map(|pid| high_water(*pid)).sum()
}

fn high_water(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}

struct Stat {
    parent: u32,
    ticks: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name may hold anything, blanks and parentheses too: the fields stand behind it.
    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
        // utime, stime, and both of the children that were waited for
        let ticks = (11..15).filter_map(number).sum();
        Some(Self { parent: u32::try_from(number(1)?).ok()?, ticks })
    }
}

/// The process and all below it.
fn tree(root: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for pid in pids {
        if let Some(stat) = Stat::of(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.get(pid).into_iter().flatten());
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = "7 (a) b (c) S 3 7 7 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.parent, stat.ticks), (3, 100));
    }

    #[test]
    fn this_process_uses_memory_and_is_in_its_own_tree() {
        let own = std::process::id();
        assert!(peak_mib(own) > 0.5);
        assert!(cpu_seconds(own) >= 0.0);
        assert!(tree(own).contains(&own));
    }
}
