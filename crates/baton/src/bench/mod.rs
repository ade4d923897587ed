//! `baton bench`: the figures of the project, measured on this machine.

mod rig;

use std::time::Duration;

use rig::{Rig, chain, fan};

/// Scratch.
#[expect(clippy::print_stdout, reason = "the benchmark's table is its output")]
pub fn quick() -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("baton-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let rig = Rig::open(&folder)?;
    let plan = chain(10)?;
    rig.run_many(&plan, 20, 1)?;
    for _ in 0..3 {
        let (mut times, all) = rig.run_many(&plan, 200, 1)?;
        times.sort_unstable();
        let p50 = times
            .get(times.len() / 2)
            .copied()
            .unwrap_or(Duration::ZERO);
        println!("chain c1: p50 step {:?}  all {:?}", p50 / 10, all);
    }
    for at_once in [64, 512] {
        for _ in 0..3 {
            let cpu = cpu_time();
            let count = 4000;
            let (_, all) = rig.run_many(&plan, count, at_once)?;
            let steps = count * 10;
            let cpu = (cpu_time() - cpu) / u32::try_from(steps)?;
            println!(
                "chain c{at_once}: {:.0} steps/s cpu {:?}/step",
                steps as f64 / all.as_secs_f64(),
                cpu
            );
        }
    }
    for width in [1_000, 10_000, 100_000] {
        let plan = fan(width)?;
        for _ in 0..3 {
            let cpu = cpu_time();
            let (_, all) = rig.run_many(&plan, 1, 1)?;
            let cpu = (cpu_time() - cpu) / width;
            println!(
                "fan {width}: {:.0} steps/s cpu {:?}/step",
                f64::from(width) / all.as_secs_f64(),
                cpu
            );
        }
    }
    rig.close()?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}
