//! What processes and their children have used, as Linux counts it.

use std::collections::BTreeMap;
use std::fs;
use std::ops::{AddAssign, Sub};

/// Clock ticks a second, which Linux shows to programs as 100 on every architecture.
const TICKS: f64 = 100.0;

/// Seconds of processor time, by who has used them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// The contender.
    pub(crate) own: f64,
    /// Keystone and Barbican.
    pub(crate) key_manager: f64,
    /// Whoever asks: this process.
    pub(crate) client: f64,
    /// All else on the machine: the database server, and whatever has nothing to do with it.
    pub(crate) others: f64,
}

impl Usage {
    /// Since the machine was started, of a contender and a key manager in these processes.
    pub(crate) fn now(own: &[u32], key_manager: &[u32]) -> Self {
        let of = |pids: &[u32]| pids.iter().copied().map(cpu_seconds).sum();
        let (own, key_manager, client) = (of(own), of(key_manager), of(&[std::process::id()]));
        Self { own, key_manager, client, others: machine_seconds() - own - key_manager - client }
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            own: self.own - before.own,
            key_manager: self.key_manager - before.key_manager,
            client: self.client - before.client,
            others: self.others - before.others,
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        self.own += more.own;
        self.key_manager += more.key_manager;
        self.client += more.client;
        self.others += more.others;
    }
}

/// Seconds of CPU that the process, its children and those of them that have ended have used.
fn cpu_seconds(root: u32) -> f64 {
    seconds(tree(root).iter().filter_map(|pid| Stat::of(*pid)).map(|stat| stat.ticks).sum())
}

/// Seconds that the processors have not been idle.
fn machine_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    seconds(busy(stat.lines().next().unwrap_or_default()))
}

/// User, nice, system, and both kinds of interrupts; between them, idle and waiting for a disk.
fn busy(line: &str) -> u64 {
    let fields: Vec<u64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    [0, 1, 2, 5, 6].into_iter().filter_map(|place| fields.get(place)).sum()
}

#[expect(clippy::cast_precision_loss, reason = "ticks of years are far below 2^53")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS
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
    fn who_waits_is_not_busy() {
        assert_eq!(busy("cpu  1 20 300 4000 50000 600000 7000000 80000000 0 0"), 7_600_321);
    }

    #[test]
    fn this_process_uses_memory_and_is_in_its_own_tree() {
        let own = std::process::id();
        assert!(peak_mib(own) > 0.5);
        assert!(cpu_seconds(own) >= 0.0);
        assert!(machine_seconds() >= cpu_seconds(own));
        assert!(tree(own).contains(&own));
    }
}
