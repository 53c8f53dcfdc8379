//! What a process holds, as Linux counts it.

/// The most memory that a process has held so far, in MiB; nothing once it has ended.
pub fn peak_mib(process: u32) -> Option<f64> {
    high_water(&std::fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

fn high_water(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_high_water_mark() {
        let status = "VmPeak:\t    4096 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(high_water(status), Some(2.0));
        assert_eq!(high_water("State:\tZ (zombie)\n"), None);
        assert!(peak_mib(std::process::id()).is_some_and(|mib| mib > 0.5));
    }
}
