//! How fast the model is explored: states a second, on as many threads as there are.

use criterion::{Criterion, Throughput};
use std::time::Duration;
use transfer_model::Setting;

pub(crate) fn benches(criterion: &mut Criterion) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let setting = Setting::everything(u8::from(!crate::is_quick()), 0);
    let states = setting.explore(threads, &|_progress| {}).states;
    let mut group = criterion.benchmark_group("model");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::Elements(states));
    group.bench_function("explored to closure", |bencher| {
        bencher.iter(|| setting.explore(threads, &|_progress| {}).states);
    });
    group.finish();
}
